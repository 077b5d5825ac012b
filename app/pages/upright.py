"""Brings a page to working size and upright, and points on it back into the pixels of the upload."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.pages.ink import Grey, ink_of, without_faint_rules
from app.pages.orientation import Direction, direction_of, is_upside_down
from app.pages.segment import Found, find_lines
from app.tasks import Locate

SIDE = 1600  # pixels of the longer side on which a page is read
LARGEST_WRITING = 12.0  # pages are shrunk further when their writing is larger; half the height of small letters
SMALLEST_WRITING = 4.5  # and enlarged when it is smaller, at most so many times, to so many pixels of the longer side:
MOST_ENLARGED, LARGEST_SIDE = 2.0, 2400
USUAL_WRITING = 6.0
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Upright:
    """A page put right: its pixels (RGB), the lines on it, and the matrix that leads back to the upload's pixels.

    `orientation` is the quarter turns, in degrees counterclockwise, that put it right; `skew` what was left of it.
    """

    pixels: NDArray[np.uint8]
    found: Found
    back: Matrix
    orientation: int
    skew: float


def put_right(image: Image.Image, locate: Locate) -> Upright:
    """Find out how a page lies, turn it, and find its lines; *image* is RGB of any size."""
    scale = min(1.0, SIDE / max(image.size))
    pixels = scaled(np.asarray(image), scale)
    ink = ink_of(grey_of(pixels))
    direction = direction_of(ink.mask)
    factor = suiting(direction.sigma, max(pixels.shape))
    if factor != 1:
        scale *= factor
        pixels = scaled(np.asarray(image), scale)
        ink = ink_of(grey_of(pixels))
    forth = turning(direction, pixels.shape[1], pixels.shape[0])
    if direction.lies_down or direction.skew:
        pixels = warped(pixels, forth)
        ink = ink_of(grey_of(pixels))
    found = find_lines(without_faint_rules(ink), locate(grey_of(pixels)))
    if is_upside_down(found):
        height, width = pixels.shape[:2]
        forth = np.array([[-1, 0, width], [0, -1, height], [0, 0, 1.0]]) @ forth
        pixels = np.ascontiguousarray(pixels[::-1, ::-1])
        found = found.upside_down()
        direction = Direction(direction.lies_down, direction.skew, direction.sigma, turned=True)
    back = np.diag([1 / scale, 1 / scale, 1.0]) @ np.linalg.inv(forth)
    return Upright(pixels, found, back, direction.orientation, direction.skew)


def suiting(sigma: float, side: int) -> float:
    """By what a page must be scaled so that its writing is neither too small nor too large; 1 for none."""
    if sigma > LARGEST_WRITING:
        return USUAL_WRITING / sigma
    if 0 < sigma < SMALLEST_WRITING:
        return max(1.0, min(USUAL_WRITING / sigma, MOST_ENLARGED, LARGEST_SIDE / side))
    return 1.0


def scaled(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Scale an image."""
    if scale == 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)


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
    size = (round(corners[0].max()), round(corners[1].max()))
    return np.asarray(
        cv2.warpAffine(pixels, forth[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
