"""Judging what finds text on pages: every output at every known place, for pages as they lie and on their heads."""

import numpy as np
import pytest

from app.errors import DataError
from app.evaluate import evaluate_places
from app.evaluate.places import Page

DARK = 60  # of paper that is darker than that, everything is text


def read(height: int = 40, width: int = 30) -> Page:
    """A page with print in its upper third, handwriting below, and a foot of which nothing is known."""
    page = np.full((height, width), 255, np.uint8)
    page[4:10], page[20:26] = 0, 30
    maps = np.zeros((-(-height // 2), -(-width // 2), 3), np.uint8)
    maps[2:5, :, 1] = maps[10:13, :, 0] = 255
    maps[:18, :, 2] = 255
    return page, maps


def perfect(page: np.ndarray) -> np.ndarray:
    """Tells handwriting and print by their grey, and what is on its head by where print is."""
    small = page[::2, ::2]
    printed, handwritten = small < DARK // 3, (small < DARK) & (small > DARK // 3)
    on_its_head = np.flatnonzero(printed.any(axis=1)).min() > len(small) // 2
    return np.stack([handwritten, printed, (printed | handwritten) & on_its_head]).astype(np.float32)


def blind(page: np.ndarray) -> np.ndarray:
    """The same without which way up text stands."""
    found = perfect(page)
    found[-1] = 0
    return found


@pytest.mark.parametrize("size", [(40, 30), (41, 31)])
def test_what_is_right_everywhere_has_all_of_it(size: tuple[int, int]) -> None:
    """Also for pages whose last row and column are half a place."""
    report = evaluate_places(perfect, [lambda: read(*size)])
    assert (report.accuracy, report.ece) == (1.0, 0.0)


def test_directions_count() -> None:
    """Who does not tell text on its head is wrong on the text of one page of two, in one output of three."""
    report = evaluate_places(blind, [read])
    known, text = 18 * 15, 6 * 15
    assert report.accuracy == pytest.approx(1 - text / (2 * 3 * known))
    assert report.ece == pytest.approx(text / (2 * 3 * known))


def test_what_is_not_known_does_not_count() -> None:
    """Answers for the foot of the page may be anything."""

    def daring(page: np.ndarray) -> np.ndarray:
        found, foot = perfect(page), (slice(18, 20) if page[4, 0] == 0 else slice(0, 2))
        found[:, foot] = 1
        return found

    assert evaluate_places(daring, [read]).accuracy == 1.0


def test_nothing_known_is_nothing_to_judge() -> None:
    """Neither no page nor pages of which nothing is known have an accuracy."""
    page, maps = read()
    for pages in ([], [lambda: (page, np.zeros_like(maps))]):
        with pytest.raises(DataError, match="import pages with maps"):
            evaluate_places(perfect, pages)


def test_doubts_are_calibration() -> None:
    """Right answers of 0.9 and 0.1 are a tenth less sure than they are right."""
    report = evaluate_places(lambda page: perfect(page) * np.float32(0.8) + np.float32(0.1), [read, read])
    assert report.accuracy == 1.0
    assert report.ece == pytest.approx(0.1, abs=1e-6)
    assert set(report.figures("test")) == {"test_places_accuracy", "test_places_ece"}
