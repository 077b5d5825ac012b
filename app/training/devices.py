"""What scanners and cameras do to grey pixels: resolution, two levels only, light, motion, noise, compression.

`bilevel` and `shaken` are for lines and pages alike, the others for lines. Everything is drawn from a generator.
"""

from collections.abc import Callable
from math import ceil, cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Generator = np.random.Generator

FINER = (0.6, 2.0)  # how many pixels a scanner takes for one
INK = (0.2, 0.55)  # of the depth of the darkest ink below the paper is black
OUTSIDE = 8  # grey values: darker is outside of what was cut out, not ink
LEAST_DEPTH = 12.0  # grey values: less is no ink
BY_SURROUNDINGS, SPECKLED = 0.5, 0.4  # of the scans
SPECKS = 0.002  # of all pixels, at most


def lose_resolution(grey: Grey, random: Generator) -> Grey:
    """Scale down to some height between two fifths and all of its own, at least 20 px, and sometimes up again."""
    height, width = grey.shape
    least = max(20, 2 * height // 5)
    if height <= least:
        return grey
    low = int(random.integers(least, height))
    small = resize(grey, low, max(1, round(width * low / height)))
    return resize(small, height, width) if random.random() < 0.5 else small


def bilevel(grey: Grey, random: Generator, reach: int) -> Grey:
    """Black and white, as a fax or a scanner for text sends it, now and then with specks; of the same size.

    What is paper is told by all the pixels, or by those up to *reach* pixels around.
    """
    height, width = grey.shape[:2]
    factor = random.uniform(*FINER)
    size = max(1, round(factor * width)), max(1, round(factor * height))
    scanned = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    inside = scanned[scanned > OUTSIDE]
    if not inside.size:
        return grey
    paper = np.full(scanned.shape, np.percentile(inside, 80), np.float32)
    if random.random() < BY_SURROUNDINGS:
        paper = cv2.blur(scanned, (2 * round(factor * reach) + 1,) * 2).astype(np.float32)
    depth = paper - scanned
    darkest = float(np.percentile(depth[scanned > OUTSIDE], 98))
    black = depth > max(LEAST_DEPTH, darkest * random.uniform(*INK))
    if random.random() < SPECKLED:
        black ^= random.random(black.shape) < random.uniform(0, SPECKS)
    two = np.where(black, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(two, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def shade(grey: Grey, random: Generator) -> Grey:
    """Light that falls off over the image, as on a photograph."""
    height, width = grey.shape
    left, right = random.uniform(0.55, 1.0, 2)
    top, bottom = random.uniform(0.8, 1.0, 2)
    across = np.linspace(left, right, width).astype(np.float32)
    down = np.linspace(top, bottom, height).astype(np.float32)
    return np.asarray(grey * across * down[:, None]).astype(np.uint8)


def shaken(grey: Grey, random: Generator, most: float) -> Grey:
    """Moved on a straight way of up to *most* pixels while it was taken."""
    length, angle = random.uniform(0, max(1.0, most)), random.uniform(0, pi)
    middle = ceil(length / 2)
    kernel = np.zeros((2 * middle + 1,) * 2, np.float32)
    for step in np.linspace(-length / 2, length / 2, 8 * middle + 1):
        kernel[middle + round(step * sin(angle)), middle + round(step * cos(angle))] += 1
    return np.asarray(cv2.filter2D(grey, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), grey.dtype)


def blur(grey: Grey, random: Generator) -> Grey:
    """Gaussian blur, up to a fortieth of the height."""
    sigma = random.uniform(0.3, max(0.5, grey.shape[0] / 45))
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.uint8)


def add_noise(grey: Grey, random: Generator) -> Grey:
    """Grain of the sensor or of the paper, up to a tenth of the contrast."""
    contrast = np.subtract(*np.percentile(grey, (99, 1)))
    grain = random.normal(0, contrast * random.uniform(0.01, 0.1), grey.shape)
    if random.random() < 0.3:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), 1.0) * 2.5, np.float64)
    return (grey + grain).clip(0, 255).astype(np.uint8)


def change_contrast(grey: Grey, random: Generator) -> Grey:
    """Gamma, and a narrower range of grey values somewhere between black and white."""
    gamma = float(np.exp(random.normal(0, 0.35)))
    low = random.uniform(0, 0.4)
    high = random.uniform(low + 0.3, 1.0)
    table = (np.linspace(0, 1, 256) ** gamma * (high - low) + low) * 255
    return table.astype(np.uint8)[grey]


def compress(grey: Grey, random: Generator) -> Grey:
    """JPEG at a quality between 25 and 90."""
    _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 91))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def resize(grey: Grey, height: int, width: int) -> Grey:
    """Scale by area averaging or bilinear."""
    method = cv2.INTER_AREA if height < grey.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (width, height), interpolation=method), np.uint8)


def degrade(grey: Grey, random: Generator) -> Grey:
    """What a device does to a line: each of `ALTERATIONS` in its share of the lines, in their order."""
    for alter, share in ALTERATIONS:
        if random.random() < share:
            grey = alter(grey, random)
    return grey


def scan(grey: Grey, random: Generator) -> Grey:
    """Two levels only; what is paper is told by a line's height around."""
    return bilevel(grey, random, reach=grey.shape[0])


def shake(grey: Grey, random: Generator) -> Grey:
    """Moved by up to a third of the height."""
    return shaken(grey, random, grey.shape[0] / 3)


def invert(grey: Grey, _random: Generator) -> Grey:
    """Light on dark."""
    return np.asarray(255 - grey, np.uint8)


ALTERATIONS: tuple[tuple[Callable[[Grey, Generator], Grey], float], ...] = (
    (lose_resolution, 0.5),
    (scan, 0.06),
    (shade, 0.3),
    (shake, 0.08),
    (blur, 0.2),
    (add_noise, 0.3),
    (change_contrast, 0.4),
    (invert, 0.15),
    (compress, 0.5),
)
