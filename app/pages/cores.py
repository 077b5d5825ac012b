"""Finds the cores of text lines, which are ridges of ink, and joins those that follow each other on one line.

Ink is blurred along the lines at several sizes of writing; for every place the size is chosen at which the ridges of
its neighbourhood are strongest over a long stretch. Rules, and gutters of paper between columns, part cores.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pages.ink import Mask

Field = NDArray[np.float32]
Labels = NDArray[np.int32]

SIGMAS = (2.5, 3.5, 5.0, 7.0, 10.0, 14.0)  # of the blur across a line, in pixels: about half the height of a core
ALONG = 4.0  # how many times farther the blur reaches along a line
BIAS = 0.75  # the power of a size by which large writing is preferred: strokes of letters are ridges too
COHERENCE = 30  # sizes along which a ridge must persist
NEIGHBOURHOOD = 40.0  # deviation of the window in which one size of writing is chosen, in pixels / 4
PEAK_WINDOW = (25, 9)  # in pixels / 4, in which ridges are compared
LEAST_RESPONSE = 0.012
SHARE_OF_RESPONSE = 0.15  # of the strongest ridge near by
GUTTER = (60, 3.0)  # height and width in sizes of a strip of paper that parts columns
SHORT = 6.0  # a core up to so many times as long as high may be a part of letters
REACH = 2.4  # of a longer core that is up to so many core heights away
GAP = 5.0  # cores up to so many core heights apart are one line
OFFSET = 0.8  # and so many core heights higher or lower
ALIKE = 2.1  # and one so many times as high as the other
WALL = 0.8  # of the height between two cores that a rule or gutter must take to part them


@dataclass
class Core:
    """A core while lines are put together: its extent, its height, and how high it lies at both ends."""

    left: int
    right: int
    height: float
    start: float
    end: float


def gutters_of(mask: Mask, sigma: float) -> Mask:
    """Where a broad strip of paper goes down between columns: no line of text crosses it."""
    height, width = mask.shape
    small = cv2.resize(mask, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    small = cv2.dilate(small, np.ones((2, 2), np.uint8))
    strips = cv2.morphologyEx(
        1 - small, cv2.MORPH_OPEN, np.ones((round(GUTTER[0] * sigma / 2), round(GUTTER[1] * sigma / 2)), np.uint8)
    )
    return np.asarray(cv2.resize(strips, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def response_of(mask: Mask, sigma: float, size: tuple[int, int]) -> Field:
    """How much every pixel lies on a ridge of ink of one size, in another *size*; worked out on a smaller image."""
    shrink = max(1, int(sigma / 2.5))
    height, width = mask.shape
    along = max(8, round(width / shrink / ALONG))
    small = cv2.resize(mask * 255, (along, max(8, height // shrink)), interpolation=cv2.INTER_AREA)
    across = sigma / shrink
    blurred = cv2.GaussianBlur(small.astype(np.float32) / 255, (0, 0), sigmaX=across, sigmaY=across)
    curvature = cv2.filter2D(blurred, cv2.CV_32F, np.array([[1], [-2], [1]], np.float32)) * (-across * across)
    return np.asarray(cv2.resize(curvature, size, interpolation=cv2.INTER_LINEAR), np.float32)


def ridges_of(mask: Mask) -> tuple[Field, Field]:
    """For every pixel how much it lies on a ridge of ink of the size that suits its neighbourhood, and that size."""
    height, width = mask.shape
    narrow = max(8, round(width / ALONG)), height  # along lines nothing is sharper than that
    best, size = np.zeros(narrow[::-1], np.float32), np.full(narrow[::-1], SIGMAS[0], np.float32)
    energy = np.full((max(1, height // 4), max(1, width // 4)), -1, np.float32)
    for sigma in SIGMAS:
        response = response_of(mask, sigma, narrow)
        local = strength_near(response, sigma, energy.shape)
        stronger = cv2.resize((local > energy).astype(np.uint8), narrow, interpolation=cv2.INTER_NEAREST) > 0
        np.maximum(energy, local, out=energy)
        np.copyto(best, response, where=stronger)
        size[stronger] = sigma
    return (
        np.asarray(cv2.resize(best, (width, height), interpolation=cv2.INTER_LINEAR), np.float32),
        np.asarray(cv2.resize(size, (width, height), interpolation=cv2.INTER_NEAREST), np.float32),
    )


def strength_near(response: Field, sigma: float, shape: tuple[int, ...]) -> Field:
    """How strong the long ridges around every pixel are, on a map of *shape*, a quarter of the page's size."""
    small = cv2.resize(response, shape[::-1], interpolation=cv2.INTER_AREA)
    long = cv2.blur(small, (2 * round(sigma * COHERENCE / 8) + 1, 1))
    energy = np.maximum(long, 0) ** 2 * np.float32(sigma**BIAS)
    return np.asarray(cv2.GaussianBlur(energy, (0, 0), sigmaX=NEIGHBOURHOOD, sigmaY=NEIGHBOURHOOD / 2), np.float32)


def find_cores(best: Field, size: Field, barriers: Mask) -> tuple[Labels, list[Core]]:
    """The cores of lines as labels of pixels (0: none) and what is known of each; the first has label 1."""
    height, width = best.shape
    quarter = (max(1, width // 4), max(1, height // 4))
    peak = cv2.dilate(cv2.resize(best, quarter, interpolation=cv2.INTER_AREA), np.ones(PEAK_WINDOW[::-1], np.uint8))
    peak = cv2.resize(cv2.blur(peak, PEAK_WINDOW), (width, height), interpolation=cv2.INTER_LINEAR)
    core = (best > np.maximum(np.float32(LEAST_RESPONSE), peak * np.float32(SHARE_OF_RESPONSE))).astype(np.uint8)
    core &= 1 - barriers
    _, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
    return labels, [core_of(labels, number, stats[number], size) for number in range(1, len(stats))]


def core_of(labels: Labels, number: int, stats: NDArray[np.int32], size: Field) -> Core:
    """Measure one core: the middle of its pixels in its first and its last columns."""
    left, top, width, height = (int(value) for value in stats[:4])
    inside = labels[top : top + height, left : left + width] == number
    sigma = float(np.median(size[top : top + height, left : left + width][inside]))
    reach = max(4, round(4 * sigma))
    start, end = (float(np.nonzero(part)[0].mean()) + top for part in (inside[:, :reach], inside[:, -reach:]))
    return Core(left, left + width, 2 * sigma, start, end)


def absorb(labels: Labels, cores: list[Core]) -> tuple[Labels, list[Core]]:
    """Leave out cores that are parts of letters (their tops, tails, bars) above or below a much longer core."""
    left, right, height, start, end = np.array(
        [(core.left, core.right, core.height, core.start, core.end) for core in cores] or np.empty((0, 5))
    ).T
    kept = np.ones(len(cores), np.bool_)
    for number in np.argsort(right - left):
        width = right[number] - left[number]
        if width > SHORT * height[number]:
            continue
        middle = (left[number] + right[number]) / 2
        longer = (right - left > 2 * width) & (left < right[number]) & (right > left[number]) & kept
        share = ((middle - left) / np.maximum(1, right - left)).clip(0, 1)
        level = start + (end - start) * share
        away = np.abs(level - (start[number] + end[number]) / 2)
        kept[number] = not (longer & (away < REACH * np.maximum(height, height[number]))).any()
    renumbered = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
    return renumbered[labels], [core for core, keep in zip(cores, kept, strict=True) if keep]


def join(cores: list[Core], barriers: Mask) -> Labels:
    """For every label of a core the number of its line, both from 1 on; 0 stays 0."""
    parent = list(range(len(cores) + 1))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    starts = np.array([core.left for core in cores])
    levels = np.array([core.start for core in cores])
    for number, core in enumerate(cores):
        ahead = (starts > core.left) & (starts < core.right + ALIKE * GAP * core.height)
        near = ahead & (np.abs(levels - core.end) < ALIKE * core.height)
        for other in np.flatnonzero(near):
            if follows(core, cores[other], barriers):
                parent[root(int(other) + 1)] = root(number + 1)
    roots = np.array([root(number) for number in range(len(parent))])
    return np.unique(roots, return_inverse=True)[1].astype(np.int32)


def follows(core: Core, other: Core, barriers: Mask) -> bool:
    """Whether *other* goes on where *core* ends: near, as high, of like size, with no rule down between them."""
    height = max(core.height, other.height)
    if height > ALIKE * min(core.height, other.height) or other.left <= core.left:
        return False
    if abs(core.end - other.start) > OFFSET * height or other.left - core.right > GAP * height:
        return False
    top, bottom = round(min(core.end, other.start) - height / 2), round(max(core.end, other.start) + height / 2) + 1
    between = barriers[max(0, top) : bottom, max(0, min(core.right, other.left) - 4) : max(core.right, other.left) + 4]
    return not (between.size and between.mean(axis=0).max() > WALL)
