"""Tells by its ink whether a page lies on a side, and how it is skewed, by up to 15 degrees.

Lines of text make the sums of ink along them rise and fall sharply, in one direction only. Which side is up, the map of
the page network tells.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pages.ink import Mask

Positions = NDArray[np.int64]

SIDE = 640  # pixels of the longer side on which directions are tried
MOST_DEGREES = 15.0
COARSE, FINE = 1.0, 0.2  # degrees
LYING = 1.14  # times as even must the lines of a page be that lies on its side: most that are sent stand upright
STRAIGHT = 0.4  # less skew is left as it is
SIZES = (
    1.5,
    2.2,
    3.2,
    4.5,
    6.5,
    10.0,
    15.0,
    22.0,
)  # of writing, as the deviation of the blur across lines in pixels of the small image
ALONG = 8.0  # times as far as across lines the blur reaches along them
NARROW = 4.0  # times as narrow is the image that ridges are looked for on: along lines nothing is sharp
LARGEST, SMALLEST, LEAST_INK = 260, 3, 14  # of a letter or word, in pixels


@dataclass(frozen=True)
class Direction:
    """How a page lies.

    `lies_down`: its lines run down. `skew`: by how many degrees its lines fall once it is turned counterclockwise by a
    quarter. `sigma`: half the height of its small letters, in pixels. `turned`: it then stands on its head.
    """

    lies_down: bool
    skew: float
    sigma: float
    turned: bool = False

    @property
    def orientation(self) -> int:
        """The degrees counterclockwise by which the page must be turned: 0, 90, 180 or 270."""
        return 90 * self.lies_down + 180 * self.turned


def direction_of(mask: Mask) -> Direction:
    """Find out how a page lies by its ink."""
    scale = min(1.0, SIDE / max(mask.shape))
    letters = np.asarray(resized(letters_of(mask) * 255, scale), np.uint8)
    tried = []
    for view in (letters, np.ascontiguousarray(np.rot90(letters))):
        skew = skew_of(view)
        tried.append((*evenness(turned_by(view, skew)), skew))
    lies_down = tried[1][0] > LYING * tried[0][0]
    _, sigma, skew = tried[lies_down]
    return Direction(lies_down, skew if abs(skew) >= STRAIGHT else 0.0, sigma / scale)


def letters_of(mask: Mask) -> Mask:
    """The components of ink that may be letters or words: no specks, edges, pictures."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    width, height, area = (stats[:, column] for column in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    kept = (np.maximum(width, height) < LARGEST) & (np.minimum(width, height) >= SMALLEST) & (area >= LEAST_INK)
    kept[0] = False
    return np.asarray(kept.astype(np.uint8)[labels], np.uint8)


def resized(pixels: NDArray[Any], scale: float) -> NDArray[Any]:
    """Scale an image down."""
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)) if scale < 1 else pixels


def skew_of(small: Mask) -> float:
    """The degrees by which lines that run across fall: those under which the sums of ink along them are sharpest."""
    y, x = np.nonzero(small > 60)  # noqa: PLR2004 - a quarter of a pixel is ink
    if not len(y):
        return 0.0
    weights = small[y, x].astype(np.float64)
    coarse = np.arange(-MOST_DEGREES, MOST_DEGREES + COARSE, COARSE)
    first = max(coarse, key=lambda degrees: sharpness(x, y, weights, degrees))
    fine = np.arange(first - COARSE, first + COARSE + FINE, FINE)
    return float(max(fine, key=lambda degrees: sharpness(x, y, weights, degrees)))


def sharpness(x: Positions, y: Positions, weights: NDArray[np.float64], degrees: float) -> float:
    """How sharply the sums of ink rise and fall across lines that fall by *degrees*."""
    radians = np.deg2rad(degrees)
    level = y * np.cos(radians) - x * np.sin(radians)
    sums = np.bincount((level - level.min()).astype(np.int64), weights)
    return float((np.diff(sums) ** 2).sum())


def turned_by(pixels: Mask, degrees: float, ground: int = 0) -> Mask:
    """Turn an image counterclockwise about its middle, within its frame."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), borderValue=ground), np.uint8)


def evenness(small: Mask) -> tuple[float, float]:
    """How much of the ink lies on long ridges across, and the size of writing for which that is most."""
    ink = (small / 255).astype(np.float32)
    return max((energy_of_ridges(ink, sigma), sigma) for sigma in SIZES)


def energy_of_ridges(ink: NDArray[np.float32], sigma: float) -> float:
    """The sum of the squared curvature across ridges of one size."""
    shrink = max(1, round(sigma / 2))
    size = max(1, round(ink.shape[1] / shrink / NARROW)), max(1, round(ink.shape[0] / shrink))
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    across = sigma / shrink
    blurred = cv2.GaussianBlur(small, (0, 0), sigmaX=across * ALONG / NARROW, sigmaY=across)
    curvature = cv2.filter2D(blurred, cv2.CV_32F, np.array([[1], [-2], [1]], np.float32)) * (-across * across)
    return float((np.maximum(curvature, 0) ** 2).sum()) * shrink**2
