"""Reads listings of pages: `pages.jsonl`, one page a line, beside the page images.

Each has `file`, `source`, `document` and `lines`, each of these `bbox` [x0, y0, x1, y1] in pixels and `writing_type`.
Blank lines are passed over. Cuts and draws nothing.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.data.sources import SPLIT_NAMES, check_columns
from app.errors import DataError

NAME = "pages.jsonl"
OPTIONAL = {"split", "text", "core"}
Form = tuple[Callable[[Any], bool], str]  # whether a value has it, and its name


def _are_numbers(value: Any, count: int) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Whether a value is a list of so many finite numbers."""
    finite = isinstance(value, list) and all(isinstance(one, int | float) and abs(one) < math.inf for one in value)
    return finite and len(value) == count


def _is_core(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Whether a value is a list of points, or null."""
    return value is None or (isinstance(value, list) and all(_are_numbers(point, 2) for point in value))


TEXT: Form = (lambda value: isinstance(value, str), "a text")
TEXT_OR_NULL: Form = (lambda value: value is None or isinstance(value, str), "a text or null")
PAGE: Mapping[str, Form] = {
    "file": TEXT,
    "source": TEXT,
    "document": (lambda value: isinstance(value, str | int), "a text"),
    "lines": (lambda value: isinstance(value, list), "a list"),
    "split": (lambda value: value in (None, "", *SPLIT_NAMES), f"one of {', '.join(SPLIT_NAMES)}"),
}
LINE: Mapping[str, Form] = {
    "bbox": (lambda value: _are_numbers(value, 4), "a list of four numbers"),
    "writing_type": TEXT_OR_NULL,
    "text": TEXT_OR_NULL,
    "core": (_is_core, "a list of points"),
}


def read_pages(folder: Path) -> list[dict[str, Any]]:
    """Read and check the whole listing, so that nothing is made before all of it is known to be usable.

    Raises DataError without a usable listing.
    """
    listing = folder / NAME
    if not listing.is_file():
        message = f"{listing} is missing; name a folder with {NAME} and the page images"
        raise DataError(message)
    with listing.open("rb") as lines:
        return [read_page(f"line {number} of {listing}", text) for number, text in enumerate(lines, 1) if text.strip()]


def read_page(where: str, text: bytes) -> dict[str, Any]:
    """Read and check one page of the listing."""
    try:
        page: dict[str, Any] = json.loads(text)
    except ValueError as error:  # also where the text is not UTF-8
        message = f"{where} is no JSON ({error}); write one page a line"
        raise DataError(message) from error
    check_fields(where, PAGE, page)
    for line in page["lines"]:
        check_fields(f"a text line in {where}", LINE, line)
    return page


def check_fields(where: str, fields: Mapping[str, Form], value: Any) -> None:  # noqa: ANN401 - whatever JSON holds
    """Raise DataError when a value is no object with these fields, or one of them has another form."""
    needed = [name for name in fields if name not in OPTIONAL]
    if not isinstance(value, dict):
        message = f"{where} is {value!r}; write an object with {', '.join(needed)}"
        raise DataError(message)
    check_columns(where, needed, value)
    for name, (fits, form) in fields.items():
        if not fits(value.get(name)):
            message = f"{where} has {value[name]!r} as {name}; write {form}"
            raise DataError(message)
