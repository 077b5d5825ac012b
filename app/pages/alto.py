"""Writes a page as ALTO 4: every line is a TextLine with the writing type as a tag, so that other tools take it."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from app.pages.analyse import Page, PageLine
from app.pages.file_name import as_text

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
SCHEMA = "http://www.loc.gov/alto/v4/alto-4-4.xsd"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def to_alto(pages: Sequence[Page], labels: Sequence[str], file_name: str) -> bytes:
    """The pages of a file as one ALTO document, UTF-8."""
    root = ET.Element(
        "alto",
        {
            "xmlns": NAMESPACE,
            "xmlns:xsi": INSTANCE,
            "xsi:schemaLocation": f"{NAMESPACE} {SCHEMA}",
            "SCHEMAVERSION": "4.4",
        },
    )
    description = ET.SubElement(root, "Description")
    ET.SubElement(description, "MeasurementUnit").text = "pixel"
    ET.SubElement(ET.SubElement(description, "sourceImageInformation"), "fileName").text = as_text(file_name)
    tags = ET.SubElement(root, "Tags")
    for label in labels:
        ET.SubElement(tags, "OtherTag", {"ID": f"type_{label}", "TYPE": "writing", "LABEL": label})
    layout = ET.SubElement(root, "Layout")
    for number, page in enumerate(pages, start=1):
        add_page(layout, page, number)
    return bytes(ET.tostring(root, "utf-8", xml_declaration=True))


def add_page(layout: ET.Element, page: Page, number: int) -> None:
    """Add one page with all its lines in one block."""
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    element = ET.SubElement(layout, "Page", {"ID": f"page_{number}", "PHYSICAL_IMG_NR": str(number), **size})
    whole = {"HPOS": "0", "VPOS": "0", **size}
    space = ET.SubElement(element, "PrintSpace", whole)
    if page.lines:
        block = ET.SubElement(space, "TextBlock", {"ID": f"block_{number}", **whole})
        for position, line in enumerate(page.lines, start=1):
            add_line(block, line, f"{number}_{position}")


def add_line(block: ET.Element, line: PageLine, number: str) -> None:
    """Add one line: its box, its polygon, its tag; the text is empty, since none is read."""
    left, top, right, bottom = line.box
    place = {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
    attributes = {name: str(value) for name, value in place.items()}
    tag = f"type_{line.prediction.label}"
    element = ET.SubElement(block, "TextLine", {"ID": f"line_{number}", "TAGREFS": tag, **attributes})
    points = " ".join(f"{x} {y}" for x, y in line.polygon)
    ET.SubElement(ET.SubElement(element, "Shape"), "Polygon", {"POINTS": points})
    ET.SubElement(element, "String", {"ID": f"string_{number}", "CONTENT": "", **attributes})
