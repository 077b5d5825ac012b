"""Reading large uploads: a JPEG may be decoded at a part of its size, and is the same picture then."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from app.pages import PageLimits, first_page, pages_of
from app.preprocess import read_image


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((400, 100), 400, (400, 100)),
        ((401, 100), 400, (201, 50)),
        ((1000, 300), 400, (250, 75)),
        ((300, 1000), 400, (75, 250)),
        ((4000, 80), 400, (500, 10)),
    ],
)
def test_a_jpeg_may_be_read_smaller(size: tuple[int, int], longest: int, expected: tuple[int, int]) -> None:
    """Sides over the limit are halved until none is, at most three times; proportions stay."""
    found = read_image(encoded(Image.new("RGB", size, (200, 30, 30)), "JPEG"), longest=longest)
    assert (found.mode, found.size) == ("RGB", expected)
    assert found.getpixel((5, 5)) == pytest.approx((200, 30, 30), abs=4)


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WEBP", "GIF"])
def test_other_formats_are_always_read_whole(fmt: str) -> None:
    """Only a JPEG holds smaller versions of itself."""
    assert read_image(encoded(Image.new("RGB", (300, 100), "white"), fmt), longest=100).size == (300, 100)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_smaller_jpeg_is_upright_and_of_any_mode(mode: str) -> None:
    """Orientation and colour space are heeded as for a whole one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (800, 200), "white").convert(mode).save(buffer, "JPEG", exif=exif)
    found = read_image(buffer.getvalue(), longest=400)
    assert (found.mode, found.size, found.getpixel((0, 0))) == ("RGB", (100, 400), (255, 255, 255))


@pytest.mark.parametrize("tag", [0x100, 0x11A, 0x131, 0x13E])
def test_other_tags_of_the_exif_do_not_matter(tag: int) -> None:
    """A photograph is turned as its EXIF says, though its resolution or its size is text."""
    entries = sorted([(0x112, struct.pack("<HIHH", 3, 1, 6, 0)), (tag, struct.pack("<HI4s", 2, 4, b"x/1"))])
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + b"".join(struct.pack("<H", key) + rest for key, rest in entries)
    buffer = io.BytesIO()
    Image.new("RGB", (90, 40), "white").save(buffer, "JPEG", exif=b"Exif\0\0" + exif + bytes(4))
    assert read_image(buffer.getvalue()).size == (40, 90)


@pytest.mark.parametrize(
    ("fmt", "kind", "lightest"),
    [("TIFF", np.float32, 1.0), ("TIFF", np.float32, 255.0), ("PNG", np.uint16, 4095), ("TIFF", np.int32, 2**31 - 1)],
)
def test_deep_greys_are_read_by_their_depth(fmt: str, kind: type, lightest: float) -> None:
    """Fractions, 12 bits in a file of 16, and 31 bits give the same white, grey and black."""
    values = (np.array([[0, 0.5, 1]]).repeat(4, axis=0) * lightest).astype(kind)
    found = np.asarray(read_image(encoded(Image.fromarray(values), fmt)))[0, :, 0]
    assert found.tolist() == pytest.approx([0, 127, 255], abs=1)


def test_an_image_that_speaks_of_pdf_is_an_image() -> None:
    """The mark of a PDF may stand in a comment."""
    buffer = io.BytesIO()
    Image.new("RGB", (90, 40), "white").save(buffer, "JPEG", comment=b"converted from %PDF-1.4")
    assert first_page(buffer.getvalue(), PageLimits(max_pages=1, max_pixels=10_000)).size == (90, 40)


def encoded(image: Image.Image, fmt: str) -> bytes:
    """The bytes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, fmt)
    return buffer.getvalue()


def test_the_service_reads_phone_pictures_smaller_and_pages_whole() -> None:
    """For `/predict/` a large photograph is halved; where places on a page are told, every pixel is kept."""
    limits = PageLimits(max_pages=1, max_pixels=50_000_000)
    photograph = encoded(Image.new("RGB", (6000, 400), "white"), "JPEG")
    assert first_page(photograph, limits).size == (1500, 100)
    assert next(pages_of(photograph, limits)).size == (6000, 400)
