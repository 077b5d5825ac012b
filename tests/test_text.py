"""Tests of reading text by segmentation: lines, signs, spaces, marks, cells, and what is said about doubt."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from app.errors import NothingDrawnError, TooManyStrokesError
from app.preprocess import to_array
from app.tasks import CHARACTER, Prediction
from app.text import find_signs, read_text

SIZE = 60


def printed(text: str, size: int = SIZE, angle: float = 0.0) -> Image.Image:
    """The text in Pillow's own font with its letters apart, dark on light."""
    font, image = ImageFont.load_default(size), Image.new("RGB", (1600, 3 * size * (1 + text.count("\n"))), "white")
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(text.split("\n")):
        left = float(size)
        for letter in line:
            pen.text((left, size * (0.7 + 1.8 * row)), letter, fill=(30, 30, 60), font=font)
            left += size * 0.6 if letter == " " else pen.textlength(letter, font) + size * 0.14
    return image.rotate(angle, Image.Resampling.BILINEAR, fillcolor="white")


def layout(image: Image.Image) -> str:
    """The text of an image with an x for every sign."""
    return read_text(image, answering("x")).text


def answering(label: str, confidence: float = 0.99, *, uncertain: bool = False) -> object:
    """A recogniser that always gives the same answer."""

    def predict(images: Sequence[Image.Image]) -> list[Prediction]:
        return [Prediction(label, confidence, {label: confidence}, uncertain)] * len(images)

    return predict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello world", "xxxxx xxxxx"),
        ("it is: a=b; no?", "xx xxx xxxx xxx"),
        ('say "hi" %', "xxx xxxx x"),
        ("first line\nand 2nd", "xxxxx xxxx\nxxx xxx"),
        ("l", "x"),
        ("one, two.", "xxxx xxxx"),
    ],
)
@pytest.mark.parametrize("size", [36, 60])
def test_signs_words_and_lines_are_found(text: str, expected: str, size: int) -> None:
    """Every sign is found once, dots and bars belong to theirs, words and lines are parted."""
    assert layout(printed(text, size)) == expected


def test_a_sloping_line_is_one_line() -> None:
    """Signs are compared with their neighbours, so that a line may slope."""
    assert layout(printed("the quick brown fox", 40, 2)) == "xxx xxxxx xxxxx xxx"


def test_polarity_and_specks_do_not_matter() -> None:
    """Chalk on a board reads like ink on paper; dirt is no sign."""
    pixels = np.array(printed("Hello world"))
    pixels[10:12, 700:702] = 0
    assert layout(Image.fromarray(pixels)) == layout(Image.fromarray(255 - pixels)) == "xxxxx xxxxx"


def test_boxes_are_in_pixels_of_the_image() -> None:
    """The box of a sign holds all of its ink and no other, also in an image that is reduced."""
    image = Image.new("RGB", (5000, 900), "white")
    ImageDraw.Draw(image).rectangle((600, 200, 700, 600), fill="black")
    ImageDraw.Draw(image).rectangle((1000, 200, 1100, 600), fill="black")
    boxes = [sign.box for sign in find_signs(image)]
    np.testing.assert_allclose(boxes, [(600, 200, 700, 600), (1000, 200, 1100, 600)], atol=4)


def test_a_mark_keeps_its_place_in_the_cell() -> None:
    """In the cells of a comma and an apostrophe ink lies below and above, as a recogniser of characters wants it."""
    signs = find_signs(printed("H,H'H"))
    below, above = (np.flatnonzero(np.asarray(signs[at].cell).max(axis=1) > 128).mean() for at in (1, 3))
    height = signs[1].cell.height
    assert above < 0.4 * height < 0.6 * height < below
    assert all(to_array(sign.cell, CHARACTER.image).shape == (1, 28, 28) for sign in signs)


def test_neighbours_are_not_in_the_cell() -> None:
    """A cell has the ink of its own sign alone, also where boxes overlap."""
    image = Image.new("L", (200, 120), 255)
    pen = ImageDraw.Draw(image)
    pen.line((40, 20, 40, 100), fill=0, width=6)
    pen.line((60, 100, 100, 20), fill=0, width=6)
    pen.line((90, 100, 130, 20), fill=0, width=6)
    cells = [np.asarray(sign.cell) for sign in find_signs(image)]
    assert len(cells) == 3
    assert all((cell > 128).sum() < 800 for cell in cells)


def test_an_empty_image_has_no_text() -> None:
    """Without ink there is nothing to read."""
    with pytest.raises(NothingDrawnError):
        read_text(Image.new("RGB", (300, 100), "white"), answering("x"))


def test_a_raster_is_no_text() -> None:
    """Thousands of dots, as of a printed photograph, would keep the service busy for minutes: they are refused."""
    raster = np.full((900, 900), 255, np.uint8)
    for shift in (0, 1, 2, 3):
        raster[shift::12, :][:, np.arange(900) % 12 < 4] = 0
    with pytest.raises(TooManyStrokesError, match="5625 strokes"):
        read_text(Image.fromarray(raster).convert("RGB"), answering("x"))


def test_doubt_is_said() -> None:
    """Low confidence, and many signs that are uncertain, flag the text and say so; sure signs do not."""
    image = printed("abc")
    assert read_text(image, answering("x")).reasons == ()
    assert "0.500" in read_text(image, answering("x", 0.5)).reasons[0]
    assert "3 of 3 signs are uncertain" in read_text(image, answering("x", uncertain=True)).reasons[0]
