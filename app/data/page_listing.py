"""Reads listings of pages: `pages.jsonl`, one page a line, beside the page images.

`ListedPage` and `ListedLine` have the fields; others are passed over, and so are blank lines. Cuts and draws nothing.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, FiniteFloat, ValidationError

from app.data.sources import SPLIT_NAMES
from app.errors import DataError

NAME = "pages.jsonl"
Point = tuple[FiniteFloat, FiniteFloat]
Box = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]


def _known_split(name: str | None) -> str | None:
    """The split that is meant by one of its names, None by none."""
    if name and name not in SPLIT_NAMES:
        message = f"there is no such split; write one of {', '.join(SPLIT_NAMES)}"
        raise ValueError(message)
    return SPLIT_NAMES[name] if name else None


class _Listed(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class ListedLine(_Listed):
    """A line of text: its box (left, top, right, bottom) in pixels, and points along its small letters if known.

    Without a `writing_type` it is not known what it is; an empty `text` only was not read.
    """

    bbox: Box
    writing_type: str | None
    text: str | None = None
    core: tuple[Point, ...] | None = None


class ListedPage(_Listed):
    """A page: the name of its image, where it comes from, its lines, and its own class if known.

    Where it is not `complete`, lines may be missing from the list.
    """

    file: str
    source: str
    document: str | int
    lines: tuple[ListedLine, ...]
    split: Annotated[str | None, AfterValidator(_known_split)] = None
    page_label: str | None = None
    complete: bool = True

    @property
    def origin(self) -> str:
        """The document, by a name that no other source has."""
        return f"{self.source}/{self.document}"


def read_pages(folder: Path) -> list[ListedPage]:
    """Read and check the whole listing, so that nothing is made before all of it is known to be usable.

    Raises DataError without a usable listing.
    """
    listing = folder / NAME
    if not listing.is_file():
        message = f"{listing} is missing; name a folder with {NAME} and the page images"
        raise DataError(message)
    with listing.open("rb") as lines:
        return [_read_page(f"line {number} of {listing}", text) for number, text in enumerate(lines, 1) if text.strip()]


def _read_page(where: str, text: bytes) -> ListedPage:
    try:
        return ListedPage.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))} {each['msg']}".strip() for each in error.errors())
        message = f"{where} is no page with file, source, document and lines: {wrong}"
        raise DataError(message) from error
