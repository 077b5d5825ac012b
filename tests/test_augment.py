"""Tests of the recipes that alter training images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.training.augment import RECIPES, crop_width


def line_of(seed: int, height: int, width: int) -> np.ndarray:
    """A paper-coloured RGB image with dark strokes in it."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 225, np.uint8)
    pixels[height // 3 : 2 * height // 3, random.random(width) < 0.3] = 40
    return pixels


@given(seed=st.integers(0, 10_000), height=st.integers(8, 90), width=st.integers(8, 300))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_gives_pixels_for_any_size(recipe: str, seed: int, height: int, width: int) -> None:
    """Whatever the size of a line, altered pixels are an image of bytes that is not empty."""
    pixels = line_of(seed, height, width)
    altered = RECIPES[recipe](pixels, np.random.default_rng(seed), lambda: line_of(seed + 1, 30, 120))
    assert altered.dtype == np.uint8
    assert min(altered.shape[:2]) >= 1


def test_the_same_seed_gives_the_same_pixels() -> None:
    """A seed fixes all that a recipe does, and another seed does something else."""
    pixels = line_of(3, 48, 300)
    first, again, different = (
        RECIPES["text_line"](pixels, np.random.default_rng(seed), lambda: pixels) for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert first.shape != different.shape or not np.array_equal(first, different)


def test_the_input_is_left_alone() -> None:
    """Altering makes new pixels and never writes into those of the sample."""
    pixels = line_of(3, 48, 300)
    before = pixels.copy()
    for seed in range(40):
        RECIPES["text_line"](pixels, np.random.default_rng(seed), lambda: pixels)
    assert np.array_equal(pixels, before)


def test_pieces_of_lines_are_words_and_seldom_few_letters() -> None:
    """Of a long line pieces from one height on are cut, most from two heights on."""
    line, random = line_of(3, 40, 800)[..., 0], np.random.default_rng(2)
    widths = np.array([crop_width(line, random).shape[1] for _ in range(400)])
    assert 40 <= widths.min() < 60
    assert 30 < (widths < 80).sum() < 90
    assert widths.max() > 700
