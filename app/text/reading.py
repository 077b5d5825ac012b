"""Has the signs of an image recognised, all in one batch, and puts the text together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image

from app.tasks import Predict, Prediction
from app.text.segment import Box, Sign, find_signs

SURE = 0.85  # mean confidence of the signs below which a text is flagged
UNSURE_SIGNS = 0.2  # share of flagged signs above which it is


@dataclass(frozen=True)
class ReadSign:
    """A sign and what it was taken for."""

    sign: Sign
    prediction: Prediction


@dataclass(frozen=True)
class Text:
    """The text of an image, with a line break between lines; `confidence` is the mean of the signs'."""

    text: str
    confidence: float
    reasons: tuple[str, ...]
    signs: tuple[ReadSign, ...]

    @property
    def lines(self) -> list[tuple[ReadSign, ...]]:
        """The signs of each line."""
        return [tuple(group) for _, group in groupby(self.signs, key=lambda each: each.sign.line)]


def box_around(signs: Sequence[ReadSign]) -> Box:
    """The box around signs, in pixels of the image."""
    left, top, right, bottom = zip(*(each.sign.box for each in signs), strict=True)
    return min(left), min(top), max(right), max(bottom)


def read_text(image: Image.Image, predict: Predict) -> Text:
    """Read an image (RGB) sign by sign; raises like `find_signs`."""
    signs = find_signs(image)
    read = tuple(map(ReadSign, signs, predict([sign.cell for sign in signs])))
    confidence = sum(each.prediction.confidence for each in read) / max(1, len(read))
    return Text(put_together(read), confidence, tuple(doubts(read, confidence)), read)


def put_together(read: tuple[ReadSign, ...]) -> str:
    """The labels of the signs in order, with spaces and line breaks."""
    parts: list[str] = []
    line = 0
    for each in read:
        parts += ["\n" * (each.sign.line - line), " " * each.sign.spaced, each.prediction.label]
        line = each.sign.line
    return "".join(parts)


def doubts(read: tuple[ReadSign, ...], confidence: float) -> list[str]:
    """Why a person should look at the text: cursive writing shows in signs of which nobody can be sure."""
    unsure = sum(each.prediction.uncertain for each in read)
    reasons = []
    if confidence < SURE:
        reasons.append(f"the mean confidence of the signs, {confidence:.3f}, is below {SURE}")
    if unsure > UNSURE_SIGNS * len(read):
        reasons.append(f"{unsure} of {len(read)} signs are uncertain; is the writing cursive?")
    return reasons
