"""Finds the skew of a line of writing, turns it level and cuts close around it.

A line that slopes by ten degrees would be scaled to a third of its size, together with the empty corners around it. The
skew is found by the projection profile: along the writing's direction the ink falls into few rows (W. Postl, Detection
of linear oblique structures and skew scan in digitized documents, ICPR 1986).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from app.preprocess.ground import Grey, luminance, paper_colour, percentiles

LONGEST = 480  # pixels: writing is looked for in a copy reduced to at most this
FEWEST = 30  # ink pixels, under which nothing is cut or turned
STEEPEST = 16.0  # degrees
LEAST_SKEW = 0.75  # degrees: less is left alone
LEAST_GAIN = 1.1  # by which the profile must be sharper along the skew than along the rows
MARGIN = 0.12  # of the height of the writing, kept around it
SPECKS = 0.003  # share of the ink that may lie outside of the cut, at each side

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Writing:
    """Where ink is: columns `x` and rows `y` of a reduced copy, and how many pixels of the image one of its is wide."""

    x: Points
    y: Points
    scale: int


def level(pixels: Grey) -> Grey:
    """Step: turn writing level (up to 16 degrees) and cut close around it; an image without writing stays as it is."""
    writing = find_writing(luminance(pixels))
    if writing.x.size < FEWEST:
        return pixels
    angle = skew(writing)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    left, right = extent(writing.x * cosine + writing.y * sine, writing.scale)
    top, bottom = extent(writing.y * cosine - writing.x * sine, writing.scale)
    margin = 2 + MARGIN * (bottom - top)
    left, right, top, bottom = left - margin, right + margin, top - margin, bottom + margin
    if angle == 0:
        return pixels[max(0, int(top)) : math.ceil(bottom) + 1, max(0, int(left)) : math.ceil(right) + 1]
    origin = (left * cosine - top * sine, left * sine + top * cosine)
    turned = Image.fromarray(pixels).transform(
        (max(1, round(right - left)), max(1, round(bottom - top))),
        Image.Transform.AFFINE,
        (cosine, -sine, origin[0], sine, cosine, origin[1]),
        Image.Resampling.BILINEAR,
        fillcolor=tuple(paper_colour(pixels).tolist()),
    )
    return np.asarray(turned)


def find_writing(grey: Grey) -> Writing:
    """Find the dark strokes on a light ground, whatever shadow lies on it."""
    factor = math.ceil(max(grey.shape) / LONGEST)
    small = Image.fromarray(grey).reduce(factor)
    values = np.asarray(small).astype(np.int16)
    ground = np.asarray(small.filter(ImageFilter.BoxBlur(max(4, min(small.size) // 4)))).astype(np.int16)
    low, high = percentiles(np.asarray(small), (0.005, 0.9))
    rows, columns = np.nonzero(values < ground - max(6, (high - low) // 4))
    return Writing(columns.astype(np.float32), rows.astype(np.float32), factor)


def skew(writing: Writing) -> float:
    """The angle in degrees by which the writing falls to the right, 0 where the profile does not tell clearly."""
    coarse = np.arange(-STEEPEST, STEEPEST + 1, 2)
    near = coarse[sharpness(writing, coarse).argmax()]
    fine = np.arange(near - 1.5, near + 1.6, 0.5)
    *found, unturned = sharpness(writing, [*fine, 0.0])
    angle = float(fine[np.argmax(found)])
    return angle if max(found) >= LEAST_GAIN * unturned and abs(angle) >= LEAST_SKEW else 0.0


def sharpness(writing: Writing, angles: Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64]:
    """For each angle in degrees the sum of the squared ink counts of all rows, once the points are sheared by it.

    All angles in one go: many small steps of numpy would have threads wait for each other at every one.
    """
    slopes = np.array([math.tan(math.radians(angle)) for angle in angles], np.float32)
    rows = np.floor(writing.y - writing.x * slopes[:, None]).astype(np.int32)
    rows -= rows.min()
    width = int(rows.max()) + 1
    places = rows + width * np.arange(len(slopes), dtype=np.int32)[:, None]
    counts = np.bincount(places.ravel(), minlength=width * len(slopes)).reshape(len(slopes), width)
    return np.asarray((counts * counts).sum(axis=1))


def extent(positions: Points, scale: int) -> tuple[float, float]:
    """The first and last position of the ink but for specks, in pixels of the image."""
    ordered = np.sort(positions)
    low, high = (quantile(ordered, share) for share in (SPECKS, 1 - SPECKS))
    return low * scale, (high + 1) * scale


def quantile(ordered: Points, share: float) -> float:
    """The value of an ordered array under which a share (0..1) of it lies, between two of its values where need be.

    The same as numpy's to the last bit, which takes five times as long for so few values.
    """
    place = share * (ordered.size - 1)
    before = math.floor(place)
    low, high = ordered[before], ordered[min(before + 1, ordered.size - 1)]
    step, rest = float(high - low), place - before
    return float(low) + step * rest if rest < 0.5 else float(high) - step * (1 - rest)  # noqa: PLR2004 - the nearer one
