"""Writes lines of one class on a sheet, in one hand: drawn with a font, or cut out of one real document.

Knows where single lines go, not what stands where on a page (`archive`, `marks`).
"""

from dataclasses import replace

import numpy as np

from app.data import texts
from app.data.cuttings import Cuttings
from app.data.paper import Random
from app.data.sheet import Sheet

REAL = 0.6  # of the columns are set with cuttings when there are any


class Scribe:
    """Writes lines of one class on a sheet, all in one hand, or all cut out of one real document."""

    def __init__(self, sheet: Sheet, label: str, size: float, cuttings: Cuttings | None, tool: str = "") -> None:
        """Take up a pen or a press whose x is *size* pixels high, or another *tool* that a class is written with."""
        self.sheet, self.label, self.size = sheet, label, size
        self.font = replace(sheet.hand(label, size, size), tool=tool or label)
        real = cuttings is not None and sheet.random.random() < REAL
        self.document = cuttings.document(sheet.random, label) if cuttings is not None and real else None

    def write(self, left: float, base: float, room: float, share: float = 1.0) -> None:
        """Write a line that takes about *share* of the *room*."""
        random = self.sheet.random
        if self.document is None:
            count = max(1, round(share * room / (self.size * 6)))
            hand = replace(self.font, size=self.size * random.uniform(0.95, 1.05))
            self.sheet.write(hand, words(random, count), left, base, room)
            return
        coverage, core = self.document.line(random, self.size, round(share * room))
        middle = float(np.mean([y for _, y in core]))
        self.sheet.stamp(self.font, coverage, (round(left), round(base - self.size / 2 - middle)), core)


def words(random: Random, count: int) -> str:
    """Exactly *count* words, numbers among them."""
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += texts.make_text(random).split()
    return " ".join(chosen[:count])
