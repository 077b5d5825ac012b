"""Import handwriting in the layout of corto-ai/handwritten-text: columns `image` and `text`, all of it handwritten.

    python -m app.data.data_import_handwritten_corto                             streams from the hub
    python -m app.data.data_import_handwritten_corto --source DIR --name NAME    reads parquet files

Uses the columns `source`, `document` or `writer`, and `language` when they are there; without a document every row is
its own, and the split of the source holds. Its second split may be called `valid`. Owns the meaning of the columns.
"""

import argparse
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import datasets

from app.data.importing import Row, make_parser, run_import
from app.data.sources import image_bytes, open_splits

HUB = "corto-ai/handwritten-text"
COLUMNS = ("image",)  # without which there is no row; the text is not used


def read_rows(arguments: argparse.Namespace) -> Generator[Row]:
    """Yield the rows of the hub's data set or of `--source`, in their order."""
    for split, stream in open_splits(datasets, HUB, arguments.source, COLUMNS):
        for number, record in enumerate(stream.cast_column("image", datasets.Image(decode=False))):
            yield to_row(record, split, number, arguments.name)


def to_row(record: Mapping[str, Any], split: str, number: int, name: str) -> Row:
    """Translate one record of the data set called *name*."""
    key = f"{split}-{number:06d}"
    source = record.get("source") or name
    return Row(
        key=key,
        label="handwritten",
        image=image_bytes(record["image"]),
        split=split,
        source=source,
        document=f"{source}/{record.get('document') or record.get('writer') or key}",
        language=record.get("language") or "",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the import from the command line."""
    parser = make_parser(__doc__.splitlines()[0], "corto")
    parser.add_argument("--source", type=Path, help="folder with parquet files instead of the hub")
    return run_import(parser.parse_args(arguments), read_rows)


if __name__ == "__main__":
    sys.exit(main())
