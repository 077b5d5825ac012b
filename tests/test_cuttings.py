"""Lines cut out of real pages: their ink, the polygon of their small letters, and what they are composed to."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data.cuttings import INKED, Cuttings, beside, core_height, core_of, coverage_of, cut_off, middle_of
from app.errors import DataError
from tests.lines import strokes, write_line, write_lines


def test_ink_is_found_and_the_black_outside_is_none(tmp_path: Path) -> None:
    """Strokes are covered, paper is not, and neither is what lies outside of the polygon."""
    write_line(tmp_path / "line.png", strokes())
    coverage = coverage_of(tmp_path / "line.png")
    assert (coverage[25:35, 18:22] > 0.9).all()
    assert not coverage[25:35, 22:26].any()
    assert not coverage[:6].any()
    assert not coverage[:, -6:].any()
    Image.new("L", (80, 40)).save(tmp_path / "black.png")
    assert not coverage_of(tmp_path / "black.png").any()


def test_slivers_of_the_black_outside_are_no_ink(tmp_path: Path) -> None:
    """What lies outside may be a pixel or two thin along the edge of the image, and in a notch of the outline."""
    pixels = np.full((60, 300), 225, np.uint8)
    pixels[25:35, 40:260:12] = 40
    pixels[0, :150] = pixels[-2:, 100:] = pixels[:, :1] = 0
    pixels[:12, 200:204] = 0
    Image.fromarray(pixels).save(tmp_path / "line.png")
    coverage = coverage_of(tmp_path / "line.png")
    assert coverage[25:35, 40].min() > 0.9
    coverage[25:35] = 0
    assert not coverage.any()


@pytest.mark.parametrize("room", [-20, 0, 1, 3, 5])
def test_there_is_always_something_of_a_line(room: int) -> None:
    """Where there is next to no room, it is a few pixels."""
    assert cut_off(strokes(), room, 14).shape == (60, 4)


@pytest.mark.parametrize("slope", [0.0, 0.04, -0.04])
def test_a_core_follows_the_small_letters(slope: float) -> None:
    """Its middle is that of the strokes from end to end, whatever the slope, and its height most of theirs."""
    ink = strokes(slope)
    height = core_height(ink)
    assert 10 <= height <= 20
    core = core_of(ink, height)
    upper, lower = core[: len(core) // 2], core[: len(core) // 2 - 1 : -1]
    assert (upper[0][0], upper[-1][0]) == pytest.approx((10, 390), abs=5)
    for (x, high), (same, low) in zip(upper, lower, strict=True):
        assert same == x
        assert low - high == pytest.approx(height)
        assert (high + low) / 2 == pytest.approx(29 + slope * (x - 200), abs=3)


def test_a_line_is_cut_between_words() -> None:
    """What is longer than its room ends at the widest gap before it; what is not stays whole."""
    ink = strokes()
    ink[:, 240:265] = 0
    assert 240 <= cut_off(ink, 300, 14).shape[1] <= 268
    assert cut_off(ink, 500, 14) is ink


def test_a_line_has_the_size_and_room_that_are_asked_for(tmp_path: Path) -> None:
    """Small letters get about the height of the pen; the line ends where its room does; a seed fixes it."""
    write_lines(tmp_path, {"handwritten a train": 4, "printed a train": 4})
    document = Cuttings(tmp_path).document(np.random.default_rng(1), "handwritten")
    for size in (8, 20):
        coverage, core = document.line(np.random.default_rng(2), size, 150)
        assert coverage.shape[1] <= 150
        assert core[-1][1] - core[0][1] == pytest.approx(size, abs=0.1)
        again, same = document.line(np.random.default_rng(2), size, 150)
        np.testing.assert_array_equal(coverage, again)
        assert core == same


def test_only_long_documents_of_the_training_split_are_used(tmp_path: Path) -> None:
    """Those with a few lines are left out, as are those for validation and test."""
    counts = {"handwritten a train": 5, "handwritten b train": 3, "handwritten c test": 9, "printed a train": 4}
    write_lines(tmp_path, counts)
    documents = Cuttings(tmp_path).documents
    assert {label: [len(each.files) for each in found] for label, found in documents.items()} == {
        "handwritten": [5],
        "printed": [4],
    }


@pytest.mark.parametrize("lines", [3, 4])
def test_a_data_set_without_documents_of_a_class_is_refused(tmp_path: Path, lines: int) -> None:
    """It is named, with what it lacks."""
    write_lines(tmp_path, {"handwritten b train": lines, "printed c test": 9})
    with pytest.raises(DataError, match=r"has no documents with 4 lines of each class to train on; import more"):
        Cuttings(tmp_path)


def test_short_cuttings_are_joined_until_they_fill_their_room(tmp_path: Path) -> None:
    """Words become a line of words at one height, with gaps between them; none is longer than its room."""
    write_lines(tmp_path, {"handwritten a train": 6, "printed a train": 4})
    document = Cuttings(tmp_path).document(np.random.default_rng(1), "handwritten")
    for seed in range(5):
        coverage, core = document.line(np.random.default_rng(seed), 10, 900)
        assert 450 <= coverage.shape[1] <= 900
        assert core[-1][1] - core[0][1] == pytest.approx(10, abs=0.1)
        rows = np.flatnonzero((coverage > INKED).any(axis=1))
        assert rows.max() - rows.min() < 25


def test_two_cuttings_stand_beside_each_other() -> None:
    """Their middles are at one height, the gap between them is blank, and nothing of either is lost."""
    first, second = np.zeros((20, 30), np.float32), np.zeros((12, 10), np.float32)
    first[12:18], second[2:8] = 1, 1
    whole = beside(first, second, 7)
    assert whole.shape[1] == 30 + 7 + 10
    assert not whole[:, 30:37].any()
    assert whole.sum() == first.sum() + second.sum()
    assert abs(middle_of(whole[:, :30]) - middle_of(whole[:, 37:])) <= 1


def test_documents_of_several_data_sets_are_used(tmp_path: Path) -> None:
    """One may have what another lacks."""
    write_lines(tmp_path / "first", {"handwritten a train": 5})
    write_lines(tmp_path / "second", {"handwritten b train": 6, "printed c train": 4})
    documents = Cuttings(tmp_path / "first", tmp_path / "second").documents
    assert [len(each.files) for each in documents["handwritten"]] == [5, 6]
    assert [each.files[0].parent.name for each in documents["printed"]] == ["second"]
