"""Characters drawn as on a canvas: one pen, every label, always the same, for training only."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.data import data_import_characters
from app.data.manifest import read_manifest
from app.data.strokes import CANVAS, HANDS, draw_character, hands, skeleton_of, thin
from app.errors import DataError
from app.tasks import CHARACTER, DIGIT


def test_every_hand_is_bundled_and_has_every_character() -> None:
    """All hands that are named are there, and none lacks one of the 94 characters."""
    assert {hand.stem for hand in hands()} == set(HANDS.split())
    for hand in hands():
        assert all(len(skeleton_of(hand, letter).points) for letter in CHARACTER.labels)


def test_lines_are_thinned_to_one_pixel_and_dots_to_a_point() -> None:
    """A bar becomes a line, a ring stays closed, and an even dot does not vanish."""
    ink = np.zeros((60, 90), np.uint8)
    cv2.rectangle(ink, (5, 10), (35, 15), 1, -1)
    cv2.circle(ink, (65, 30), 15, 1, 5)
    ink[50:52, 10:12] = 1
    lines = thin(ink > 0)
    assert lines[:20, :40].sum(axis=0).max() == 1
    assert lines[45:, :20].sum() == 1
    holes = cv2.connectedComponents((~lines).astype(np.uint8), connectivity=4)[0] - 1
    assert (holes, int(lines.sum()) < 200) == (2, True)


@pytest.mark.parametrize("letter", ["H", "g", "%", "."])
def test_a_pen_has_one_width_and_stays_on_the_canvas(letter: str) -> None:
    """Strokes are as wide as each other, at least three pixels, and the rim is free."""
    for seed in range(8):
        random = np.random.default_rng(seed)
        canvas = draw_character(random, letter, hands()[seed])
        assert canvas.shape == (CANVAS, CANVAS)
        assert not any(side.any() for side in (canvas[0], canvas[-1], canvas[:, 0], canvas[:, -1]))
        ink = (canvas > 128).astype(np.uint8)
        middle = thin(ink > 0)
        half = cv2.distanceTransform(ink, cv2.DIST_L2, 5)[middle]
        assert np.median(half) >= 1.4
        if letter == "H":
            assert np.percentile(half, 75) - np.percentile(half, 25) <= 2


def test_marks_stand_where_they_stand_in_a_line() -> None:
    """A comma is low on the canvas and an apostrophe high, which is all that tells them apart."""
    places = {}
    for letter in ",'":
        rows = [np.nonzero(draw_character(np.random.default_rng(seed), letter, hands()[0]))[0] for seed in range(9)]
        places[letter] = [each.mean() / CANVAS for each in rows]
    assert min(places[","]) > max(places["'"])


def test_drawn_characters_are_a_data_set_for_training(tmp_path: Path) -> None:
    """So many of each label, all in training, a document for each hand, the same images every time."""
    for name in ("one", "two"):
        options = ["--synthetic", "3", "--task", "digit", "--datasets", str(tmp_path / name)]
        assert data_import_characters.main(options) == 0
    one, two = (read_manifest(tmp_path / name / "digit_strokes") for name in ("one", "two"))
    assert one == two
    assert sorted(sample.label for sample in one) == sorted(DIGIT.labels * 3)
    assert {(sample.split, sample.source) for sample in one} == {("train", "strokes")}
    assert len({sample.sha256 for sample in one}) == 30
    assert {sample.document for sample in one} <= {f"strokes/{hand}" for hand in HANDS.split()}


def test_words_and_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels of several letters cannot be drawn, and a command without a source or a number imports nothing."""
    with pytest.raises(DataError, match="single printable characters"):
        draw_character(np.random.default_rng(0), "handwritten", hands()[0])
    with pytest.raises(SystemExit):
        data_import_characters.main(["--datasets", str(tmp_path)])
    assert "--synthetic N" in capsys.readouterr().err
