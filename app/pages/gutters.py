"""Parts columns: where line after line has a gap at the same place, a line that seems to go on across it has one, too.

In narrow columns the map of the page network goes on from a line into that of the next column here and there. One row
alone does not tell; the rows above and below do.
"""

import cv2
import numpy as np

from app.pages.cores import SURE, Field, find_cores
from app.tasks import PLACE

WIDE = 2.0  # core heights: wider gaps part lines anyhow
TALL = 30.0  # core heights, half above and half below, in which lines are asked
SHARE = 0.5  # of the text that they would have, if they went on, that must be missing
FIRM = 0.92  # probability of text from which on a line goes on, whatever those around it do
FEWEST = 3  # cores


def without_gutters(text: Field) -> Field:
    """The map of text without its traces in the gutters between columns."""
    _, cores = find_cores(text)
    if len(cores) < FEWEST:
        return text
    height = float(np.median([core.height for core in cores])) / PLACE
    closed = cv2.morphologyEx(text, cv2.MORPH_CLOSE, np.ones((1, odd(WIDE * height)), np.uint8))
    inside, column = np.where(closed > SURE, 1, 0).astype(np.float32), (1, odd(TALL * height))
    missing = cv2.blur((closed - text) * inside, column) / np.maximum(cv2.blur(closed * inside, column), 1e-6)
    return np.where((missing > SHARE) & (text < FIRM), np.float32(0), text)


def odd(length: float) -> int:
    """The odd number of places that comes nearest to a length from below."""
    return 2 * int(length / 2) + 1
