"""Draws a text as ink coverage: with a bundled font, or with single characters of one hand.

A drawn line is a plane of coverage (0..1) with the row of its baseline, `UNIT` pixels per x height. Owns letters and
their places; what they say is in `texts` and `scripts`, what they lie on in `paper`, the fonts in `typefaces`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.data.paper import Plane, Random, warp
from app.data.typefaces import LATIN, is_hand, script_of
from app.errors import DataError

Line = tuple[Plane, int]
Glyphs = Mapping[str, Sequence[Image.Image]]
UNIT = 30
ROOM = UNIT // 4  # empty pixels around a drawn word or letter
LEAST_GLYPHS = 5
SPACED_CAPITALS = 0.07  # share of printed lines that are set as on title pages
SHAKING = 0.08, 0.16  # of a hand that is imitated with a font of print, in heights of an x
LOOSE_TYPE = 0.25  # share of printed lines whose letters are set one by one, as in old type
LEFTWARDS = "arabic", "hebrew"
SHORT, DESCENDING = "acemnorsuvwxz", "gpqyj"
INK = 60  # grey value from which a pixel of a glyph is a stroke


def draw_font(random: Random, text: str, font: Path, label: str) -> Line:
    """Draw *text* with *font*: pens change size, slant and height with every word, old presses with every letter.

    A pen with a font of print, where a script has no other, evens its strokes, as a pen does.
    """
    face = _face(font)
    if label == "handwritten":
        order = -1 if script_of(font) in LEFTWARDS else 1
        words = [_vary_word(random, _draw_text(face, word)) for word in text.split()[::order]]
        if not is_hand(font):
            width = UNIT * random.uniform(0.07, 0.14)
            words = [_by_pen(random, word, width) for word in words]
        return _join(random, words, room=(2 if is_hand(font) else 3) * ROOM, gap=random.uniform(0.6, 1.5), jump=0.07)
    if script_of(font) != LATIN:  # the letters of many scripts are joined
        return _draw_text(face, text)
    if random.random() < SPACED_CAPITALS:
        letters = text.upper()[: int(random.integers(4, 20))].strip()
        return _draw_letters(random, letters, face, tracking=UNIT * random.uniform(0.4, 2.2))
    fixed = face.getlength("i") == face.getlength("W")
    if fixed or random.random() < LOOSE_TYPE:
        tracking = 0.0 if fixed else UNIT * abs(random.normal(0, 0.12))
        return _draw_letters(random, text, face, tracking)
    return _draw_text(face, text)


def draw_set(text: str, font: Path) -> Line:
    """Draw *text* as printers set it today, in one go."""
    return _draw_text(_face(font), text)


@cache
def _face(font: Path) -> ImageFont.FreeTypeFont:
    """Open a font in the size in which an x is `UNIT` pixels high."""
    box = ImageFont.truetype(str(font), 200).getbbox("x", anchor="ls")
    return ImageFont.truetype(str(font), round(200 * UNIT / (box[3] - box[1])))


def _draw_text(face: ImageFont.FreeTypeFont, text: str) -> Line:
    """Draw *text* in one go, with some room around."""
    left, top, right, bottom = (round(value) for value in face.getbbox(text, anchor="ls"))
    image = Image.new("L", (max(1, right - left) + 2 * ROOM, max(1, bottom - top) + 2 * ROOM))
    ImageDraw.Draw(image).text((ROOM - left, ROOM - top), text, fill=255, font=face, anchor="ls")
    return np.asarray(image, np.float32) / np.float32(255), ROOM - top


def _draw_letters(random: Random, text: str, face: ImageFont.FreeTypeFont, tracking: float) -> Line:
    """Draw *text* letter by letter, *tracking* pixels apart, each a little off its height and of its own strength."""
    canvas = np.zeros((5 * UNIT, round(face.getlength(text) + len(text) * tracking) + UNIT), np.float32)
    weak, jump = random.uniform(0, 0.35), random.uniform(0, 0.05)
    for index, letter in enumerate(text):
        if letter != " ":
            plane, base = _draw_text(face, letter)
            row = 3 * UNIT - base + round(random.normal(0, jump) * UNIT)
            place = face.getlength(text[:index]) + index * tracking + face.getbbox(letter, anchor="ls")[0]
            stamp(canvas, plane * np.float32(1 - weak * random.random()), row, round(place) + ROOM)
    return canvas, 3 * UNIT


def stamp(canvas: Plane, plane: Plane, row: int, column: int) -> None:
    """Lay *plane* on *canvas* at a place that may be partly outside; the darker of the two stays."""
    top, left = max(0, row), max(0, column)
    bottom, right = min(canvas.shape[0], row + plane.shape[0]), min(canvas.shape[1], column + plane.shape[1])
    if bottom > top and right > left:
        part = canvas[top:bottom, left:right]
        np.maximum(part, plane[top - row : bottom - row, left - column : right - column], out=part)


def _vary_word(random: Random, word: Line) -> Line:
    """Draw a word a little larger or smaller, more or less slanted."""
    plane, base = word
    scale_x, scale_y, shear = random.normal(1, 0.06), random.normal(1, 0.05), random.normal(0, 0.06)
    size = round(plane.shape[1] * scale_x + 2 * ROOM), round(plane.shape[0] * scale_y + 2)
    matrix = np.array([[scale_x, -shear, shear * base + ROOM], [0, scale_y, 1]], np.float32)
    return np.asarray(cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_LINEAR), np.float32), round(base * scale_y)


def _by_pen(random: Random, word: Line, width: float) -> Line:
    """A printed word as if by a hand: thin strokes of about the same *width* in pixels, shaken."""
    plane, base = word
    core = cv2.erode(plane, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    strokes = _even_strokes((np.maximum(core, plane * 0.3) * 255).astype(np.uint8), 1.0, width)
    slope = float(random.normal(0, 0.04)) * min(1.0, 4 * UNIT / plane.shape[1])
    shaken = warp(np.pad(strokes, ((UNIT, UNIT), (0, 0))), random, UNIT, random.uniform(*SHAKING), slope)
    return shaken, base + ROOM + UNIT


def _join(random: Random, parts: Sequence[Line], room: int, gap: float, jump: float) -> Line:
    """Set drawn parts, each with *room* empty pixels on both sides, side by side with uneven gaps and heights.

    *gap* and *jump* are in x heights.
    """
    spaces = [round(gap * UNIT * random.uniform(0.3, 1.7)) - 2 * room for _ in parts]
    above = max(base for _, base in parts) + UNIT
    below = max(plane.shape[0] - base for plane, base in parts) + UNIT
    width = sum(plane.shape[1] for plane, _ in parts) + sum(spaces) + 4 * room
    canvas = np.zeros((above + below, max(1, width)), np.float32)
    column = 0
    for (plane, base), space in zip(parts, spaces, strict=True):
        stamp(canvas, plane, above - base + round(random.normal(0, jump) * UNIT), column)
        column += plane.shape[1] + space
    return canvas, above


def draw_glyphs(random: Random, text: str, glyphs: Glyphs) -> Line:
    """Draw *text* with *glyphs* (white on black); a character that is missing is replaced by one that is there.

    Raises DataError when there are fewer than five letters and digits to draw with.
    """
    known = sorted(key for key in glyphs if key.isalnum() and glyphs[key])
    if len(known) < LEAST_GLYPHS:
        message = f"the hand has only {len(known)} letters and digits, at least {LEAST_GLYPHS} are needed"
        raise DataError(message)
    width = UNIT * random.uniform(0.09, 0.2)
    spacing = random.uniform(0.04, 0.4)
    words = []
    for word in text.split():
        letters = [_known_letter(random, letter, glyphs, known) for letter in word]
        parts = [_place_glyph(random, letter, glyphs[letter], width) for letter in letters]
        words.append(_join(random, parts, room=ROOM, gap=spacing, jump=0.05))
    return _join(random, words, room=ROOM, gap=random.uniform(0.6, 1.3), jump=0.07)


def _known_letter(random: Random, letter: str, glyphs: Glyphs, known: Sequence[str]) -> str:
    """The letter itself, or in the other case, or any that is there."""
    for candidate in (letter, letter.swapcase()):
        if glyphs.get(candidate):
            return candidate
    return known[int(random.integers(len(known)))]


def _place_glyph(random: Random, letter: str, samples: Sequence[Image.Image], width: float) -> Line:
    """Draw one of *samples* in the size of its letter, strokes *width* pixels wide, and give its baseline."""
    pixels = np.asarray(samples[int(random.integers(len(samples)))].convert("L"))
    rows, columns = np.nonzero(pixels > INK)
    if rows.size == 0:
        return np.zeros((2, 2), np.float32), 1
    if letter.isalnum():
        height = UNIT * (1.0 if letter in SHORT else 1.7) * random.normal(1, 0.07)
        scale = height / (rows.max() - rows.min() + 1)
        descent = 0.38 * height if letter in DESCENDING else 0.0
        base = height - descent
    else:
        scale = 1.8 * UNIT / pixels.shape[0]
        base = (pixels.shape[0] * 0.85 - rows.min()) * scale
    part = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return _even_strokes(part, min(scale, 3 * UNIT / part.shape[1]), width), round(base) + ROOM


def _even_strokes(part: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], scale: float, width: float) -> Plane:
    """Scale a glyph smoothly and bring its strokes towards *width* pixels, by the distance to their edge."""
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    large = np.pad(np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)), ROOM)
    inside = (cv2.GaussianBlur(large, (0, 0), max(0.5, scale / 3)) > INK).astype(np.uint8)
    if not inside.any():
        return np.asarray(large, np.float32) / np.float32(255)
    within = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    beyond = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    half = 2 * float(within[inside > 0].mean())
    change = np.clip(width / 2 - half, -0.35 * half, ROOM / 2)
    return np.asarray(np.clip(within - beyond + change + 0.5, 0, 1), np.float32)
