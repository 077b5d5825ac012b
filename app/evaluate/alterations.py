"""Altered copies of an image that must not change the answer: what scanners, cameras and scissors do to a line."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from PIL import Image, ImageOps

from app.evaluate.report import Case
from app.preprocess import fill_outside, luminance, outside_mask, paper_colour

Alteration = Callable[[Image.Image], Image.Image]


def grey(image: Image.Image) -> Image.Image:
    """Without colour."""
    return image.convert("L").convert("RGB")


def inverted(image: Image.Image) -> Image.Image:
    """Light on dark."""
    return ImageOps.invert(image)


def rotated(image: Image.Image, degrees: float) -> Image.Image:
    """Turned on a ground of the paper's colour, and grown so that nothing is lost."""
    pixels = np.asarray(image)
    inside = pixels[~outside_mask(luminance(pixels))]
    paper = paper_colour(inside[None] if inside.size else pixels)
    return image.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=tuple(map(int, paper)))


def half_size(image: Image.Image) -> Image.Image:
    """Half the resolution."""
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)


def jpeg_30(image: Image.Image) -> Image.Image:
    """Compressed as JPEG at quality 30."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


def black_and_white(image: Image.Image) -> Image.Image:
    """As a fax or a scanner for text sends it: two levels, parted as Otsu did; what is outside of a cutting stays."""
    light = luminance(np.asarray(image))
    outside = outside_mask(light)
    inside = light if outside.all() else light[~outside]
    level, _ = cv2.threshold(inside.reshape(1, -1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return Image.fromarray(np.where((light > level) & ~outside, 255, 0).astype(np.uint8)).convert("RGB")


def shaken(image: Image.Image, length: int | None = None) -> Image.Image:
    """Moved aslant by *length* pixels while it was taken, by default a twelfth of the height."""
    kernel = np.eye(max(2, round(image.height / 12)) if length is None else length, dtype=np.float32)
    return Image.fromarray(cv2.filter2D(np.asarray(image), -1, kernel / len(kernel), borderType=cv2.BORDER_REPLICATE))


def rectangle(image: Image.Image) -> Image.Image:
    """A rectangle of grainy paper in place of the black outside of a polygon crop."""
    pixels = np.asarray(image)
    mask = outside_mask(luminance(pixels))
    grain = np.random.default_rng(pixels.size).normal(0, 4, pixels.shape)
    filled = np.where(mask[..., None], fill_outside(pixels) + grain, pixels)
    return Image.fromarray(filled.clip(0, 255).astype(np.uint8))


ALTERATIONS: dict[str, Alteration] = {
    "grey": grey,
    "inverted": inverted,
    "rotated_3_left": partial(rotated, degrees=3),
    "rotated_3_right": partial(rotated, degrees=-3),
    "rotated_10_left": partial(rotated, degrees=10),
    "rotated_10_right": partial(rotated, degrees=-10),
    "half_size": half_size,
    "jpeg_30": jpeg_30,
    "black_and_white": black_and_white,
    "shaken": shaken,
    "rectangle": rectangle,
}


def altered(cases: Sequence[Case], name: str) -> list[Case]:
    """The same cases, each read through the alteration *name*."""
    return [replace(case, read=partial(read_altered, case, ALTERATIONS[name])) for case in cases]


def read_altered(case: Case, alteration: Alteration) -> Image.Image:
    """Read a case's image and alter it."""
    return alteration(case.read())
