"""Finds the cores of text lines on the map of the page network, and joins those that follow each other on one line.

A core is the band that the small letters of a line fill. The map says for every place how probable it is that it lies
in one; the network that draws it is the task `page_text`.
"""

from dataclasses import dataclass
from itertools import pairwise

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
KIND_WIDTH, KIND_SHARE = 2.0, 0.8  # core heights in a row, and how much of the text there: these are clearly of a kind
KIND_BLUR = 1.5  # core heights


@dataclass(frozen=True)
class Core:
    """A core: its extent, its height, and how high it lies at both ends, in pixels of the page.

    `kind` is the number of the label that it is clearly of; None where it is of none or the map is in doubt.
    """

    left: int
    right: int
    height: float
    start: float
    end: float
    kind: int | None


def find_cores(text: Field, places: Field) -> tuple[Labels, list[Core]]:
    """The cores on a map of text: labels of its places (0: none), and what is known of each, from label 1 on.

    *places* are the maps of every label. Where the kind of a core clearly changes, as where an entry follows the print
    of a form, it is two.
    """
    count, found, stats, _ = cv2.connectedComponentsWithStats((text > SURE).astype(np.uint8), connectivity=4)
    flat = np.asarray(found, np.int32).ravel()
    average = np.bincount(flat, text.ravel(), minlength=count) / np.maximum(1, np.bincount(flat, minlength=count))
    labels, cores = np.zeros(text.shape, np.int32), []
    for number in range(1, count):
        if not is_core(stats[number], average[number]):
            continue
        left, top, width, height, area = (int(value) for value in stats[number])
        rows, columns = slice(top, top + height), slice(left, left + width)
        inside = found[rows, columns] == number
        amounts = np.asarray((places[:, rows, columns] * inside).sum(axis=1), np.float32)
        for start, end, kind in of_one_kind(amounts, area / width):
            part = inside[:, start:end]
            cores.append(core_of(part, left + start, top, kind))
            labels[rows, left + start : left + end][part] = len(cores)
    return labels, cores


def of_one_kind(amounts: Field, height: float) -> list[tuple[int, int, int | None]]:
    """The parts of a core, each with its first column, the one after its last, and its kind.

    *amounts* is how much the map of every label has in each column of the core, of shape (labels, columns).
    """
    window = max(1, round(KIND_BLUR * height))
    smooth = cv2.blur(amounts, (window, 1), borderType=cv2.BORDER_REPLICATE)
    likely = smooth.argmax(axis=0)
    edges = [0, *(np.flatnonzero(np.diff(likely)) + 1).tolist(), len(likely)]
    parts: list[tuple[int, int, int | None]] = [(0, len(likely), None)]
    for start, end in pairwise(edges):
        kind, here = int(likely[start]), amounts[:, start:end]
        if end - start < KIND_WIDTH * height or here[kind].sum() < KIND_SHARE * here.sum():
            continue
        begin, _, before = parts.pop()
        if before not in (None, kind):
            parts.append((begin, start, before))
            begin = start
        parts.append((begin, len(likely), kind))
    return parts


def core_of(inside: NDArray[np.bool_], left: int, top: int, kind: int | None) -> Core:
    """Measure one core: its mean height, and the middle of its places in its first and its last columns."""
    height, width = float(inside.sum(axis=0).mean()), inside.shape[1]
    reach = max(2, round(END * height))
    start, end = (float(np.nonzero(part)[0].mean()) + top for part in (inside[:, :reach], inside[:, -reach:]))
    return Core(PLACE * left, PLACE * (left + width), PLACE * height, PLACE * start, PLACE * end, kind)


def is_core(stats: NDArray[np.int32], average: float) -> bool:
    """Whether what hangs together on the map is large and sure enough."""
    width, area = int(stats[cv2.CC_STAT_WIDTH]), int(stats[cv2.CC_STAT_AREA])
    return bool(width**2 >= LEAST_WIDTH * area and area >= LEAST_AREA and average >= SURE_ON_AVERAGE)


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
    """Whether *other* goes on where *core* ends: near, as high, of like size, with a trace of text between them.

    Two that are clearly of different kinds are two lines.
    """
    if None not in (core.kind, other.kind) and core.kind != other.kind:
        return False
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
