"""From an image to the array that a network takes: the steps of the spec, scaling, normalisation."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.preprocess.ground import Grey, paper_colour
from app.preprocess.spec import ImageSpec
from app.preprocess.steps import STEPS

Pixels = NDArray[np.float32]


def to_array(image: Image.Image, spec: ImageSpec) -> Pixels:
    """Turn one image into network input of shape (channels, height, width), float32, by the steps of *spec*.

    Raises NothingDrawnError where a step looks for ink and there is none.
    """
    *_, (_, pixels) = trace(image, spec)
    planes = np.atleast_3d(pixels).astype(np.float32) / np.float32(255)
    mean: Pixels = np.array(spec.mean, np.float32)
    std: Pixels = np.array(spec.std, np.float32)
    return np.ascontiguousarray(((planes - mean) / std).transpose(2, 0, 1))


def trace(image: Image.Image, spec: ImageSpec) -> Iterator[tuple[str, Grey]]:
    """Yield the name and the pixels of everything an image becomes on its way: as it came, each step, the fit."""
    pixels = np.asarray(image.convert("L") if spec.channels == 1 else image.convert("RGB"))
    yield "image", pixels
    for step in spec.steps:
        pixels = STEPS[step](pixels)
        yield step, pixels
    yield spec.fit, FITS[spec.fit](pixels, spec)


def to_batch(images: Sequence[Image.Image], spec: ImageSpec) -> Pixels:
    """Stack images to a batch of shape (n, channels, height, width); the spec must fix the width."""
    return np.stack([to_array(image, spec) for image in images])


def scale_to(pixels: Grey, height: int, width: int) -> Grey:
    """Scale to exactly (height, width), bilinear with antialiasing."""
    resized = Image.fromarray(pixels).resize((max(1, width), max(1, height)), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def fit_stretch(pixels: Grey, spec: ImageSpec) -> Grey:
    """Fit: scale to the size of the spec, whatever the proportions."""
    return scale_to(pixels, spec.height, spec.width or pixels.shape[1])


def fit_height(pixels: Grey, spec: ImageSpec) -> Grey:
    """Fit: scale to the height of the spec and keep the proportions."""
    return scale_to(pixels, spec.height, round(pixels.shape[1] * spec.height / pixels.shape[0]))


def fit_pad(pixels: Grey, spec: ImageSpec) -> Grey:
    """Fit: scale into the size of the spec, proportions kept, left and vertically centred, the rest paper."""
    width = spec.width or pixels.shape[1]
    scale = min(spec.height / pixels.shape[0], width / pixels.shape[1])
    inner = scale_to(pixels, max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale)))
    canvas = np.empty((spec.height, width, *pixels.shape[2:]), np.uint8)
    canvas[...] = paper_colour(pixels)
    top = (spec.height - inner.shape[0]) // 2
    canvas[top : top + inner.shape[0], : inner.shape[1]] = inner
    return canvas


FITS: dict[str, Callable[[Grey, ImageSpec], Grey]] = {"stretch": fit_stretch, "height": fit_height, "pad": fit_pad}
