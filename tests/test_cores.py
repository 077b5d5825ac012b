"""Cores of lines on maps, how they are joined, and what the map says of a line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.errors import BundleError
from app.inference.recogniser import Recogniser
from app.pages.analyse import agreed
from app.pages.cores import find_cores, join
from app.pages.segment import opinions
from app.tasks import PAGE_TEXT, Prediction, low_confidence
from tests.bundles import make_bundle
from tests.pages import READERS, draw_page, locate, shipped


def bands(*places: tuple[int, int, int, int], trace: float = 0.0) -> np.ndarray:
    """A map of 200 x 300 places with sure bands (left, top, right, bottom), and a trace of text everywhere else."""
    text = np.full((200, 300), trace, np.float32)
    for left, top, right, bottom in places:
        text[top:bottom, left:right] = 0.95
    return text


def prediction(handwritten: float) -> Prediction:
    """An answer of the recogniser."""
    shares = {"handwritten": handwritten, "printed": 1 - handwritten}
    label = max(shares, key=shares.__getitem__)
    return Prediction(label, shares[label], shares, uncertain=False)


def test_a_band_is_a_core_with_its_place_in_pixels() -> None:
    """Extent, height and level are those of the band, twice as large in pixels of the page; a doubtful band is none."""
    text = bands((20, 30, 220, 40), (20, 80, 60, 86))
    text[120:130, 20:220] = 0.55
    labels, cores = find_cores(text, text[None])
    assert [(core.left, core.right, core.height) for core in cores] == [(40, 440, 20), (40, 120, 12)]
    assert cores[0].start == cores[0].end == pytest.approx(69)
    assert (labels[35, 100], labels[83, 30], labels[125, 100]) == (1, 2, 0)


@pytest.mark.parametrize(
    ("start", "trace", "lines"),
    [(135, 0.4, 1), (135, 0.3, 2), (135, 0.02, 2), (127, 0.2, 1), (127, 0.1, 2), (123, 0.0, 1)],
)
def test_words_are_joined_where_there_is_a_trace_of_text(start: int, trace: float, lines: int) -> None:
    """A gap between words is no gutter: the map is not quite blank there, the less so the wider the gap."""
    text = bands((20, 30, 120, 40), (start, 30, 280, 40), trace=trace)
    _, cores = find_cores(text, text[None])
    assert len(set(join(cores, text)[1:])) == lines


@pytest.mark.parametrize("other", [(130, 46, 280, 56), (130, 30, 280, 60), (250, 30, 290, 40)])
def test_what_is_higher_larger_or_far_is_another_line(other: tuple[int, int, int, int]) -> None:
    """Cores on other levels, of other sizes or far away are not joined, whatever lies between."""
    text = bands((20, 30, 120, 40), other, trace=0.4)
    _, cores = find_cores(text, text[None])
    assert len(set(join(cores, text)[1:])) == 2


def of_kinds(*pieces: tuple[int, int, float]) -> np.ndarray:
    """Maps of two kinds with one band from column to column, which are of the first kind by such a share."""
    places = np.zeros((2, 200, 300), np.float32)
    for left, right, first in pieces:
        places[0, 30:40, left:right], places[1, 30:40, left:right] = 0.95 * first, 0.95 * (1 - first)
    return places


@pytest.mark.parametrize(
    ("pieces", "extents", "kinds"),
    [
        ([(20, 120, 0.0), (120, 200, 1.0)], [(40, 240), (240, 400)], [1, 0]),
        (
            [(20, 120, 0.1), (120, 200, 0.9), (200, 280, 0.1)],
            [(40, 240), (240, 400), (400, 560)],
            [1, 0, 1],
        ),
        ([(20, 120, 0.0), (120, 132, 1.0), (132, 280, 0.0)], [(40, 560)], [1]),
        ([(20, 120, 0.0), (120, 200, 0.7)], [(40, 400)], [1]),
        ([(20, 200, 0.6)], [(40, 400)], [None]),
    ],
)
def test_a_core_is_parted_where_its_kind_clearly_changes(
    pieces: list[tuple[int, int, float]], extents: list[tuple[int, int]], kinds: list[int | None]
) -> None:
    """An entry after print is a core of its own; what is short or doubtful goes with what is before it."""
    places = of_kinds(*pieces)
    labels, cores = find_cores(0.95 * np.ceil(places.sum(axis=0)), places)
    assert [(core.left, core.right) for core in cores] == extents
    assert [core.kind for core in cores] == kinds
    assert [int(labels[35, core.left // 2 + 1]) for core in cores] == list(range(1, len(cores) + 1))


@pytest.mark.parametrize(("second", "lines"), [(0.9, 2), (0.7, 1), (0.1, 1)])
def test_cores_that_are_clearly_of_two_kinds_are_two_lines(second: float, lines: int) -> None:
    """However near they are; where there is a doubt, they are joined as ever."""
    places = of_kinds((20, 120, 0.0), (123, 200, second))
    text = 0.95 * np.ceil(places.sum(axis=0))
    assert len(set(join(find_cores(text, places)[1], text)[1:])) == lines


def test_a_blank_map_has_no_cores() -> None:
    """Nothing is found, and nothing is joined, where no text is."""
    labels, cores = find_cores(bands(), bands()[None])
    assert (labels.max(), cores, join(cores, bands()).tolist()) == (0, [], [0])


def test_the_map_tells_what_a_line_is() -> None:
    """The shares of a line are those of the map on its cores; a line without cores has none."""
    places = np.zeros((2, 4, 4), np.float32)
    places[0, :2], places[1, :2] = 0.6, 0.2
    lines = np.zeros((4, 4), np.int32)
    lines[:2] = 1
    shares, sure = opinions(places, places.max(axis=0), lines)
    assert shares[1].tolist() == pytest.approx([0.75, 0.25])
    assert sure[1] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("handwritten", "kinds", "label", "uncertain"),
    [
        (0.6, (0.05, 0.95), "printed", True),
        (0.3, (0.95, 0.05), "handwritten", True),
        (0.3, (0.01, 0.99), "printed", False),
        (0.999, (0.05, 0.95), "handwritten", False),
        (0.9, (), "handwritten", False),
        (0.7, (0.5, 0.5), "handwritten", True),
    ],
)
def test_recogniser_and_map_agree_on_a_line(
    handwritten: float,
    kinds: tuple[float, ...],
    label: str,
    uncertain: bool,  # noqa: FBT001 - a parameter
) -> None:
    """The surer of both decides, the recogniser a little more than the map; what stays unsure is flagged."""
    answer = agreed(prediction(handwritten), kinds, READERS)
    assert (answer.label, answer.uncertain, bool(answer.reasons)) == (label, uncertain, uncertain)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.confidence == answer.probabilities[label]


def test_a_line_is_flagged_by_the_bundle_and_by_other_doubts() -> None:
    """The threshold is that of the bundle; what else the recogniser doubts stays, its own low confidence does not."""
    strict, sure = replace(READERS, uncertain_below=0.99), prediction(0.6)
    assert not agreed(prediction(0.9), (), READERS).uncertain
    assert "0.990" in agreed(prediction(0.9), (), strict).reasons[0]
    doubted = replace(sure, reasons=(*low_confidence(0.6, 0.85), "the image seems blank"), uncertain=True)
    assert agreed(doubted, (0.99, 0.01), READERS).reasons == ("the image seems blank",)


@pytest.mark.parametrize("size", [(64, 64), (250, 130), (33, 401)])
def test_a_page_of_any_size_has_a_map_of_half_its_size(size: tuple[int, int]) -> None:
    """Rows and columns are rounded up, and probabilities lie between 0 and 1."""
    page = np.random.default_rng(2).integers(0, 256, size, np.uint8)
    places = locate(page)
    assert places.shape == (3, -(-size[0] // 2), -(-size[1] // 2))
    assert ((places >= 0) & (places <= 1)).all()


def test_lines_are_where_they_were_drawn() -> None:
    """On the map of a printed page, its lines are printed, the paper is neither, and the mean makes the logit."""
    grey = np.asarray(draw_page().convert("L"))
    handwritten, printed, over = locate(grey)
    line, paper = np.s_[66:68, 60:300], np.s_[82:88, 60:300]
    assert np.median(printed[line]) > 0.8
    assert np.median(printed[paper]) < 0.1
    assert np.median(handwritten[line]) < 0.2
    assert np.median(over[line]) < 0.2
    assert shipped().predict([Image.fromarray(grey).convert("RGB")])[0].label == "printed"


def test_a_model_without_maps_says_so(tmp_path: Path) -> None:
    """A bundle that cannot say where its labels are is refused with the size of the page."""
    recogniser = Recogniser.load(make_bundle(tmp_path, PAGE_TEXT))
    with pytest.raises(BundleError, match="page of 40 x 30 pixels"):
        recogniser.places(np.zeros((30, 40), np.uint8))
