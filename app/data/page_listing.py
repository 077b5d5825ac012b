"""Reads listings of pages: `pages.jsonl`, one page a line, beside the page images.

Each has `file`, `source`, `document` and `lines`, each of these `bbox` [x0, y0, x1, y1] in pixels and `writing_type`.
Cuts and draws nothing.
"""

import json
from pathlib import Path
from typing import Any

from app.data.sources import check_columns
from app.errors import DataError

NAME = "pages.jsonl"
PAGE, LINE = ("file", "source", "document", "lines"), ("bbox", "writing_type")  # what each must have


def read_pages(folder: Path) -> list[dict[str, Any]]:
    """Read and check the whole listing, so that nothing is made before all of it is known to be usable.

    Raises DataError without a usable listing.
    """
    listing = folder / NAME
    if not listing.is_file():
        message = f"{listing} is missing; name a folder with {NAME} and the page images"
        raise DataError(message)
    with listing.open(encoding="utf-8") as lines:
        return [read_page(f"line {number} of {listing}", text) for number, text in enumerate(lines, 1)]


def read_page(where: str, text: str) -> dict[str, Any]:
    """Read and check one page of the listing."""
    try:
        page: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{where} is no JSON ({error}); write one page a line"
        raise DataError(message) from error
    check_columns(where, PAGE, page)
    for line in page["lines"]:
        check_columns(f"a text line in {where}", LINE, line)
    return page
