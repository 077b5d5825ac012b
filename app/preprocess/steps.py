"""The steps of an image spec: each takes the pixels of an image, grey or RGB, and gives such pixels."""

from collections.abc import Callable

import cv2
import numpy as np

from app.preprocess.ground import Grey, is_light_on_dark, luminance, outside_mask, paper_colour, percentiles
from app.preprocess.levelling import level
from app.preprocess.light import even_light
from app.preprocess.spec import StepName
from app.preprocess.strokes import centre_mass, deskew, fill_cell, find_ink, keep_strokes

PAPER = 200  # the grey value that paper gets; lighter paper leaves no room for what is lighter still


def dark_on_light(pixels: Grey) -> Grey:
    """Step: turn light writing on dark ground over, so that the ground is light."""
    return 255 - pixels if is_light_on_dark(luminance(pixels)) else pixels


def fill_outside(pixels: Grey) -> Grey:
    """Step: paint the black outside of a polygon crop in the colour of the paper."""
    mask = outside_mask(luminance(pixels))
    if not mask.any() or mask.all():
        return pixels
    filled = pixels.copy()
    filled[mask] = paper_colour(pixels[~mask][None] if pixels.ndim == 3 else pixels[~mask])  # noqa: PLR2004
    return filled


def stretch_contrast(pixels: Grey) -> Grey:
    """Step: stretch grey values linearly so that the 1st percentile becomes 0 and the 99th 255."""
    low, high = percentiles(luminance(pixels), (0.01, 0.99))
    if high - low < 8:  # noqa: PLR2004 - a blank image would turn into amplified noise
        return pixels
    stretched = (np.arange(256, dtype=np.float32) - low) * (255 / (high - low))
    return np.asarray(cv2.LUT(pixels, stretched.clip(0, 255).astype(np.uint8)), np.uint8)


def set_paper(pixels: Grey) -> Grey:
    """Step: shift all grey values so that their median, which on a page is its paper, is 200."""
    (median,) = percentiles(luminance(pixels), (0.5,))
    return (pixels.astype(np.int16) + (PAPER - median)).clip(0, 255).astype(np.uint8)


STEPS: dict[StepName, Callable[[Grey], Grey]] = {
    "dark_on_light": dark_on_light,
    "fill_outside": fill_outside,
    "level": level,
    "stretch_contrast": stretch_contrast,
    "even_light": even_light,
    "set_paper": set_paper,
    "find_ink": find_ink,
    "keep_strokes": keep_strokes,
    "deskew": deskew,
    "centre_mass": centre_mass,
    "fill_cell": fill_cell,
}
