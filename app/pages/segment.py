"""Finds the lines of text on an upright page: where they are, in reading order. Does not know what kind they are.

The map of the page network tells where the cores of lines are; ink belongs to the line whose core is nearest.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pages.cores import Field, Labels, find_cores, join
from app.pages.gutters import without_gutters
from app.pages.ink import Grey, Ink, Mask
from app.pages.order import in_reading_order
from app.tasks import PLACE

Box = tuple[int, int, int, int]

FAR = 0.8  # core heights from every core: ink that is no part of a line
LEAST_WIDTH, LEAST_HEIGHT, LEAST_INK = 8, 6, 25
DENSITY = (0.02, 0.7)
PALE = 0.55  # of the usual darkness: writing that shows through from the other side
CERTAIN = 0.84  # probability of text, on average over a line that is no such writing however pale: it may be pencil


@dataclass(frozen=True)
class Line:
    """A line of text; `number` is that in `Found`.

    `box` in pixels; `core` is the height of its small letters, `ink` its pixels, `darkness` their mean darkness;
    `kinds` says for every label how probable it is by the map, 1 in sum, and `text` how probable it is to be text.
    """

    box: Box
    core: float
    ink: int
    darkness: float
    number: int
    kinds: tuple[float, ...] = ()
    text: float = 0.0


@dataclass(frozen=True)
class Found:
    """The lines of a page, and for every pixel the number of the line whose ink it is (0: none)."""

    lines: tuple[Line, ...]
    owner: Labels


def find_lines(ink: Ink, places: Field) -> Found:
    """The lines of text of an upright page, by its ink and its map."""
    whole = np.asarray(places.max(axis=0), np.float32)
    labels, cores = find_cores(whole, places)
    text = without_gutters(whole, cores)
    if text is not whole:
        labels, cores = find_cores(text, places)
    lines_of_cores = join(cores, text)
    heights = np.array([0.0, *(core.height for core in cores)])
    owner = assign(ink.mask, labels, lines_of_cores, heights)
    of_lines = np.zeros(int(lines_of_cores.max()) + 1)
    np.maximum.at(of_lines, lines_of_cores, heights)
    kinds, sure = opinions(places, text, lines_of_cores[labels])
    measured = [
        replace(line, kinds=tuple(kinds[line.number]), text=float(sure[line.number]))
        for line in measure(owner, of_lines, ink.darkness)
    ]
    lines = without_pale([line for line in measured if is_large(line)])
    return Found(tuple(in_reading_order(lines)), owner)


def assign(mask: Mask, labels: Labels, lines: Labels, heights: NDArray[np.float64]) -> Labels:
    """For every pixel of ink the number of the line that it belongs to (0: none).

    That is the one whose core its whole component touches or, where it touches several or none, that whose core is
    nearest if it is near.
    """
    distance, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    cores = np.zeros(int(nearest.max()) + 1, np.int32)
    cores[nearest[labels > 0]] = labels[labels > 0]
    core = cores[nearest]
    near = larger(np.where(PLACE * distance > FAR * heights[core], 0, lines[core]), mask)
    alone = only_line(mask, larger(lines[labels], mask))
    return np.asarray(np.where(alone > 0, alone, near) * (mask > 0), np.int32)


def opinions(places: Field, text: Field, lines: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the map has on the cores of each line, from 0 on: the share of each label, and the mean of *text*.

    The shapes are (lines + 1, labels) and (lines + 1,).
    """
    numbers = lines.ravel()
    amount = np.maximum(np.bincount(numbers), 1)
    sums = np.stack([np.bincount(numbers, of_label.ravel()) for of_label in places], axis=1)
    shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(shares, np.float64), np.bincount(numbers, text.ravel()) / amount


def larger(labels: Labels, mask: Mask) -> Labels:
    """A map of cores in the size of the page."""
    twice = np.repeat(np.repeat(labels, PLACE, axis=0), PLACE, axis=1)
    return np.asarray(twice[: mask.shape[0], : mask.shape[1]], np.int32)


def only_line(mask: Mask, lines: Labels) -> Labels:
    """For every pixel of ink the line whose core its component touches; 0 where that is none or more than one."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    parts = np.asarray(labels, np.int32)
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
    order = np.argsort(numbers, kind="stable")
    rows, columns, numbers = rows[order], columns[order], numbers[order]
    found, starts = np.unique(numbers, return_index=True)
    lines = []
    for number, start, end in zip(found, starts, np.append(starts, len(numbers))[1:], strict=True):
        across, down = columns[start:end], np.sort(rows[start:end])
        trim = len(down) // 200
        box = (int(across.min()), int(down[trim]), int(across.max()) + 1, int(down[-1 - trim]) + 1)
        count = int(amount[number])
        lines.append(Line(box, float(heights[number]), count, dark[number] / count, int(number)))
    return lines


def is_large(line: Line) -> bool:
    """Whether a line is large enough, and neither a bar nor scattered specks."""
    left, top, right, bottom = line.box
    width, height = right - left, bottom - top
    if width < max(LEAST_WIDTH, 0.6 * line.core) or height < LEAST_HEIGHT or line.ink < LEAST_INK:
        return False
    return DENSITY[0] < line.ink / (width * height) < DENSITY[1]


def without_pale(lines: list[Line]) -> list[Line]:
    """Leave out what is much paler than most of the page's writing, unless the map is certain of it."""
    if not lines:
        return []
    dark, ink = np.array([(line.darkness, line.ink) for line in lines]).T
    order = np.argsort(dark)
    shares = np.cumsum(ink[order])
    usual = dark[order][np.searchsorted(shares, shares[-1] / 2)]
    return [line for line in lines if line.darkness > PALE * usual or line.text >= CERTAIN]
