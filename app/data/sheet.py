"""A sheet of paper that is written on with pens and presses, and remembers where its lines are.

Owns the planes of ink and rules of a sheet and how they become colours. What stands where, `present_day` and `archive`
know; letters are in `drawing`, the looks of paper and ink in `paper`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.data import paper
from app.data.camera import Box, Colour, Matrix, moved, moved_points
from app.data.cuttings import INKED, Cuttings
from app.data.drawing import UNIT, Glyphs, draw_font, draw_glyphs, draw_set, stamp
from app.data.paper import Plane, Random
from app.data.scripts import UNSPACED, rewrite
from app.data.typefaces import LATIN, pick_font

TOOLS = {"handwritten": paper.PEN, "printed": paper.PRESS, "pencil": paper.PENCIL}
LETTERED, CAPITALS = 0.6, 0.3  # of pens write with real letters where there are any; of these in capitals alone
Points = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Hand:
    """A pen or a press: its class, its font, the height of an x in pixels, and which of the tools it is.

    With `glyphs`, the letters that somebody wrote, it uses these instead of the font.
    """

    label: str
    font: Path
    size: float
    tool: str
    glyphs: Glyphs | None = None
    capitals: bool = False


@dataclass(frozen=True)
class Written:
    """A line on a sheet: the box around its ink, its class, the polygon that its small letters fill, and its tool."""

    box: Box
    label: str
    core: Points
    tool: str

    def moved(self, matrix: Matrix) -> "Written":
        """The line after *matrix*."""
        return replace(self, box=moved(self.box, matrix), core=moved_points(self.core, matrix))


@dataclass
class Sheet:
    """A sheet while it is written on: the ink of each tool, its rules, pictures on it, and its lines.

    Some of what is written on it is in the letters of one of `hands`, or out of `cuttings`, where there are such.
    """

    random: Random
    size: tuple[int, int]
    split: str | None  # whose fonts are used; None: any
    colour: Colour | None = None
    print_colour: Colour | None = None
    hands: Sequence[Glyphs] = ()
    script: str = LATIN
    cuttings: Cuttings | None = None
    ink: dict[str, Plane] = field(init=False)
    rules: Plane = field(init=False)
    pictures: Plane = field(init=False)
    lines: list[Written] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with blank planes."""
        self.ink = {tool: np.zeros(self.size[::-1], np.float32) for tool in TOOLS}
        self.rules = np.zeros(self.size[::-1], np.float32)
        self.pictures = np.zeros(self.size[::-1], np.float32)

    @property
    def label(self) -> str:
        """The class of the sheet by its lines."""
        labels = {line.label for line in self.lines}
        return labels.pop() if len(labels) == 1 else "mixed"

    def hand(self, label: str, low: float, high: float | None = None, *, tool: str | None = None) -> Hand:
        """Take up a pen or a press, or another *tool* of its class; an x is *low* pixels high, or up to *high*."""
        random = self.random
        font, size = pick_font(random, label, self.split, self.script), random.uniform(low, high or low)
        hand = Hand(label, font, size, tool or label)
        if label != "handwritten" or self.script != LATIN or not self.hands or random.random() >= LETTERED:
            return hand
        glyphs = self.hands[int(random.integers(len(self.hands)))]
        return replace(hand, glyphs=glyphs, capitals=random.random() < CAPITALS)

    def rule(self, start: tuple[float, float], end: tuple[float, float], thick: int = 1) -> None:
        """Draw a rule between two points."""
        cv2.line(
            self.rules, (round(start[0]), round(start[1])), (round(end[0]), round(end[1])), 1.0, thick, cv2.LINE_AA
        )

    def room_from(self, left: float) -> float:
        """How many pixels there are from *left* to the margin."""
        return self.size[0] * 0.93 - left

    def write(self, hand: Hand, text: str, left: float, base: float, room: float | None = None) -> float:
        """Write *text* from *left* on the baseline *base*, as much of it as there is room; gives where it ends."""
        room = self.room_from(left) if room is None else room
        text = text if self.script == LATIN else rewrite(self.random, text, self.script)
        plane = self.draw(hand, text)
        while plane[0].shape[1] > room and len(text) > 1 and (" " in text or self.script in UNSPACED):
            kept = min(len(text) - 1, round(len(text) * min(0.95, room / plane[0].shape[1])))
            text = text[: max(1, kept)].rsplit(" ", 1)[0]
            plane = self.draw(hand, text)
        coverage, row = plane
        width = coverage.shape[1]
        core = ((0, row - hand.size), (width, row - hand.size), (width, row), (0, row))
        self.stamp(hand, coverage, (round(left), round(base - row)), core)
        return left + float(width)

    def stamp(self, hand: Hand, coverage: Plane, place: tuple[int, int], core: Sequence[tuple[float, float]]) -> None:
        """Lay a line's coverage with its left upper corner on *place*; its core is in pixels of the coverage."""
        column, top = place
        stamp(self.ink[hand.tool], coverage, top, column)
        rows, columns = np.nonzero(coverage > INKED)
        if rows.size:
            box = column + columns.min(), top + rows.min(), column + columns.max() + 1, top + rows.max() + 1
            points = tuple((round(column + x), round(top + y)) for x, y in core)
            left, top, right, bottom = map(int, box)
            self.lines.append(Written((left, top, right, bottom), hand.label, points, hand.tool))

    def draw(self, hand: Hand, text: str) -> tuple[Plane, float]:
        """The coverage of *text* in the size of the hand, without empty columns, and the row of its baseline."""
        if hand.label == "handwritten":
            text = text.upper() if hand.capitals else text
            drawn = draw_glyphs(self.random, text, hand.glyphs) if hand.glyphs else None
            plane, base = drawn or draw_font(self.random, text, hand.font, hand.label)
            plane = paper.warp(plane, self.random, UNIT, self.random.uniform(0.01, 0.04), self.random.normal(0, 0.008))
        else:
            plane, base = draw_set(text, hand.font)
        columns = np.flatnonzero((plane > INKED).any(axis=0))
        plane = plane[:, columns[0] : columns[-1] + 1] if columns.size else plane
        scale = hand.size / UNIT
        size = max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale))
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32), base * scale


def coloured(sheet: Sheet) -> NDArray[np.float32]:
    """The sheet in colours, 0..255: its paper, its rules, its ink."""
    random, shape = sheet.random, sheet.rules.shape
    pixels = paper.make_paper(random, shape, UNIT)
    if sheet.colour is not None:
        pixels *= np.array(sheet.colour, np.float32) / 240
    rule = paper.RULES[int(random.integers(len(paper.RULES)))]
    if sheet.pictures.any():
        pixels = paper.lay_ink(pixels, sheet.pictures, paper.ink_colour(random, paper.PRESS))
    pixels = paper.lay_ink(pixels, sheet.rules * np.float32(random.uniform(0.3, 1)), rule)
    for tool, plane in sheet.ink.items():
        sizes = [line.box[3] - line.box[1] for line in sheet.lines if line.tool == tool]
        if sizes:
            unit, ink = float(np.median(sizes)) / 2, TOOLS[tool]
            coverage = paper.vary_strokes(plane, random, ink, unit)
            coverage *= paper.colour_density(random, ink, shape, unit)
            printed = tool == "printed" and sheet.print_colour
            pixels = paper.lay_ink(pixels, coverage, printed or paper.ink_colour(random, ink))
    return pixels
