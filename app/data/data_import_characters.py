"""Import single characters: parquet files with image and label, or EMNIST's idx and mat files.

    python -m app.data.data_import_characters --source DIR
    python -m app.data.data_import_characters --source DIR --task digit --name characters_digits
    python -m app.data.data_import_characters --synthetic 100

DIR holds parquet files with the columns `image` and `label`, and `writer` and `source` where they are known; or
`emnist-*-images-idx3-ubyte` and its companions; or `emnist-*.mat`. EMNIST's images lie transposed in its files, and are
turned. A writer is never in two splits; where a source has no validation split, a stable hash of the writer (of
the image, where none is known) takes a tenth from training. Characters that the task does not know are left out. For
folders of images there is `app/data/data_import_folder.py`.

`--synthetic N` draws N images of every label, such as people draw on a canvas, all for training: name the data set that
they become with a weight there.
"""

import argparse
import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from scipy.io import loadmat

from app.data.idx import find_idx, read_idx, to_png
from app.data.importing import Row, make_parser, run_import
from app.data.manifest import folder_of, split_of
from app.data.sources import find_split_files, image_bytes, open_splits
from app.data.strokes import draw_character, hands
from app.errors import DataError
from app.tasks import CHARACTER, TASKS

COLUMNS = ("image", "label")
SYNTHETIC = "strokes"
SHARES = (0.9, 0.1, 0.0)
MAPPING = "-mapping.txt"
EMNIST_SPLITS = ("train", "test")


@dataclass(frozen=True)
class Found:
    """A character as a source has it; `writer` and `source` are empty where they are not known."""

    split: str
    number: int
    label: str
    image: bytes
    source: str
    writer: str = ""


def read_rows(arguments: argparse.Namespace) -> Generator[Row]:
    """Yield what `--synthetic` and `--source` say; raises DataError when a source holds nothing that is known."""
    for label in TASKS[arguments.task].labels if arguments.synthetic else ():
        yield from draw_rows(label, arguments.synthetic)
    if arguments.source:
        yield from read_source(arguments.source, arguments.name)


def draw_rows(label: str, count: int) -> Iterator[Row]:
    """Draw a label *count* times, each time the same images; raises DataError for one that cannot be drawn."""
    fonts = hands()
    for number in range(count):
        key = f"{SYNTHETIC}-{folder_of(label)}-{number:06d}"
        random = np.random.default_rng([*key.encode()])
        hand = fonts[int(random.integers(len(fonts)))]
        image = to_png(draw_character(random, label, hand))
        yield Row(key, label, image, "train", SYNTHETIC, f"{SYNTHETIC}/{hand.stem}")


def read_source(folder: Path, name: str) -> Generator[Row]:
    """Yield the rows of a folder, whatever it holds; raises DataError when it holds nothing that is known."""
    parts = [*map(read_mat, sorted(folder.glob("*.mat"))), *map(read_emnist, sorted(folder.glob(f"*{MAPPING}")))]
    whole = not parts and "validation" in find_split_files(folder)
    for found in chain.from_iterable(parts or [read_parquet(folder, name)]):
        yield to_row(found, whole=whole)


def to_row(found: Found, *, whole: bool) -> Row:
    """Name a character and its document; *whole* says that the source has a validation split of its own."""
    key = f"{found.source}-{found.split}-{found.number:06d}"
    document = f"{found.source}/{found.writer or key}"
    split = found.split if whole or found.split != "train" else split_of(document, SHARES)
    return Row(key, found.label, found.image, split, found.source, document)


def read_parquet(folder: Path, name: str) -> Iterator[Found]:
    """Yield the rows of parquet files; without a column `source`, *name* is the source."""
    for split, stream in open_splits(datasets, "", folder, COLUMNS):
        for number, record in enumerate(stream.cast_column("image", datasets.Image(decode=False))):
            source, writer = record.get("source") or name, record.get("writer") or ""
            yield Found(split, number, str(record["label"]), image_bytes(record["image"]), source, str(writer))


def read_emnist(mapping: Path) -> Iterator[Found]:
    """Yield the images of one of EMNIST's parts from the idx files beside its mapping of numbers to characters."""
    part = mapping.name.removesuffix(MAPPING)
    characters = read_mapping([line.split() for line in mapping.read_text("ascii").splitlines() if line.strip()])
    for split in EMNIST_SPLITS:
        images, labels = (
            read_idx(find_needed(mapping.parent, f"{part}-{split}-{what}-ubyte"))
            for what in ("images-idx3", "labels-idx1")
        )
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield Found(split, number, characters.get(int(label), ""), to_png(np.ascontiguousarray(image.T)), part)


def find_needed(folder: Path, stem: str) -> Path:
    """The idx file of this name; raises DataError."""
    file = find_idx(folder, stem)
    if file is None:
        message = f"{folder} has no {stem}[.gz]; it must hold all idx files of that part of EMNIST"
        raise DataError(message)
    return file


def read_mapping(rows: Any) -> dict[int, str]:  # noqa: ANN401 - lists of text or an array of numbers
    """EMNIST's numbers of classes with their characters, from rows of number and code points; capitals come first."""
    return {int(row[0]): chr(int(row[1])) for row in rows}


def read_mat(file: Path) -> Iterator[Found]:
    """Yield the images of a part of EMNIST from its MATLAB file, which knows the writers; raises DataError."""
    try:
        content: Mapping[str, Any] = loadmat(file, simplify_cells=True)
        parts = {split: content["dataset"][split] for split in EMNIST_SPLITS}
        characters = read_mapping(content["dataset"]["mapping"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        message = f"{file} is no MATLAB file of EMNIST ({error}); fetch it again"
        raise DataError(message) from error
    for split, part in parts.items():
        for number, (image, label, writer) in enumerate(
            zip(part["images"], part["labels"], part["writers"], strict=True)
        ):
            upright = np.ascontiguousarray(image.reshape(28, 28).T)
            yield Found(split, number, characters.get(int(label), ""), to_png(upright), file.stem, str(writer))


def main(arguments: list[str] | None = None) -> int:
    """Run the import from the command line."""
    parser = make_parser(__doc__.splitlines()[0], "characters", CHARACTER.name)
    parser.set_defaults(name=None)
    parser.add_argument("--source", type=Path, help="folder with the files")
    parser.add_argument("--synthetic", type=int, default=0, metavar="N", help="draw N images of each label")
    options = parser.parse_args(arguments)
    if not options.source and options.synthetic < 1:
        parser.error("nothing to import: give --source DIR, or --synthetic N with N above 0")
    options.name = options.name or ("characters" if options.source else f"{options.task}_{SYNTHETIC}")
    return run_import(options, read_rows)


if __name__ == "__main__":
    sys.exit(main())
