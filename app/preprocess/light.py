"""Evens out the light on a page: the brightness of its paper around every pixel, and what is darker than that.

Works on grey images of shape (height, width), uint8, 0 is black.
"""

import cv2
import numpy as np

from app.preprocess.ground import Grey, luminance

SHRINK = 4  # the paper's brightness changes slowly, so it is estimated on an image so many times smaller
PAPER_WINDOW = 21  # in shrunk pixels: wider than any stroke, narrower than most shadows


def even_light(pixels: Grey) -> Grey:
    """Step: bring the paper to white all over a page, whatever light and shadow lie on it and whatever it lies on."""
    grey = luminance(pixels)
    paper = np.maximum(scaled(paper_of(grey), grey), 1)
    return np.asarray(cv2.divide(pixels, paper if pixels.ndim == 2 else np.dstack([paper] * 3), scale=255), np.uint8)  # noqa: PLR2004


def paper_of(grey: Grey) -> Grey:
    """The brightness of the paper around every pixel, at a quarter of the size: writing is closed over."""
    height, width = grey.shape
    small = cv2.resize(grey, (max(1, width // SHRINK), max(1, height // SHRINK)), interpolation=cv2.INTER_AREA)
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((PAPER_WINDOW, PAPER_WINDOW), np.uint8))
    return np.asarray(cv2.blur(closed, (PAPER_WINDOW, PAPER_WINDOW)), np.uint8)


def darkness_of(grey: Grey, paper: Grey) -> Grey:
    """How much darker than the paper around it every pixel is, in grey values of white paper."""
    return np.asarray(255 - cv2.divide(grey, np.maximum(scaled(paper, grey), 1), scale=255), np.uint8)


def scaled(small: Grey, like: Grey) -> Grey:
    """Scale a map to the size of another image."""
    return np.asarray(cv2.resize(small, like.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
