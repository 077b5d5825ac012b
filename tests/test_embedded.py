"""Tests of the model that ships: it is whole, small, described, and its answers hold for what senders do to a line."""

import numpy as np
import pytest
from PIL import Image

from app.config import Settings
from app.data.synthetic import render_line
from app.evaluate import ALTERATIONS, Case, altered, evaluate
from app.inference.bundle import CARD, MODEL
from app.inference.recogniser import Recogniser
from app.tasks import DOCUMENT_TYPE

LINES = 200
BUNDLE = Settings().embedded / DOCUMENT_TYPE.name


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    """The shipped model."""
    return Recogniser.load(BUNDLE, threads=1)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Rendered lines of both classes, always the same."""

    def case(label: str, number: int) -> Case:
        image = render_line(np.random.default_rng(7000 + number), label)
        return Case(label=label, read=image.copy, slices={})

    return [case(label, number) for number in range(LINES // 2) for label in DOCUMENT_TYPE.labels]


def test_the_bundle_is_whole_and_small(recogniser: Recogniser) -> None:
    """The shipped bundle passes its probes, has maps, is for the main task with its labels, and has at most 10 MB."""
    recogniser.check_probes(BUNDLE)
    assert recogniser.has_maps
    assert recogniser.description.labels == DOCUMENT_TYPE.labels
    assert (BUNDLE / MODEL).stat().st_size <= 10 * 1000 * 1000


@pytest.mark.parametrize("figure", ["validation_accuracy", "test_accuracy", "test_ece", "unseen_accuracy"])
def test_the_card_shows_the_recorded_figures(recogniser: Recogniser, figure: str) -> None:
    """What the card says is what `model.json` records."""
    assert f"{recogniser.description.figures[figure]:.4f}" in (BUNDLE / CARD).read_text(encoding="utf-8")


def test_rendered_lines_are_told_apart(recogniser: Recogniser, cases: list[Case]) -> None:
    """Lines in handwriting and print fonts, which are no test of quality, are nearly all told apart."""
    assert evaluate(recogniser.predict, cases, DOCUMENT_TYPE.labels).accuracy >= 0.95


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_keeps_its_answer(recogniser: Recogniser, cases: list[Case], name: str) -> None:
    """Colour, polarity, small rotations, resolution, compression and the cut hardly ever change an answer.

    Rendered lines are small, blurred and compressed already; two levels and a shake on top of it leave some illegible.
    """
    before = recogniser.predict([case.read() for case in cases])
    after = recogniser.predict([case.read() for case in altered(cases, name)])
    kept = [one.label == other.label for one, other in zip(before, after, strict=True)]
    assert sum(kept) >= (0.9 if name in {"black_and_white", "shaken"} else 0.95) * len(kept)


@pytest.mark.parametrize("tint", [(255, 240, 200), (200, 225, 255), (220, 200, 180)])
def test_paper_tint_keeps_the_answer(recogniser: Recogniser, cases: list[Case], tint: tuple[int, int, int]) -> None:
    """Yellow, blue and brown paper give the answer that white paper gives."""
    images = [case.read() for case in cases]
    tinted = [Image.fromarray((np.asarray(image) * (np.array(tint) / 255)).astype(np.uint8)) for image in images]
    before, after = recogniser.predict(images), recogniser.predict(tinted)
    assert sum(one.label == other.label for one, other in zip(before, after, strict=True)) >= 0.95 * len(images)


def test_a_blank_page_is_not_answered_with_confidence(recogniser: Recogniser) -> None:
    """An image without any writing is flagged as uncertain."""
    blank = Image.new("RGB", (600, 60), (240, 235, 220))
    assert recogniser.predict([blank])[0].uncertain
