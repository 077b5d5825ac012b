"""Finds the signs of a drawn or hand-printed text: connected strokes, put together to signs, lines and words."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import TooManyStrokesError
from app.preprocess import find_ink

LONGEST = 2400  # pixels: text is looked for in a copy reduced to about this
PALE = 64  # ink of at least this counts as stroke: a quarter of the usual, since pens differ in pressure
SPECK = 0.004  # of the square of the usual height: strokes of less ink are dirt
TALL = 0.4  # of the usual height: less is a mark or a dot, which decides nothing
MARK = 0.6  # of the usual height and width: less may be a part of quotation marks or of a colon
OVERLAP = 0.5  # of the lower of two tall strokes that stand in one line; of the narrower of two strokes of one sign
NEIGHBOURS = 4  # strokes of a line that another is compared with
QUOTES = 0.35  # of the usual height: marks beside each other nearer than this are one sign
COLON = 0.15  # the same for marks above each other, which slant
SPACE = 0.55  # of the usual height: a gap of at least this parts words
FILLED = 0.75  # of a cell's side that the line's height takes
MOST = 3000  # strokes: so many fill a page; what has more is a raster or a texture, and would take minutes

Boxes = NDArray[np.int64]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sign:
    """One sign: its box (x0, y0, x1, y1) in pixels of the image, its line from 0, whether a space stands before it.

    `cell` is what a recogniser of single characters takes: light ink on black, where it stands in its line.
    """

    box: Box
    line: int
    spaced: bool
    cell: Image.Image


@dataclass(frozen=True)
class Strokes:
    """The connected strokes of an image: the ink, the number of each pixel's stroke, and a box for each (from 1)."""

    ink: NDArray[np.uint8]
    numbers: NDArray[np.int32]
    boxes: Boxes
    usual: float


def find_signs(image: Image.Image) -> list[Sign]:
    """Find the signs of an image, line by line from left to right.

    Raises NothingDrawnError where there is no ink, TooManyStrokesError for what is no text by its number of strokes.
    """
    ink = find_ink(np.asarray(image.convert("L")), LONGEST)
    scale = image.width / ink.shape[1]
    strokes = strokes_of(ink)
    if (count := np.count_nonzero(strokes.boxes[:, 3])) > MOST:
        message = (
            f"the image has {count} strokes, over the limit of {MOST} of text read sign by sign; send a part of it"
        )
        raise TooManyStrokesError(message)
    signs = []
    for number, line in enumerate(lines_of(strokes)):
        top, bottom = band_of(strokes.boxes[line], strokes.usual)
        before = None
        for group in groups_of(strokes, line):
            box = around(strokes.boxes[group])
            spaced = before is not None and box[0] - before >= SPACE * strokes.usual
            cell = cut_cell(strokes, group, box, (top, bottom))
            left, upper, right, lower = (round(each * scale) for each in box)
            signs.append(Sign((left, upper, right, lower), number, spaced, cell))
            before = box[2]
    return signs


def strokes_of(ink: NDArray[np.uint8]) -> Strokes:
    """The connected strokes of at least some ink, and their usual height, that of tall signs."""
    _, numbers, table, _ = cv2.connectedComponentsWithStats((ink >= PALE).astype(np.uint8), connectivity=8)
    left, top, width, height, area = np.asarray(table, np.int64).T
    heights = height[1:][height[1:] >= TALL * height[1:].max(initial=0)]
    usual = float(np.percentile(heights, 60)) if heights.size else 1.0
    boxes = np.stack([left, top, left + width, top + height], 1)
    boxes[0] = 0
    boxes[1:][area[1:] < max(2.0, SPECK * usual**2)] = 0
    return Strokes(ink, np.asarray(numbers, np.int32), boxes, usual)


def lines_of(strokes: Strokes) -> list[list[int]]:
    """The numbers of the strokes of each line, from top to bottom: tall ones by their overlap, marks by nearness."""
    heights = strokes.boxes[:, 3] - strokes.boxes[:, 1]
    tall = np.flatnonzero(heights >= TALL * strokes.usual).tolist()
    lines: list[list[int]] = []
    for number in sorted(tall, key=lambda each: -int(heights[each])):  # what is tall shows best where a line is
        shares = [overlap(strokes.boxes[number], strokes.boxes[line]) for line in lines]
        if max(shares, default=0.0) >= OVERLAP:
            lines[int(np.argmax(shares))].append(number)
        else:
            lines.append([number])
    lines.sort(key=lambda line: float(strokes.boxes[line][:, 1::2].mean()))
    bands = [strokes.boxes[line][:, 1::2].mean(axis=0) for line in lines]
    for mark in np.flatnonzero((heights > 0) & (heights < TALL * strokes.usual)).tolist():
        middle = strokes.boxes[mark, 1::2].mean()
        lines[int(np.argmin([max(top - middle, middle - bottom) for top, bottom in bands]))].append(mark)
    return lines


def overlap(box: Boxes, line: Boxes) -> float:
    """The share of a stroke's height, or of the line's where that is lower, that the strokes nearest to it share."""
    near = line[np.abs(line[:, 0] - box[0]).argsort()[:NEIGHBOURS]]
    top, bottom = near[:, 1].min(), near[:, 3].max()
    return float((min(bottom, box[3]) - max(top, box[1])) / min(bottom - top, box[3] - box[1]))


def groups_of(strokes: Strokes, line: Sequence[int]) -> list[list[int]]:
    """The strokes of each sign of a line, from left to right: those above each other, and quotation marks."""
    groups: list[list[int]] = []
    for number in sorted(line, key=lambda each: int(strokes.boxes[each, 0])):
        if groups and belongs(strokes, groups[-1], number):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def belongs(strokes: Strokes, group: Sequence[int], number: int) -> bool:
    """Whether a stroke belongs to the sign before it."""
    box, before = strokes.boxes[number], around(strokes.boxes[list(group)])
    shared = min(before[2], box[2]) - max(before[0], box[0])
    if shared >= OVERLAP * min(before[2] - before[0], box[2] - box[0]):
        return True
    if max(before[3] - before[1], box[3] - box[1], before[2] - before[0], box[2] - box[0]) >= MARK * strokes.usual:
        return False
    level = abs(before[1] - box[1]) < QUOTES * strokes.usual / 2
    nearness = QUOTES if level and is_upper(strokes, number) else 0.0 if level else COLON
    return bool(-shared < nearness * strokes.usual)


def is_upper(strokes: Strokes, number: int) -> bool:
    """Whether a mark stands in the upper half of the tall strokes beside it."""
    heights = strokes.boxes[:, 3] - strokes.boxes[:, 1]
    tall = strokes.boxes[heights >= MARK * strokes.usual]
    nearest = tall[np.abs(tall[:, 0] - strokes.boxes[number, 0]).argsort()[:3]]
    return bool(nearest.size and strokes.boxes[number, 3] < nearest[:, 1::2].mean())


def around(boxes: Boxes) -> Box:
    """The box around boxes."""
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    return int(left), int(top), int(right), int(bottom)


def band_of(boxes: Boxes, usual: float) -> tuple[float, float]:
    """Where the tall signs of a line begin and end, from top to bottom."""
    heights = boxes[:, 3] - boxes[:, 1]
    tall = boxes[heights >= min(heights.max(), 0.8 * usual)]
    return float(np.median(tall[:, 1])), float(np.median(tall[:, 3]))


def cut_cell(strokes: Strokes, group: Sequence[int], box: Box, band: tuple[float, float]) -> Image.Image:
    """The ink of a sign alone, in a square cell around the line's height at its place."""
    top, bottom = min(band[0], box[1]), max(band[1], box[3])
    side = round(max(bottom - top, box[2] - box[0]) / FILLED) + 2
    cell = np.zeros((side, side), np.uint8)
    left = (side - (box[2] - box[0])) // 2
    above = max(0, min(side - (box[3] - box[1]), round((side - (bottom - top)) / 2 + box[1] - top)))
    window = (slice(box[1], box[3]), slice(box[0], box[2]))
    own = cv2.dilate(np.isin(strokes.numbers[window], list(group)).astype(np.uint8), np.ones((3, 3), np.uint8))
    ink = np.where(own > 0, strokes.ink[window], 0)
    cell[above : above + ink.shape[0], left : left + ink.shape[1]] = ink
    return Image.fromarray(cell)
