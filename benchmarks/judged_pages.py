"""Judges the analysis of pages on a folder of page images with known lines: `pages.jsonl`, one page a line.

A page has `file`, `source`, `document`, `page_label`, `lines` with `bbox` [x0, y0, x1, y1] and `writing_type`, and may
have `split` and `complete`; where that is false, writing without a box is no error. Lines without a type are not asked
for, nor an error when found. A found line is one of the page's when the boxes overlap by half (intersection over
union), or when 70 % of the ink of either box is also in the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.data.page_listing import ListedLine, ListedPage, read_pages
from app.errors import DataError
from app.pages.analyse import Page
from app.pages.ink import ink_of
from app.pages.looks import grey_of
from app.pages.segment import Box

LEAST_OVERLAP, LEAST_INK = 0.5, 0.7
MIXED = "mixed"


@dataclass(frozen=True)
class TrueLine:
    """A line that is on a page; `label` is None when it is of both kinds or cannot be told."""

    box: Box
    label: str | None


@dataclass(frozen=True)
class Sample:
    """A page with known lines."""

    path: Path
    source: str
    label: str
    complete: bool
    lines: tuple[TrueLine, ...]

    def read(self) -> Image.Image:
        """The page as RGB."""
        with Image.open(self.path) as image:
            return image.convert("RGB")


@dataclass
class Figures:
    """Counts over pages, and what follows from them."""

    pages: int = 0
    right_pages: int = 0
    true_lines: int = 0
    found_lines: int = 0
    matched_lines: int = 0
    right_lines: int = 0
    confidences: list[tuple[float, bool]] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """The share of pages with the right class."""
        return self.right_pages / max(1, self.pages)

    @property
    def line_f1(self) -> float:
        """F1 of lines that are found and rightly classed."""
        return 2 * self.right_lines / max(1, self.true_lines + self.found_lines)

    @property
    def found_f1(self) -> float:
        """F1 of lines that are found, whatever their class."""
        return 2 * self.matched_lines / max(1, self.true_lines + self.found_lines)

    def add(self, other: "Figures") -> None:
        """Add the counts of other pages."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def read_samples(folder: Path, split: str | None, same_as: dict[str, str]) -> list[Sample]:
    """The pages of a folder, of one split if it is named; *same_as* maps writing types to labels."""
    return [
        Sample(
            folder / row.file,
            row.source,
            labelled(row),
            row.complete,
            tuple(true_line(line, same_as) for line in row.lines),
        )
        for row in read_pages(folder)
        if split in {None, row.split}
    ]


def labelled(row: ListedPage) -> str:
    """The class that a page is known to have; raises DataError for a listing without."""
    if row.page_label is None:
        message = f"{row.file} has no page_label; add the class of every page to the listing: a label, or {MIXED}"
        raise DataError(message)
    return row.page_label


def true_line(line: ListedLine, same_as: dict[str, str]) -> TrueLine:
    """A line of a listing, in whole pixels; *same_as* maps writing types to labels."""
    left, top, right, bottom = map(round, line.bbox)
    return TrueLine((left, top, right, bottom), same_as.get(line.writing_type or "", line.writing_type))


def class_of(page: Page) -> str | None:
    """The class of a page as pages are labelled: mixed, or that of its text."""
    return MIXED if page.mixed else page.label


def judge(sample: Sample, image: Image.Image, page: Page) -> Figures:
    """Compare what was found on a page with what is there; boxes are in pixels of *image*."""
    figures = Figures(pages=1, right_pages=int(class_of(page) == sample.label))
    pairs = match([line.box for line in page.lines], [line.box for line in sample.lines], ink_sums(image))
    matched = {found: sample.lines[true].label for found, true in pairs}
    for found, label in matched.items():
        if label is not None:
            prediction = page.lines[found].prediction
            figures.matched_lines += 1
            figures.right_lines += prediction.label == label
            figures.confidences.append((prediction.confidence, prediction.label == label))
    figures.true_lines = sum(line.label is not None for line in sample.lines)
    extra = len(page.lines) - len(matched) if sample.complete else 0
    figures.found_lines = figures.matched_lines + extra
    return figures


def ink_sums(image: Image.Image) -> NDArray[np.int64]:
    """For every corner of a pixel how much ink is above and left of it."""
    mask = ink_of(grey_of(np.asarray(image))).mask
    return np.pad(mask.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def ink_in(box: Box, sums: NDArray[np.int64]) -> int:
    """The ink in a box."""
    height, width = sums.shape
    left, right = (min(max(value, 0), width - 1) for value in box[::2])
    top, bottom = (min(max(value, 0), height - 1) for value in box[1::2])
    return int(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])


def match(found: Sequence[Box], true: Sequence[Box], sums: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Pairs of positions in *found* and *true* that are the same line, each at most once, the best pairs first."""
    scores = ((likeness(a, b, sums), i, j) for i, a in enumerate(found) for j, b in enumerate(true))
    taken: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for score, i, j in sorted(scores, reverse=True):
        if score > 0 and i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append((i, j))
    return pairs


def likeness(a: Box, b: Box, sums: NDArray[np.int64]) -> float:
    """How much two boxes are the same line; 0 when they are not."""
    common = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    if common[2] <= common[0] or common[3] <= common[1]:
        return 0.0
    shared = area_of(common)
    overlap = shared / (area_of(a) + area_of(b) - shared)
    ink = ink_in(common, sums) / max(1, ink_in(a, sums), ink_in(b, sums))
    return max(overlap, ink) if overlap >= LEAST_OVERLAP or ink >= LEAST_INK else 0.0


def area_of(box: Box) -> int:
    """The pixels of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])
