"""Looks at an upload with the page network: at some sizes, in some directions, each only once.

Owns how a page is turned and scaled; which look is the right one is decided in `upright`.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pages.cores import Field, find_cores
from app.pages.ink import Grey
from app.pages.orientation import Direction
from app.tasks import Locate

SIDE = 1600  # pixels of the longer side on which a page is read
EVEN = 0.5  # probability
MIDDLE = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # from corners of pixels to their middles
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A page turned as *direction* says: its pixels (RGB), the matrix that led there from the upload's, its map.

    It is *factor* times as large as the working size. `located` is what the page network has of it: a plane for each
    label, `places`, and one for text that stands on its head.
    """

    factor: float
    direction: Direction
    pixels: NDArray[np.uint8]
    forth: Matrix
    located: Field

    @property
    def places(self) -> Field:
        """The map of every label."""
        return self.located[:-1]

    @property
    def upside_down(self) -> float:
        """The share of the text on the map that stands on its head."""
        text = self.places.max(axis=0) > EVEN
        return float(self.located[-1][text].mean()) if text.any() else 0.0

    @cached_property
    def letters(self) -> float:
        """About how many letters the map shows: the length of its lines, each in heights of its small letters.

        A column of short lines that lies on its side is seen as one long line of large letters: few.
        """
        _, cores = find_cores(np.asarray(self.places.max(axis=0), np.float32), self.places)
        return sum((core.right - core.left) / core.height for core in cores)


class Looks:
    """An upload as it was looked at: at some factors of its working size and in some directions, each only once."""

    def __init__(self, whole: NDArray[np.uint8], locate: Locate, *, negative: bool = False) -> None:
        """Look at nothing yet; *whole* is the upload, of shape (height, width, 3), wanted as it is or negative."""
        self.whole, self.locate, self.negative = whole, locate, negative
        self._scale = min(1.0, SIDE / max(whole.shape))
        self._pixels: dict[float, NDArray[np.uint8]] = {}
        self._views: dict[tuple[float, Direction], View] = {}

    def pixels(self, factor: float = 1.0) -> NDArray[np.uint8]:
        """The upload at *factor* times its working size, as it lies."""
        if factor not in self._pixels:
            pixels = scaled(self.whole, self._scale * factor)
            self._pixels[factor] = negative_of(pixels) if self.negative else pixels
        return self._pixels[factor]

    def at(self, factor: float, direction: Direction) -> View:
        """The upload turned as *direction* says, with its map."""
        if (factor, direction) not in self._views:
            self._views[factor, direction] = self._look(factor, direction)
        return self._views[factor, direction]

    def _look(self, factor: float, direction: Direction) -> View:
        pixels = self.pixels(factor)
        forth = turning(direction, pixels.shape[1], pixels.shape[0])
        turned = warped(pixels, forth) if direction.lies_down or direction.skew else pixels
        scale = self._scale * factor
        return View(factor, direction, turned, forth @ np.diag([scale, scale, 1.0]), self.locate(grey_of(turned)))


def scaled(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Scale an image."""
    if scale == 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)


def negative_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The negative of an image."""
    return np.asarray(cv2.bitwise_not(pixels), np.uint8)


def grey_of(pixels: NDArray[np.uint8]) -> Grey:
    """The grey image of an RGB one."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def turning(direction: Direction, width: int, height: int) -> Matrix:
    """The matrix from a page that lies in some direction to the upright one, whose corner is at 0, 0."""
    quarter = np.array([[0, 1, 0], [-1, 0, width], [0, 0, 1.0]]) if direction.lies_down else np.eye(3)
    if direction.lies_down:
        width, height = height, width
    if not direction.skew:
        return np.asarray(quarter)
    about = cv2.getRotationMatrix2D((width / 2, height / 2), direction.skew, 1.0)
    cosine, sine = abs(about[0, 0]), abs(about[0, 1])
    about[0, 2] += (height * sine + width * cosine - width) / 2
    about[1, 2] += (height * cosine + width * sine - height) / 2
    return np.asarray(np.vstack([about, [0, 0, 1]]) @ quarter)


def warped(pixels: NDArray[np.uint8], forth: Matrix) -> NDArray[np.uint8]:
    """An image after *forth*, with the brightest common colour of the paper around it."""
    height, width = pixels.shape[:2]
    corners = forth @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    return drawn(pixels, forth, (round(corners[0].max()), round(corners[1].max())))


def drawn(pixels: NDArray[np.uint8], forth: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image of (width, height) after *forth*, which moves corners of pixels; OpenCV's matrices move middles."""
    middles = MIDDLE @ forth @ np.linalg.inv(MIDDLE)
    return np.asarray(cv2.warpAffine(pixels, middles[:2], size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
