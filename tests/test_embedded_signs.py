"""Tests of the shipped models of single signs: whole, small, with their figures, and steady under what senders do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.config import Settings
from app.evaluate import ALTERATIONS
from app.inference.bundle import CARD, MODEL
from app.inference.recogniser import Recogniser
from app.tasks import CHARACTER, DIGIT, Task
from app.text import read_text

EMBEDDED = Settings().embedded
LARGEST = {DIGIT.name: 3_000_000, CHARACTER.name: 5_000_000}
# Strokes as one draws them, in a square of 100: what everybody reads alike.
STROKES = {
    "0": [[(50, 12), (30, 25), (25, 50), (32, 78), (50, 88), (68, 78), (75, 50), (68, 25), (50, 12)]],
    "1": [[(50, 10), (50, 90)]],
    "2": [[(28, 28), (40, 14), (60, 14), (70, 30), (60, 50), (28, 86), (74, 86)]],
    "3": [[(28, 18), (55, 12), (68, 28), (48, 47), (70, 66), (55, 88), (28, 82)]],
    "4": [[(58, 10), (25, 60), (76, 60)], [(60, 38), (60, 90)]],
    "5": [[(70, 14), (35, 14), (32, 45), (58, 42), (70, 62), (58, 86), (28, 82)]],
    "6": [[(62, 12), (38, 40), (32, 68), (48, 88), (66, 72), (52, 54), (34, 66)]],
    "7": [[(26, 16), (72, 16), (46, 88)]],
    "8": [[(50, 48), (32, 30), (50, 12), (66, 30), (50, 48), (30, 70), (50, 89), (70, 70), (50, 48)]],
    "9": [[(66, 36), (48, 50), (34, 34), (48, 14), (66, 28), (64, 60), (54, 90)]],
    "A": [[(24, 90), (50, 10), (76, 90)], [(34, 60), (66, 60)]],
    "E": [[(70, 12), (30, 12), (30, 88), (72, 88)], [(30, 48), (64, 48)]],
    "H": [[(28, 10), (28, 90)], [(72, 10), (72, 90)], [(28, 50), (72, 50)]],
    "T": [[(20, 14), (80, 14)], [(50, 14), (50, 90)]],
}


def draw(sign: str, ink: int = 10, paper: int = 250, size: int = 100, width: int = 6) -> Image.Image:
    """A sign drawn with a round pen."""
    image = Image.new("RGB", (size, size), (paper,) * 3)
    pen = ImageDraw.Draw(image)
    for stroke in STROKES[sign]:
        points = [(x * size / 100, y * size / 100) for x, y in stroke]
        pen.line(points, (ink,) * 3, width, joint="curve")
    return image


@pytest.fixture(name="recogniser", scope="module", params=[DIGIT, CHARACTER], ids=lambda task: task.name)
def _recogniser(request: pytest.FixtureRequest) -> Recogniser:
    return Recogniser.load(EMBEDDED / request.param.name, threads=1)


def signs_of(recogniser: Recogniser) -> list[str]:
    """The drawn signs that a model knows."""
    return [sign for sign in STROKES if sign in recogniser.description.labels]


@pytest.mark.parametrize("task", [DIGIT, CHARACTER], ids=lambda task: task.name)
def test_the_bundle_is_whole_and_small(task: Task) -> None:
    """It passes its own probes, has the labels and the steps of its task, and is no larger than promised."""
    folder = EMBEDDED / task.name
    recogniser = Recogniser.load(folder, threads=1)
    recogniser.check_probes(folder)
    assert recogniser.description.labels == task.labels
    assert recogniser.description.image == task.image
    assert (folder / MODEL).stat().st_size <= LARGEST[task.name]


@pytest.mark.parametrize("task", [DIGIT, CHARACTER], ids=lambda task: task.name)
def test_the_card_shows_the_recorded_figures(task: Task) -> None:
    """What the card says is what the description records, and no folder of a machine stands in either."""
    figures = Recogniser.load(EMBEDDED / task.name, threads=1).description.figures
    card = (EMBEDDED / task.name / CARD).read_text(encoding="utf-8")
    for name in ("validation_accuracy", "test_accuracy", "test_ece", "test_top_5"):
        assert f"{figures[name]:.4f}" in card
    for file in (EMBEDDED / task.name).iterdir():
        assert str(Path.home()).encode() + b"/" not in file.read_bytes()


def test_drawn_signs_are_recognised(recogniser: Recogniser) -> None:
    """Plain signs drawn with a pen, thin or thick, small or large, are nearly all read rightly."""
    drawn = [(sign, size, width) for sign in signs_of(recogniser) for size, width in ((60, 4), (100, 9), (300, 20))]
    answers = recogniser.predict([draw(sign, size=size, width=width) for sign, size, width in drawn])
    alike = [{*group} for group in CHARACTER.alike]
    right = [
        one.label == sign or any({one.label, sign} <= group for group in alike)
        for one, (sign, _, _) in zip(answers, drawn, strict=True)
    ]
    assert np.mean(right) >= 0.85


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_keeps_its_answer(recogniser: Recogniser, name: str) -> None:
    """Polarity, small rotations, resolution and compression hardly ever change an answer."""
    images = [draw(sign) for sign in signs_of(recogniser)]
    pairs = zip(recogniser.predict(images), recogniser.predict(list(map(ALTERATIONS[name], images))), strict=True)
    assert np.mean([one.label == other.label for one, other in pairs]) >= (0.7 if "10" in name else 0.85)


def test_scribbles_are_no_digits() -> None:
    """Most random scribbles are flagged, most drawn digits are not."""
    recogniser = Recogniser.load(EMBEDDED / DIGIT.name, threads=1)
    scribbles = []
    for number in range(30):
        points = np.random.default_rng(number).uniform(10, 90, (14, 2))
        image = Image.new("RGB", (100, 100), "white")
        ImageDraw.Draw(image).line([(float(x), float(y)) for x, y in points], "black", 4, joint="curve")
        scribbles.append(image)
    assert np.mean([answer.uncertain for answer in recogniser.predict(scribbles)]) >= 0.8
    assert np.mean([answer.uncertain for answer in recogniser.predict([draw(sign) for sign in "0123456789"])]) <= 0.4


def test_a_drawn_word_is_read() -> None:
    """Signs drawn beside each other are found and read as a text."""
    word = Image.new("RGB", (500, 140), "white")
    for number, sign in enumerate("HEAT"):
        word.paste(draw(sign, paper=255), (20 + 110 * number, 20))
    text = read_text(word, Recogniser.load(EMBEDDED / CHARACTER.name, threads=1).predict)
    assert len(text.signs) == 4
    assert sum(one == other for one, other in zip(text.text.replace(" ", ""), "HEAT", strict=True)) >= 3
