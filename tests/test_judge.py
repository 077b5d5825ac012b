"""Tests of the choice of what is calibrated and judged on."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data.manifest import Sample
from app.evaluate import ALTERATIONS, Case
from app.training.dataset import Item
from app.training.judge import mixed_cases, pick


def items(count: int) -> list[Item]:
    """Items that are told apart by their files."""
    sample = Sample("a.png", "printed", "test", "source", "document", "", "", "0")
    return [Item("set", Path(str(number)), "printed", sample) for number in range(count)]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (3, [0, 4, 9]), (10, list(range(10))), (99, list(range(10)))]
)
def test_a_choice_is_spread_over_the_whole(count: int, expected: list[int]) -> None:
    """So many items are taken at even distances, all of them when there are no more."""
    assert [int(item.file.name) for item in pick(items(10), count)] == expected


def test_half_of_the_cases_are_altered_in_every_way() -> None:
    """Every other case stays as it is; the others go through all alterations in turn, and keep their labels."""
    pixels = np.random.default_rng(0).integers(30, 226, (20, 60, 3), dtype=np.uint8)
    whole = Image.fromarray(pixels)
    cases = [Case(str(number), partial(Image.fromarray, pixels), {}) for number in range(2 * len(ALTERATIONS))]
    mixed = mixed_cases(cases)
    assert mixed[::2] == cases[::2]
    assert [case.label for case in mixed] == [case.label for case in cases]
    for case, alteration in zip(mixed[1::2], ALTERATIONS.values(), strict=True):
        assert case.read().tobytes() == alteration(whole).tobytes()
