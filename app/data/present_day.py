"""Draws present-day documents: letters, invoices, receipts, forms and tables that were filled in, notes.

Owns what stands where on them; words are in `texts`, the sheet is in `sheet`. See `documents` for the command.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from app.data import texts
from app.data.camera import Colour
from app.data.paper import Random
from app.data.scribe import Scribe
from app.data.sheet import Sheet

A4, RECEIPT, STICKY = (1130, 1600), (520, 1500), (760, 760)  # pixels of sheets
SIGNED = ("letter", "invoice", "receipt")  # people sign them and note things on them
CELLS: tuple[Callable[[Random], str], ...] = (  # what is in a column of a table
    lambda random: str(random.integers(10)),
    lambda random: str(random.integers(100)),
    lambda random: f"{random.uniform(0, 90):.2f}",
    lambda random: texts.pick(random, texts.ITEMS.split()),
    lambda random: f"{texts.pick(random, 'ABCDEFGHJKLMNPRSTVW')} {random.integers(1, 30)}",
    lambda random: texts.pick(random, ["x", "ok", "ja", "no", "yes", "-"]),
    texts.name,
    texts.date,
    texts.code,
)
STICKERS: tuple[Colour, ...] = ((250, 236, 130), (250, 190, 205), (190, 232, 170), (170, 215, 240))


def letter(sheet: Sheet) -> None:
    """A printed letter: sender, date, subject, paragraphs."""
    random, hand = sheet.random, sheet.hand("printed", 8, 11)
    width, height = sheet.size
    left, pitch = width * random.uniform(0.08, 0.14), hand.size * random.uniform(2.4, 3.4)
    base = height * 0.07
    for text in (texts.name(random), texts.address(random), texts.code(random)):
        sheet.write(hand, text, left, base)
        base += pitch
    sheet.write(hand, texts.date(random), width * 0.65, base + pitch)
    base += 4 * pitch
    while base < height * random.uniform(0.6, 0.92):
        for _ in range(random.integers(2, 8)):
            sheet.write(hand, words(random, 16), left, base, width * 0.86 - left)
            base += pitch
        base += pitch


def invoice(sheet: Sheet) -> None:
    """A printed table with rules below a head."""
    random, hand = sheet.random, sheet.hand("printed", 8, 11)
    width, height = sheet.size
    head = replace(hand, size=hand.size * random.uniform(1.5, 2.6))
    sheet.write(head, texts.title(random), width * 0.08, height * 0.08)
    for number in range(3):
        sheet.write(hand, texts.address(random), width * 0.08, height * (0.13 + 0.022 * number))
    edges, pitch = [width * share for share in (0.07, 0.16, 0.6, 0.76, 0.93)], hand.size * random.uniform(3, 5)
    top, rows, grid = height * 0.25, int(random.integers(6, 22)), random.random() < 0.5
    rows = min(rows, int(height * 0.65 / pitch))
    for row in range(rows + 1):
        sheet.rule((edges[0], top + row * pitch), (edges[-1], top + row * pitch), 2)
    for edge in edges if grid else ():
        sheet.rule((edge, top), (edge, top + rows * pitch), 2)
    for row in range(rows):
        base = top + row * pitch + pitch * 0.7
        cells = (str(row + 1), words(random, 5), f"{random.integers(1, 20)}", f"{random.uniform(1, 900):.2f}")
        for edge, text in zip(edges, cells, strict=False):
            sheet.write(hand, text, edge + 10, base, width * 0.4)


def receipt(sheet: Sheet) -> None:
    """A receipt: a head in the middle, goods with their prices on the right."""
    random, hand = sheet.random, sheet.hand("printed", 9, 13)
    width, height = sheet.size
    shade = int(random.integers(40, 130))
    sheet.print_colour = (shade, shade, shade + 10)
    pitch = hand.size * random.uniform(2.2, 2.8)
    base, end = 3 * pitch, height * random.uniform(0.4, 0.95)
    for text in (texts.title(random), texts.address(random), texts.code(random)):
        sheet.write(hand, text, width * random.uniform(0.15, 0.3), base)
        base += pitch
    while base < end:
        base += pitch
        sheet.write(
            hand, texts.pick(random, texts.ITEMS.split()) + " " + words(random, 1), width * 0.07, base, width * 0.5
        )
        sheet.write(hand, f"{random.uniform(0.3, 99):.2f}", width * 0.75, base)


def form(sheet: Sheet) -> None:
    """A printed form with handwritten entries on its rules or in its boxes."""
    random, hand, pen = sheet.random, sheet.hand("printed", 7, 12), Scribe(sheet, sheet.hand("handwritten", 9, 16))
    width, height = sheet.size
    left, pitch = width * 0.08, height * random.uniform(0.035, 0.06)
    sheet.write(replace(hand, size=hand.size * 2), texts.title(random), left, height * 0.07)
    base, boxed = height * 0.14, random.random() < 0.5
    while base < height * 0.9:
        end = sheet.write(hand, texts.pick(random, texts.LABELS.split()) + ":", left + 8, base, width * 0.3)
        text = texts.pick(random, [texts.name(random), texts.date(random), texts.address(random), texts.code(random)])
        if random.random() < 0.8:  # some entries stay blank
            pen.say(text, end + 20, base)
        sheet.rule((left if boxed else end + 8, base + 7), (width * 0.92, base + 7), 1 + boxed)
        base += pitch
    for edge in (left, width * 0.92) if boxed else ():
        sheet.rule((edge, height * 0.1), (edge, base - pitch + 7), 2)


def table(sheet: Sheet) -> None:
    """A printed table whose cells were filled in by hand: words, single figures, dates; some stay blank."""
    random, hand, pen = sheet.random, sheet.hand("printed", 7, 10), Scribe(sheet, sheet.hand("handwritten", 8, 15))
    width, height = sheet.size
    sheet.write(
        replace(hand, size=hand.size * random.uniform(1.2, 2.4)), texts.title(random), width * 0.1, height * 0.07
    )
    columns, pitch = int(random.integers(2, 7)), pen.size * random.uniform(3, 5)
    edges = np.concatenate([[0.06], np.sort(random.uniform(0.14, 0.86, columns - 1)), [0.94]]) * width
    top, rows = height * random.uniform(0.1, 0.2), int(random.integers(4, 24))
    rows, grid = min(rows, int(height * 0.75 / pitch)), random.random() < 0.7
    contents = [CELLS[int(random.integers(len(CELLS)))] for _ in range(columns)]
    numbered = random.random() < 0.3  # in print
    for row in range(rows + 1):
        base = top + (row + 0.68) * pitch
        sheet.rule((edges[0], top + row * pitch), (edges[-1], top + row * pitch), int(random.integers(1, 3)))
        for column, (left, right) in enumerate(pairwise(edges)):
            start = left + random.uniform(4, max(5, 0.3 * (right - left)))
            printed = row == 0 or (numbered and column == 0)
            text = (
                texts.pick(random, texts.LABELS.split())
                if row == 0
                else str(row)
                if printed
                else contents[column](random)
            )
            if printed:
                sheet.write(hand, text, start, base, right - start)
            elif random.random() < 0.85:
                pen.say(text, start, base, right - start)
    for edge in edges if grid else ():
        sheet.rule((edge, top), (edge, top + rows * pitch), 1)


def note(sheet: Sheet) -> None:
    """A handwritten note, from a few large lines to a full page, on plain, ruled or squared paper."""
    random, width, height = sheet.random, *sheet.size
    pitch = height * random.uniform(0.021, 0.05) * (2 if width == height else 1)
    kind = texts.pick(random, ["plain", "ruled", "squared"] if width < height else ["plain"])
    size = pitch * random.uniform(0.3, 0.42)
    pen = Scribe(sheet, sheet.hand("handwritten", size))
    left, base, end = width * random.uniform(0.06, 0.16), 2.5 * pitch, height * random.uniform(0.25, 0.95)
    squares = pitch / int(random.choice([1, 2]))
    while base < end:
        pen.say(words(random, int(random.integers(2, 14))), left, base - 0.1 * pitch)
        base += pitch * (1 + (random.random() < 0.08))  # a blank line now and then
    for row in np.arange(0.5 * pitch, height, pitch if kind == "ruled" else squares) if kind != "plain" else ():
        sheet.rule((0, row), (width, row))
    for column in np.arange(squares / 2, width, squares) if kind == "squared" else ():
        sheet.rule((column, 0), (column, height))


KINDS: dict[str, tuple[Callable[[Sheet], None], tuple[int, int]]] = {
    "letter": (letter, A4),
    "invoice": (invoice, A4),
    "receipt": (receipt, RECEIPT),
    "form": (form, A4),
    "note": (note, A4),
    "sticky": (note, STICKY),
    "table": (table, A4),
}


def words(random: Random, count: int) -> str:
    """About *count* words."""
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += texts.sentence(random).split()
    return " ".join(chosen[:count])
