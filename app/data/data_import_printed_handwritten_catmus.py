"""Import text lines in the layout of CATMuS/modern: handwritten, printed and typewritten, in many languages.

    python -m app.data.data_import_printed_handwritten_catmus                    streams from the hub
    python -m app.data.data_import_printed_handwritten_catmus --source DIR       reads parquet files

Needs the columns `im` and `writing_type`; uses `project`, `shelfmark`, `language`, `not_before`, `not_after` and
`gen_split` when they are there. Typewritten lines count as printed. Owns the meaning of the columns.
"""

import argparse
import re
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import datasets

from app.data.importing import Row, make_parser, run_import
from app.data.sources import SPLIT_NAMES, image_bytes, open_splits

HUB = "CATMuS/modern"
COLUMNS = ("im", "writing_type")  # without which there is no row


def read_rows(arguments: argparse.Namespace) -> Generator[Row]:
    """Yield the rows of the hub's data set or of `--source`, in their order."""
    for split, stream in open_splits(datasets, HUB, arguments.source, COLUMNS):
        for number, record in enumerate(stream.cast_column("im", datasets.Image(decode=False))):
            yield to_row(record, split, number)


def to_row(record: Mapping[str, Any], split: str, number: int) -> Row:
    """Translate one record; without a shelf mark every line is its own document."""
    source = record.get("project") or HUB
    begin, end = _year(record.get("not_before")), _year(record.get("not_after"))
    return Row(
        key=f"{split}-{number:06d}",
        label=record.get("writing_type") or "",
        image=image_bytes(record["im"]),
        split=SPLIT_NAMES.get(record.get("gen_split") or "", split),
        source=source,
        document=f"{source}/{record.get('shelfmark') or f'{split}-{number:06d}'}",
        language=record.get("language") or "",
        years=f"{begin}-{end}" if begin and end else "",
    )


def _year(value: object) -> str:
    """A year in four digits, also of a float or a text; empty for what is none."""
    found = re.fullmatch(r"([0-9]{1,4})(\.0*)?", str(value).strip())
    return found[1].zfill(4) if found else ""


def main(arguments: list[str] | None = None) -> int:
    """Run the import from the command line."""
    parser = make_parser(__doc__.splitlines()[0], "catmus")
    parser.add_argument("--source", type=Path, help="folder with parquet files instead of the hub")
    return run_import(parser.parse_args(arguments), read_rows)


if __name__ == "__main__":
    sys.exit(main())
