"""Counting grey values and looking for a black outside: the quick ways give what the plain ones do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from app.preprocess.ground import EXACT, histogram, outside_mask, wide_runs
from app.preprocess.levelling import quantile

greys = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(values=arrays(np.uint8, array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=40)))
def test_every_pixel_is_counted(values: np.ndarray) -> None:
    """The histogram is numpy's, also of pixels in a row, of every other one, and of none."""
    for part in (values, values[::2], values.T):
        assert histogram(part).tolist() == np.bincount(part.ravel(), minlength=256).tolist()


@pytest.mark.parametrize("size", [EXACT - 1, EXACT + 1])
def test_large_images_are_counted_exactly(size: int) -> None:
    """No pixel is lost where there are more of one value than 32-bit floats can tell apart."""
    assert histogram(np.full(size, 7, np.uint8))[7] == size


@given(grey=greys, black=st.integers(0, 40))
def test_the_outside_is_reached_over_black_from_a_wide_run(grey: np.ndarray, black: int) -> None:
    """Before its rim is grown, the outside is what the definition says, pixel by pixel."""
    grey[:, :black] = 0
    dark = grey <= 24
    expected = np.zeros(grey.shape, np.bool_)
    for turns in range(4):
        view, seen = np.rot90(dark, turns), np.rot90(expected, turns)
        seen |= np.logical_and.accumulate(view, axis=0) & wide_runs(view[0], max(6, grey.shape[0] // 6))
    found = outside_mask(grey)
    if dark.mean() > 0.7:
        assert not found.any()
    else:
        assert found.any() == expected.any()
        assert found[expected].all()


@given(positions=arrays(np.float32, st.integers(1, 300), elements=st.floats(0, 5000, width=32)), share=st.floats(0, 1))
def test_quantiles_are_those_of_numpy(positions: np.ndarray, share: float) -> None:
    """They are the same to the last bit."""
    assert quantile(np.sort(positions), share) == np.quantile(positions, (share,))[0]
