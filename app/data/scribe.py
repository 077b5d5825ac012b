"""Writes lines of one class on a sheet, in one hand: drawn with a font, or but for short ones cut out of a document.

Knows where single lines go, not what stands where on a page (`archive`, `present_day`, `marks`).
"""

from dataclasses import replace

import numpy as np

from app.data import texts
from app.data.paper import Random
from app.data.sheet import Hand, Sheet

REAL = 0.6  # of the columns and pens are set with cuttings when there are any
WIDTH, WORD = 1.3, 8.0  # of a letter and of the shortest word that is cut out, in heights of an x


class Scribe:
    """Writes lines of one class on a sheet, in one hand, or cut out of one real document where they are long enough."""

    def __init__(self, sheet: Sheet, hand: Hand, *, only_fonts: bool = False) -> None:
        """Take up a pen or a press; with *only_fonts* nothing is cut out."""
        self.sheet, self.hand, self.label, self.size = sheet, hand, hand.label, hand.size
        cuttings = None if only_fonts else sheet.cuttings
        real = cuttings is not None and sheet.random.random() < REAL
        self.document = cuttings.document(sheet.random, self.label) if cuttings is not None and real else None

    def write(self, left: float, base: float, room: float, share: float = 1.0) -> None:
        """Write a line that takes about *share* of the *room*."""
        random = self.sheet.random
        if self.document is None:
            count = max(1, round(share * room / (self.size * 6)))
            hand = replace(self.hand, size=self.size * random.uniform(0.95, 1.05))
            self.sheet.write(hand, words(random, count), left, base, room)
            return
        coverage, core = self.document.line(random, self.size, round(share * room))
        middle = float(np.mean([y for _, y in core]))
        self.sheet.stamp(self.hand, coverage, (round(left), round(base - self.size / 2 - middle)), core)

    def say(self, text: str, left: float, base: float, room: float | None = None) -> None:
        """Write *text* as far as there is room, or about as much that was cut out, where that is a word at least."""
        width = min(self.sheet.room_from(left) if room is None else room, len(text) * WIDTH * self.size)
        if self.document is None or width < WORD * self.size:
            self.sheet.write(self.hand, text, left, base, room)
        else:
            self.write(left, base, width)


def words(random: Random, count: int) -> str:
    """Exactly *count* words, numbers among them."""
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += texts.make_text(random).split()
    return " ".join(chosen[:count])
