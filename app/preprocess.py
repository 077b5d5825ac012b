"""The one way from image bytes to network input; training, evaluation, the gate and the service all go through here.

Owns the image spec (the transforms that travel in a bundle) and what its steps do. Knows nothing of tasks or models.
"""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.errors import ImageTooLargeError, UnreadableImageError

Grey = NDArray[np.uint8]
Pixels = NDArray[np.float32]
StepName = Literal["dark_on_light", "fill_outside", "stretch_contrast"]

BLACK = 24  # JPEG compression lifts a black outside to about this grey value
MOST_OUTSIDE = 0.7  # a larger black share is the background of light writing, not the outside of a polygon
DEFAULT_MAX_PIXELS = 50_000_000

# Pillow reads more, but some of those formats start other programs or are no pictures of pages.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "PPM")
REMEDY = "send a whole PNG, JPEG, TIFF, WebP, BMP, GIF, JPEG 2000 or PNM image"
# What Pillow's decoders are known to raise on damaged files.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error)


class ImageSpec(BaseModel):
    """How an image becomes network input; the same value in `Task` and in `model.json`.

    `height` and `width` are in pixels; `width` is None only for `fit="height"`. `fit`: *pad* keeps the proportions and
    fills the rest with paper, *stretch* ignores them, *height* scales to the height and keeps the width free. `mean`
    and `std` (one value a channel, of pixels in 0..1) normalise. `steps` run on the grey image before it is scaled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Annotated[int, Field(ge=8, le=4096)]
    width: Annotated[int, Field(ge=8, le=8192)] | None
    fit: Literal["pad", "stretch", "height"] = "pad"
    channels: Literal[1, 3] = 1
    mean: tuple[float, ...] = (0.449,)
    std: tuple[float, ...] = (0.226,)
    steps: tuple[StepName, ...] = ()

    @model_validator(mode="after")
    def check_numbers(self) -> Self:
        """One mean and one positive deviation, or one a channel; a width, unless only the height is fitted."""
        if not {len(self.mean), len(self.std)} <= {1, self.channels} or min(self.std) <= 0:
            message = f"mean {self.mean} and std {self.std} must have 1 or {self.channels} values, std above 0"
            raise ValueError(message)
        if self.width is None and self.fit != "height":
            message = f"fit={self.fit!r} needs a width"
            raise ValueError(message)
        return self


def read_image(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Decode an upload: any mode Pillow reads, turned upright by EXIF, transparency on white, as RGB.

    Raises UnreadableImageError for bytes that are no whole image and ImageTooLargeError above *max_pixels*.
    """
    if not data:
        message = f"the file is empty (0 bytes); {REMEDY}"
        raise UnreadableImageError(message)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            refuse_too_large(image.size, max_pixels)
            image.load()
            return flatten(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"the image is too large ({error}); the limit is {max_pixels} pixels"
        raise ImageTooLargeError(message) from error
    except UnidentifiedImageError as error:  # its own text is an address in memory
        message = f"{len(data)} bytes are not an image of a known format; {REMEDY}"
        raise UnreadableImageError(message) from error
    except DECODING_ERRORS as error:
        message = f"{len(data)} bytes are not a whole image ({error}); {REMEDY}"
        raise UnreadableImageError(message) from error


def refuse_too_large(size: tuple[int, int], max_pixels: int) -> None:
    """Raise ImageTooLargeError when width x height is over *max_pixels*; called before any pixel is decoded."""
    width, height = size
    if width * height > max_pixels:
        message = f"the image has {width} x {height} = {width * height} pixels, over the limit of {max_pixels}"
        raise ImageTooLargeError(message)


def flatten(image: Image.Image) -> Image.Image:
    """Bring any mode (1-bit, 16-bit, palette, alpha, CMYK) to RGB: 16 bits are scaled, transparency becomes white."""
    if image.mode.startswith("I") or image.mode == "F":
        with np.errstate(invalid="ignore"):  # not-a-number in a float TIFF is as good as black
            values = np.array(image, dtype=np.float64)
        values[np.isnan(values)] = 0
        peak = 65535.0 if values.max(initial=0) > 255 else 255.0  # noqa: PLR2004 - the two integer depths in use
        return Image.fromarray((values.clip(0, peak) / peak * 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def to_array(image: Image.Image, spec: ImageSpec) -> Pixels:
    """Turn one image into network input of shape (channels, height, width), float32, by the steps of *spec*."""
    pixels = np.asarray(image.convert("L") if spec.channels == 1 else image.convert("RGB"))
    for step in spec.steps:
        pixels = STEPS[step](pixels)
    pixels = FITS[spec.fit](pixels, spec)
    planes = np.atleast_3d(pixels).astype(np.float32) / np.float32(255)
    mean: Pixels = np.array(spec.mean, np.float32)
    std: Pixels = np.array(spec.std, np.float32)
    return np.ascontiguousarray(((planes - mean) / std).transpose(2, 0, 1))


def to_batch(images: Sequence[Image.Image], spec: ImageSpec) -> Pixels:
    """Stack images to a batch of shape (n, channels, height, width); the spec must fix the width."""
    return np.stack([to_array(image, spec) for image in images])


def outside_mask(grey: Grey) -> NDArray[np.bool_]:
    """Mark the black surroundings that a polygon crop leaves, with a rim of 2 px where compression blurs their edge.

    Outside is what can be reached from a side of the image in a straight line over black alone, from stretches of
    the side that are wide enough to be no letter cut in two.
    """
    dark = grey <= BLACK
    if not dark.any() or dark.mean() > MOST_OUTSIDE:
        return np.zeros(grey.shape, np.bool_)
    least = max(6, grey.shape[0] // 6)
    mask = np.zeros(grey.shape, np.bool_)
    for turns in range(4):
        view, seen = np.rot90(dark, turns), np.rot90(mask, turns)
        seen |= np.logical_and.accumulate(view, axis=0) & wide_runs(view[0], least)
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
    """Widen a mask by *margin* pixels in every direction."""
    picture = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * margin + 1))
    return np.asarray(picture).astype(np.bool_)


def percentiles(values: Grey, shares: Sequence[float]) -> list[int]:
    """The grey values under which the given *shares* (0..1) of the pixels lie, by their histogram."""
    cumulated = np.bincount(values.ravel(), minlength=256).cumsum()
    return [int(np.searchsorted(cumulated, share * cumulated[-1])) for share in shares]


def is_light_on_dark(grey: Grey) -> bool:
    """Say whether the writing is lighter than its ground: most pixels are ground, so the median lies near it."""
    values = grey[~outside_mask(grey)]
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
    stretched = (pixels.astype(np.float32) - low) * (255 / (high - low))
    return stretched.clip(0, 255).astype(np.uint8)


def luminance(pixels: Grey) -> Grey:
    """The grey image of shape (height, width) for grey or RGB pixels."""
    return pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))  # noqa: PLR2004


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


STEPS: dict[StepName, Callable[[Grey], Grey]] = {
    "dark_on_light": dark_on_light,
    "fill_outside": fill_outside,
    "stretch_contrast": stretch_contrast,
}
FITS: dict[str, Callable[[Grey, ImageSpec], Grey]] = {"stretch": fit_stretch, "height": fit_height, "pad": fit_pad}
