"""What stands in XML for the name of a file, which may hold characters that XML does not allow."""

import re

NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_text(name: str) -> str:
    """The name with the replacement character for each that is not allowed."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", name)
