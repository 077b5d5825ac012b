"""Texts in other scripts than Latin: common words of a language of each, and the digits that belong to it.

Words are in `words/<script>.txt`, as those of Latin are in `texts`; which fonts have which script, `typefaces` knows.
"""

from functools import cache
from pathlib import Path

from app.data.texts import Random, pick

WORDS = Path(__file__).parent / "words"
UNSPACED = ("chinese", "japanese", "thai")  # these put no spaces between words
DIGITS = {"arabic": "٠١٢٣٤٥٦٧٨٩", "bengali": "০১২৩৪৫৬৭৮৯", "devanagari": "०१२३४५६७८९", "thai": "๐๑๒๓๔๕๖๗๘๙"}
OWN_DIGITS = 0.5  # of texts in a script that has its own
PUNCTUATION = ",.;:!?"
UNKNOWN = str.maketrans("", "", "€£°`")


def rewrite(random: Random, text: str, script: str) -> str:
    """Exchange each word of *text* for one in *script*; numbers stay, now and then in the digits of the script.

    Signs that not every font has are left out.
    """
    text = text.translate(UNKNOWN)
    words = _words(script)
    joined, last = "", False
    for word in text.split():
        is_word = any(map(str.isalpha, word))
        gap = "" if not joined or (script in UNSPACED and is_word and last) else " "
        joined += gap + (_exchange(random, word, words) if is_word else word)
        last = is_word
    own = script in DIGITS and random.random() < OWN_DIGITS
    return joined.translate(str.maketrans("0123456789", DIGITS[script])) if own else joined


@cache
def _words(script: str) -> list[str]:
    """The words of a script."""
    return (WORDS / f"{script}.txt").read_text(encoding="utf-8").split()


def _exchange(random: Random, word: str, words: list[str]) -> str:
    """Another word in the case of *word* and with its punctuation."""
    other = pick(random, words)
    return (other.upper() if word.isupper() else other) + (word[-1] if word[-1] in PUNCTUATION else "")
