"""Draws whole documents: present-day letters, invoices, receipts, forms, notes, or pages as archives hold them.

    python -m app.data.documents --out DIR --pages 120
    python -m app.data.documents --out DIR --kinds prose register note --lines app/data/datasets/catmus
    python -m app.data.documents --out DIR --kinds form table --glyphs CHARACTERS

Owns how documents become files; what stands on them is in `present_day` and `archive`, the sheet in `sheet`, the
camera in `camera`. With CHARACTERS, parquet files as `hands` reads them, some pens write with the letters of one
person. Writes images and `pages.jsonl` in the form that `app/data/page_listing.py` reads.
Fonts and people are in one split only, but with `--for-training`; lines of a data set are those of its training
split, and pages with such are for training. Drawn pages supplement real ones: they show where the analysis breaks, not
how well it does on what people send.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from app.data import archive
from app.data.camera import capture
from app.data.cuttings import Cuttings
from app.data.hands import Hands, read_hands
from app.data.manifest import split_of
from app.data.marks import leave_marks
from app.data.paper import Random
from app.data.present_day import KINDS, SIGNED, STICKERS
from app.data.sheet import Sheet, Written, coloured
from app.data.typefaces import LATIN, LEFT_OUT, check_fonts, joins_letters, other_scripts, pick_script, scripts_named
from app.errors import PenPressError


@dataclass(frozen=True)
class Material:
    """What documents are made of beside bundled fonts: lines of data sets, and by split the letters of each person.

    With `other_scripts` each document is in one of these, none in Latin; with `for_training` all are for training, with
    fonts of any split.
    """

    cuttings: Cuttings | None = None
    hands: Mapping[str, Hands] = field(default_factory=dict)
    other_scripts: tuple[str, ...] = ()
    for_training: bool = False


BUNDLED = Material()


def draw_document(
    random: Random, kind: str, split: str, *, photo: bool, material: Material = BUNDLED
) -> tuple[Image.Image, str, list[Written]]:
    """A document of a kind as an image (RGB), its class, and the lines on it."""
    fonts = None if material.for_training else split
    script = pick_script(random, fonts, material.other_scripts) if material.other_scripts else LATIN
    hands = list(material.hands.get(split, {}).values())
    if kind in archive.KINDS:
        size = int(random.integers(900, 1300)), 1600
        sheet = Sheet(random, size, fonts, hands=hands, script=script, cuttings=material.cuttings)
        archive.draw_page(kind, sheet)
    else:
        draw, size = KINDS[kind]
        sticker = STICKERS[int(random.integers(len(STICKERS)))] if kind == "sticky" else None
        sheet = Sheet(random, size, fonts, sticker, hands=hands, script=script, cuttings=material.cuttings)
        draw(sheet)
        if kind in SIGNED:
            leave_marks(sheet)
    image, matrix = capture(random, coloured(sheet), photo=photo)
    return image, sheet.label, [line.moved(matrix) for line in sheet.lines]


def write_documents(
    folder: Path, pages: int, seed: int = 0, kinds: Sequence[str] = tuple(KINDS), material: Material = BUNDLED
) -> None:
    """Draw *pages* documents of the *kinds* into *folder*, with `pages.jsonl`; every other one is photographed.

    Pages of archives are never photographed by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pages.jsonl").open("w", encoding="utf-8") as listing:
        for number in tqdm(range(pages), unit=" pages"):
            kind = kinds[number % len(kinds)]
            photo = number // len(kinds) % 2 == 0 and kind in KINDS
            key = f"{kind.replace(' ', '-')}-{seed}-{number:05d}"
            split = "train" if material.cuttings or material.for_training else split_of(key)
            random = np.random.default_rng([seed, number])
            image, label, found = draw_document(random, kind, split, photo=photo, material=material)
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
    parser.add_argument("--lines", nargs="+", type=Path, help="data sets of lines to cut some of the writing out of")
    parser.add_argument("--glyphs", type=Path, help="parquet files of single characters, for pens to write with")
    parser.add_argument(
        "--other-scripts", nargs="*", choices=other_scripts(), help="documents in these scripts, or in all but Latin"
    )
    parser.add_argument("--for-training", action="store_true", help="every document for training, in any font")
    options = parser.parse_args(arguments)
    scripts = scripts_named(options.other_scripts)
    if scripts and (options.lines or options.glyphs):
        parser.error("--other-scripts is of no use with --lines or --glyphs: these are in Latin script")
    if scripts and not joins_letters():
        sys.stderr.write(LEFT_OUT)
    try:
        check_fonts(scripts, for_training=options.for_training)
        material = Material(
            Cuttings(*options.lines) if options.lines else None,
            read_hands(options.glyphs) if options.glyphs else {},
            scripts,
            options.for_training,
        )
        write_documents(options.out, options.pages, options.seed, options.kinds, material)
    except PenPressError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{options.pages} documents in {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
