"""Analyses a page: finds its lines, has each recognised, and draws the answer for the whole page from them.

Knows the networks only as `Readers`. Reads no files and knows nothing of HTTP.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from PIL import Image

from app.pages.looks import Matrix
from app.pages.segment import Box, Found, Line
from app.pages.upright import Upright, put_right
from app.tasks import Locate, Predict, Prediction, low_confidence

MARGIN = 0.3  # of the height of a line's box, around it: what people leave when they cut out a line
REAL_SHARE, SURE = 0.06, 0.9  # of the writing in lines as confident as that: a second kind makes a page mixed
CLEAR = 0.97  # and so does less that is as clear, in lines which are neither specks nor single letters:
CLEAR_SHARE, CLEAR_WIDTH = 0.002, 2.0  # that have such a share of the writing, are so many times as wide as high,
CLEAR_LINE, CLEAR_TEXT = 0.7, 0.7  # and are as sure, as well as text to the map, no fold, picture or edge of a book
MAP_WEIGHT, DOUBT = 0.7, 0.01  # how much the map's opinion of a line counts, and how sure it may be at most
STRIP = 3.0  # widths of the pieces of a polygon, in core heights

Point = tuple[int, int]


@dataclass(frozen=True)
class Readers:
    """What pages are read by: `locate` says where text is, `predict` of what kind a line is.

    `labels` are those of lines; one is flagged when its confidence is under `uncertain_below`. `kinds` are the labels
    of the map that `locate` draws, in its order.
    """

    predict: Predict
    locate: Locate
    labels: Sequence[str]
    kinds: Sequence[str]
    uncertain_below: float


@dataclass(frozen=True)
class PageLine:
    """A line of a page: its place in pixels of the upload, what was recognised, and how much writing it is.

    `text` is how sure the map is that it is text.
    """

    box: Box
    polygon: tuple[Point, ...]
    prediction: Prediction
    weight: float
    text: float


@dataclass(frozen=True)
class Page:
    """What is on a page, in pixels of the upload. `label` is None when no text was found.

    `shares` is how much of the writing each label has, by area; `confidence` is the share of the page's label with
    every line weighted by its own confidence. `orientation` and `skew` say how the page was turned, in degrees
    counterclockwise, before its lines were read.
    """

    width: int
    height: int
    orientation: int
    skew: float
    lines: tuple[PageLine, ...]
    label: str | None
    confidence: float
    probabilities: Mapping[str, float]
    mixed: bool
    shares: Mapping[str, float]
    counts: Mapping[str, int]


def analyse(image: Image.Image, readers: Readers) -> Page:
    """Find the lines of a page (RGB, any size), recognise each, and answer for the whole page."""
    return recognise_lines(put_right(image, readers.locate), image.size, readers)


def recognise_lines(upright: Upright, size: tuple[int, int], readers: Readers) -> Page:
    """Recognise the lines of a page that was put right; *size* is that of the upload."""
    crops = [crop_of(upright, line.box) for line in upright.found.lines]
    predictions = readers.predict(crops) if crops else []
    lines = tuple(
        page_line(line, agreed(prediction, line.kinds, readers), upright, size)
        for line, prediction in zip(upright.found.lines, predictions, strict=True)
    )
    return summarise(lines, readers.labels, upright, size)


def agreed(prediction: Prediction, kinds: Sequence[float], readers: Readers) -> Prediction:
    """What a line is by the recogniser, which sees it alone, and by the map, which sees the lines around it.

    The probabilities are multiplied, those of the map with less weight; what the map does not know counts as it is. Of
    the recogniser's doubts all stay but that of its own confidence.
    """
    seen = dict(zip(readers.kinds, np.clip(kinds, DOUBT, 1 - DOUBT) ** MAP_WEIGHT, strict=False))
    product = {label: share * seen.get(label, 1.0) for label, share in prediction.probabilities.items()}
    total = sum(product.values())
    probabilities = {label: float(share / total) for label, share in product.items()}
    label = max(probabilities, key=probabilities.__getitem__)
    confidence = probabilities[label]
    own = low_confidence(prediction.confidence, readers.uncertain_below)
    others = (reason for reason in prediction.reasons if reason not in own)
    reasons = (*low_confidence(confidence, readers.uncertain_below), *others)
    return Prediction(label, confidence, probabilities, bool(reasons), reasons)


def crop_of(upright: Upright, box: Box) -> Image.Image:
    """Cut out a box with a margin."""
    margin = round(MARGIN * (box[3] - box[1]))
    height, width = upright.pixels.shape[:2]
    left, top = max(0, box[0] - margin), max(0, box[1] - margin)
    return Image.fromarray(upright.cut((left, top, min(width, box[2] + margin), min(height, box[3] + margin))))


def page_line(line: Line, prediction: Prediction, upright: Upright, size: tuple[int, int]) -> PageLine:
    """A line in the pixels of the upload."""
    polygon = moved(outline_of(line, upright.found), upright.back, size)
    corners = [(line.box[x], line.box[y]) for x, y in ((0, 1), (2, 1), (2, 3), (0, 3))]
    x, y = zip(*moved(corners, upright.back, size), strict=True)
    if not upright.skew:
        polygon_box = (min(x), min(y), max(x), max(y))
    else:
        across, down = zip(*polygon, strict=True)
        polygon_box = (min(across), min(down), max(across), max(down))
    weight = float((line.box[2] - line.box[0]) * line.core)
    return PageLine(polygon_box, tuple(polygon), prediction, weight, line.text)


def outline_of(line: Line, found: Found) -> list[Point]:
    """The upper edge of a line's ink from left to right, then the lower one back."""
    left, top, right, bottom = line.box
    own = found.owner[top:bottom, left:right] == line.number
    step = max(8, round(STRIP * line.core))
    starts = np.arange(0, right - left, step)
    inked = np.logical_or.reduceat(own, starts, axis=1)
    kept = inked.any(axis=0)
    across = np.repeat(left + starts[kept], 2)
    across[1::2] = np.minimum(right, across[1::2] + step)
    upper, lower = top + inked.argmax(axis=0)[kept], bottom - inked[::-1].argmax(axis=0)[kept]
    down = np.concatenate([np.repeat(upper, 2), np.repeat(lower, 2)[::-1]])
    return list(zip([*across.tolist(), *across[::-1].tolist()], down.tolist(), strict=True))


def moved(points: Sequence[Point], back: Matrix, size: tuple[int, int]) -> list[Point]:
    """Points of the upright page in pixels of the upload, within it."""
    x, y, _ = back @ np.array([(*point, 1) for point in points]).T
    across, down = x.round().clip(0, size[0]).astype(int), y.round().clip(0, size[1]).astype(int)
    return [(int(a), int(b)) for a, b in zip(across, down, strict=True)]


def summarise(lines: tuple[PageLine, ...], labels: Sequence[str], upright: Upright, size: tuple[int, int]) -> Page:
    """The answer for a page from those for its lines."""
    total = sum(line.weight for line in lines) or 1.0
    soft = {
        label: sum(line.weight * line.prediction.probabilities[label] for line in lines) / total for label in labels
    }
    shares = dict.fromkeys(labels, 0.0)
    for line in lines:
        shares[line.prediction.label] += line.weight / total
    label = max(soft, key=soft.__getitem__) if lines else None
    return Page(
        width=size[0],
        height=size[1],
        orientation=upright.orientation,
        skew=round(upright.skew, 1),
        lines=lines,
        label=label,
        confidence=soft[label] if label else 0.0,
        probabilities=soft,
        mixed=sum(is_real([line for line in lines if line.prediction.label == name], total) for name in labels) > 1,
        shares=shares,
        counts={label: Counter(line.prediction.label for line in lines)[label] for label in labels},
    )


def is_real(lines: Sequence[PageLine], total: float) -> bool:
    """Whether lines of one kind have a real share of the *total* weight of a page, or are together beyond doubt."""
    sure = sum(line.weight for line in lines if line.prediction.confidence >= SURE)
    doubts = (1 - line.prediction.confidence for line in lines if counts(line, total))
    return sure >= REAL_SHARE * total or 1 - prod(doubts) >= CLEAR


def counts(line: PageLine, total: float) -> bool:
    """Whether a line is surely text, of no doubtful kind, and neither a speck nor a single letter."""
    sides = line.box[2] - line.box[0], line.box[3] - line.box[1]
    long = max(sides) >= CLEAR_WIDTH * min(sides)  # the page may lie on its side
    sure = line.prediction.confidence >= CLEAR_LINE and line.text >= CLEAR_TEXT
    return long and sure and line.weight >= CLEAR_SHARE * total
