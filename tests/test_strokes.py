"""Tests of the steps that find what is drawn: any image, both polarities, shadow, grain, dirt, slant, and place.

The golden vectors guard the network input of models that are in production. Record them anew with
`python -m tests.test_strokes`, together with new models.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from app.errors import NothingDrawnError
from app.preprocess import read_image, to_array, trace, views_of
from app.preprocess.strokes import centre_mass, deskew, fill_cell, find_ink, ground_is_dark, keep_strokes
from app.tasks import CHARACTER, DIGIT, TASKS, Task

GOLDEN = Path(__file__).with_name("golden_strokes.json")

sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))
pictures = sizes.flatmap(lambda size: arrays(np.uint8, (*size, 3))).map(Image.fromarray)


def drawn(width: int = 28, height: int = 28, ink: int = 20, paper: int = 240) -> np.ndarray:
    """A seven in the upper left two thirds of an image, of shape (height, width)."""
    image = Image.new("L", (width, height), paper)
    points = [(0.15, 0.2), (0.6, 0.2), (0.35, 0.75)]
    thick = max(2, min(width, height) // 12)
    ImageDraw.Draw(image).line([(x * width, y * height) for x, y in points], fill=ink, width=thick, joint="curve")
    return np.asarray(image)


def field_of(pixels: np.ndarray) -> np.ndarray:
    """The network input of a digit in grey values."""
    array = to_array(Image.fromarray(pixels), DIGIT.image)[0]
    return array * DIGIT.image.std[0] * 255 + DIGIT.image.mean[0] * 255


@settings(max_examples=80, deadline=None)
@given(image=pictures, spec=st.sampled_from([DIGIT.image, CHARACTER.image]))
def test_any_image_becomes_input_or_is_refused(image: Image.Image, spec: object) -> None:
    """Whatever is sent becomes finite numbers of the right shape, always the same, or is refused as blank."""
    try:
        array = to_array(image, spec)
    except NothingDrawnError:
        return
    assert array.shape == (1, 28, 28)
    assert np.isfinite(array).all()
    np.testing.assert_array_equal(array, to_array(image, spec))


def grain(deviation: float, shape: tuple[int, int] = (300, 400)) -> np.ndarray:
    """Grainy paper."""
    return np.random.default_rng(1).normal(200, deviation, shape).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((200, 200), 255, np.uint8),
        np.zeros((64, 64), np.uint8),
        np.full((1, 1), 7, np.uint8),
        np.tile(np.linspace(80, 220, 300).astype(np.uint8), (200, 1)),
        grain(6),
        grain(12, (1500, 2000)),
        grain(4, (28, 28)),
    ],
    ids=["white", "black", "one pixel", "shaded", "grainy", "large", "small"],
)
def test_an_empty_field_is_refused(pixels: np.ndarray) -> None:
    """Paper without ink is refused, whatever its colour, its light, its grain and its size."""
    with pytest.raises(NothingDrawnError, match="nothing drawn"):
        to_array(Image.fromarray(pixels), DIGIT.image)


def test_polarity_does_not_matter() -> None:
    """Ink on paper and chalk on a board give the same input."""
    pixels = drawn(90, 90)
    assert ground_is_dark(255 - pixels)
    assert not ground_is_dark(pixels)
    np.testing.assert_allclose(field_of(pixels), field_of(255 - pixels), atol=2)


def test_a_shadow_and_grain_are_no_ink() -> None:
    """A photograph with light that falls off and grain gives nearly what the clean drawing gives."""
    clean = drawn(400, 300)
    light = np.linspace(1.0, 0.55, 400) * np.linspace(1.0, 0.8, 300)[:, None]
    photo = (clean * light + np.random.default_rng(2).normal(0, 5, clean.shape)).clip(0, 255).astype(np.uint8)
    assert np.abs(field_of(clean) - field_of(photo)).mean() < 10


def test_the_place_on_the_image_does_not_matter_for_a_digit() -> None:
    """A digit is cut out, scaled and centred: small in a corner it looks as it does large in the middle."""
    large = drawn(280, 280)
    corner = np.full((560, 840), 240, np.uint8)
    corner[:280, :280] = large
    assert np.abs(field_of(large) - field_of(corner)).mean() < 10


def test_an_image_in_the_form_of_mnist_stays_nearly_as_it_is() -> None:
    """Ink whose longer side has 20 of 28 pixels, with its mass in the centre and upright, is not scaled again."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 12:16] = 255
    np.testing.assert_allclose(field_of(pixels), pixels, atol=2)


def test_specks_and_what_reaches_in_are_taken_out() -> None:
    """A speck of dirt and a neighbour at the side go, a separate stroke of the same sign stays."""
    ink = np.zeros((60, 60), np.uint8)
    ink[20:40, 20:26], ink[20:24, 32:44] = 255, 255
    ink[50, 50], ink[10:30, 58:] = 255, 255
    kept = keep_strokes(ink)
    assert kept[30, 22] == kept[22, 40] == 255
    assert kept[50, 50] == kept[20, 59] == 0


def test_a_sign_that_is_cut_close_keeps_its_strokes() -> None:
    """Where the largest stroke touches a side, others that touch one belong to it."""
    ink = np.zeros((40, 30), np.uint8)
    ink[:, :6], ink[:10, 20:] = 255, 255
    np.testing.assert_array_equal(keep_strokes(ink), ink)


@pytest.mark.parametrize("degrees", [-8, -4, 4, 8])
def test_a_small_slant_is_taken_back(degrees: float) -> None:
    """A slanted upright stroke stands upright afterwards."""
    ink = np.asarray(Image.fromarray(np.pad(np.full((60, 6), 255, np.uint8), 30)).rotate(degrees))
    before, after = (np.flatnonzero(each.max(axis=0) > 128).size for each in (ink, deskew(ink)))
    assert after < 10 < before or abs(degrees) < 5


def test_a_large_slant_is_taken_back_by_ten_degrees_only() -> None:
    """A stroke at thirty degrees, which may be a slash, keeps most of its slant; one that lies is left alone."""
    stroke = np.pad(np.full((60, 6), 255, np.uint8), 30)
    slash = np.asarray(Image.fromarray(stroke).rotate(-30))
    assert np.flatnonzero(deskew(slash).max(axis=0) > 128).size > 18
    np.testing.assert_array_equal(deskew(stroke.T), stroke.T)


def test_steps_leave_what_is_empty() -> None:
    """Without ink the later steps change nothing."""
    empty = np.zeros((10, 12), np.uint8)
    np.testing.assert_array_equal(keep_strokes(empty), empty)
    np.testing.assert_array_equal(centre_mass(empty), empty)
    np.testing.assert_array_equal(deskew(empty), empty)
    assert fill_cell(empty).shape == (12, 12)


@pytest.mark.parametrize(("height", "width"), [(40, 30), (90, 60), (12, 40)])
def test_a_sign_fills_its_cell(height: int, width: int) -> None:
    """The longer side of a sign takes three quarters of the square, with its box in the middle, wherever it stood."""
    ink = np.zeros((120, 100), np.uint8)
    ink[5 : 5 + height, 30 : 30 + width] = 255
    cell = fill_cell(ink)
    rows, columns = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
    assert cell.shape[0] == cell.shape[1] == round(max(height, width) / 0.75)
    assert (rows.size, columns.size) == (height, width)
    assert abs(rows.mean() - columns.mean()) <= 1


def test_a_mark_keeps_its_place_in_the_cell() -> None:
    """A mark above stays above and one below below, also where the cell is no square."""
    cell = np.full((60, 40), 255, np.uint8)
    cell[4:14, 18:22] = 0
    above = fill_cell(find_ink(cell))
    below = fill_cell(find_ink(cell[::-1]))
    assert above.shape == (60, 60)
    assert above[:20].any()
    assert not above[40:].any()
    assert below[40:].any()
    assert not below[:20].any()


@pytest.mark.parametrize("task", [DIGIT, CHARACTER], ids=lambda task: task.name)
@pytest.mark.parametrize("name", ["clean", "photo", "chalk", "mark"])
def test_golden_fields(name: str, task: Task) -> None:
    """The network input of a few drawings is what it was when models were trained."""
    recorded = json.loads(GOLDEN.read_text("utf-8"))[f"{name} {task.name}"]
    np.testing.assert_allclose(vector(golden_images()[name], task), recorded, rtol=0, atol=0.02)


def golden_images() -> dict[str, np.ndarray]:
    """The images of the golden vectors."""
    clean = drawn(280, 210)
    light = np.linspace(1.0, 0.6, 280) * np.linspace(1.0, 0.9, 210)[:, None]
    mark = np.full((90, 60), 250, np.uint8)
    mark[70:84, 28:33] = 30
    photo = (clean * light + np.random.default_rng(4).normal(0, 4, clean.shape)).clip(0, 255).astype(np.uint8)
    return {"clean": clean, "photo": photo, "chalk": 255 - clean // 2, "mark": mark}


def vector(pixels: np.ndarray, task: Task) -> list[float]:
    """The means of the 7 x 7 parts of a field."""
    array = to_array(Image.fromarray(pixels), task.image)[0]
    return [round(float(value), 4) for value in array.reshape(7, 4, 7, 4).mean(axis=(1, 3)).ravel()]


def test_the_trace_names_every_step() -> None:
    """What an image becomes on its way is yielded by name, the image first and the fit last."""
    image = Image.fromarray(drawn())
    names, stages = zip(*trace(image, DIGIT.image), strict=True)
    assert names == ("image", *DIGIT.image.steps, DIGIT.image.fit)
    assert stages[-1].shape == (28, 28)


def test_transparent_drawings_are_read() -> None:
    """A canvas is a PNG with transparent ground: black ink on nothing gives what black ink on white gives."""
    pixels = drawn(100, 100, ink=0, paper=255)
    canvas = np.zeros((100, 100, 4), np.uint8)
    canvas[..., 3] = 255 - pixels
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "PNG")
    image = read_image(buffer.getvalue())
    np.testing.assert_allclose(to_array(image, DIGIT.image)[0] * 79 + 33, field_of(pixels), atol=3)


def test_views_begin_with_the_image_itself() -> None:
    """A sign has nine views: as it is, moved by a pixel to each side, turned by three and six degrees."""
    array = to_array(Image.fromarray(drawn()), DIGIT.image)
    views = views_of(array, "sign")
    assert views.shape == (9, 1, 28, 28)
    np.testing.assert_array_equal(views[0], array)
    np.testing.assert_array_equal(views[1][0, :, 1:], array[0, :, :-1])
    np.testing.assert_array_equal(views[4][0, :-1], array[0, 1:])
    assert all(np.abs(view - array).max() > 0 for view in views[1:])


def test_views_of_a_line_are_smaller() -> None:
    """A line is also seen at four fifths to nine tenths of its size, twice turned, and paper comes in from outside."""
    paper, ink = np.float32(2), np.float32(-2)
    array = np.full((1, 64, 512), paper)
    array[0, 8:56, 40:472] = ink
    views = views_of(array, "line")
    assert views.shape == (5, 1, 64, 512)
    np.testing.assert_array_equal(views[0], array)
    for view, scale in zip(views[1:], (0.9, 0.8, 0.85, 0.85), strict=True):
        assert (view - paper).sum() == pytest.approx(scale**2 * (array - paper).sum(), rel=0.01)
        assert (view[0, 0] == paper).all()
    columns = [(view[0] < 0).argmax(axis=0)[[100, 411]] for view in views[3:]]  # where the ink begins, left and right
    assert columns[0][0] > columns[0][1]
    assert columns[1][0] < columns[1][1]


def test_tasks_are_told_apart_by_name() -> None:
    """Every task stands under its own name, with distinct labels, and the main one comes first."""
    assert [task.name for task in TASKS.values()] == list(TASKS)
    assert all(len(set(task.labels)) == len(task.labels) for task in TASKS.values())
    assert len(CHARACTER.labels) == 94


if __name__ == "__main__":
    found = {
        f"{name} {task.name}": vector(pixels, task)
        for name, pixels in golden_images().items()
        for task in (DIGIT, CHARACTER)
    }
    GOLDEN.write_text(json.dumps(found) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} vectors written to {GOLDEN}\n")
