"""What readers and librarians leave on finished pages: shelf marks, numbers, notes and signatures, in ink or pencil.

Such marks are short, of any size, stand anywhere, and in pencil are much paler than all else; they are lines as well.
"""

import numpy as np

from app.data import texts
from app.data.paper import Random
from app.data.scribe import Scribe
from app.data.sheet import Sheet

MARKED = 0.5  # of the pages
PENCIL = 0.55  # of the marks
LEAST_SIZE, LARGEST_SIZE = 6.0, 26.0  # pixels of the height of an x
TRIES = 30  # places that are looked at for a free one


def leave_marks(sheet: Sheet) -> None:
    """Leave up to four marks on half of the sheets, each where nothing else is."""
    random = sheet.random
    for _ in range(int(random.integers(1, 5)) if random.random() < MARKED else 0):
        size = float(np.exp(random.uniform(np.log(LEAST_SIZE), np.log(LARGEST_SIZE))))
        tool = "pencil" if random.random() < PENCIL else "handwritten"
        if random.random() < 0.35:
            note(Scribe(sheet, sheet.hand("handwritten", min(size, 14.0), tool=tool)))
        else:
            scribe = Scribe(sheet, sheet.hand("handwritten", size, tool=tool), only_fonts=True)
            sign(scribe, short(random))


def short(random: Random) -> str:
    """A shelf mark, a number, a date, a name."""
    number, letter = int(random.integers(1, 60000)), texts.pick(random, "ABCDEFGHIKLMNOPQRSTVXYZ")
    forms = [
        f"{number}", f"{number}", f"{letter}. {number}", f"{letter} {number}", f"{letter}{number % 900}.",
        f"n° {number % 2000}", f"+ {number % 300 + 1700}", f"fol. {number % 400}", f"{number % 99}", f"({number % 99})",
        texts.code(random), texts.date(random), texts.name(random), texts.name(random).split()[0],
    ]  # fmt: skip
    return texts.pick(random, forms)


def sign(scribe: Scribe, text: str) -> None:
    """Write *text* where there is room for it."""
    sheet, size = scribe.sheet, scribe.size
    if place := free_place(sheet, (size * 1.3 * len(text), size * 3.5)):
        sheet.write(scribe.hand, text, place[0], place[1] + size * 2.4, sheet.size[0] - place[0])


def note(scribe: Scribe) -> None:
    """Write one to five lines of a note where there is room for them."""
    sheet, random, size = scribe.sheet, scribe.sheet.random, scribe.size
    rows, room, pitch = int(random.integers(1, 6)), sheet.size[0] * random.uniform(0.12, 0.5), size * 3
    if place := free_place(sheet, (room, rows * pitch)):
        for row in range(rows):
            scribe.write(place[0], place[1] + row * pitch + size * 1.8, room, random.uniform(0.6, 1))


def free_place(sheet: Sheet, room: tuple[float, float]) -> tuple[float, float] | None:
    """The left upper corner of some free room of (width, height), at head or foot of the sheet as often as not."""
    random, (width, height) = sheet.random, sheet.size
    boxes = np.array([line.box for line in sheet.lines] or [(0, 0, 0, 0)])
    for _ in range(TRIES):
        across, down = random.uniform(0.01, 0.98, 2)
        if random.random() < 0.5:
            down = random.choice([random.uniform(0.01, 0.08), random.uniform(0.9, 0.97)])
        left, top = across * (width - room[0]), down * (height - room[1])
        crossed = (boxes[:, 0] < left + room[0]) & (boxes[:, 2] > left)
        crossed &= (boxes[:, 1] < top + room[1]) & (boxes[:, 3] > top)
        if left > 0 and top > 0 and not crossed.any():
            return float(left), float(top)
    return None
