"""Finds the lines of text on an upright page: where they are, in reading order. Does not know what kind they are.

Every component of ink belongs to the line whose core it touches, and is cut between the cores where it touches several.
What is too large, too dense, too pale or too thick to be writing of the page is left out.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pages.cores import LEAST_RESPONSE, SIGMAS, Labels, absorb, find_cores, gutters_of, join, ridges_of
from app.pages.ink import Grey, Ink, Mask
from app.pages.order import in_reading_order

Box = tuple[int, int, int, int]

PICTURE = (60, 90)  # width and height in pixels from which on ink may be a picture
PICTURE_DENSITY, PICTURE_INK = 0.25, 12_000
SPECK = 4  # pixels
FAR = 12  # pixels from every core: ink that is no part of a line unless it is joined to a core
PALE = 0.65  # of the usual darkness: writing that shows through
THICK = 2.2  # of the usual stroke: blots and edges of the paper
SHORT = 11.0  # core heights: marks, stains and ornaments are
SHORT_PALE, SHORT_THIN, SHORT_THICK = 0.79, 0.65, 1.67
SHORT_INK = 0.3  # squares of the page's core height
LEAST_WIDTH, LEAST_HEIGHT, LEAST_INK = 8, 6, 25
DENSITY = (0.02, 0.7)


@dataclass(frozen=True)
class Line:
    """A line of text; `number` is that in `Found`.

    `box` in pixels; `core` is the height of its small letters, `ink` its pixels, `darkness` their mean darkness,
    `stroke` the mean width of its strokes.
    """

    box: Box
    core: float
    ink: int
    darkness: float
    stroke: float
    number: int


@dataclass(frozen=True)
class Found:
    """The lines of a page, and for every pixel the number of the line whose ink it is (0: none)."""

    lines: tuple[Line, ...]
    owner: Labels

    def upside_down(self) -> "Found":
        """The same lines after the page is turned by half."""
        height, width = self.owner.shape
        turned = [
            replace(line, box=(width - line.box[2], height - line.box[3], width - line.box[0], height - line.box[1]))
            for line in self.lines
        ]
        return Found(tuple(in_reading_order(turned)), np.ascontiguousarray(self.owner[::-1, ::-1]))


def find_lines(ink: Ink) -> Found:
    """The lines of text of an upright page."""
    mask, parts = without_pictures(ink.mask)
    best, size = ridges_of(mask)
    on_ink = size[(best > LEAST_RESPONSE) & (mask > 0)]
    barriers = ink.rules | gutters_of(mask, float(np.median(on_ink)) if on_ink.size else SIGMAS[0])
    labels, cores = find_cores(best, size, barriers)
    labels, cores = absorb(labels, cores)
    lines_of_cores = join(cores, barriers)
    owner = assign(mask, parts, labels, lines_of_cores)
    heights = np.zeros(lines_of_cores.max(initial=0) + 1)
    np.maximum.at(heights, lines_of_cores[1:], [core.height for core in cores])
    lines = [line for line in measure(owner, heights, ink.darkness) if is_large(line)]
    return Found(tuple(in_reading_order(like_the_others(lines))), owner)


def without_pictures(mask: Mask) -> tuple[Mask, Labels]:
    """Leave out what is far too large and too dense to be writing, and specks; also the components as labels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    width, height, area = (stats[:, column] for column in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    density = area / (width * height)
    large = (width > PICTURE[0]) & (height > PICTURE[1])
    picture = large & ((density > PICTURE_DENSITY) | (area > PICTURE_INK))
    kept = ~picture & (area >= SPECK)
    kept[0] = False
    return np.asarray(kept.astype(np.uint8)[labels], np.uint8), np.asarray(labels, np.int32)


def assign(mask: Mask, parts: Labels, labels: Labels, lines: Labels) -> Labels:
    """For every pixel of ink the number of the line whose core it touches, the nearest where it touches several."""
    of_core = lines[labels]
    distance, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    numbers = np.zeros(int(nearest.max()) + 1, np.int32)
    numbers[nearest[labels > 0]] = of_core[labels > 0]
    near = np.where(distance > FAR, 0, numbers[nearest])
    only = only_line(mask, parts, of_core)
    return np.where(mask > 0, np.where(only > 0, only, near), 0).astype(np.int32)


def only_line(mask: Mask, parts: Labels, lines: Labels) -> Labels:
    """For every pixel of ink the line whose core its component touches; 0 where that is none or more than one."""
    count = int(parts.max()) + 1
    on = (lines > 0) & (mask > 0)
    part, line = parts[on], lines[on]
    highest, lowest = np.zeros(count, np.int32), np.full(count, np.iinfo(np.int32).max, np.int32)
    np.maximum.at(highest, part, line)
    np.minimum.at(lowest, part, line)
    return np.asarray(np.where(highest == lowest, highest, 0)[parts], np.int32)


def measure(owner: Labels, heights: NDArray[np.float64], darkness: Grey) -> list[Line]:
    """The lines that own ink, with the box around nearly all of it."""
    rows, columns = np.nonzero(owner)
    numbers = owner[rows, columns]
    amount = np.bincount(numbers)
    dark = np.bincount(numbers, darkness[rows, columns])
    edges = np.bincount(owner[:, 1:][owner[:, 1:] != owner[:, :-1]], minlength=len(amount))
    order = np.argsort(numbers, kind="stable")
    rows, columns, numbers = rows[order], columns[order], numbers[order]
    found, starts = np.unique(numbers, return_index=True)
    lines = []
    for number, start, end in zip(found, starts, np.append(starts, len(numbers))[1:], strict=True):
        across, down = columns[start:end], np.sort(rows[start:end])
        trim = len(down) // 200
        box = (int(across.min()), int(down[trim]), int(across.max()) + 1, int(down[-1 - trim]) + 1)
        count = int(amount[number])
        stroke = count / max(1, int(edges[number]))
        lines.append(Line(box, float(heights[number]), count, dark[number] / count, stroke, int(number)))
    return lines


def is_large(line: Line) -> bool:
    """Whether a line is large enough, and neither a bar nor scattered specks."""
    left, top, right, bottom = line.box
    width, height = right - left, bottom - top
    if width < max(LEAST_WIDTH, 0.6 * line.core) or height < LEAST_HEIGHT or line.ink < LEAST_INK:
        return False
    return DENSITY[0] < line.ink / (width * height) < DENSITY[1]


def like_the_others(lines: list[Line]) -> list[Line]:
    """Leave out what is much paler than the page's writing, for it shows through, and blots, edges of paper, specks."""
    dark, stroke, core = (
        usual([getattr(line, name) for line in lines], lines) for name in ("darkness", "stroke", "core")
    )
    return [line for line in lines if is_alike(line, dark, stroke, core)]


def is_alike(line: Line, dark: float, stroke: float, core: float) -> bool:
    """Whether a line is writing like that of its page; short ones must be more like it than long ones."""
    short = line.box[2] - line.box[0] < SHORT * core
    if short and line.ink < SHORT_INK * core * core:
        return False
    thin, thick = (SHORT_THIN, SHORT_THICK) if short else (0.0, THICK)
    return line.darkness > (SHORT_PALE if short else PALE) * dark and thin * stroke < line.stroke < thick * stroke


def usual(values: list[float], lines: list[Line]) -> float:
    """The median of a value of the lines, each weighted with its ink; 0 without lines."""
    if not lines:
        return 0.0
    order = np.argsort(values)
    weights = np.cumsum(np.array([line.ink for line in lines])[order])
    return float(np.array(values)[order][np.searchsorted(weights, weights[-1] / 2)])
