"""Tests of what scanners and cameras do to training images."""

import numpy as np
import pytest

from app.training.devices import bilevel, shaken

PAPER, PEN = 200, 70


def strokes(height: int = 60, width: int = 400) -> np.ndarray:
    """Where a line has strokes of four pixels, a sixth of it."""
    mask = np.zeros((height, width), bool)
    for left in range(20, width - 20, 16):
        mask[height // 4 : 3 * height // 4, left : left + 4] = True
    return mask


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cut_out", [False, True], ids=["whole", "cut out, black outside"])
def test_black_and_white_keeps_the_strokes(seed: int, *, cut_out: bool) -> None:
    """Whatever level and resolution are drawn: strokes are dark, paper is light, also beside what is not paper."""
    mask = strokes()
    grey = np.where(mask, PEN, PAPER).astype(np.uint8)
    if cut_out:
        grey[:6] = 0
    two = bilevel(grey, np.random.default_rng(seed), reach=grey.shape[0])
    inner = two[8:]
    assert two.shape == grey.shape
    assert inner[mask[8:]].mean() < 60
    assert inner[~mask[8:]].mean() > 215


def test_black_and_white_has_two_levels_but_for_the_resolution() -> None:
    """Between black and white are only pixels at edges, and of a blank sheet next to nothing becomes black."""
    blank = np.random.default_rng(0).normal(PAPER, 2, (80, 300)).clip(0, 255).astype(np.uint8)
    random = np.random.default_rng(1)
    scans = np.array([bilevel(blank, random, reach=80) for _ in range(20)])
    assert (scans > 250).mean() > 0.99
    lines = np.array([bilevel(np.where(strokes(), PEN, PAPER).astype(np.uint8), random, 60) for _ in range(20)])
    assert ((lines < 5) | (lines > 250)).mean() > 0.6


def test_a_shake_moves_light_no_further_than_it_may() -> None:
    """A white point becomes a way of at most so many pixels; its light stays the same."""
    point = np.zeros((41, 41), np.uint8)
    point[20, 20] = 255
    lengths = []
    for seed in range(60):
        rows, columns = np.nonzero(shaken(point, np.random.default_rng(seed), most=10))
        lengths.append(max(np.ptp(rows), np.ptp(columns)))
    assert 8 <= max(lengths) <= 11
    assert min(lengths) <= 2
    sheet = np.full((30, 50), 180, np.uint8)
    assert np.abs(shaken(sheet, np.random.default_rng(3), most=9).astype(int) - 180).max() <= 1
