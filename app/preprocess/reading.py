"""From the bytes of an upload to an upright RGB image, or a clear refusal."""

import io
import struct

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from app.errors import ImageTooLargeError, ImageTooSmallError, UnreadableImageError

DEFAULT_MAX_PIXELS = 50_000_000

# Pillow reads more, but some of those formats start other programs or are no pictures of pages.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "PPM")
LEAST_SIDE, LONGEST_SIDE = 2, 30_000  # pixels
SMALLEST_PART = 8  # of a side, which is that of the squares of 8 x 8 pixels that a JPEG is made of
REMEDY = "send a whole PNG, JPEG, TIFF, WebP, BMP, GIF, JPEG 2000 or PNM image"
DEPTHS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0, 2.0**31 - 1)  # the lightest grey of 8, 10, 12, 14, 16 and 31 bits
TURNS = {  # what puts an image upright, by the orientation in its EXIF
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's decoders are known to raise on damaged files.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, AttributeError, struct.error)

Image.MAX_IMAGE_PIXELS = None  # `refuse_size` has the limit, which may be set higher than Pillow's


def read_image(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS, longest: int | None = None) -> Image.Image:
    """Decode an upload: any mode Pillow reads, turned upright by EXIF, transparency on white, as RGB.

    A JPEG with a side over *longest* pixels is decoded at a half, a quarter or an eighth of its size, which costs that
    much less, until none is over it: for those who need no more pixels, and no places in pixels of the upload.
    Raises UnreadableImageError for bytes that are no whole image, ImageTooLargeError above *max_pixels* or 30,000
    pixels a side, and ImageTooSmallError for a side of one.
    """
    if not data:
        message = f"the file is empty (0 bytes); {REMEDY}"
        raise UnreadableImageError(message)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            refuse_size(image.size, max_pixels)
            if longest is not None:
                draft(image, longest)
            image.load()
            return flatten(upright(image))
    except UnidentifiedImageError as error:  # its own text is an address in memory
        message = f"{len(data)} bytes are not an image of a known format; {REMEDY}"
        raise UnreadableImageError(message) from error
    except DECODING_ERRORS as error:
        message = f"{len(data)} bytes are not a whole image ({error}); {REMEDY}"
        raise UnreadableImageError(message) from error


def refuse_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raise ImageTooLargeError for a side or a number of pixels over its limit, ImageTooSmallError for a side of 1.

    To be called before any pixel is decoded.
    """
    width, height = size
    if max(size) > LONGEST_SIDE:
        message = f"the image has {width} x {height} pixels, a side over the limit of {LONGEST_SIDE}; cut it into parts"
        raise ImageTooLargeError(message)
    if width * height > max_pixels:
        message = f"the image has {width} x {height} = {width * height} pixels, over the limit of {max_pixels}"
        raise ImageTooLargeError(message)
    if min(size) < LEAST_SIDE:
        message = f"the image has {width} x {height} pixels, on which nothing can stand; send a larger one"
        raise ImageTooSmallError(message)


def draft(image: Image.Image, longest: int) -> None:
    """Have a JPEG decoded, once it is, at the part of its size that brings both sides to *longest* pixels."""
    part = 1
    while max(image.size) > part * longest and part < SMALLEST_PART:
        part *= 2
    if part > 1:  # other formats know no parts, and leave this without an effect
        image.draft("RGB", (image.width // part, image.height // part))


def upright(image: Image.Image) -> Image.Image:
    """Turn a decoded image as its EXIF says.

    Pillow's own function writes the rest of the EXIF anew, and fails where some other tag of it is odd.
    """
    try:
        turn = TURNS.get(int(image.getexif().get(ExifTags.Base.Orientation, 1)))
    except DECODING_ERRORS:
        return image
    return image if turn is None else image.transpose(turn)


def flatten(image: Image.Image) -> Image.Image:
    """Bring any mode (1-bit, 16-bit, palette, alpha, CMYK) to RGB: deep greys scaled, transparent parts white."""
    if image.mode.startswith("I") or image.mode == "F":
        with np.errstate(invalid="ignore"):  # not-a-number in a float TIFF is as good as black
            values = np.array(image, dtype=np.float64)
        values[np.isnan(values)] = 0
        lightest = values.max(initial=0)
        depths = (1.0, *DEPTHS) if image.mode == "F" else DEPTHS  # fractions go from 0 to 1
        peak = next((depth for depth in depths if lightest <= depth), DEPTHS[-1])
        return Image.fromarray((values.clip(0, peak) / peak * 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")
