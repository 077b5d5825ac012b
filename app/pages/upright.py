"""Brings a page to working size and upright, and points on it back into the pixels of the upload."""

from dataclasses import dataclass, replace
from operator import attrgetter

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.pages.ink import Ink, Mask, ink_of, ink_of_text, lightness_of_strokes, without_faint_rules
from app.pages.looks import SIDE, Looks, Matrix, View, drawn, grey_of, negative_of, turning
from app.pages.orientation import STRAIGHT, Direction, direction_of, skew_of
from app.pages.segment import Box, Found, find_lines
from app.tasks import PLACE, Locate

LARGEST_WRITING = 12.0  # pages are shrunk further when their writing is larger; half the height of small letters
SMALLEST_WRITING = 4.5  # and enlarged when it is smaller, at most so many times, to so many pixels of the longer side:
MOST_ENLARGED, LARGEST_SIDE = 2.0, 2400
USUAL_WRITING = 6.0
HARDLY_ANY, SOME = 6, 20  # letters: fewer may be due to direction or polarity; so many are no chance in another
FOUND = 0.3  # of the letters on the map must be on lines: else their ink was not found, but that of something else
SLIGHT = 2.0  # degrees
LIGHT = 0.2  # of strokes: from here on they may be light on a dark ground, or faint ones on a rough desk
ALL_LIGHT, NEARLY = 0.8, 0.7  # and from here on they are, where the negative has at least so many of the letters
FEW_PIXELS = 1200  # of the longer side: such a page is enlarged to as many as usual, or until its writing is so large:
WRITING_OF_FEW = 8.0
RATHER, MORE, CLEARLY = 1.1, 1.4, 2.0  # times as many letters must a look show: enlarged, unshrunk, in other directions
ENOUGH = 64  # pixels of height of a line that the recogniser can use
HARDLY_FINER = 1.1  # times as fine as the page is read
SUSPECT = 0.4  # of the text seems to stand on its head: the page is looked at the other way round
CHANCE, REACH = 0.2, 13  # probability of text; places around it that may have ink of it


@dataclass(frozen=True)
class Upright:
    """A page put right: its pixels (RGB), the lines on it, and the matrix that leads back to the pixels of the upload.

    `orientation` is the quarter turns, in degrees counterclockwise, that put it right; `skew` what was left of it.
    Where `negative`, the pixels are those of the negative of the upload.
    """

    upload: NDArray[np.uint8]
    negative: bool
    pixels: NDArray[np.uint8]
    found: Found
    back: Matrix
    orientation: int
    skew: float

    @property
    def lies_straight(self) -> bool:
        """Whether the page was put right by nothing but its size."""
        return not self.orientation and not self.skew

    def cut(self, box: Box) -> NDArray[np.uint8]:
        """Cut out a box of the page; where that would be low, with as many pixels as the upload has."""
        left, top, right, bottom = box
        finer = float(np.hypot(*self.back[:2, 0]))
        if bottom - top >= ENOUGH or finer <= HARDLY_FINER:
            return self.pixels[top:bottom, left:right]
        if self.lies_straight:
            left, top, right, bottom = (round(finer * value) for value in box)
            pixels = self.upload[top:bottom, left:right]
        else:
            forth = np.array([[finer, 0, -finer * left], [0, finer, -finer * top], [0, 0, 1]])
            size = round(finer * (right - left)), round(finer * (bottom - top))
            pixels = drawn(self.upload, forth @ np.linalg.inv(self.back), size)
        return negative_of(pixels) if self.negative else pixels


def put_right(image: Image.Image, locate: Locate) -> Upright:
    """Find out how a page lies, turn it, and find its lines; *image* is RGB of any size.

    Of a page that is light on dark, what is given is its negative: it is looked at, too, where strokes are light or
    hardly anything was found, and taken where its lines have more letters, or nearly as many and strokes are clearly
    light.
    """
    looks = Looks(np.asarray(image), locate)
    upright, lightness = found_on(looks), lightness_of_strokes(grey_of(looks.pixels()))
    letters = letters_of_lines(upright.found)
    if not lightness or (letters > HARDLY_ANY and lightness < LIGHT):
        return upright
    negative = found_on(Looks(looks.whole, locate, negative=True))
    enough = max(HARDLY_ANY, letters * (NEARLY if lightness >= ALL_LIGHT else 1))
    return negative if letters_of_lines(negative.found) > enough else upright


def found_on(looks: Looks) -> Upright:
    """The page that is looked at, put right."""
    ink = ink_of(grey_of(looks.pixels()))
    view = view_by_ink(looks, direction_of(ink.mask))
    ink = ink_in(view, looks, ink)
    found = find_lines(without_faint_rules(ink), view.places)
    missed = view.letters >= SOME and letters_of_lines(found) < FOUND * view.letters  # the ink told slope and size, too
    if view.letters < HARDLY_ANY or view.direction.lies_down or missed or not found.lines:  # most stand upright
        best = view_by_map(looks, levelled(looks, looks.at(1.0, view.direction)) if missed else view)
        if best.letters >= SOME and (best is not view or missed or not found.lines):
            view, ink = best, ink_of_text(grey_of(best.pixels), around(best))
            found = find_lines(without_faint_rules(ink), view.places)
    if found.lines and view.upside_down > SUSPECT:
        over = turned_over(view, looks.locate)
        if over.upside_down < view.upside_down and over.letters > FOUND * view.letters:
            view = over
            found = find_lines(without_faint_rules(ink.upside_down()), view.places)
    back = np.asarray(np.linalg.inv(view.forth), np.float64)
    direction = view.direction
    return Upright(looks.whole, looks.negative, view.pixels, found, back, direction.orientation, direction.skew)


def letters_of_lines(found: Found) -> float:
    """About how many letters the lines have that were found, as `View.letters` counts those of the map."""
    return sum((line.box[2] - line.box[0]) / line.core for line in found.lines)


def view_by_ink(looks: Looks, direction: Direction) -> View:
    """The view in the direction and of the size that the ink tells, unless another size shows more letters.

    One large title may hide how small the rest is, and on a page of few pixels small marks beside it are lost.
    """
    side = max(looks.pixels().shape)
    factor = suiting(direction.sigma, side)
    view = looks.at(factor, direction)
    if factor < 1:
        other, enough = looks.at(1.0, direction), MORE * view.letters
    elif side < FEW_PIXELS:
        other, enough = looks.at(min(MOST_ENLARGED, SIDE / side), direction), RATHER * view.letters
    else:
        return view
    return other if other.letters > enough else view


def ink_in(view: View, looks: Looks, ink: Ink) -> Ink:
    """The ink of a view: *ink*, that of the page as it lies, turned with it where it turns but little; else found anew.

    Of a page that slopes more, rules drawn on it would not have been told from writing.
    """
    if view.pixels is looks.pixels():
        return ink
    if view.factor != 1 or view.direction.lies_down or abs(view.direction.skew) > SLIGHT:
        return ink_of(grey_of(view.pixels))
    height, width = ink.mask.shape
    return ink.turned(turning(view.direction, width, height), view.pixels.shape[:2])


def view_by_map(looks: Looks, view: View) -> View:
    """The view that shows clearly more letters than *view*, if there is one, both ways round, level, then by its skew.

    The ink may tell a wrong direction: a rough desk has more of it than a faint sheet on it.
    """
    level = [looks.at(1.0, replace(view.direction, lies_down=lies, skew=0.0)) for lies in (False, True)]
    best = max((view, *level), key=attrgetter("letters"))
    if best is view or best.letters < SOME:
        return view
    best = max(best, levelled(looks, best), key=attrgetter("letters"))
    return best if best.letters > CLEARLY * view.letters else view


def levelled(looks: Looks, view: View) -> View:
    """The view turned on by the skew that its map still shows."""
    skew = skew_of((view.places.max(axis=0) * 255).astype(np.uint8))
    if abs(skew) < STRAIGHT:
        return view
    return looks.at(view.factor, replace(view.direction, skew=round(view.direction.skew + skew, 1)))


def around(view: View) -> Mask:
    """Where on a page ink of text may be: the places that the map gives a chance, and what is near to them."""
    likely = (view.places.max(axis=0) > CHANCE).astype(np.uint8)
    near = cv2.resize(cv2.dilate(likely, np.ones((REACH, REACH), np.uint8)), None, fx=PLACE, fy=PLACE)
    return np.asarray(near[: view.pixels.shape[0], : view.pixels.shape[1]], np.uint8)


def turned_over(view: View, locate: Locate) -> View:
    """The view turned by half; its map is drawn anew, since the network knows letters that stand upright best."""
    height, width = view.pixels.shape[:2]
    forth = np.array([[-1, 0, width], [0, -1, height], [0, 0, 1.0]]) @ view.forth
    pixels = np.ascontiguousarray(view.pixels[::-1, ::-1])
    return View(view.factor, replace(view.direction, turned=True), pixels, forth, locate(grey_of(pixels)))


def suiting(sigma: float, side: int) -> float:
    """By what a page must be scaled so that its writing is neither too small nor too large; 1 for none."""
    if sigma > LARGEST_WRITING:
        return USUAL_WRITING / sigma
    factors = [1.0]
    if 0 < sigma < SMALLEST_WRITING:
        factors.append(min(USUAL_WRITING / sigma, MOST_ENLARGED, LARGEST_SIDE / side))
    if sigma > 0 and side < FEW_PIXELS:
        factors.append(min(WRITING_OF_FEW / sigma, MOST_ENLARGED, SIDE / side))
    return max(factors)
