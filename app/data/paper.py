"""Puts drawn ink on paper and through a camera: strokes, colours, rules, light, blur, noise, compression.

Takes and gives plain arrays; knows neither fonts nor texts. Nothing here depends on the class of a line, except the
colours and the unevenness of pen and print (`Ink`), so that paper and compression tell nothing about it.
"""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Random = np.random.Generator
Plane = NDArray[np.float32]

PAPERS = ((250, 250, 248), (244, 240, 228), (232, 222, 198), (222, 224, 228), (240, 232, 210), (214, 200, 176))
PENS = (
    (28, 44, 130),
    (45, 75, 170),
    (22, 22, 28),
    (55, 55, 62),
    (72, 50, 34),
    (105, 104, 108),
    (150, 40, 50),
    (30, 90, 60),
)
TYPES = (
    (18, 18, 20),
    (35, 33, 34),
    (60, 58, 58),
    (52, 42, 36),
    (96, 92, 90),
    (30, 40, 105),
    (140, 35, 40),
    (85, 45, 115),
)
PENCILS = tuple((grey, grey, grey + 4) for grey in (60, 75, 85, 95, 105, 115, 130, 145))
SHARES = (0.22, 0.18, 0.24, 0.12, 0.1, 0.08, 0.03, 0.03)
RULES = ((150, 170, 205), (120, 120, 125), (205, 150, 150), (60, 60, 62), (170, 165, 155))


@dataclass(frozen=True)
class Ink:
    """How a pen, a pencil or a press leaves its colour: palette, how far strokes swell, how uneven the colour is."""

    colours: tuple[tuple[int, int, int], ...]
    swelling: float
    unevenness: float
    grain_chance: float


PEN = Ink(PENS, swelling=0.16, unevenness=0.3, grain_chance=0.35)
PENCIL = Ink(PENCILS, swelling=0.16, unevenness=0.4, grain_chance=0.9)
PRESS = Ink(TYPES, swelling=0.06, unevenness=0.2, grain_chance=0.3)


def smooth_field(random: Random, shape: tuple[int, int], scale: float) -> Plane:
    """Smooth noise of *shape* with unit spread, whose hills are about *scale* pixels wide."""
    size = max(2, round(shape[1] / scale) + 2), max(2, round(shape[0] / scale) + 2)
    coarse = random.standard_normal((size[1], size[0])).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def warp(plane: Plane, random: Random, unit: float, wobble: float, slope: float) -> Plane:
    """Bend *plane*: letters by *wobble* (a share of *unit*, the height of an x), words more, the whole by *slope*."""
    height, width = plane.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    for scale, strength in ((1.1, 0.5), (2.5, 1.0), (9.0, 1.7)):
        rows += smooth_field(random, plane.shape, scale * unit) * np.float32(wobble * strength * unit)
        columns += smooth_field(random, plane.shape, scale * unit) * np.float32(wobble * strength * unit)
    rows += (columns - width / 2) * np.float32(slope)
    return np.asarray(cv2.remap(plane, columns, rows, cv2.INTER_LINEAR), np.float32)


def vary_strokes(plane: Plane, random: Random, ink: Ink, unit: float) -> Plane:
    """Draw the strokes of *plane* (coverage 0..1) thinner or thicker, unevenly, with an edge of random sharpness."""
    blurred = np.asarray(cv2.GaussianBlur(plane, (0, 0), unit * random.uniform(0.02, 0.06)), np.float32)
    weight = float((blurred * plane).sum() / max(float(plane.sum()), 1.0))
    field = 1 + ink.swelling * smooth_field(random, plane.shape, 3 * unit)
    limit = weight * np.clip(random.uniform(0.3, 0.65) * field, 0.2, 0.7)
    gain = random.uniform(2.0, 6.0) / max(weight, 0.05)
    return np.asarray(np.clip((blurred - limit) * gain + 0.5, 0, 1), np.float32)


def colour_density(random: Random, ink: Ink, shape: tuple[int, int], unit: float) -> Plane:
    """How much of its colour the ink leaves at each place (0..1): smooth unevenness, and grain as of a pencil."""
    density = 1 - ink.unevenness * random.random() * np.abs(smooth_field(random, shape, 2.5 * unit))
    if random.random() < ink.grain_chance:
        grain = smooth_field(random, shape, unit * random.uniform(0.05, 0.12))
        density *= np.clip(1 - random.uniform(0.1, 0.45) * np.abs(grain), 0, 1)
    return np.asarray(np.clip(density * random.uniform(0.65, 1.0), 0.1, 1), np.float32)


def draw_rules(random: Random, shape: tuple[int, int], baseline: float, unit: float, slope: float) -> Plane:
    """Draw what may be printed on the paper: writing lines, a grid, a box, a margin or column rule, a dotted leader."""
    height, width = shape
    plane = np.zeros(shape, np.float32)
    pitch = unit * random.uniform(2.6, 5.5)
    thick = max(1, round(unit * random.uniform(0.03, 0.12)))
    kind = str(random.choice(["none", "lines", "grid", "one", "box", "dots"], p=[0.5, 0.17, 0.06, 0.12, 0.07, 0.08]))
    first = baseline + unit * random.uniform(0.0, 0.5)
    rows = np.arange(first - 3 * pitch, height + pitch, pitch * (1.6 if kind == "box" else 1.0))
    columns = np.arange(random.uniform(0, pitch), width, pitch / 2)
    edge = unit * random.uniform(0, 2)
    for row in {"none": [], "one": [first], "dots": [first]}.get(kind, rows):
        _rule(plane, (0, row), (width, row), thick, slope)
    if kind == "dots":
        gap = max(4, round(unit * random.uniform(0.2, 0.4)))
        plane[:, np.arange(width) % gap > gap // 2] = 0
    with_edge = kind == "box" or random.random() < 0.15
    for column in [*(columns if kind == "grid" else []), *([float(random.choice([edge, width - edge]))] * with_edge)]:
        _rule(plane, (column, 0), (column, height), thick, slope)
    return plane


def _rule(plane: Plane, start: tuple[float, float], end: tuple[float, float], thick: int, slope: float) -> None:
    """Draw one straight rule into *plane*, turned by *slope* about the middle of the plane."""
    height, width = plane.shape
    points = [
        (round(x + slope * (y - height / 2)), round(y - slope * (x - width / 2))) for x, y in (start, end)
    ]  # fmt: skip
    cv2.line(plane, points[0], points[1], 1.0, thick, cv2.LINE_AA)


def make_paper(random: Random, shape: tuple[int, int], unit: float) -> NDArray[np.float32]:
    """A sheet of *shape* with three channels: tint, uneven light, stains, fibres; values 0..255."""
    tint = np.array(PAPERS[int(random.integers(len(PAPERS)))], np.float32) + random.normal(0, 5, 3)
    light = 1 + random.uniform(0, 0.07) * smooth_field(random, shape, 14 * unit)
    light += random.uniform(0, 0.02) * smooth_field(random, shape, 0.3 * unit)
    if random.random() < 0.25:
        light *= np.linspace(1, random.uniform(0.55, 1), shape[1], dtype=np.float32)[:: int(random.choice([-1, 1]))]
    sheet = tint * light[..., None] * random.uniform(0.72, 1.02)
    return np.asarray(sheet, np.float32)


def lay_ink(sheet: NDArray[np.float32], coverage: Plane, colour: tuple[int, int, int]) -> NDArray[np.float32]:
    """Cover *sheet* with *colour* as far as *coverage* (0..1) says."""
    return np.asarray(sheet + (np.array(colour, np.float32) - sheet) * coverage[..., None], np.float32)


def ink_colour(random: Random, ink: Ink) -> tuple[int, int, int]:
    """A colour of the ink's palette, a little off."""
    colour = np.array(ink.colours[int(random.choice(len(ink.colours), p=SHARES))]) + random.normal(0, 8, 3)
    red, green, blue = (int(value) for value in np.clip(colour, 0, 190))
    return red, green, blue


def photograph(sheet: NDArray[np.float32], random: Random, factor: float) -> Image.Image:
    """Scale *sheet* by *factor* and degrade it as scanners do: blur, noise, grey, threshold, compression."""
    way = int(random.choice([cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC], p=[0.6, 0.25, 0.15]))
    size = max(8, round(sheet.shape[1] * factor)), max(8, round(sheet.shape[0] * factor))
    small = np.asarray(cv2.resize(sheet, size, interpolation=way), np.float32)
    if random.random() < 0.5:
        small = np.asarray(
            cv2.GaussianBlur(small, (0, 0), random.uniform(0.3, np.clip(size[1] / 28, 0.4, 1.2))), np.float32
        )
    noise = smooth_field(random, small.shape[:2], random.uniform(0.8, 2.0))
    small += noise[..., None] * np.float32(abs(random.normal(0, 4)))
    if random.random() < 0.5:
        small = np.repeat(small.mean(axis=2, keepdims=True), 3, axis=2)
        if random.random() < 0.16:
            around = np.asarray(cv2.GaussianBlur(small, (0, 0), size[1] / 2), np.float32).reshape(small.shape)
            depth = max(12.0, float(np.percentile(around - small, 99)))
            small = np.where(around - small > depth * random.uniform(0.3, 0.55), 0, 255).astype(np.float32)
    image = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8))
    if random.random() < 0.25:
        return image
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(random.integers(35, 96)))
    return Image.open(buffer).convert("RGB")
