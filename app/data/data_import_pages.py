"""Import rectangular crops out of whole pages: every line box with its surroundings, as users cut or detect lines.

    python -m app.data.data_import_pages --source DIR

DIR holds page images and `pages.jsonl`, one page per line: `file`, `source`, `document`, `split` and `lines`, each with
`bbox` [x0, y0, x1, y1] in pixels and `writing_type`. A crop is the box with a margin drawn from a hash of its key
(-5 % to 60 % of its height above and below, 0 to 100 % left and right), so neighbouring lines, rules and form print
come into view; long boxes also give a word-like piece now and then. Boxes without a type or under 20 x 12 px are left
out, and so are those whose `text` is there but has no letter and no digit: ditto marks, dashes, flourishes. So are
boxes of which less than 20 x 12 px lies on the page, and a page whose image is missing or broken; these are counted
and named.
"""

import argparse
import hashlib
import io
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
from PIL import Image

from app.data.importing import Row, make_parser, run_import
from app.data.page_listing import Box, ListedLine, ListedPage, read_pages
from app.errors import InputError
from app.preprocess import read_image

MINIMUM_WIDTH, MINIMUM_HEIGHT = 20, 12
PIECE_CHANCE = 0.4
LONG = 5.0  # a box so many times longer than high may also give a piece


def read_rows(arguments: argparse.Namespace) -> Generator[Row]:
    """Yield the crops of every page of `--source`; raises DataError without a usable `pages.jsonl`."""
    for page in read_pages(arguments.source):
        yield from page_rows(arguments.source, page, arguments.crops_per_line)


def page_rows(folder: Path, page: ListedPage, crops_per_line: int) -> Generator[Row]:
    """Yield the crops of one page, in the order of its lines; of an unreadable page itself, which is then left out."""
    file = folder / page.file
    lines = [
        (number, line.writing_type, line.bbox)
        for number, line in enumerate(page.lines)
        if line.writing_type and _is_line(line)
    ]
    if not lines:
        return
    content = file.read_bytes() if file.is_file() else b""
    try:
        image = read_image(content)
    except InputError:  # the importer reads the file as well, and says what is wrong with it
        yield _row(page, lines[0][1], file.stem, content)
        return
    for number, label, box in lines:
        for crop in range(crops_per_line):
            key = f"{Path(page.file).stem}-{number:03d}-{crop}"
            yield _row(page, label, key, _cut(image, box, _random(key)))
            random = _random(f"{key}-piece")
            if box[2] - box[0] > LONG * (box[3] - box[1]) and random.random() < PIECE_CHANCE:
                yield _row(page, label, f"{key}-piece", _cut(image, _piece(box, random), random))


def _is_line(line: ListedLine) -> bool:
    """Whether a line is large enough and bears letters or digits (an empty text only was not read)."""
    left, top, right, bottom = line.bbox
    if right - left < MINIMUM_WIDTH or bottom - top < MINIMUM_HEIGHT:
        return False
    text = line.text or ""
    return not text or any(map(str.isalnum, text)) or "~" in text


def _row(page: ListedPage, label: str, key: str, image: bytes) -> Row:
    """Describe one crop of *page*."""
    return Row(key, label, image, page.split, page.source, page.origin)


def _random(key: str) -> np.random.Generator:
    """A generator that depends on *key* alone, so that a second run cuts the same crops."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]))


def _piece(box: Box, random: np.random.Generator) -> Box:
    """A part of *box* 1.5 to 5 times as wide as high, of its whole height."""
    width = (box[3] - box[1]) * random.uniform(1.5, LONG)
    left = random.uniform(box[0], box[2] - width)
    return left, box[1], left + width, box[3]


def _cut(image: Image.Image, box: Box, random: np.random.Generator) -> bytes:
    """The JPEG file of *box* with a random margin, as far as the page reaches; empty for a box that is not on it."""
    width, height = (min(box[i + 2], image.size[i]) - max(box[i], 0) for i in range(2))
    if width < MINIMUM_WIDTH or height < MINIMUM_HEIGHT:
        return b""
    height = box[3] - box[1]
    above, below = random.uniform(-0.05, 0.6, 2) * height
    left, right = random.uniform(0, 1, 2) * height
    cut = image.crop(
        (
            max(0, round(box[0] - left)),
            max(0, round(box[1] - above)),
            min(image.width, round(box[2] + right)),
            min(image.height, round(box[3] + below)),
        )
    )
    buffer = io.BytesIO()
    cut.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Run the import from the command line."""
    parser = make_parser(__doc__.splitlines()[0], "pages")
    parser.add_argument("--source", type=Path, required=True, help="folder with pages.jsonl and the page images")
    parser.add_argument("--crops-per-line", type=int, default=1, help="crops of every line box")
    return run_import(parser.parse_args(arguments), read_rows)


if __name__ == "__main__":
    sys.exit(main())
