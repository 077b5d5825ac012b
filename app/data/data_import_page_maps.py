"""Import whole pages with maps of where handwritten and printed lines are on them, to learn places from.

    python -m app.data.data_import_page_maps --source DIR --name NAME

DIR holds page images and `pages.jsonl` as `data_import_pages` reads it and `documents` writes it: lines may have a
`core`, the polygon that their small letters fill, else it is derived from the ink; a page with `complete` false is
unknown outside its boxes. Beside every image lies its map, `x.map.png`, at half the size: red where handwritten
lines are, green where printed ones are, blue where that is known. The label of a page is the class that most of its
lines' area is of; pages without a line that has a class are left out. Boxes count as far as they lie on their page.
"""

import argparse
import io
import sys
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from app.data.importing import Row, make_parser, run_import
from app.data.page_listing import ListedLine, ListedPage, read_pages
from app.data.page_maps import PageLine, draw_map
from app.errors import InputError
from app.preprocess import read_image
from app.tasks import TASKS, Task

SIDE = 1600  # pixels of the longer side of an image at most
NONE = "(no line has a class)"


def read_rows(arguments: argparse.Namespace) -> Generator[Row]:
    """Yield every page of `--source`; raises DataError without a usable listing."""
    for page in read_pages(arguments.source):
        yield page_row(arguments.source, page, TASKS[arguments.task])


def page_row(folder: Path, page: ListedPage, task: Task) -> Row:
    """A page with its map; one that cannot be used has no map, and its file or label shows the importer why."""
    file = folder / page.file
    content = file.read_bytes() if file.is_file() else b""
    image, places = None, b""
    with suppress(InputError):  # the importer reads the file as well, and says what is wrong with it
        image = read_image(content)
        page = page.model_copy(update={"lines": on_page(page.lines, image.size)})
    label = main_label(page, task)
    if image and label != NONE:
        content, places = draw_page(image, page, task)
    return Row(Path(page.file).stem, label, content, page.split, page.source, page.origin, places=places)


def main_label(page: ListedPage, task: Task) -> str:
    """The label that most of the lines' area is of."""
    areas: defaultdict[str, float] = defaultdict(float)
    for line in page.lines:
        left, top, right, bottom = line.bbox
        if line.writing_type:
            areas[task.same_as.get(line.writing_type, line.writing_type)] += (right - left) * (bottom - top)
    return max(areas, key=areas.__getitem__, default=NONE)


def on_page(lines: Iterable[ListedLine], size: tuple[int, int]) -> tuple[ListedLine, ...]:
    """The lines that are on a page of this size, their boxes as far as they lie on it."""
    found = []
    for line in lines:
        left, top = (max(0, value) for value in line.bbox[:2])
        right, bottom = (min(value, edge) for value, edge in zip(line.bbox[2:], size, strict=True))
        if left < right and top < bottom:
            found.append(line.model_copy(update={"bbox": (left, top, right, bottom)}))
    return tuple(found)


def draw_page(image: Image.Image, page: ListedPage, task: Task) -> tuple[bytes, bytes]:
    """The files of the page in grey, at most 1600 pixels long, and of its map."""
    image = image.convert("L")
    scale = min(1.0, SIDE / max(image.size))
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BOX)
    lines = [page_line(line, scale, task) for line in page.lines]
    maps = draw_map(np.asarray(image), lines, len(task.labels), complete=page.complete)
    return encoded(image, "JPEG"), encoded(Image.fromarray(maps), "PNG")


def page_line(line: ListedLine, scale: float, task: Task) -> PageLine:
    """A line of the listing, in pixels of the page at a scale."""
    left, top, right, bottom = (round(value * scale) for value in line.bbox)
    label = task.same_as.get(line.writing_type or "", line.writing_type)
    position = task.labels.index(label) if label in task.labels else None
    core = [(x * scale, y * scale) for x, y in line.core or ()]
    return PageLine((left, top, right, bottom), position, core or None)


def encoded(image: Image.Image, kind: str) -> bytes:
    """The file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=92)
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Run the import from the command line."""
    parser = make_parser(__doc__.splitlines()[0], None)
    parser.add_argument("--source", type=Path, required=True, help="folder with pages.jsonl and the page images")
    return run_import(parser.parse_args(arguments), read_rows)


if __name__ == "__main__":
    sys.exit(main())
