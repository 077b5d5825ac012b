"""Import handwritten digits: the four original files of MNIST, or its copy on the hub.

    python -m app.data.data_import_mnist                    streams from the hub
    python -m app.data.data_import_mnist --source DIR       reads the four idx files, gzipped or not, or parquet files

The official test images are the test split. A tenth of the training images, chosen by a stable hash of their number, is
the validation split. MNIST does not say who wrote what, so every image is its own document.
"""

import argparse
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import datasets

from app.data.idx import find_idx, read_idx, to_png
from app.data.importing import Row, make_parser, run_import
from app.data.manifest import split_of
from app.data.sources import image_bytes, open_splits
from app.errors import DataError
from app.tasks import DIGIT

HUB = "ylecun/mnist"
COLUMNS = ("image", "label")
FILES = {"train": "train", "test": "t10k"}
SHARES = (0.9, 0.1, 0.0)


def read_rows(arguments: argparse.Namespace) -> Generator[Row]:
    """Yield the rows of the original files in `--source`, else those of its parquet files or of the hub."""
    source = arguments.source
    images = read_originals(source) if source and find_idx(source, name_of("train", "images")) else read_hub(source)
    for split, number, label, image in images:
        key = f"{split}-{number:05d}"
        yield Row(
            key=key,
            label=str(label),
            image=image,
            split=split if split == "test" else split_of(key, SHARES),
            source="mnist",
            document=f"mnist/{key}",
        )


def name_of(split: str, what: str) -> str:
    """The original name of a file."""
    return f"{FILES[split]}-{what}-idx{3 if what == 'images' else 1}-ubyte"


def read_originals(source: Path) -> Iterator[tuple[str, int, int, bytes]]:
    """Yield split, number, label and PNG of every image; raises DataError when a file is missing or too short."""
    for split in FILES:
        arrays = []
        for what in ("images", "labels"):
            file = find_idx(source, name_of(split, what))
            if file is None:
                message = f"{source} has no {name_of(split, what)}[.gz]; it must hold the four files of MNIST"
                raise DataError(message)
            arrays.append(read_idx(file))
        images, labels = arrays
        if len(images) != len(labels):
            message = f"{source} has {len(images)} images but {len(labels)} labels in {split}; fetch the files again"
            raise DataError(message)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield split, number, int(label), to_png(image)


def read_hub(source: Path | None) -> Iterator[tuple[str, int, Any, bytes]]:
    """Yield the same from parquet files, local or on the hub."""
    for split, stream in open_splits(datasets, HUB, source, COLUMNS):
        for number, record in enumerate(stream.cast_column("image", datasets.Image(decode=False))):
            yield split, number, record["label"], image_bytes(record["image"])


def main(arguments: list[str] | None = None) -> int:
    """Run the import from the command line."""
    parser = make_parser(__doc__.splitlines()[0], "mnist", DIGIT.name)
    parser.add_argument("--source", type=Path, help="folder with the original files, or parquet files, not the hub")
    return run_import(parser.parse_args(arguments), read_rows)


if __name__ == "__main__":
    sys.exit(main())
