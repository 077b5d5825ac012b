"""Crops of pages and their maps, as another camera or scanner would see them: turned, scaled, in another light.

A page is grey, uint8, of shape (height, width); its map, uint8, of shape (height / 2, width / 2, labels + 1), has a
plane for each label and one for what is known. That of a crop has one more, for text on its head. Knows no files;
everything is drawn from the generator that is given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from app.tasks import PLACE
from app.training.devices import bilevel, shaken

Pixels = NDArray[np.uint8]
Light = NDArray[np.float32]
Generator = np.random.Generator

SIDE = 512  # pixels of a crop
BLANK = (0, 0, 255)  # on a map: beside the page is no line, that is known
SCALES = (0.55, 1.7)
ON_TEXT, TEXT = 0.85, 100  # of the crops have a place with text near their middle, so much of 255 of it
OTHER_WAYS = {1: 0.05, 2: 0.25, 3: 0.05}  # of the crops lie on a side or stand on their heads, by quarters of a turn
CERTAIN = (1.0, 0.3, 1.0, 0.3)  # how certain the map shall be of text, by quarters: little of what lies on a side
ON_ITS_HEAD = 2  # quarters
REACH = 40  # pixels around that tell a scanner for text what is paper
SHAKEN = 8.0  # pixels, at most
SOFTENED = 0.8  # at smaller scales, pixels between those that are taken would be lost


@dataclass(frozen=True)
class View:
    """What of a page a crop shows: the middle in pixels of the page, the scales across and down, degrees of turn."""

    middle: tuple[float, float]
    scales: tuple[float, float] = (1.0, 1.0)
    turn: float = 0.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """From pixels of the page to those of the crop, of shape (2, 3)."""
        angle, (across, down) = radians(self.turn), self.scales
        turned = np.array([[across * cos(angle), down * sin(angle)], [-across * sin(angle), down * cos(angle)]])
        return np.column_stack([turned, SIDE / 2 - turned @ self.middle])

    @property
    def quarters(self) -> int:
        """The quarters of a turn, 0 to 3."""
        return round(self.turn / 90) % 4


def draw_view(maps: Pixels, random: Generator) -> View:
    """Any view of a page, of text more often than not; a class of little text on it is as often in the middle."""
    height, width = PLACE * maps.shape[0], PLACE * maps.shape[1]
    scale = float(np.clip(np.exp(random.normal(0, 0.25)), *SCALES))
    middle = random.uniform(0, width), random.uniform(0, height)
    planes = [plane for plane in np.moveaxis(maps[..., :-1] > TEXT, -1, 0) if plane.any()]
    if random.random() < ON_TEXT and planes:
        rows, columns = np.nonzero(planes[int(random.integers(len(planes)))])
        chosen = int(random.integers(rows.size))
        across, down = random.normal(0, 150, 2)
        middle = PLACE * columns[chosen] + across, PLACE * rows[chosen] + down
    upright = 1 - sum(OTHER_WAYS.values())
    quarters = int(random.choice(len(CERTAIN), p=[upright, *OTHER_WAYS.values()]))
    return View(middle, (scale * float(np.exp(random.normal(0, 0.06))), scale), 90 * quarters + random.normal(0, 1.2))


def middle_views(shape: tuple[int, int]) -> list[View]:
    """Four unaltered views that meet in the middle of a page of *shape* (height, width), then the same upside down."""
    row, column = (PLACE * round(length / 2 / PLACE) for length in shape)
    half = SIDE / 2
    middles = [(column + x, row + y) for y in (-half, half) for x in (-half, half)]
    return [View(middle, turn=turn) for turn in (0.0, 180.0) for middle in middles]


def cut(page: Pixels, maps: Pixels, view: View, beside: int) -> tuple[Pixels, Pixels]:
    """The crop of a page, of shape (512, 512), and of its map, (256, 256, labels + 2).

    *beside* the page is one grey value. The map is as certain of text as it shall be of a crop that lies so; the plane
    before the last is for text that stands on its head.
    """
    if view.scales[1] < SOFTENED:
        page = np.asarray(cv2.GaussianBlur(page, (0, 0), 0.4 / view.scales[1]), np.uint8)
    grey = cv2.warpAffine(page, view.matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=beside)
    centre = np.full(2, (PLACE - 1) / 2)  # of the pixels that a place of the map stands for
    coarse = view.matrix.copy()
    coarse[:, 2] = (view.matrix @ [*centre, 1] - centre) / PLACE
    size = (SIDE // PLACE,) * 2
    seen = cv2.warpAffine(maps, coarse, size, flags=cv2.INTER_LINEAR, borderValue=BLANK).astype(np.float32)
    text, known = seen[..., :-1] * CERTAIN[view.quarters], seen[..., -1:]
    upside_down = text.max(axis=-1, keepdims=True) * (view.quarters == ON_ITS_HEAD)
    return np.asarray(grey, np.uint8), np.dstack([text, upside_down, known]).round().astype(np.uint8)


def alter_page(pixels: Pixels, random: Generator, _other: Callable[[], Pixels]) -> Pixels:
    """Recipe `page`: shaken, of two levels, other light, focus, resolution, grain, compression; all stays in place."""
    if random.random() < 0.06:
        pixels = shaken(pixels, random, SHAKEN)
    if random.random() < 0.06:
        pixels = bilevel(pixels, random, REACH)
    light = pixels.astype(np.float32)
    if random.random() < 0.5:
        gamma = np.float32(np.exp(random.normal(0, 0.3)))
        light = np.float32(255) * np.power(light / np.float32(255), gamma)
    light = light * np.float32(random.uniform(0.5, 1.05))
    if random.random() < 0.5:
        light += np.float32(random.uniform(-10, 40))
    if random.random() < 0.3:
        light = shade(light, random)
    light = defocus(light, random)
    if random.random() < 0.4:
        light += random.normal(0, random.uniform(1, 12), light.shape).astype(np.float32)
    altered = light.clip(0, 255).astype(np.uint8)
    if random.random() < 0.3:
        _, data = cv2.imencode(".jpg", altered, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(20, 90))])
        altered = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)
    return altered


def shade(light: Light, random: Generator) -> Light:
    """A shadow with an edge, sharp or soft, from any side."""
    height, width = light.shape[:2]
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle, edge = random.uniform(0, 2 * np.pi), random.uniform(-0.6, 0.6)
    depth = (across * np.cos(angle) + down * np.sin(angle) - edge) * random.uniform(3, 20)
    shadow = 1 - random.uniform(0, 0.5) / (1 + np.exp(-depth))
    return np.asarray(light * (shadow if light.ndim == 2 else shadow[..., None]), np.float32)


def defocus(light: Light, random: Generator) -> Light:
    """Blur, and now and then a lower resolution."""
    if random.random() < 0.35:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), random.uniform(0.4, 1.8)), np.float32)
    if random.random() < 0.15:
        height, width = light.shape[:2]
        share = random.uniform(0.4, 0.7)
        size = max(1, round(width * share)), max(1, round(height * share))
        small = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
        light = np.asarray(cv2.resize(small, (width, height)), np.float32)
    return light
