"""Lines cut out of real pages, as ink coverage, to compose pages of: those of the training splits of data sets.

Takes data sets as the importers leave them; knows nothing of what stands where on a page.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.data.manifest import read_manifest
from app.data.paper import Plane, Random
from app.errors import DataError

LABELS = ("handwritten", "printed")
LEAST_LINES = 4  # of a document
BLACK, FRAME = 8, 3  # grey value under which pixels may be outside; pixels around an image, which are
STRIP = 3.0  # heights of small letters: a core is measured in strips so wide
MIDDLE = (0.22, 0.78)  # of a strip's ink, from above, lies in the core
LONG = 30  # heights of small letters: where a line has so much room, the longer of two is taken
HALF, GAP = 0.5, (0.8, 1.8)  # of the room is filled at least; heights of small letters between cuttings
LEAST_ROOM = 4  # pixels: so long is every line
INKED = 0.3  # coverage of what is ink, not its soft edge
LARGEST, SMALLEST = 2.2, 0.35  # times so large or small cuttings are made at most

Core = list[tuple[float, float]]


@dataclass(frozen=True)
class Document:
    """The lines of one real document."""

    files: Sequence[Path]

    def line(self, random: Random, size: float, room: int) -> tuple[Plane, Core]:
        """The coverage of a line whose small letters are about *size* pixels high, cut off after *room*; its core.

        A cutting that does not fill half of the room is followed by others of its size.
        """
        coverage, height = self._piece(random, size, room)
        while coverage.shape[1] < HALF * room:
            piece, _ = self._piece(random, height, room)
            coverage = beside(coverage, piece, round(height * random.uniform(*GAP)))
        coverage = cut_off(coverage, room, height)
        return coverage, core_of(coverage, height)

    def _piece(self, random: Random, size: float, room: int) -> tuple[Plane, float]:
        """Any cutting without blank columns at its ends, in this size, and the height of its small letters."""
        drawn = [coverage_of(self.files[int(number)]) for number in random.integers(len(self.files), size=2)]
        coverage = max(drawn, key=lambda plane: plane.shape[1] / plane.shape[0]) if room > LONG * size else drawn[0]
        height = core_height(coverage)
        scale = float(np.clip(size / height, SMALLEST, LARGEST))
        shape = max(4, round(coverage.shape[1] * scale)), max(4, round(coverage.shape[0] * scale))
        scaled = np.asarray(cv2.resize(coverage, shape, interpolation=cv2.INTER_AREA), np.float32)
        inked = np.flatnonzero(scaled.max(axis=0) > INKED)
        return (scaled[:, inked[0] : inked[-1] + 1] if inked.size else scaled), height * scale


class Cuttings:
    """The documents of data sets that have enough lines for a page."""

    def __init__(self, *folders: Path) -> None:
        """Take the training splits of the data sets in *folders*; raises DataError where these have none of a class."""
        self.folders = folders
        if not all(self.documents[label] for label in LABELS):
            names = ", ".join(map(str, folders))
            message = f"{names} has no documents with {LEAST_LINES} lines of each class to train on; import more"
            raise DataError(message)

    @cached_property
    def documents(self) -> dict[str, list[Document]]:
        """For each class the documents."""
        files: dict[tuple[str, str], list[Path]] = defaultdict(list)
        for folder in self.folders:
            for entry in read_manifest(folder):
                if entry.split == "train":
                    files[entry.label, entry.document].append(folder / entry.path)
        documents: dict[str, list[Document]] = defaultdict(list)
        for (label, _), found in files.items():
            if len(found) >= LEAST_LINES:
                documents[label].append(Document(found))
        return documents

    def document(self, random: Random, label: str) -> Document:
        """Any document of a class."""
        known = self.documents[label]
        return known[int(random.integers(len(known)))]


def coverage_of(file: Path) -> Plane:
    """How much ink covers each pixel of a cut-out line, whose outside is black."""
    with Image.open(file) as image:
        grey = np.asarray(image.convert("L"))
    framed = cv2.copyMakeBorder((grey < BLACK).astype(np.uint8), *(FRAME,) * 4, cv2.BORDER_CONSTANT, value=1)
    outside = cv2.morphologyEx(framed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))  # thin slivers count with the frame
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    inside = cv2.erode((labels != labels[0, 0]).astype(np.uint8), np.ones((7, 7), np.uint8))
    return coverage_in(grey, inside[FRAME:-FRAME, FRAME:-FRAME] > 0)


def coverage_in(grey: NDArray[np.uint8], inside: NDArray[np.bool_]) -> Plane:
    """How much ink covers each pixel of a grey image where it is *inside* the line."""
    if not inside.any():
        return np.zeros(grey.shape, np.float32)
    paper, ink = (float(value) for value in np.percentile(grey[inside], (85, 2)))
    coverage = np.where(inside, (paper - grey) / max(20.0, paper - ink), 0)
    return np.asarray(np.clip((coverage - 0.12) / 0.8, 0, 1), np.float32)


def core_height(coverage: Plane) -> float:
    """About how high the small letters are: where most of the ink of a strip is."""
    heights = [low - high for _, high, low in strips(coverage, max(12.0, coverage.shape[0] * 0.8))]
    return max(4.0, float(np.median(heights or [coverage.shape[0] * 0.35])))


def strips(coverage: Plane, width: float) -> list[tuple[float, float, float]]:
    """For strips of a line the middle, and the rows between which most of its ink is."""
    found = []
    for left in np.arange(0, coverage.shape[1], width):
        part = coverage[:, round(left) : round(left + width)]
        rows = part.sum(axis=1).cumsum()
        if rows[-1] > part.shape[1] * 0.3:
            high, low = np.searchsorted(rows, np.array(MIDDLE) * rows[-1])
            found.append((left + part.shape[1] / 2, float(high), float(low) + 1))
    return found


def core_of(coverage: Plane, height: float) -> Core:
    """The polygon that the small letters of a line fill: a curve of second degree through the middles of its strips."""
    found = np.array(strips(coverage, STRIP * height) or [(coverage.shape[1] / 2, 0, coverage.shape[0])])
    middles = found[:, 1:].mean(axis=1)
    degree = 0 if len(found) < 3 else 1 if len(found) < 6 else 2
    curve: NDArray[np.float64] = np.polyfit(found[:, 0], middles, degree)
    inked = np.flatnonzero(coverage.max(axis=0) > INKED)
    start, end = (int(inked[0]), int(inked[-1]) + 1) if inked.size else (0, coverage.shape[1])
    x = np.linspace(start, end, 2 + len(found))
    upper = [(float(a), float(b) - height / 2) for a, b in zip(x, np.polyval(curve, x), strict=True)]
    return upper + [(a, b + height) for a, b in upper[::-1]]


def beside(first: Plane, second: Plane, gap: int) -> Plane:
    """Two cuttings in one line, the middles of their small letters at one height."""
    middles = [middle_of(plane) for plane in (first, second)]
    above = [max(middles) - middle for middle in middles]
    height = max(plane.shape[0] + up for plane, up in zip((first, second), above, strict=True))
    whole = np.zeros((height, first.shape[1] + gap + second.shape[1]), np.float32)
    whole[above[0] : above[0] + first.shape[0], : first.shape[1]] = first
    whole[above[1] : above[1] + second.shape[0], first.shape[1] + gap :] = second
    return whole


def middle_of(coverage: Plane) -> int:
    """The row in the middle of a line's small letters."""
    rows = coverage.sum(axis=1).cumsum()
    return int(np.mean(np.searchsorted(rows, np.array(MIDDLE) * rows[-1])))


def cut_off(coverage: Plane, room: int, height: float) -> Plane:
    """Cut a line off at the widest gap between words before *room*."""
    if coverage.shape[1] <= room:
        return coverage
    if room <= LEAST_ROOM:
        return coverage[:, :LEAST_ROOM]
    start = round(0.6 * room)
    amount = cv2.blur(coverage[:, start:room].sum(axis=0)[None], (max(1, round(height / 2)), 1))[0]
    return coverage[:, : max(LEAST_ROOM, start + int(np.argmin(amount)))]
