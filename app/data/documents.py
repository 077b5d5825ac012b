"""Draws whole documents: present-day letters, invoices, receipts, forms, notes, or pages as archives hold them.

    python -m app.data.documents --out DIR --pages 120
    python -m app.data.documents --out DIR --kinds prose register --lines app/data/datasets/catmus

Owns what stands where on a present-day document, and how documents become files; pages of archives are in `archive`,
the sheet is in `sheet`, the camera in `camera`, words are in `texts`. Writes images and `pages.jsonl` in the form that
`app/pages/judge.py` and the import scripts for pages read. Fonts are in one split only; lines of a data set are those
of its training split, and pages with such are for training. Drawn pages supplement real ones: they show where the
analysis breaks, not how well it does on what people send.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from app.data import archive, texts
from app.data.camera import Colour, capture
from app.data.cuttings import Cuttings
from app.data.manifest import split_of
from app.data.marks import leave_marks
from app.data.paper import Random
from app.data.sheet import Sheet, Written, coloured

A4, RECEIPT, STICKY = (1130, 1600), (520, 1500), (760, 760)  # pixels of sheets
SIGNED = ("letter", "invoice", "receipt")  # people sign them and note things on them
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
    random, hand, pen = sheet.random, sheet.hand("printed", 7, 10), sheet.hand("handwritten", 10, 16)
    width, height = sheet.size
    left, pitch = width * 0.08, height * random.uniform(0.035, 0.06)
    sheet.write(replace(hand, size=hand.size * 2), texts.title(random), left, height * 0.07)
    base, boxed = height * 0.14, random.random() < 0.5
    while base < height * 0.9:
        end = sheet.write(hand, texts.pick(random, texts.LABELS.split()) + ":", left + 8, base, width * 0.3)
        text = texts.pick(random, [texts.name(random), texts.date(random), texts.address(random), texts.code(random)])
        if random.random() < 0.8:  # some entries stay blank
            sheet.write(pen, text, end + 20, base)
        sheet.rule((left if boxed else end + 8, base + 7), (width * 0.92, base + 7), 1 + boxed)
        base += pitch
    for edge in (left, width * 0.92) if boxed else ():
        sheet.rule((edge, height * 0.1), (edge, base - pitch + 7), 2)


def note(sheet: Sheet) -> None:
    """A handwritten note, from a few large lines to a full page, on plain, ruled or squared paper."""
    random, width, height = sheet.random, *sheet.size
    pitch = height * random.uniform(0.021, 0.05) * (2 if width == height else 1)
    kind = texts.pick(random, ["plain", "ruled", "squared"] if width < height else ["plain"])
    size = pitch * random.uniform(0.3, 0.42)
    pen = sheet.hand("handwritten", size, size)
    left, base, end = width * random.uniform(0.06, 0.16), 2.5 * pitch, height * random.uniform(0.25, 0.95)
    squares = pitch / int(random.choice([1, 2]))
    while base < end:
        sheet.write(pen, words(random, int(random.integers(2, 14))), left, base - 0.1 * pitch)
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
}


def words(random: Random, count: int) -> str:
    """About *count* words."""
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += texts.sentence(random).split()
    return " ".join(chosen[:count])


def draw_document(
    random: Random, kind: str, split: str, *, photo: bool, cuttings: Cuttings | None = None
) -> tuple[Image.Image, str, list[Written]]:
    """A document of a kind as an image (RGB), its class, and the lines on it."""
    if kind in archive.KINDS:
        sheet = Sheet(random, (int(random.integers(900, 1300)), 1600), split)
        archive.draw_page(kind, sheet, cuttings)
    else:
        draw, size = KINDS[kind]
        sticker = STICKERS[int(random.integers(len(STICKERS)))] if kind == "sticky" else None
        sheet = Sheet(random, size, split, sticker)
        draw(sheet)
        if kind in SIGNED:
            leave_marks(sheet, cuttings)
    image, matrix = capture(random, coloured(sheet), photo=photo)
    return image, sheet.label, [line.moved(matrix) for line in sheet.lines]


def write_documents(
    folder: Path, pages: int, seed: int = 0, kinds: Sequence[str] = tuple(KINDS), lines: Path | None = None
) -> None:
    """Draw *pages* documents of the *kinds* into *folder*, with `pages.jsonl`; every other one is photographed.

    Pages of archives are never photographed by hand; *lines* is a data set that they may take lines from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cuttings = Cuttings(lines) if lines else None
    with (folder / "pages.jsonl").open("w", encoding="utf-8") as listing:
        for number in tqdm(range(pages), unit=" pages"):
            kind = kinds[number % len(kinds)]
            photo = number // len(kinds) % 2 == 0 and kind in KINDS
            key = f"{kind.replace(' ', '-')}-{seed}-{number:05d}"
            split = "train" if cuttings else split_of(key)
            random = np.random.default_rng([seed, number])
            image, label, found = draw_document(random, kind, split, photo=photo, cuttings=cuttings)
            image.save(folder / f"{key}.jpg", quality=95)
            row = {
                "file": f"{key}.jpg",
                "source": f"{kind}, {'photographed' if photo else 'scanned'}",
                "document": key,
                "split": split,
                "page_label": label,
                "lines": [{"bbox": line.box, "writing_type": line.label, "core": line.core} for line in found],
            }
            listing.write(json.dumps(row) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Draw documents from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the images and pages.jsonl")
    parser.add_argument("--pages", type=int, default=120, help="how many (default: 120)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other documents")
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=[*KINDS, *archive.KINDS],
        default=list(KINDS),
        help="what to draw (default: present-day documents)",
    )
    parser.add_argument("--lines", type=Path, help="a data set of lines to compose pages of archives of")
    options = parser.parse_args(arguments)
    write_documents(options.out, options.pages, options.seed, options.kinds, options.lines)
    sys.stdout.write(f"{options.pages} documents in {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
