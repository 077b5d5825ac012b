"""Columns that stand near to each other are parted where most rows are, and nothing else is."""

import numpy as np
import pytest

from app.pages.cores import Field, find_cores
from app.pages.gutters import without_gutters as without

ROWS = 12


def without_gutters(text: Field) -> Field:
    """The map without its gutters."""
    return without(text, find_cores(text, text[None])[1])


def columns(bridged: dict[int, float]) -> Field:
    """The map of two columns of lines with a gap of five places; some rows have text of a probability across it."""
    text = np.full((ROWS * 16, 300), 0.01, np.float32)
    for row in range(ROWS):
        text[row * 16 + 4 : row * 16 + 12, 10:290] = 0.99
        text[row * 16 + 4 : row * 16 + 12, 148:153] = bridged.get(row, 0.02)
    return text


def widths(text: Field) -> list[int]:
    """How wide the cores of lines are, in pixels."""
    return [core.right - core.left for core in find_cores(text, text[None])[1]]


def test_a_line_across_a_gutter_is_parted() -> None:
    """Three rows of twelve look like lines over both columns, and are not."""
    assert max(widths(columns({2: 0.7, 5: 0.8, 6: 0.6}))) == 560
    parted = widths(without_gutters(columns({2: 0.7, 5: 0.8, 6: 0.6})))
    assert len(parted) == 2 * ROWS
    assert max(parted) < 300


@pytest.mark.parametrize("bridged", [{0: 0.95}, dict.fromkeys(range(ROWS), 0.7), {}])
def test_what_goes_on_is_left_as_it_is(bridged: dict[int, float]) -> None:
    """A title of which the map is sure stays whole, lines that all go on do, and columns that are apart do."""
    assert widths(without_gutters(columns(bridged))) == widths(columns(bridged))


def test_one_row_alone_tells_nothing() -> None:
    """A gap in a heading far above the text, or in a line or two, is that of its words."""
    heading = np.full((700, 300), 0.01, np.float32)
    heading[4:12, 10:290] = 0.99
    heading[4:12, 148:153] = 0.4
    heading[-ROWS * 16 :, :140] = columns({})[:, :140]
    assert np.array_equal(without_gutters(heading), heading)
    assert np.array_equal(without_gutters(columns({0: 0.3})[:32]), columns({0: 0.3})[:32])


def test_a_blank_map_stays_blank() -> None:
    """Without text there is nothing to part."""
    blank = np.zeros((40, 50), np.float32)
    assert without_gutters(blank) is blank
