"""Brings a page to working size and upright, and points on it back into the pixels of the upload."""

from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.pages.cores import Field, find_cores
from app.pages.ink import Grey, Ink, Mask, ink_of, ink_of_text, without_faint_rules
from app.pages.orientation import STRAIGHT, Direction, direction_of, is_upside_down, skew_of
from app.pages.segment import Box, Found, find_lines
from app.tasks import PLACE, Locate

SIDE = 1600  # pixels of the longer side on which a page is read
LARGEST_WRITING = 12.0  # pages are shrunk further when their writing is larger; half the height of small letters
SMALLEST_WRITING = 4.5  # and enlarged when it is smaller, at most so many times, to so many pixels of the longer side:
MOST_ENLARGED, LARGEST_SIDE = 2.0, 2400
USUAL_WRITING = 6.0
HARDLY_ANY, SOME = 6, 20  # letters: fewer may be due to the direction of the page; so many are no chance in another
FOUND = 0.3  # of the letters on the map must be on lines: else their ink was not found, but that of something else
SLIGHT = 2.0  # degrees
MORE, CLEARLY = 1.4, 2.0  # times as many letters must a look show at another size, or in another direction
ENOUGH = 64  # pixels of height of a line that the recogniser can use
HARDLY_FINER = 1.1  # times as fine as the page is read
EVEN, AS_CERTAIN = 0.5, 0.94  # probability; times as certain must the map be of a page that letters say is upside down
CHANCE, REACH = 0.2, 13  # probability of text; places around it that may have ink of it
MIDDLE = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # from corners of pixels to their middles
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Upright:
    """A page put right: its pixels (RGB), the lines on it, and the matrix that leads back to the pixels of the upload.

    `orientation` is the quarter turns, in degrees counterclockwise, that put it right; `skew` what was left of it.
    """

    upload: NDArray[np.uint8]
    pixels: NDArray[np.uint8]
    found: Found
    back: Matrix
    orientation: int
    skew: float

    def cut(self, box: Box) -> NDArray[np.uint8]:
        """Cut out a box of the page; where that would be low, with as many pixels as the upload has."""
        left, top, right, bottom = box
        finer = float(np.hypot(*self.back[:2, 0]))
        if bottom - top >= ENOUGH or finer <= HARDLY_FINER:
            return self.pixels[top:bottom, left:right]
        forth = np.array([[finer, 0, -finer * left], [0, finer, -finer * top], [0, 0, 1]]) @ np.linalg.inv(self.back)
        return drawn(self.upload, forth, (round(finer * (right - left)), round(finer * (bottom - top))))


@dataclass(frozen=True)
class View:
    """A page turned as *direction* says: its pixels (RGB), the matrix that led there from the upload's, its map.

    It is *factor* times as large as the working size.
    """

    factor: float
    direction: Direction
    pixels: NDArray[np.uint8]
    forth: Matrix
    places: Field

    @cached_property
    def letters(self) -> float:
        """About how many letters the map shows: the length of its lines, each in heights of its small letters.

        A column of short lines that lies on its side is seen as one long line of large letters: few.
        """
        _, cores = find_cores(np.asarray(self.places.max(axis=0), np.float32))
        return sum((core.right - core.left) / core.height for core in cores)

    @property
    def certainty(self) -> float:
        """How much text the map shows, in places, each by how much more than even its probability is."""
        return float(np.maximum(self.places.max(axis=0) - EVEN, 0).sum())


class Looks:
    """An upload as it was looked at: at some factors of its working size and in some directions, each only once."""

    def __init__(self, image: Image.Image, locate: Locate) -> None:
        """Look at nothing yet; *image* is RGB of any size."""
        self._whole, self._locate = np.asarray(image), locate
        self._scale = min(1.0, SIDE / max(image.size))
        self._pixels: dict[float, NDArray[np.uint8]] = {}
        self._views: dict[tuple[float, Direction], View] = {}

    def pixels(self, factor: float = 1.0) -> NDArray[np.uint8]:
        """The upload at *factor* times its working size, as it lies."""
        if factor not in self._pixels:
            self._pixels[factor] = scaled(self._whole, self._scale * factor)
        return self._pixels[factor]

    def at(self, factor: float, direction: Direction) -> View:
        """The upload turned as *direction* says, with its map."""
        if (factor, direction) not in self._views:
            self._views[factor, direction] = self._look(factor, direction)
        return self._views[factor, direction]

    def _look(self, factor: float, direction: Direction) -> View:
        pixels = self.pixels(factor)
        forth = turning(direction, pixels.shape[1], pixels.shape[0])
        turned = warped(pixels, forth) if direction.lies_down or direction.skew else pixels
        scale = self._scale * factor
        return View(factor, direction, turned, forth @ np.diag([scale, scale, 1.0]), self._locate(grey_of(turned)))


def put_right(image: Image.Image, locate: Locate) -> Upright:
    """Find out how a page lies, turn it, and find its lines; *image* is RGB of any size."""
    looks = Looks(image, locate)
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
    if is_upside_down(found) and (turned := upside_down(view, locate)).certainty > AS_CERTAIN * view.certainty:
        view = turned
        found = find_lines(without_faint_rules(ink.upside_down()), view.places)
    back = np.asarray(np.linalg.inv(view.forth), np.float64)
    return Upright(np.asarray(image), view.pixels, found, back, view.direction.orientation, view.direction.skew)


def letters_of_lines(found: Found) -> float:
    """About how many letters the lines have that were found, as `View.letters` counts those of the map."""
    return sum((line.box[2] - line.box[0]) / line.core for line in found.lines)


def view_by_ink(looks: Looks, direction: Direction) -> View:
    """The view in the direction and of the size that the ink tells; one large title may hide how small the rest is."""
    factor = suiting(direction.sigma, max(looks.pixels().shape))
    view = looks.at(factor, direction)
    if factor >= 1:
        return view
    whole_size = looks.at(1.0, direction)
    return whole_size if whole_size.letters > MORE * view.letters else view


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


def upside_down(view: View, locate: Locate) -> View:
    """The view turned by half; its map is drawn anew, since the network knows letters that stand upright best."""
    height, width = view.pixels.shape[:2]
    forth = np.array([[-1, 0, width], [0, -1, height], [0, 0, 1.0]]) @ view.forth
    pixels = np.ascontiguousarray(view.pixels[::-1, ::-1])
    return View(view.factor, replace(view.direction, turned=True), pixels, forth, locate(grey_of(pixels)))


def suiting(sigma: float, side: int) -> float:
    """By what a page must be scaled so that its writing is neither too small nor too large; 1 for none."""
    if sigma > LARGEST_WRITING:
        return USUAL_WRITING / sigma
    if 0 < sigma < SMALLEST_WRITING:
        return max(1.0, min(USUAL_WRITING / sigma, MOST_ENLARGED, LARGEST_SIDE / side))
    return 1.0


def scaled(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Scale an image."""
    if scale == 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)


def grey_of(pixels: NDArray[np.uint8]) -> Grey:
    """The grey image of an RGB one."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def turning(direction: Direction, width: int, height: int) -> Matrix:
    """The matrix from a page that lies in some direction to the upright one, whose corner is at 0, 0."""
    quarter = np.array([[0, 1, 0], [-1, 0, width], [0, 0, 1.0]]) if direction.lies_down else np.eye(3)
    if direction.lies_down:
        width, height = height, width
    if not direction.skew:
        return np.asarray(quarter)
    about = cv2.getRotationMatrix2D((width / 2, height / 2), direction.skew, 1.0)
    cosine, sine = abs(about[0, 0]), abs(about[0, 1])
    about[0, 2] += (height * sine + width * cosine - width) / 2
    about[1, 2] += (height * cosine + width * sine - height) / 2
    return np.asarray(np.vstack([about, [0, 0, 1]]) @ quarter)


def warped(pixels: NDArray[np.uint8], forth: Matrix) -> NDArray[np.uint8]:
    """An image after *forth*, with the brightest common colour of the paper around it."""
    height, width = pixels.shape[:2]
    corners = forth @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    return drawn(pixels, forth, (round(corners[0].max()), round(corners[1].max())))


def drawn(pixels: NDArray[np.uint8], forth: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image of (width, height) after *forth*, which moves corners of pixels; OpenCV's matrices move middles."""
    middles = MIDDLE @ forth @ np.linalg.inv(MIDDLE)
    return np.asarray(cv2.warpAffine(pixels, middles[:2], size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
