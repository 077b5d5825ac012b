"""Levelling: the skew of rendered lines is found and taken out, margins are cut, and what is no writing stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from app.data.synthetic import render_line
from app.evaluate.alterations import rotated
from app.preprocess.levelling import FEWEST, find_writing, level, skew

sizes = st.tuples(st.integers(1, 120), st.integers(1, 120))


def a_line(seed: int, label: str = "printed") -> Image.Image:
    """A rendered line that is long enough to have a direction."""
    random = np.random.default_rng(seed)
    lines = (render_line(random, label) for _ in range(50))
    return next(line for line in lines if line.width > 6 * line.height)


def skew_of(image: Image.Image) -> float:
    """The skew that is found in an image, in degrees."""
    return skew(find_writing(np.asarray(image.convert("L"))))


@pytest.mark.parametrize("degrees", [-14, -10, -3, 3, 10, 14])
@pytest.mark.parametrize("label", ["handwritten", "printed"])
def test_the_skew_of_a_turned_line_is_found(degrees: int, label: str) -> None:
    """A line turned by so many degrees falls by as many more than before; Pillow turns against the clock."""
    found = [skew_of(rotated(line, degrees)) - skew_of(line) for line in (a_line(seed, label) for seed in range(8))]
    assert np.median(np.abs(np.array(found) + degrees)) <= 1


@pytest.mark.parametrize("degrees", [-10, 10])
def test_a_turned_line_is_as_large_as_before(degrees: int) -> None:
    """After levelling, a turned line fills about the height that it fills unturned; without, a third of it."""
    lines = [a_line(seed) for seed in range(8)]
    turned = [rotated(line, degrees) for line in lines]
    assert np.median([after.height / before.height for before, after in zip(lines, turned, strict=True)]) > 1.8
    heights = np.array([[level(np.asarray(each.convert("L"))).shape[0] for each in kind] for kind in (lines, turned)])
    assert np.median(heights[1] / heights[0]) <= 1.2


def test_wide_margins_are_cut() -> None:
    """A line in the middle of much paper is cut out of it, about as large as it is."""
    line = np.asarray(a_line(5).convert("L"))
    lost = np.pad(line, 150, constant_values=int(np.median(line)))
    assert level(lost).shape[0] <= 1.75 * line.shape[0]
    assert abs(level(lost).shape[1] - line.shape[1]) <= 0.1 * line.shape[1]


def test_colour_images_are_levelled_too() -> None:
    """Three channels go the same way, and the corners have the colour of the paper."""
    line = rotated(a_line(7), 10)
    found = level(np.asarray(line))
    assert found.shape[:2] == level(np.asarray(line.convert("L"))).shape
    assert found.shape[2] == 3


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_blank_paper_stays(grey: int) -> None:
    """Without writing there is nothing to turn or to cut."""
    blank = np.full((50, 300), grey, np.uint8)
    assert level(blank) is blank


def test_a_few_specks_are_no_writing() -> None:
    """Dust does not decide what is cut."""
    paper = np.full((60, 300), 230, np.uint8)
    paper[:: 60 // 4, :: 300 // 4] = 0
    assert find_writing(paper).x.size < FEWEST
    assert level(paper) is paper


@settings(max_examples=60)
@given(pixels=sizes.flatmap(lambda size: arrays(np.uint8, size)))
def test_any_pixels_give_an_image(pixels: np.ndarray) -> None:
    """Noise of any size gives an image that is not empty, and levelling leaves its input alone."""
    before = pixels.copy()
    result = level(pixels)
    assert result.dtype == np.uint8
    assert min(result.shape) >= 1
    np.testing.assert_array_equal(pixels, before)
