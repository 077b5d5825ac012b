"""What an image is written on: its paper's colour, its polarity, its contrast, and the black outside of a crop."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]

BLACK = 24  # JPEG compression lifts a black outside to about this grey value
EXACT = 2**24  # OpenCV counts in 32-bit floats, which from here on have no room for every number
MOST_OUTSIDE = 0.7  # a larger black share is the background of light writing, not the outside of a polygon


def outside_mask(grey: Grey) -> NDArray[np.bool_]:
    """Mark the black surroundings that a polygon crop leaves, with a rim of 2 px where compression blurs their edge.

    Outside is what can be reached from a side of the image in a straight line over black alone, from stretches of
    the side that are wide enough to be no letter cut in two.
    """
    dark, mask = grey <= BLACK, np.zeros(grey.shape, np.bool_)
    if not 0 < np.count_nonzero(dark) <= MOST_OUTSIDE * dark.size:
        return mask
    least = max(6, grey.shape[0] // 6)
    for turns in range(4):
        view, seen = np.rot90(dark, turns), np.rot90(mask, turns)
        if (runs := wide_runs(view[0], least)).any():
            seen[:, runs] |= np.logical_and.accumulate(view[:, runs], axis=0)
    return grow(mask, 2) if mask.any() else mask


def wide_runs(row: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Keep the true stretches of a row of flags that are at least *least* long."""
    if row.size < least:
        return np.zeros_like(row)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    kept = np.zeros_like(row)
    runs = edges.reshape(-1, 2)
    for start, end in runs[runs[:, 1] - runs[:, 0] >= least]:
        kept[start:end] = True
    return kept


def grow(mask: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """Widen a mask by *margin* pixels in every direction, first down and up, then right and left."""
    for axis in (0, 1):
        padding = [(margin, margin) if axis == along else (0, 0) for along in (0, 1)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(mask, padding), 2 * margin + 1, axis)
        mask = np.logical_or.reduce([windows[..., place] for place in range(2 * margin + 1)])
    return mask


def percentiles(values: Grey, shares: Sequence[float]) -> list[int]:
    """The grey values under which the given *shares* (0..1) of the pixels lie, by their histogram."""
    cumulated = histogram(values).cumsum()
    return [int(place) for place in cumulated.searchsorted([share * cumulated[-1] for share in shares])]


def histogram(values: Grey) -> NDArray[np.int64]:
    """How many pixels have each of the 256 grey values."""
    if not 0 < values.size < EXACT:
        return np.bincount(values.ravel(), minlength=256)
    counts = cv2.calcHist([values], [0], None, [256], [0, 256])  # in half the time of numpy's, which makes a copy
    return np.asarray(counts, np.int64).ravel()


def is_light_on_dark(grey: Grey) -> bool:
    """Say whether the writing is lighter than its ground: most pixels are ground, so the median lies near it."""
    mask = outside_mask(grey)
    values = grey[~mask] if mask.any() else grey
    low, middle, high = percentiles(values if values.size else grey, (0.01, 0.5, 0.99))
    return middle < (low + high) / 2


def paper_colour(pixels: Grey) -> Grey:
    """The median of each channel, for pixels of shape (..., channels) or grey ones: most of an image is paper."""
    channels = pixels.reshape(-1, pixels.shape[-1]).T if pixels.ndim == 3 else pixels.reshape(1, -1)  # noqa: PLR2004
    return np.array([percentiles(channel, (0.5,))[0] for channel in channels], np.uint8)


def contrast_of(image: Image.Image) -> int:
    """How far the lightest and darkest pixels (but one in 500) are apart, in grey values: near 0 for blank paper."""
    low, high = percentiles(np.asarray(image.convert("L")), (0.002, 0.998))
    return high - low


def luminance(pixels: Grey) -> Grey:
    """The grey image of shape (height, width) for grey or RGB pixels."""
    return pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))  # noqa: PLR2004
