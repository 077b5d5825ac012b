"""Draws maps of pages: at half the size, where lines of each class are, and what of the page is known.

Of a line its core is drawn, the polygon that its small letters fill, so that lines close to each other stay apart.
Where no core is told, it is derived from the ink in the line's box. Reads and writes no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.data.cuttings import STRIP, Core, core_height, core_of, coverage_in, strips
from app.data.paper import Plane
from app.tasks import PLACE

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

EDGE = 0.12  # of the height of a box, above and below, where neighbouring lines reach in
CORE = (0.2, 0.5)  # of the height of its box is the core of a line
TALL = 1.8  # usual heights of the boxes of a page: a line of larger letters, or one that slopes
CROWDED = 0.3  # of such a box is in other boxes
ONE_LINE = 0.4  # of its height has the ink of one line at most
MOST_OF_INK = 0.77  # of the height of small letters has so much of a strip's ink that the core is measured by it
LEAST_LENGTH = 4.0  # heights of its core, of a line whose slope is measured
LEAST_SIDE = 6  # pixels of a box


@dataclass(frozen=True)
class PageLine:
    """A line of a page: its box, the position of its class or None where it cannot be told, its core where known."""

    box: Box
    label: int | None
    core: Core | None = None


def draw_map(grey: Pixels, lines: Sequence[PageLine], labels: int, *, complete: bool) -> Pixels:
    """The map of a grey page, of shape (height / 2, width / 2, labels + 1), uint8; the last plane is what is known.

    Unknown is what is outside all boxes, unless the page is *complete*, and in boxes whose class or core is.
    """
    size = -(-grey.shape[0] // PLACE), -(-grey.shape[1] // PLACE)
    planes = [np.zeros(size, np.uint8) for _ in range(labels)]
    known = np.full(size, 255 if complete else 0, np.uint8)
    boxes = [line.box for line in lines]
    usual = usual_height(boxes)
    unknown = []
    for line in lines:
        core = line.core or find_core(grey, line.box, usual, crowded=is_crowded(line.box, boxes))
        if line.label is None or core is None:
            unknown.append(line.box)
            continue
        known[places_of(line.box)] = 255
        np.maximum(planes[line.label], filled(core, size), out=planes[line.label])
    blank = ~np.any(planes, axis=0)
    for box in unknown:
        known[places_of(box)][blank[places_of(box)]] = 0
    return np.dstack([*planes, known])


def usual_height(boxes: Sequence[Box]) -> float:
    """The usual height of the lines of a page: of their boxes, or from line to line where sloping boxes overlap."""
    if not boxes:
        return 0.0
    left, top, right, bottom = np.array(boxes).T
    common = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    below = np.subtract.outer(top + bottom, top + bottom) / 2
    below[(common < np.minimum.outer(right - left, right - left) / 2) | (below <= 0)] = np.inf
    return float(min(np.median(bottom - top), np.median(below.min(axis=1))))


def is_crowded(box: Box, boxes: Sequence[Box]) -> bool:
    """Whether much of a box is in the other boxes as well, as is that of a line that slopes."""
    left, top, right, bottom = np.array(boxes).T
    width = np.minimum(right, box[2]) - np.maximum(left, box[0])
    height = np.minimum(bottom, box[3]) - np.maximum(top, box[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return bool((width.clip(0) * height.clip(0)).sum() - area > CROWDED * area)


def places_of(box: Box) -> tuple[slice, slice]:
    """The rows and columns of a map that a box touches."""
    left, top, right, bottom = (max(0, value) for value in box)
    return slice(top // PLACE, -(-bottom // PLACE)), slice(left // PLACE, -(-right // PLACE))


def filled(core: Core, size: tuple[int, int]) -> Pixels:
    """A polygon in pixels of the page, drawn on a plane of its map with soft edges."""
    bits = 6  # of fractions of a place
    points = np.round((np.array(core) - 0.5) * (2**bits / PLACE)).astype(np.int32)
    plane = cv2.fillPoly(np.zeros(size, np.uint8), [points], 255, cv2.LINE_AA, shift=bits)
    return np.asarray(plane, np.uint8)


def find_core(grey: Pixels, box: Box, usual: float, *, crowded: bool) -> Core | None:
    """The core of the line in a box, or None: of one so high and *crowded* that the ink of other lines is in it."""
    left, top = (max(0, value) for value in box[:2])
    inside = grey[top : box[3], left : box[2]]
    height, width = inside.shape
    if min(height, width) < LEAST_SIDE:
        return None
    coverage = coverage_in(inside, np.ones(inside.shape, np.bool_))
    edge = round(EDGE * height)
    coverage[:edge] = coverage[height - edge :] = 0
    size, tall = core_height(coverage) / MOST_OF_INK, TALL * usual < height < width
    if tall and crowded and not is_one_line(coverage, size):
        return None
    low, high = (0.0, CORE[1] * height) if tall else (CORE[0] * height, CORE[1] * min(height, usual))
    size = float(np.clip(size, low, high))
    if width > LEAST_LENGTH * size and len(strips(coverage, STRIP * size)) > 1:
        core = reaching(core_of(coverage, size), width, size)
    else:
        upper, lower = (height - size) / 2, (height + size) / 2
        core = [(0, upper), (width, upper), (width, lower), (0, lower)]
    return [(left + x, top + y) for x, y in core]


def is_one_line(coverage: Plane, size: float) -> bool:
    """Whether the ink of a box is on one line, which may slope: in strips close together, on a straight line."""
    found = np.array(strips(coverage, STRIP * size))
    if len(found) < 3 or size > ONE_LINE * coverage.shape[0]:  # noqa: PLR2004 - a line goes through any two points
        return False
    middles = found[:, 1:].mean(axis=1)
    slope: NDArray[np.float64] = np.polyfit(found[:, 0], middles, 1)
    return bool(np.median(np.abs(middles - np.polyval(slope, found[:, 0]))) < size / 2)


def reaching(core: Core, width: float, height: float) -> Core:
    """A core that goes on to the ends of its box, where the ink of its first or last letters was too faint."""
    upper, lower = core[: len(core) // 2], core[: len(core) // 2 - 1 : -1]
    if upper[0][0] > height / 2:
        upper, lower = [(0, upper[0][1]), *upper], [(0, lower[0][1]), *lower]
    if upper[-1][0] < width - height / 2:
        upper, lower = [*upper, (width, upper[-1][1])], [*lower, (width, lower[-1][1])]
    return upper + lower[::-1]
