"""Finds what is drawn on an image, for single characters and digits: light strokes on black, whatever was sent.

Owns the steps from a photograph, a scan or a drawing to the form of MNIST (Y. LeCun and others, Gradient-based learning
applied to document recognition, 1998): ink on black, its longer side 5/7 of the field, its mass in the centre. A step
takes the pixels of an image and gives a grey one of shape (height, width).
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import NothingDrawnError
from app.preprocess.ground import Grey, luminance, percentiles

LONGEST = 280  # pixels: strokes are looked for in a copy reduced to about this
COARSE = 56  # pixels: the fall of light is measured on a grid of about so many
LITTLE = 1e-4  # keeps the plane through a single row or column defined
LEAST_CONTRAST = 20  # grey values between paper and ink
LEAST_CLEARNESS = 10.0  # the same, in standard deviations of the grain of the paper
SURE_CONTRAST = 80  # no grain has it
FAINT = 32  # ink of at most this is the blurred rim of a stroke, and does not count for its size
HALF = 128  # ink of at least this counts as stroke
SPECK = 0.03  # share of the largest stroke's area under which another is dirt
STEEPEST = 10.0  # degrees of slant that are taken back
SLENDER = 2.0  # how much taller than wide (by moments) ink must be, for its slant to be trusted
CONTENT = 5 / 7  # of the field's side: 20 of 28 pixels in MNIST
MARK, FILLED = 0.3, 0.75  # of a cell's side: less is a mark, such as a comma; what a letter takes


def find_ink(pixels: Grey, longest: int = LONGEST) -> Grey:
    """Step: ink from 0 (paper) to 255, by Otsu's threshold above the paper's local brightness, whatever the polarity.

    The image is reduced to about *longest* pixels first. Raises NothingDrawnError for an image without anything that
    stands out from its ground.
    """
    grey = luminance(pixels)
    grey = np.asarray(Image.fromarray(grey).reduce(max(1, math.ceil(max(grey.shape) / longest))))
    depth = depth_of(255 - grey if ground_is_dark(grey) else grey)
    mask = cv2.threshold(depth, 0, 1, cv2.THRESH_OTSU)[1].astype(np.bool_)
    if not mask.any() or mask.all():
        refuse(int(np.ptp(grey)))
    below, paper = percentiles(depth[~mask], (0.16, 0.5))
    grain = paper - below  # the standard deviation where grain is distributed normally; strokes' edges lie above
    if (highest := int(depth.max()) - paper) < max(LEAST_CONTRAST, min(SURE_CONTRAST, LEAST_CLEARNESS * grain)):
        refuse(highest)
    foot, ink = paper + 2 * grain, percentiles(depth[mask], (0.75,))[0]
    scaled = (np.arange(256) - foot) * (255 / max(1, ink - foot))
    return scaled.clip(0, 255).astype(np.uint8)[depth]


def refuse(contrast: int) -> None:
    """Raise NothingDrawnError."""
    message = f"nothing drawn: the image's contrast is {contrast} grey values; send one with ink on it"
    raise NothingDrawnError(message)


def ground_is_dark(grey: Grey) -> bool:
    """Say whether the writing is light on dark: whether most of the image's rim is on the dark side."""
    threshold = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)[0]
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return 2 * int((rim <= threshold).sum()) > rim.size


def depth_of(grey: Grey) -> Grey:
    """How much darker each pixel is than the paper around it, where no stroke is wider than half of the image."""
    level = grey - light_of(grey)
    side = max(grey.shape) // 2 | 1
    paper = cv2.morphologyEx(level, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(paper - level).clip(0, 255).astype(np.uint8)


def light_of(grey: Grey) -> NDArray[np.float32]:
    """The light that falls on the paper, as a plane through the pixels that are no ink, of the shape of *grey*."""
    step = max(1, max(grey.shape) // COARSE)
    coarse = grey[::step, ::step]
    places, values = places_of(*coarse.shape), coarse.astype(np.float32).ravel()
    plane = fit_plane(places, values)
    for _ in range(2):
        rest = values - places @ plane
        paper = rest >= -rest.std()
        plane = fit_plane(places[paper], values[paper])
    down, right = (np.arange(length, dtype=np.float32) / (step * COARSE) for length in grey.shape)
    return np.asarray(plane[0] + plane[1] * down[:, None] + plane[2] * right, np.float32)


@lru_cache(maxsize=8)  # most callers send one size
def places_of(height: int, width: int) -> NDArray[np.float32]:
    """For every pixel of a coarse image 1, its row and its column, these in units of COARSE, of shape (n, 3)."""
    down, right = np.mgrid[0:height, 0:width].reshape(2, -1).astype(np.float32) / COARSE
    return np.stack([np.ones_like(down), down, right], 1)


def fit_plane(places: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The plane (height, slope down, slope right) of least squares through *values* at *places* of shape (n, 3)."""
    gram = places.T @ places + LITTLE * np.eye(3, dtype=np.float32)
    return np.asarray(np.linalg.solve(gram, places.T @ values), np.float32)


def keep_strokes(ink: Grey) -> Grey:
    """Step: keep the strokes that belong together; take out specks, and what reaches in from the sides.

    What touches a side goes only where the largest stroke touches none: else the image is cut close.
    """
    count, areas, boxes = components(ink)
    if count == 1:
        return ink
    sizes = boxes[1:, cv2.CC_STAT_AREA]
    largest = int(sizes.argmax()) + 1
    touching = touches_side(boxes, ink.shape)
    kept = np.zeros(count, np.uint8)
    for number in range(1, count):
        kept[number] = sizes[number - 1] >= SPECK * sizes.max() and (touching[largest] or not touching[number])
    mask = cv2.dilate(kept[areas], np.ones((5, 5), np.uint8))
    return np.where(mask > 0, ink, 0).astype(np.uint8)


def components(ink: Grey) -> tuple[int, NDArray[np.int32], NDArray[np.int32]]:
    """The number of connected strokes (0 is the ground), the number of each pixel's, and OpenCV's table of boxes."""
    strokes = (ink >= HALF).astype(np.uint8)
    count, areas, boxes, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    return count, np.asarray(areas, np.int32), np.asarray(boxes, np.int32)


def touches_side(boxes: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Flag the boxes that touch a side of the image."""
    left, top, width, height = boxes[:, :4].T
    return np.asarray((left == 0) | (top == 0) | (left + width >= shape[1]) | (top + height >= shape[0]))


def deskew(ink: Grey) -> Grey:
    """Step: take back the slant of upright strokes by their moments, at most 10 degrees, and only of slender ink."""
    moments = cv2.moments(ink)
    if moments["mu02"] <= SLENDER * moments["mu20"]:
        return ink
    limit = math.tan(math.radians(STEEPEST))
    slant = max(-limit, min(limit, moments["mu11"] / moments["mu02"]))
    margin = math.ceil(abs(slant) * ink.shape[0])  # so that nothing is sheared out of the image
    middle = moments["m01"] / moments["m00"]
    matrix = np.array([[1, slant, -margin - slant * middle], [0, 1, 0]])
    size = (ink.shape[1] + 2 * margin, ink.shape[0])
    return np.asarray(cv2.warpAffine(ink, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.uint8)


def centre_mass(ink: Grey) -> Grey:
    """Step: a square field around the ink, whose longer side is 5/7 of it, and whose mass is in its centre."""
    clear = ink > FAINT
    rows, columns = np.flatnonzero(clear.any(axis=1)), np.flatnonzero(clear.any(axis=0))
    if not rows.size:
        return ink
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(8, round(max(cut.shape) / CONTENT))
    moments = cv2.moments(cut)
    places = (moments["m01"] / moments["m00"], moments["m10"] / moments["m00"])
    top, left = (
        max(0, min(side - length, round((side - 1) / 2 - place)))
        for place, length in zip(places, cut.shape, strict=True)
    )
    field = np.zeros((side, side), np.uint8)
    field[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return field


def fill_cell(ink: Grey) -> Grey:
    """Step: cut a sign out, in the middle of a square of which its longer side takes 3/4; only marks stay as they are.

    A mark is smaller than 3/10 of the image. What tells one from another is its size and its place, so the image is
    only padded to a square around it.
    """
    clear = ink > FAINT
    rows, columns = np.flatnonzero(clear.any(axis=1)), np.flatnonzero(clear.any(axis=0))
    side = max(ink.shape)
    if rows.size and (longest := max(np.ptp(rows), np.ptp(columns)) + 1) >= MARK * side:
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        side = max(8, round(longest / FILLED))
    above, before = ((side - length) // 2 for length in ink.shape)
    return np.pad(ink, ((above, side - ink.shape[0] - above), (before, side - ink.shape[1] - before)))
