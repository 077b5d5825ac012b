"""Finds the cores of text lines on the map of the page network, and joins those that follow each other on one line.

A core is the band that the small letters of a line fill. The map says for every place how probable it is that it lies
in one; the network that draws it is the task `page_text`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.tasks import PLACE

Field = NDArray[np.float32]
Labels = NDArray[np.int32]

SURE = 0.5  # probability from which on a place lies in a core
SURE_ON_AVERAGE = 0.65  # over a core
LEAST_AREA, LEAST_WIDTH = 8, 1.0  # of a core, in places and in its heights
END = 1.0  # heights of a core at both ends on which its level is measured
GAP = 4.0  # cores up to so many core heights apart may be one line
NEAR, APART = 0.3, 1.2  # core heights: closer ones are, others where there is a trace of text between, the more of it
BRIDGE = 0.35  # the farther they are apart, up to this least probability
OFFSET = 0.6  # and so many core heights higher or lower
ALIKE = 1.9  # and one so many times as high as the other
OVERLAP = 2.0  # core heights by which they may overlap


@dataclass(frozen=True)
class Core:
    """A core: its extent, its height, and how high it lies at both ends, in pixels of the page."""

    left: int
    right: int
    height: float
    start: float
    end: float


def find_cores(text: Field) -> tuple[Labels, list[Core]]:
    """The cores on a map of text: labels of its places (0: none), and what is known of each, from label 1 on."""
    count, found, stats, _ = cv2.connectedComponentsWithStats((text > SURE).astype(np.uint8), connectivity=4)
    labels = np.asarray(found, np.int32)
    flat = labels.ravel()
    average = np.bincount(flat, text.ravel(), minlength=count) / np.maximum(1, np.bincount(flat, minlength=count))
    numbers, cores = np.zeros(count, np.int32), []
    for number in range(1, count):
        core = core_of(labels, number, stats[number])
        if is_core(core, stats[number], average[number]):
            cores.append(core)
            numbers[number] = len(cores)
    return numbers[labels], cores


def core_of(labels: Labels, number: int, stats: NDArray[np.int32]) -> Core:
    """Measure one core: its mean height, and the middle of its places in its first and its last columns."""
    left, top, width, height, area = (int(value) for value in stats[:5])
    inside = labels[top : top + height, left : left + width] == number
    reach = max(2, round(END * area / width))
    start, end = (float(np.nonzero(part)[0].mean()) + top for part in (inside[:, :reach], inside[:, -reach:]))
    return Core(PLACE * left, PLACE * (left + width), PLACE * area / width, PLACE * start, PLACE * end)


def is_core(core: Core, stats: NDArray[np.int32], average: float) -> bool:
    """Whether a core is large and sure enough."""
    wide = core.right - core.left >= LEAST_WIDTH * core.height
    return bool(wide and stats[cv2.CC_STAT_AREA] >= LEAST_AREA and average >= SURE_ON_AVERAGE)


def join(cores: list[Core], text: Field) -> Labels:
    """For every label of a core the number of its line, both from 1 on; 0 stays 0."""
    parent = list(range(len(cores) + 1))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    starts = np.array([core.left for core in cores])
    for number, core in enumerate(cores, start=1):
        for other in np.flatnonzero((starts > core.left) & (starts <= core.right + GAP * ALIKE * core.height)):
            if follows(core, cores[other], text):
                parent[root(int(other) + 1)] = root(number)
    roots = np.array([root(number) for number in range(len(parent))])
    return np.unique(roots, return_inverse=True)[1].astype(np.int32)


def follows(core: Core, other: Core, text: Field) -> bool:
    """Whether *other* goes on where *core* ends: near, as high, of like size, with a trace of text between them."""
    height, gap = max(core.height, other.height), other.left - core.right
    if height > ALIKE * min(core.height, other.height) or abs(core.end - other.start) > OFFSET * height:
        return False
    if not -OVERLAP * height <= gap <= GAP * height:
        return False
    needed = BRIDGE * min(1.0, (gap / height - NEAR) / (APART - NEAR))
    return needed <= 0 or bridge(core, other, text) >= needed


def bridge(core: Core, other: Core, text: Field) -> float:
    """The least probability of text on the way from the end of a core to the start of another."""
    columns = np.arange(core.right // PLACE, other.left // PLACE)
    rows = np.linspace(core.end, other.start, len(columns)) / PLACE
    way = text[rows.round().astype(int).clip(0, text.shape[0] - 1), columns.clip(0, text.shape[1] - 1)]
    return float(way.min()) if way.size else 1.0
