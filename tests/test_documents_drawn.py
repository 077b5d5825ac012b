"""Drawn documents: of every kind, the same for the same seed, their lines where the ink is, readable by the judge."""

from pathlib import Path

import numpy as np
import pytest

from app.data.camera import capture, moved
from app.data.documents import KINDS, draw_document, main
from app.pages.judge import read_samples

CLASSES = {"form": "mixed", "note": "handwritten", "sticky": "handwritten"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_document_has_lines_where_its_ink_is(kind: str) -> None:
    """A document has the class of its kind, and nearly every box holds what is darker than most of the box."""
    image, label, lines = draw_document(np.random.default_rng(3), kind, "train", photo=False)
    assert label == CLASSES.get(kind, "printed")
    assert {line.label for line in lines} == ({"handwritten", "printed"} if label == "mixed" else {label})
    grey = np.asarray(image.convert("L")).astype(int)
    inked = [grey[top:bottom, left:right] for left, top, right, bottom in [line.box for line in lines]]
    contrasts = [np.percentile(box, 80) - box.min() for box in inked if box.size]
    assert np.mean(np.array(contrasts) > 15) > 0.9


def test_the_same_seed_draws_the_same_document() -> None:
    """Everything follows from the random numbers that are given."""
    first, second, other = (
        draw_document(np.random.default_rng(seed), "sticky", "test", photo=False) for seed in (5, 5, 6)
    )
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1:] == second[1:]
    assert first[2] != other[2]


@pytest.mark.parametrize("photo", [False, True])
def test_a_box_moves_with_the_sheet(photo: bool) -> None:  # noqa: FBT001 - a parameter
    """What is dark on the sheet is dark in the image, where the matrix says."""
    pixels = np.full((800, 600, 3), 240, np.float32)
    pixels[300:500, 200:400] = 20
    image, matrix = capture(np.random.default_rng(1), pixels, photo=photo)
    left, top, right, bottom = moved((200, 300, 400, 500), matrix)
    middle = np.asarray(image.convert("L"))[(top + bottom) // 2, (left + right) // 2]
    beside = np.asarray(image.convert("L"))[(top + bottom) // 2, right + (right - left) // 4]
    assert middle < beside - 40


def test_documents_are_read_by_the_judge(tmp_path: Path) -> None:
    """The command writes pages that the judge reads: as many as asked for, each with its image."""
    assert main(["--out", str(tmp_path), "--pages", "1", "--seed", "4"]) == 0
    samples = read_samples(tmp_path, None, {})
    assert [sample.source for sample in samples] == ["letter, photographed"]
    for sample in samples:
        image = sample.read()
        assert all(0 <= line.box[0] < image.width and line.box[3] <= image.height + 60 for line in sample.lines)
