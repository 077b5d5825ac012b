"""From bytes to network input: properties for any image, every mode, the steps one by one, and golden vectors.

The golden vectors guard the network input of models that are in production: when this test fails, models trained before
the change see other pixels than they learned on. After a change that is meant so, write them anew with
`python -m tests.test_preprocess`, and train anew.
"""

import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from app.errors import ImageTooLargeError, InputError, UnreadableImageError
from app.preprocess import (
    FORMATS,
    ImageSpec,
    dark_on_light,
    fill_outside,
    outside_mask,
    read_image,
    stretch_contrast,
    to_array,
    to_batch,
)
from app.preprocess.light import even_light
from app.preprocess.steps import set_paper
from tests.bundles import huge_picture

GOLDEN = Path(__file__).with_name("golden_preprocess.json")
STEPS = ("dark_on_light", "fill_outside", "level", "stretch_contrast")
SPECS = {
    "line": ImageSpec(height=64, width=512, steps=STEPS),
    "square": ImageSpec(height=28, width=28, fit="stretch", mean=(0.5,), std=(0.5,)),
    "colour": ImageSpec(height=32, width=96, channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "free": ImageSpec(height=32, width=None, fit="height", steps=STEPS),
}

sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))
pictures = sizes.flatmap(lambda size: arrays(np.uint8, (*size, 3))).map(Image.fromarray)
specs = st.sampled_from(sorted(SPECS)).map(SPECS.get)


def encode(image: Image.Image, fmt: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def line_image(height: int = 60, width: int = 300) -> Image.Image:
    """A made-up line: dark strokes of several widths on tinted paper with a gradient."""
    rows, columns = np.mgrid[0:height, 0:width]
    paper = 225 - columns * 20 / width
    ink = ((columns // (3 + columns // 60)) % 4 == 0) & (rows > height * 0.3) & (rows < height * 0.8)
    grey = np.where(ink, 45, paper)
    return Image.fromarray(np.stack([grey, grey - 8, grey - 25], axis=-1).clip(0, 255).astype(np.uint8))


def cut_by_polygon(image: Image.Image) -> Image.Image:
    """The same with the black outside that a polygon leaves, slanted above and below."""
    pixels = np.array(image)
    rows, columns = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]]
    slant = 6 + columns * 10 // pixels.shape[1]
    pixels[(rows < slant - 2) | (rows > pixels.shape[0] - slant)] = 0
    return Image.fromarray(pixels)


@settings(max_examples=60)
@given(image=pictures, spec=specs)
def test_any_image_becomes_finite_input_of_the_right_shape(image: Image.Image, spec: ImageSpec) -> None:
    """Whatever the size and the pixels: shape, type and range are those of the spec, and the image is not changed."""
    before = image.tobytes()
    array = to_array(image, spec)
    assert array.shape[:2] == (spec.channels, spec.height)
    assert spec.width is None or array.shape[2] == spec.width
    assert array.dtype == np.float32
    assert array.flags["C_CONTIGUOUS"]
    low = min((0 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
    high = max((1 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
    assert low - 1e-4 <= array.min() <= array.max() <= high + 1e-4
    assert image.tobytes() == before


@settings(max_examples=60)
@given(image=pictures.filter(lambda image: min(image.size) > 1), spec=specs)
def test_the_same_image_gives_the_same_input(image: Image.Image, spec: ImageSpec) -> None:
    """Preprocessing knows no chance, and a lossless file changes nothing."""
    again = read_image(encode(image))
    np.testing.assert_array_equal(to_array(image, spec), to_array(again, spec))


@settings(max_examples=15)
@given(first=pictures, second=pictures)
def test_a_batch_is_its_images(first: Image.Image, second: Image.Image) -> None:
    """Stacking changes no image."""
    batch = to_batch([first, second], SPECS["line"])
    np.testing.assert_array_equal(batch[1], to_array(second, SPECS["line"]))


@given(image=sizes.flatmap(lambda size: arrays(np.uint8, size)))
def test_steps_keep_shape_and_type(image: np.ndarray) -> None:
    """Every step that recolours takes and gives grey pixels of the same shape."""
    for step in (dark_on_light, even_light, fill_outside, set_paper, stretch_contrast):
        result = step(image)
        assert (result.shape, result.dtype) == (image.shape, np.uint8)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_an_image_or_an_input_error(data: bytes) -> None:
    """Nothing that a client sends raises anything else."""
    check_readable_or_refused(data)


@given(
    fmt=st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM"]),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=6),
    cut=st.floats(0.05, 1),
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of odd TIFF tags that way
def test_damaged_images_are_read_or_an_input_error(fmt: str, place: float, junk: bytes, cut: float) -> None:
    """Files with changed bytes or a missing end raise nothing but input errors."""
    data = bytearray(encode(line_image(20, 40), fmt))
    start = int(place * len(data))
    data[start : start + len(junk)] = junk
    check_readable_or_refused(bytes(data[: max(1, int(cut * len(data)))]))


def check_readable_or_refused(data: bytes) -> None:
    """The bytes give an RGB image or an InputError."""
    with suppress(InputError):
        assert read_image(data, max_pixels=1_000_000).mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK"])
def test_every_mode_is_read_as_what_one_sees(mode: str) -> None:
    """White stays white and black stays black, in any mode."""
    image = Image.fromarray(np.array([[0, 255]] * 4, np.uint8)).convert("RGB").convert(mode)
    pixels = np.asarray(read_image(encode(image, "TIFF" if mode == "CMYK" else "PNG")))
    assert pixels[0].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_sixteen_bits_are_scaled(kind: type) -> None:
    """Deep images keep black, middle and white."""
    image = Image.fromarray(np.array([[0, 32768, 65535]] * 4).astype(kind))
    assert np.asarray(read_image(encode(image, "TIFF")))[0, :, 0].tolist() == [0, 127, 255]


def test_transparency_becomes_white() -> None:
    """What is transparent shows paper, whatever colour lies below."""
    assert read_image(encode(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))).getpixel((1, 1)) == (255, 255, 255)


def test_photos_are_turned_upright() -> None:
    """The orientation that a camera notes is applied."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(encode(line_image(20, 50), "JPEG", exif=exif)).size == (20, 50)


def test_a_float_image_with_gaps_is_read() -> None:
    """Values that are no numbers are read as black."""
    values = np.array([[np.nan, 255.0], [0.0, 255.0]], np.float32)
    pixels = np.asarray(read_image(encode(Image.fromarray(values), "TIFF")))
    assert pixels[..., 0].tolist() == [[0, 255], [0, 255]]


@pytest.mark.parametrize("data", [b"", b"hello", encode(line_image())[:200], encode(line_image(), "JPEG")[:300]])
def test_what_is_no_whole_image_names_the_remedy(data: bytes) -> None:
    """Empty, foreign and truncated bytes are refused, with their size and what to send instead."""
    with pytest.raises(UnreadableImageError, match=rf"{len(data)} bytes.*send a whole PNG"):
        read_image(data)


def test_formats_beyond_the_list_are_not_opened() -> None:
    """A format that Pillow would hand to another program is refused like any foreign file."""
    assert "EPS" not in FORMATS
    with pytest.raises(UnreadableImageError, match="known format"):
        read_image(encode(line_image(), "EPS"))


def test_the_limit_is_on_the_pixels_of_the_header() -> None:
    """One pixel too many is refused, the limit itself is not."""
    data = encode(Image.new("1", (100, 50)))
    assert read_image(data, max_pixels=5000).size == (100, 50)
    with pytest.raises(ImageTooLargeError, match="100 x 50 = 5000"):
        read_image(data, max_pixels=4999)


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_bombs_are_too_large_whatever_pillow_calls_them(side: int) -> None:
    """Above Pillow's own limits, where it warns or raises by itself, the error is the same."""
    with pytest.raises(ImageTooLargeError):
        read_image(huge_picture(side))


def test_polarity_is_turned_to_dark_on_light() -> None:
    """A line and its negative give nearly the same input."""
    line = line_image()
    negative = Image.fromarray(255 - np.asarray(line))
    spec = ImageSpec(height=64, width=512, steps=("dark_on_light",))
    assert np.abs(to_array(line, spec) - to_array(negative, spec)).max() < 0.05


def test_the_outside_of_a_polygon_becomes_paper() -> None:
    """The black outside is found, and filled, while the ink inside stays."""
    grey = np.asarray(cut_by_polygon(line_image()).convert("L"))
    mask = outside_mask(grey)
    assert mask[grey == 0].mean() > 0.99
    assert mask.mean() < 0.5
    filled = fill_outside(grey)
    assert filled[0].min() > 150
    assert (filled[20:40] < 60).any()


def test_contrast_is_stretched_but_not_noise() -> None:
    """A faint line fills the range; a blank sheet stays as it is."""
    faint = (np.asarray(line_image().convert("L")) // 5 + 150).astype(np.uint8)
    stretched = stretch_contrast(faint)
    assert (stretched.min(), stretched.max()) == (0, 255)
    blank = np.full((20, 20), 200, np.uint8)
    np.testing.assert_array_equal(stretch_contrast(blank), blank)


@pytest.mark.parametrize("paper", [90, 200, 250])
def test_paper_gets_the_same_grey(paper: int) -> None:
    """Whatever the median was, it is 200, and ink stays as much darker as it was, down to black."""
    page = np.full((20, 30), paper, np.uint8)
    page[2:6, 2:9] = paper - 60
    page[10, 3] = 0
    shifted = set_paper(page)
    assert np.median(shifted) == 200
    assert (shifted[2:6, 2:9] == 140).all()
    assert shifted[10, 3] == max(0, 200 - paper)
    colour = set_paper(np.dstack([page] * 3))
    np.testing.assert_array_equal(colour[..., 1], shifted)


def test_a_sheet_on_a_dark_desk_is_as_white_as_one_that_fills_the_image() -> None:
    """Light is evened out piece by piece, so that neither a shadow nor the desk decides what is white."""
    photo = np.full((400, 400), 40, np.uint8)
    photo[150:350, 150:350] = 220
    photo[200:300, 220:223] = 110
    photo[:, 250:] = photo[:, 250:] // 2
    even = even_light(photo)
    assert (even[190:310, 190:220] > 240).all()
    assert (even[190:310, 290:310] > 240).all()
    assert (even[210:290, 221] < 150).all()
    np.testing.assert_array_equal(even_light(np.dstack([photo] * 3))[..., 2], even)


def test_padding_keeps_the_proportions() -> None:
    """A narrow image lies at the left in full height, the rest has the colour of its paper."""
    array = to_array(Image.new("RGB", (64, 64), (200, 200, 200)), SPECS["line"])
    assert np.ptp(array) == 0


@pytest.mark.parametrize("name", ["line", "polygon", "negative", "faint", "wide"])
@pytest.mark.parametrize("spec", sorted(SPECS))
def test_golden_vectors(name: str, spec: str) -> None:
    """The network input of a few made-up images is what it was when models were trained."""
    recorded = json.loads(GOLDEN.read_text("utf-8"))[f"{name} {spec}"]
    found = vector(golden_images()[name], SPECS[spec])
    assert found["shape"] == recorded["shape"]
    np.testing.assert_allclose(found["means"], recorded["means"], rtol=0, atol=2e-3)


def golden_images() -> dict[str, Image.Image]:
    """The images of the golden vectors."""
    line = line_image()
    return {
        "line": line,
        "polygon": cut_by_polygon(line),
        "negative": Image.fromarray(255 - np.asarray(line)),
        "faint": Image.fromarray((np.asarray(line) // 5 + 150).astype(np.uint8)),
        "wide": line_image(40, 1500),
    }


def vector(image: Image.Image, spec: ImageSpec) -> dict[str, list[float]]:
    """The shape of the network input, and the means of its 4 x 8 parts in each channel."""
    array = to_array(image, spec)
    rows = np.array_split(array, 4, axis=1)
    means = [part.mean(axis=(1, 2)) for row in rows for part in np.array_split(row, 8, axis=2)]
    return {"shape": list(array.shape), "means": np.round(np.concatenate(means), 5).tolist()}


if __name__ == "__main__":
    found = {
        f"{name} {key}": vector(image, spec) for name, image in golden_images().items() for key, spec in SPECS.items()
    }
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} vectors written to {GOLDEN}\n")
