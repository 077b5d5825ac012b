"""Draws pages as archives hold them: prose in columns, registers, title pages, corrected typescripts.

Owns what stands where on them, and what is on such pages beside text: pictures, stamps, blots, writing that shows
through. Who writes lines is in `scribe`, what is left on finished pages in `marks`. See `documents` for the command.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from app.data import texts
from app.data.marks import leave_marks
from app.data.paper import Plane, smooth_field
from app.data.scribe import Scribe, words
from app.data.sheet import Sheet
from app.data.typefaces import fonts_of

Place = tuple[float, float, float, float]  # left, right, top, bottom
BOTH = ("handwritten", "printed")
TYPED = ("anonymous", "courier", "cousine", "cutive", "ibm-plex-mono", "special", "vt323")  # fonts' names begin so


def column(scribe: Scribe, place: Place, pitch: float) -> None:
    """Fill a column with paragraphs."""
    left, right, top, bottom = place
    random, base = scribe.sheet.random, top + pitch
    ragged = scribe.label == "handwritten" or random.random() < 0.3
    indent = random.choice([0, 2, 4]) * scribe.size
    first = True
    while base < bottom:
        last = random.random() < 0.12
        share = random.uniform(0.15, 0.8) if last else random.uniform(0.8, 1.0) if ragged else 1.0
        start = left + indent * first + ragged * random.normal(0, 0.3) * scribe.size
        scribe.write(start, base + random.normal(0, 0.02) * pitch, right - start, share)
        base += pitch * (1 + (last and random.random() < 0.3))
        first = last


def prose(sheet: Sheet) -> None:
    """One or two columns of prose, perhaps with a heading and notes in the margin."""
    random, (width, height) = sheet.random, sheet.size
    label = texts.pick(random, BOTH)
    columns = int(random.choice([1, 2, 3], p=[0.6, 0.34, 0.06]))
    pitch = height * random.uniform(0.016, 0.045) if columns == 1 else height * random.uniform(0.014, 0.026)
    scribe = Scribe(sheet, sheet.hand(label, pitch * random.uniform(0.26, 0.42)))
    margin, gap = width * random.uniform(0.05, 0.22), width * random.uniform(0.015, 0.05)
    left, right, top = margin, width * random.uniform(0.82, 0.97), height * random.uniform(0.03, 0.18)
    bottom = height * random.uniform(0.5, 0.97)
    if random.random() < 0.4:
        heading = Scribe(sheet, sheet.hand(label, scribe.size * random.uniform(1.0, 2.2)))
        heading.write(width * random.uniform(0.2, 0.45), top, width * 0.5, random.uniform(0.3, 1))
    step = (right - left + gap) / columns
    for number in range(columns):
        start = left + number * step
        if number and random.random() < 0.4:
            sheet.rule((start - gap / 2, top), (start - gap / 2, bottom), 1)
        column(scribe, (start, start + step - gap, top + pitch * 0.5, bottom), pitch)
    if margin > 0.14 * width and random.random() < 0.6:
        notes(sheet, label, (margin * 0.08, margin * 0.92, top, bottom))
    if random.random() < 0.5:
        scribe.sheet.write(scribe.hand, texts.code(random), width * random.uniform(0.1, 0.85), height * 0.03)


def notes(sheet: Sheet, label: str, place: Place) -> None:
    """Write short notes into the margin, in the hand of the page or another."""
    random, (left, right, top, bottom) = sheet.random, place
    kind = label if random.random() < 0.6 else texts.pick(random, BOTH)
    scribe = Scribe(sheet, sheet.hand(kind, random.uniform(6, 9)))
    base = top
    while base < bottom:
        base += random.uniform(30, 260)
        for _ in range(int(random.integers(1, 6))):
            scribe.write(left, base, right - left, random.uniform(0.5, 1))
            base += scribe.size * 3


def register(sheet: Sheet) -> None:
    """A table with a printed head and short entries, row by row."""
    random, (width, height) = sheet.random, sheet.size
    pitch = height * random.uniform(0.015, 0.035)
    pens = [Scribe(sheet, sheet.hand("handwritten", pitch * random.uniform(0.26, 0.36))) for _ in range(2)]
    press = Scribe(sheet, sheet.hand("printed", random.uniform(5.5, 9)), only_fonts=True)
    edges = np.sort(random.uniform(0.03, 0.97, int(random.integers(4, 9))))
    edges = np.concatenate([[0.02], edges[np.diff(edges, prepend=0.0) > 0.06], [0.98]]) * width
    top, bottom = height * random.uniform(0.08, 0.22), height * random.uniform(0.75, 0.99)
    cells = list(pairwise(map(float, edges)))
    if random.random() < 0.8:
        head(press, cells, top)
    for edge in edges if random.random() < 0.85 else ():
        sheet.rule((edge, top - pitch * 2), (edge, bottom), int(random.integers(1, 3)))
    sheet.rule((edges[0], top), (edges[-1], top), 2)
    for row, base in enumerate(np.arange(top + pitch, bottom, pitch)):
        if random.random() < 0.1 and random.random() < 0.7:
            continue
        if random.random() < 0.5 * (row % 5 == 0):
            sheet.rule((edges[0], base + pitch * 0.25), (edges[-1], base + pitch * 0.25))
        for start, end in cells:
            if random.random() < 0.75:
                pens[row // 12 % 2].write(start + 6, base, end - start - 10, random.uniform(0.4, 1.0))


def head(press: Scribe, cells: Sequence[tuple[float, float]], base: float) -> None:
    """Print what stands in each column over it, in up to three lines that end at *base*."""
    random = press.sheet.random
    for start, end in cells:
        for row in range(int(random.integers(1, 4))):
            press.write(start + 6, base - 8 - row * press.size * 2.6, end - start - 12, random.uniform(0.5, 1))


def title_page(sheet: Sheet) -> None:
    """A few centred lines in very different sizes."""
    random, (width, height) = sheet.random, sheet.size
    base = height * random.uniform(0.06, 0.2)
    while base < height * random.uniform(0.7, 0.97):
        scribe = Scribe(sheet, sheet.hand("printed", float(np.exp(random.uniform(np.log(7), np.log(34))))))
        base += scribe.size * 2
        for _ in range(int(random.integers(1, 4))):
            room = width * random.uniform(0.25, 0.86)
            scribe.write((width - room) / 2, base, room, 1.0)
            base += scribe.size * random.uniform(2.2, 3)
        base += height * random.uniform(0, 0.09)
    if random.random() < 0.3:
        pen = Scribe(sheet, sheet.hand("handwritten", random.uniform(8, 16)))
        pen.write(width * random.uniform(0.1, 0.5), height * random.uniform(0.9, 0.97), width * 0.4, 0.7)


def annotated(sheet: Sheet) -> None:
    """A printed page with corrections between the lines, notes, a signature."""
    random, (width, height) = sheet.random, sheet.size
    pitch = height * random.uniform(0.02, 0.034)
    press = Scribe(sheet, sheet.hand("printed", pitch * random.uniform(0.25, 0.34)))
    left, right, top, bottom = width * 0.14, width * 0.92, height * 0.08, height * random.uniform(0.4, 0.85)
    column(press, (left, right, top, bottom), pitch)
    pen = Scribe(sheet, sheet.hand("handwritten", pitch * random.uniform(0.26, 0.5)))
    for _ in range(int(random.integers(1, 7))):
        place, base = random.uniform(left, right * 0.8), random.choice(np.arange(top, bottom, pitch)) + pitch * 0.45
        pen.write(place, base, right - place, random.uniform(0.1, 0.4))
    base = bottom + 3 * pen.size
    for _ in range(int(random.integers(0, 8))):
        base += pen.size * random.uniform(2.6, 4)
        if base < height * 0.97:
            pen.write(random.uniform(left, width * 0.5), base, width * 0.5, random.uniform(0.3, 1))


def typescript(sheet: Sheet) -> None:
    """Typed lines, of which some words are struck out and others written above them or after them, in pen or pencil."""
    random, (width, height) = sheet.random, sheet.size
    pitch = height * random.uniform(0.017, 0.034)
    left, right, bottom = width * random.uniform(0.08, 0.2), width * random.uniform(0.75, 0.93), height * 0.95
    typed = sheet.hand("printed", pitch * 0.24, pitch * 0.36)
    if fonts := [font for font in fonts_of("printed", sheet.split, sheet.script) if font.name.startswith(TYPED)]:
        typed = replace(typed, font=fonts[int(random.integers(len(fonts)))])
    lines, base = [], height * random.uniform(0.05, 0.2)
    while base < bottom:
        share = 1.0 if random.random() < 0.75 else random.uniform(0.2, 0.9)
        end = sheet.write(typed, words(random, 25), left, base, (right - left) * share)
        lines.append((base, end))
        base += pitch * (1 if random.random() < 0.93 else random.uniform(1.5, 3))
    tool = "pencil" if random.random() < 0.35 else "handwritten"
    pen = Scribe(sheet, sheet.hand("handwritten", typed.size * random.uniform(0.7, 1.3), tool=tool))
    for _ in range(int(random.integers(0, 7))):
        base, end = lines[int(random.integers(len(lines)))]
        if random.random() < 0.3 and end < right - 0.05 * width:
            pen.write(end + 2 * typed.size, base, width * 0.98 - end, random.uniform(0.3, 1))
            continue
        start, room = random.uniform(left, max(left + 1, end - 8 * typed.size)), typed.size * random.uniform(4, 14)
        for _ in range(int(random.integers(0, 3))):
            sheet.rule((start, base - typed.size * 0.5), (start + room, base - typed.size * random.uniform(0.3, 0.7)))
        pen.write(start, base - pitch * random.uniform(0.4, 0.55), room, 1.0)


KINDS: dict[str, Callable[[Sheet], None]] = {
    "prose": prose,
    "register": register,
    "title page": title_page,
    "annotated": annotated,
    "typescript": typescript,
}


def draw_page(kind: str, sheet: Sheet) -> None:
    """Draw a page of a kind, with what its readers left on it and all that is no text."""
    KINDS[kind](sheet)
    leave_marks(sheet)
    decorate(sheet)


def decorate(sheet: Sheet) -> None:
    """Add what is no text: a picture, a stamp, blots, ornaments, the other side showing through."""
    random, (width, height) = sheet.random, sheet.size
    if random.random() < 0.25:
        picture(sheet)
    for _ in range(int(random.integers(0, 3)) if random.random() < 0.3 else 0):
        centre = round(random.uniform(0, width)), round(random.uniform(0, height))
        axes = int(random.integers(2, 30)), int(random.integers(2, 24))
        cv2.ellipse(sheet.pictures, centre, axes, random.uniform(0, 180), 0, 360, random.uniform(0.2, 0.9), -1)
    if random.random() < 0.25:
        stamped(sheet)
    if random.random() < 0.3:
        through = np.sum(list(sheet.ink.values()), axis=0)[:, ::-1] * np.float32(random.uniform(0.05, 0.25))
        shift = tuple(int(value) for value in random.integers(-40, 40, 2))
        sheet.pictures = np.maximum(sheet.pictures, np.roll(cv2.GaussianBlur(through, (0, 0), 1.5), shift, (0, 1)))
    if random.random() < 0.25:  # a scanner's dark edge, or the gutter of a bound book
        edge = np.clip(1 - np.arange(width) / random.uniform(5, 0.06 * width), 0, 1) * random.uniform(0.3, 1)
        sheet.pictures = np.maximum(sheet.pictures, (edge if random.random() < 0.5 else edge[::-1]).astype(np.float32))


def picture(sheet: Sheet) -> None:
    """Draw an engraving or a photograph where no line is."""
    random, (width, height) = sheet.random, sheet.size
    size = int(random.integers(60, width // 2)), int(random.integers(50, height // 3))
    left, top = int(random.integers(0, width - size[0])), int(random.integers(0, height - size[1]))
    boxes = [line.box for line in sheet.lines]
    if any(box[0] < left + size[0] and box[2] > left and box[1] < top + size[1] and box[3] > top for box in boxes):
        return
    field = smooth_field(random, size[::-1], random.uniform(4, 40))
    if random.random() < 0.6:  # engraved: darkness as hatching
        y, x = np.mgrid[: size[1], : size[0]]
        angle, distance = random.uniform(0, np.pi), random.uniform(3, 9)
        hatching = np.sin((x * np.cos(angle) + y * np.sin(angle) + 4 * field) * 2 * np.pi / distance)
        field = np.where(hatching > 1.2 - field, 1, 0)
    sheet.pictures[top : top + size[1], left : left + size[0]] = np.clip(0.4 + 0.4 * field, 0, 1)


def stamped(sheet: Sheet) -> None:
    """Stamp a library's oval on the sheet; its letters are no line."""
    random, (width, height) = sheet.random, sheet.size
    axes = int(random.integers(25, 70)), int(random.integers(20, 60))
    seal = np.zeros((160, 160), np.uint8)
    for share in (1.0, 0.72):
        size = round(axes[0] * share), round(axes[1] * share)
        cv2.ellipse(seal, (80, 80), size, 0, 0, 360, 255, int(random.integers(1, 3)), cv2.LINE_AA)
    for angle in range(0, 360, 15):
        place = 80 + 0.86 * axes[0] * np.cos(np.radians(angle)), 80 + 0.86 * axes[1] * np.sin(np.radians(angle))
        letter = chr(int(random.integers(65, 91)))
        cv2.putText(seal, letter, (round(place[0]) - 4, round(place[1]) + 4), 0, 0.35, 230, 1, cv2.LINE_AA)
    plane: Plane = seal.astype(np.float32) * np.float32(random.uniform(0.3, 0.8) / 255)
    top, left = int(random.integers(0, height - 160)), int(random.integers(0, width - 160))
    part = sheet.pictures[top : top + 160, left : left + 160]
    np.maximum(part, plane, out=part)
