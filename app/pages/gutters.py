"""Parts columns: where line after line has a gap at the same place, a line that seems to go on across it has one, too.

In narrow columns the map of the page network goes on from a line into that of the next column here and there. One row
alone does not tell; the rows above and below do.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from app.pages.cores import SURE, Core, Field
from app.tasks import PLACE

WIDE = 2.0  # core heights: wider gaps are not looked at
TALL = 30.0  # core heights, half above and half below, in which lines are asked
SHARE = 0.5  # of the text that they would have, if they went on, that must be missing
FIRM = 0.92  # probability of text from which on a line goes on, whatever those around it do
FEWEST = 3  # rows of text that are asked, the one in question among them


def without_gutters(text: Field, cores: Sequence[Core]) -> Field:
    """The map of text, whose cores are known, without its traces in the gutters between columns; itself without any."""
    if not cores:
        return text
    height = float(np.median([core.height for core in cores])) / PLACE
    across, down = (odd(WIDE * height), 1), (1, odd(TALL * height))
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, across)
    closed = cv2.morphologyEx(text, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    inside = (closed > SURE).astype(np.float32)
    lost, there, rows = (
        cv2.boxFilter(each * inside, -1, down, normalize=False, borderType=cv2.BORDER_CONSTANT)
        for each in (np.maximum(closed - text, 0), closed, np.float32(1 / height))
    )
    parted = (lost > SHARE * there) & (rows >= FEWEST) & (text < FIRM)
    return np.where(parted, np.float32(0), text) if parted.any() else text


def odd(length: float) -> int:
    """The odd number that is nearest to a length."""
    return 2 * int(length / 2) + 1
