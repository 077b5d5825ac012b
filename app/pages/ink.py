"""Tells ink from paper: even light, a threshold that follows the local contrast, rules of forms and tables taken out.

Works on grey images of shape (height, width), uint8, 0 is black. Knows nothing of lines.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Mask = NDArray[np.uint8]  # 0 or 1

SHRINK = 4  # the paper's brightness changes slowly, so it is estimated on an image so many times smaller
PAPER_WINDOW = 21  # in shrunk pixels: wider than any stroke, narrower than most shadows
CONTRAST_WINDOW = 61  # in pixels: strong ink within it hides what is much fainter, such as writing that shows through
LEAST_CONTRAST = 18  # grey values
SHARE_OF_CONTRAST = 0.4
RULE_RUN = 50  # a rule that slopes falls into runs of at least so many pixels
RULE_LENGTH = 100
RULE_THICKNESS = 9
DARK_SHARE = 0.62  # ground that is darker than so much of the bright paper is what the page lies on
LEAST_SHEET = 0.05  # of the image
EDGE = 9  # in shrunk pixels: ragged edges of the sheet


@dataclass(frozen=True)
class Ink:
    """The ink of a page without its rules (lines drawn or printed), and `darkness` in grey values of white paper."""

    mask: Mask
    rules: Mask
    darkness: Grey


def ink_of(grey: Grey) -> Ink:
    """Split a page into ink and rules; both masks have the shape of *grey*."""
    paper = paper_of(grey)
    darkness = even(grey, paper)
    sheets = scaled(sheets_of(paper), grey)
    sample = darkness[::4, ::4][sheets[::4, ::4] > 0].astype(np.int16)
    noise = float(np.median(np.abs(sample - np.median(sample)))) if sample.size else 0.0
    mask = (darkness > threshold_of(darkness * sheets, max(LEAST_CONTRAST, 6 * noise))).astype(np.uint8) & sheets
    rules = rules_of(mask)
    return Ink(np.asarray(mask & (1 - rules), np.uint8), rules, darkness)


def paper_of(grey: Grey) -> Grey:
    """The brightness of the paper around every pixel, at a quarter of the size: writing is closed over."""
    height, width = grey.shape
    small = cv2.resize(grey, (max(1, width // SHRINK), max(1, height // SHRINK)), interpolation=cv2.INTER_AREA)
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((PAPER_WINDOW, PAPER_WINDOW), np.uint8))
    return np.asarray(cv2.blur(closed, (PAPER_WINDOW, PAPER_WINDOW)), np.uint8)


def sheets_of(paper: Grey) -> Mask:
    """Where sheets of paper lie, without their edges: the bright parts, with what is dark inside them."""
    bright = (paper > DARK_SHARE * np.percentile(paper, 80)).astype(np.uint8)
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((EDGE, EDGE), np.uint8))
    outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [outline for outline in outlines if cv2.contourArea(outline) > LEAST_SHEET * paper.size]
    if not large:
        return np.ones_like(paper)
    sheets = cv2.drawContours(np.zeros_like(paper), large, -1, 1, cv2.FILLED)
    return np.asarray(cv2.erode(sheets, np.ones((EDGE // 2, EDGE // 2), np.uint8), borderValue=1), np.uint8)


def even(grey: Grey, paper: Grey) -> Grey:
    """How much darker than the paper around it every pixel is, in grey values of white paper."""
    return np.asarray(255 - cv2.divide(grey, np.maximum(scaled(paper, grey), 1), scale=255), np.uint8)


def scaled(small: Grey, like: Grey) -> Grey:
    """Scale a map to the size of another image."""
    return np.asarray(cv2.resize(small, like.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def threshold_of(darkness: Grey, least: float) -> Grey:
    """From which darkness on a pixel is ink: a share of the strongest around it, and at least *least*."""
    half = CONTRAST_WINDOW // 2
    strongest = cv2.dilate(darkness[::2, ::2], np.ones((half, half), np.uint8))
    shares = cv2.blur(strongest, (half, half)) * np.float32(SHARE_OF_CONTRAST)
    return scaled(np.maximum(shares, least).astype(np.uint8), darkness)


def rules_of(mask: Mask) -> Mask:
    """The long thin strokes across and down, a pixel wider than they are so that nothing of them is left."""
    across = long_strokes(mask)
    down = long_strokes(np.ascontiguousarray(mask.T)).T
    grown = np.asarray(cv2.dilate(across | down, np.ones((3, 3), np.uint8)), np.uint8)
    return grown & mask


def long_strokes(mask: Mask) -> Mask:
    """The strokes across that are long and thin; they may slope a little and have small holes."""
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, RULE_RUN), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(runs, np.ones((3, 1), np.uint8)), connectivity=8)
    width, area = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_AREA]
    thin = (width >= RULE_LENGTH) & (area <= width * RULE_THICKNESS)
    thin[0] = False
    return np.asarray(thin.astype(np.uint8)[labels], np.uint8)
