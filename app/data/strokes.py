"""Draws single characters as people do on a canvas: with a round pen of one width, and not quite steadily.

The lines are those of bundled plain hands, thinned to one pixel and drawn anew. Owns the drawing; which data set it
becomes, `data_import_characters --synthetic` knows.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.data.drawing import UNIT, draw_set
from app.data.typefaces import fonts_of
from app.errors import DataError

# Hands whose letters stand apart and whose capitals differ from small letters.
HANDS = """
architects-daughter coming-soon crafty-girls give-you-glory gochi-hand handlee indie-flower kalam loved-by-the-king
patrick-hand playwrite-de-grund reenie-beanie schoolbell shadows-into-light sue-ellen-francisco the-girl-next-door
waiting-for-the-sunrise
"""
CANVAS = 140  # pixels of a side
HEIGHT = (0.45, 0.75)  # of a capital, as a share of the canvas
PEN = (0.05, 0.16)  # width, as a share of the character's longer side
LEAST_SIDE = 0.3  # of the canvas, which that side counts as at least
WOBBLE = (0.005, 0.025)  # how far a line strays, as a share of the canvas
OFF_CENTRE = 0.05  # the same for the whole character
MARGIN = 18  # pixels that stay free of the middle of a line
SMOOTHINGS = 6
SUBPIXEL = 4  # bits
AROUND = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))
RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # the neighbours of a pixel, in a circle

Random = np.random.Generator
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Skeleton:
    """The middle of a character's lines, as pairs of points between which the pen goes; a dot is a point twice.

    `points` of shape (n, 2) are x and y in heights of a capital, from the character's place on the baseline.
    """

    points: Points
    pairs: NDArray[np.int64]


def draw_character(random: Random, letter: str, hand: Path) -> NDArray[np.uint8]:
    """Draw a character in light on black, of shape (CANVAS, CANVAS), where it stands in a line as high as the canvas.

    Raises DataError where the font has no such letter.
    """
    skeleton = skeleton_of(hand, letter)
    points = wobble(random, place(random, skeleton.points))
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    side = max(np.ptp(points, axis=0).max(), LEAST_SIDE * CANVAS)
    width = max(1, round(side * random.uniform(*PEN)))
    fixed = np.rint(points * 2**SUBPIXEL).astype(int).tolist()
    for one, other in skeleton.pairs.tolist():
        cv2.line(canvas, fixed[one], fixed[other], 255, width, cv2.LINE_AA, SUBPIXEL)
    return canvas


def hands() -> list[Path]:
    """The font files that characters are drawn after."""
    return [font for font in fonts_of("handwritten") if font.stem in HANDS.split()]


@cache
def skeleton_of(hand: Path, letter: str) -> Skeleton:
    """Thin a letter of a font; raises DataError for one that leaves no ink, and for more than one."""
    plane, base = draw_set(letter, hand)
    lines = thin(np.pad(plane > 0.5, 1))  # noqa: PLR2004 - half covered by ink
    places = np.argwhere(lines)
    if len(letter) != 1 or not places.size:
        message = f"{hand.name} has no {letter!r} to draw; choose a task whose labels are single printable characters"
        raise DataError(message)
    numbers = np.full(lines.shape, -1)
    numbers[lines] = np.arange(len(places))
    pairs = [np.column_stack([numbers[lines], np.roll(numbers, shift, (0, 1))[lines]]) for shift in AROUND]
    linked = np.concatenate(pairs)
    linked = linked[linked[:, 1] >= 0]
    capital, foot = draw_set("H", hand)
    height = max(UNIT, foot - int(np.argmax((capital > 0.5).any(axis=1))))  # noqa: PLR2004 - half covered by ink
    middle = (places[:, 1].min() + places[:, 1].max()) / 2
    points = np.column_stack([places[:, 1] - middle, places[:, 0] - 1 - base]) / height
    return Skeleton(smooth(points, linked), linked[linked[:, 0] <= linked[:, 1]])


def thin(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin lines to one pixel; a dot becomes a point."""
    lines = without_rims(ink.copy())
    _, parts, _, centres = cv2.connectedComponentsWithStats(ink.astype(np.uint8))
    for number in set(range(1, len(centres))) - set(parts[lines].tolist()):
        column, row = np.rint(centres[number]).astype(int)
        lines[row, column] = True
    return lines


def without_rims(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take rims away while lines hold together; small even dots vanish.

    After T. Zhang and C. Suen, A fast parallel algorithm for thinning digital patterns, 1984.
    """
    changed = True
    while changed:
        changed = False
        for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            ring = np.stack([np.roll(ink, (-row, -column), (0, 1)) for row, column in RING])
            count = ring.sum(axis=0)
            rises = (~ring & np.roll(ring, -1, axis=0)).sum(axis=0)
            open_sides = ~ring[list(first)].all(axis=0) & ~ring[list(second)].all(axis=0)
            gone = ink & (count >= 2) & (count <= 6) & (rises == 1) & open_sides  # noqa: PLR2004 - theirs
            ink &= ~gone
            changed |= bool(gone.any())
    return ink


def smooth(points: Points, linked: NDArray[np.int64]) -> Points:
    """Take the steps of the pixels out: every point goes to the mean of those it is linked with, several times."""
    counts = np.bincount(linked[:, 0], minlength=len(points))[:, None]
    for _ in range(SMOOTHINGS):
        sums = np.zeros_like(points)
        np.add.at(sums, linked[:, 0], points[linked[:, 1]])
        points = sums / counts
    return points


def place(random: Random, points: Points) -> Points:
    """Points in pixels of the canvas: of a size, slant, turn and place of their own, smaller where they would not fit.

    Letters that end above or below a capital are moved into the canvas.
    """
    turn, slant, aspect = np.radians(random.normal(0, 4)), random.normal(0, 0.12), np.exp(random.normal(0, 0.12))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[aspect, -slant], [0, 1]]
    turned = (points + np.array([0, 0.5])) @ matrix.T  # around the middle of a capital
    side = max(np.ptp(turned, axis=0).max(), LEAST_SIDE)
    scale = min(CANVAS * random.uniform(*HEIGHT), (CANVAS - 2 * MARGIN) / side)
    found = turned * scale + CANVAS / 2 + random.normal(0, OFF_CENTRE, 2) * CANVAS
    beyond = np.maximum(0, found.max(axis=0) - (CANVAS - MARGIN)) - np.maximum(0, MARGIN - found.min(axis=0))
    return np.asarray(found - beyond)


def wobble(random: Random, points: Points) -> Points:
    """Let lines stray a little, neighbouring points together."""
    strength = CANVAS * random.uniform(*WOBBLE)
    field = cv2.resize(random.normal(0, strength, (5, 5, 2)), (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    columns, rows = np.clip(points.T.astype(int), 0, CANVAS - 1)
    return np.asarray(points + field[rows, columns])
