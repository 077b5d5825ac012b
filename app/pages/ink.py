"""Tells ink from paper: even light, a threshold that follows the local contrast, rules of forms and tables taken out.

Works on grey images of shape (height, width), uint8, 0 is black. Knows nothing of lines.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.preprocess.light import darkness_of, paper_of, scaled

Grey = NDArray[np.uint8]
Mask = NDArray[np.uint8]  # 0 or 1

CONTRAST_WINDOW = 61  # in pixels: strong ink within it hides what is much fainter, such as writing that shows through
LEAST_CONTRAST = 18  # grey values
SHARE_OF_CONTRAST = 0.4
RULE_RUN = 50  # a rule that slopes falls into runs of at least so many pixels
RULE_LENGTH = 100
RULE_THICKNESS = 9
FAINT_RULE = 8  # grey values by which a rule down is darker than both of its sides, 6 pixels away
FAINT_RUN, FAINT_SHARE, FAINT_LENGTH = 61, 0.7, 160  # in pixels / 2; on so much of a run a rule must be darker
FAINT_THICKNESS = 6
SQUARED = 0.26  # of the writing by the rules crosses them: squared paper, on which rules part nothing
WRITTEN_OVER = 0.35  # of the writing by a rule crosses it: no rule, but strokes above each other
DARK_SHARE = 0.45  # ground that is darker than so much of the bright paper is what the page lies on, not a shadow on it
SOLID, SOLID_SHARE, SOLID_LENGTH = 13, 0.5, 150  # ink so thick and long, in pixels, is an edge of a sheet or a shadow's
LEAST_LEFT = 0.05  # of the ink, without such edges
LEAST_SHEET = 0.05  # of the image
SHEET = (0.1, 0.85)  # of the image, that a sheet takes which clearly lies on something else
LEVELS = 12  # grey values that are tried, of which sheets may be brighter than what they lie on
GROUND = 0.7  # of the brightness of a sheet has what it lies on, at most; else it may be paper as well
LEAST_STEP, SHARP = 10, 0.85  # grey values across the edge of a sheet, along so much of it
CONVEX, INNER = 0.95, 0.6  # of the hull of a sheet, and of its outline that is not at the edge of the image
EDGE = 9  # in shrunk pixels: ragged edges of the sheet
SMALL_SIDE, STROKE = 400, 15  # pixels of the longer side, on which strokes and their surroundings are so wide
LEAST_STROKE = 6  # grey values by which what is shrunk so stands out, at least


@dataclass(frozen=True)
class Ink:
    """The ink of a page without its rules (lines drawn or printed), and `darkness` in grey values of white paper."""

    mask: Mask
    darkness: Grey

    def turned(self, matrix: NDArray[np.float64], shape: tuple[int, int]) -> "Ink":
        """The same after *matrix* (3 x 3), on a page of *shape* (height, width)."""
        mask = cv2.warpAffine(self.mask, matrix[:2], shape[::-1], flags=cv2.INTER_NEAREST)
        return Ink(
            np.asarray(mask, np.uint8), np.asarray(cv2.warpAffine(self.darkness, matrix[:2], shape[::-1]), np.uint8)
        )

    def upside_down(self) -> "Ink":
        """The same after the page is turned by half."""
        mask, darkness = (np.ascontiguousarray(plane[::-1, ::-1]) for plane in (self.mask, self.darkness))
        return Ink(mask, darkness)


def ink_of(grey: Grey) -> Ink:
    """The ink of a page; its mask has the shape of *grey*."""
    paper = paper_of(grey)
    darkness = darkness_of(grey, paper)
    sheets = scaled(sheets_of(paper, grey), grey)
    sample = darkness[::4, ::4][sheets[::4, ::4] > 0].astype(np.int16)
    noise = float(np.median(np.abs(sample - np.median(sample)))) if sample.size else 0.0
    return ink_in(darkness, sheets, max(LEAST_CONTRAST, 6 * noise))


def ink_of_text(grey: Grey, where: Mask) -> Ink:
    """The ink of a page on which text is known to be *where*, however faint: what is darker there than most of it."""
    darkness = darkness_of(grey, paper_of(grey))
    if not where.any():
        return Ink(where, darkness)
    least, _ = cv2.threshold(darkness[where > 0], 0, 1, cv2.THRESH_OTSU)
    return ink_in(darkness, where, least)


def ink_in(darkness: Grey, where: Mask, least: float) -> Ink:
    """The ink on a part of a page: what has a share of the darkness of the strongest near by, and at least *least*."""
    mask = (darkness > threshold_of(darkness * where, least)).astype(np.uint8) & where
    mask = without_edges(np.asarray(mask, np.uint8))
    return Ink(np.asarray(mask & (1 - rules_of(mask)), np.uint8), darkness)


def without_faint_rules(ink: Ink) -> Ink:
    """Take out the faint rules down as well; only of an upright page, where they run down."""
    faint = faint_rules(ink.darkness, ink.mask)
    return Ink(np.asarray(ink.mask & (1 - faint), np.uint8), ink.darkness)


def lightness_of_strokes(grey: Grey) -> float:
    """How much what stands out from its surroundings is lighter than they are: -1 (all darker) to 1; 0 for nothing.

    The third moment of the differences to the median around, which edges of sheets and shadows do not show up in.
    """
    scale = min(1.0, SMALL_SIDE / max(grey.shape))
    size = max(1, round(scale * grey.shape[1])), max(1, round(scale * grey.shape[0]))
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    differences = small.astype(np.float32) - cv2.medianBlur(small, STROKE)
    if float(np.abs(differences).max()) < LEAST_STROKE:
        return 0.0
    cubes = differences**3
    return float(cubes.sum() / np.abs(cubes).sum())


def sheets_of(paper: Grey, grey: Grey) -> Mask:
    """Where sheets of paper lie, without their edges, at the size of *paper*: the bright parts and what is in them."""
    size = max(8, grey.shape[1] // 8), max(8, grey.shape[0] // 8)
    plain = np.asarray(cv2.medianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), 9), np.uint8)
    level = level_of_sheet(plain)
    if level is None:
        bright = (paper > DARK_SHARE * np.percentile(paper, 80)).astype(np.uint8)
    else:
        bright = scaled(np.asarray((plain > level) * 255, np.uint8), paper) // 128
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((EDGE, EDGE), np.uint8))
    outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [outline for outline in outlines if cv2.contourArea(outline) > LEAST_SHEET * paper.size]
    if not large:
        return np.ones_like(paper)
    if level is not None:  # writing up to the edge bites into the sheet
        large = [cv2.convexHull(outline) for outline in large]
    sheets = cv2.drawContours(np.zeros_like(paper), large, -1, 1, cv2.FILLED)
    return np.asarray(cv2.erode(sheets, np.ones((EDGE // 2, EDGE // 2), np.uint8), borderValue=1), np.uint8)


def level_of_sheet(plain: Grey) -> float | None:
    """The grey value above which a page without its writing shows one sheet with sharp edges all around; None if none.

    The edges of shadows are soft, so that no sheet ends there.
    """
    step, slope = spread(plain, 5), spread(plain, 13)
    sharp = (step >= LEAST_STEP) & (2 * step.astype(np.int16) >= slope)
    height, width = plain.shape
    largest, found = SHEET[0] * plain.size, None
    low, high = np.percentile(plain, (5, 95))
    for level in np.linspace(float(low), float(high), LEVELS):
        outlines, _ = cv2.findContours((plain > level).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(outlines, key=cv2.contourArea, default=None)
        area = 0.0 if outline is None else cv2.contourArea(outline)
        if outline is None or not largest < area < SHEET[1] * plain.size:
            continue
        x, y = outline[:, 0].T
        inner = (x > 1) & (y > 1) & (x < width - 2) & (y < height - 2)
        convex = area > CONVEX * cv2.contourArea(cv2.convexHull(outline))
        if convex and inner.mean() > INNER and sharp[y, x][inner].mean() > SHARP and is_ground_darker(plain, level):
            largest, found = area, float(level)
    return found


def is_ground_darker(plain: Grey, level: float) -> bool:
    """Whether what is not above *level* is so much darker that it is no part of the sheet, nor its other page."""
    above = plain > level
    return bool(np.median(plain[~above]) < GROUND * np.median(plain[above]))


def spread(grey: Grey, side: int) -> Grey:
    """How far the brightest and the darkest pixel are apart in a square around every pixel."""
    square = np.ones((side, side), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(grey, square), cv2.erode(grey, square)), np.uint8)


def threshold_of(darkness: Grey, least: float) -> Grey:
    """From which darkness on a pixel is ink: a share of the strongest around it, and at least *least*."""
    half = CONTRAST_WINDOW // 2
    strongest = cv2.dilate(darkness[::2, ::2], np.ones((half, half), np.uint8))
    shares = cv2.blur(strongest, (half, half)) * np.float32(SHARE_OF_CONTRAST)
    return scaled(np.maximum(shares, least).astype(np.uint8), darkness)


def without_edges(mask: Mask) -> Mask:
    """Leave out long thick bands: where a sheet ends, or a shadow, on a ground that is not much darker."""
    solid = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((SOLID, SOLID), np.uint8))
    if not solid.any():
        return mask
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    length = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    share = shares_of(np.asarray(labels, np.int32), np.asarray(solid, np.uint8))
    edge = (length >= SOLID_LENGTH) & (share > SOLID_SHARE)
    edge[0] = False
    kept = np.asarray(mask & ~edge[labels], np.uint8)
    return kept if kept.sum() > LEAST_LEFT * mask.sum() else mask  # else they are words, written with a broad marker


def rules_of(mask: Mask) -> Mask:
    """The long thin strokes across and down, a pixel wider than they are so that nothing of them is left."""
    across = long_strokes(mask)
    down = long_strokes(np.ascontiguousarray(mask.T)).T
    grown = np.asarray(cv2.dilate(across | down, np.ones((3, 3), np.uint8)), np.uint8)
    return grown & mask


def faint_rules(darkness: Grey, mask: Mask) -> Mask:
    """The rules down that are too faint or too broken for strokes of ink: darker than both sides nearly all along."""
    size = max(8, darkness.shape[1] // 2), max(1, darkness.shape[0] // 2)
    half = np.asarray(cv2.resize(darkness, size, interpolation=cv2.INTER_AREA), np.uint8)
    darker = (cv2.subtract(half, np.maximum(*beside(half, 3))) > FAINT_RULE).astype(np.uint8)
    wide = cv2.dilate(darker * 255, np.ones((1, 3), np.uint8))
    long = (cv2.blur(wide, (1, FAINT_RUN)) > FAINT_SHARE * 255).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(long, connectivity=8)
    length, area = stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_AREA]
    ink = cv2.dilate(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.ones((1, 3), np.uint8))
    left, right = beside(np.asarray(ink, np.uint8), 4)
    numbers = np.asarray(labels, np.int32)
    written_over = shares_of(numbers, left & right) / np.maximum(shares_of(numbers, left | right), 1e-9)
    kept = (length >= max(FAINT_LENGTH, size[1] // 2)) & (area <= FAINT_THICKNESS * length)
    kept[0] = False
    order = np.flatnonzero(kept)[np.argsort(written_over[kept])]
    reach = length[order].cumsum()
    if not order.size or written_over[order[np.searchsorted(reach, reach[-1] / 2)]] > SQUARED:
        return np.zeros_like(mask)
    kept &= written_over < WRITTEN_OVER
    return np.asarray(
        cv2.resize(kept.astype(np.uint8)[labels], mask.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8
    )


def beside(image: Grey, distance: int) -> tuple[Grey, Grey]:
    """What is so many pixels left and right of every pixel; 0 beyond the edges."""
    padded = np.asarray(cv2.copyMakeBorder(image, 0, 0, distance, distance, cv2.BORDER_CONSTANT), np.uint8)
    return padded[:, : -2 * distance], padded[:, 2 * distance :]


def shares_of(labels: NDArray[np.int32], where: Mask) -> NDArray[np.float64]:
    """For every label how much of it is where *where* is 1."""
    amount = np.bincount(labels.ravel())
    return np.bincount(labels[where > 0], minlength=len(amount)) / np.maximum(amount, 1)


def long_strokes(mask: Mask) -> Mask:
    """The strokes across that are long and thin; they may slope a little and have small holes."""
    joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    runs = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, RULE_RUN), np.uint8))
    if not runs.any():
        return np.zeros_like(mask)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(runs, np.ones((3, 1), np.uint8)), connectivity=8)
    width, area = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_AREA]
    thin = (width >= RULE_LENGTH) & (area <= width * RULE_THICKNESS)
    thin[0] = False
    return np.asarray(thin.astype(np.uint8)[labels], np.uint8)
