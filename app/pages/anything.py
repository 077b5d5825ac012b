"""Answers for an image of which nobody says what it shows: a word or line is recognised, a page is analysed."""

import numpy as np
from PIL import Image

from app.errors import NoTextError
from app.pages.analyse import Page, Readers, recognise_lines
from app.pages.segment import Found
from app.pages.upright import put_right
from app.tasks import Prediction

SMALL_SIDE = 150  # pixels of the shorter side: less is no page
LONG = 5.0  # times as wide as high: a line
PAGE_SIDE = 400  # pixels of the shorter side: more, without any text, is an empty page
ROW = 2.0  # heights of small letters from the middle of one row to that of the next, at least
FEW_ROWS = 4  # a crop of one line may show its neighbours above and below
STRIP = 2.5  # times as wide as high: no page when it has few rows
MORE_ROWS = 8
WIDE = 1.5  # times as wide as high: more than a page is, unless it is turned or a slip
SURE = 0.93  # confidence in a page of few rows
FILLED = 0.3  # of the image that the boxes of a word or line take at least
UNSURE_BELOW = 0.8  # share of the page's writing that has its class


def recognise_anything(image: Image.Image, readers: Readers) -> tuple[Prediction, Page | None]:
    """The answer for an image (RGB), and the page when it is one; raises NoTextError for an empty page."""
    if is_small(image.size):
        return readers.predict([image])[0], None
    upright = put_right(image, readers.locate)
    if not upright.found.lines and min(image.size) >= PAGE_SIDE:
        message = f"no text found on the page of {image.width} x {image.height} pixels; send a page that bears writing"
        raise NoTextError(message)
    if is_line(upright.found):
        return readers.predict([image])[0], None
    page = recognise_lines(upright, image.size, readers)
    if is_doubtful(page, upright.found):
        return readers.predict([image])[0], None
    return prediction_of(page), page


def is_small(size: tuple[int, int]) -> bool:
    """Whether an image can only be that of a word or line."""
    return min(size) < SMALL_SIDE or size[0] > LONG * size[1]


def is_line(found: Found) -> bool:
    """Whether a few lines fill the image, as they do when somebody cuts out a word or line with its neighbours."""
    if not found.lines:
        return True
    boxes = sum((line.box[2] - line.box[0]) * (line.box[3] - line.box[1]) for line in found.lines)
    height, width = found.owner.shape
    return rows_of(found) <= FEW_ROWS and (boxes > FILLED * width * height or width > STRIP * height)


def rows_of(found: Found) -> int:
    """How many rows of lines there are; the usual height of writing counts, whatever large title stands among it."""
    apart = ROW * float(np.median([line.core for line in found.lines] or [0]))
    rows, last = 0, -np.inf
    for middle in sorted((line.box[1] + line.box[3]) / 2 for line in found.lines):
        if middle - last > apart:
            rows, last = rows + 1, middle
    return rows


def is_doubtful(page: Page, found: Found) -> bool:
    """Whether an image may be a line in which ornaments, rules or neighbours were taken for lines of a page."""
    rows, lies = rows_of(found), page.orientation in {90, 270}
    if lies and page.width > STRIP * page.height and page.height < PAGE_SIDE:
        return True  # as a slip of paper on its side, its writing could hardly be read
    if page.mixed:
        return False
    wide = page.width > WIDE * page.height and (rows <= MORE_ROWS or lies)
    return page.confidence < SURE and (wide or rows <= FEW_ROWS)


def prediction_of(page: Page) -> Prediction:
    """The answer for a page in the form of one for a line."""
    reasons = []
    if page.confidence < UNSURE_BELOW and not page.mixed:
        reasons.append(f"only {page.confidence:.0%} of the writing on the page seems to be {page.label}")
    return Prediction(page.label or "", page.confidence, page.probabilities, bool(reasons), tuple(reasons))
