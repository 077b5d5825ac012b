"""Random alterations of training images, by recipe: what a sender's scanner, camera and scissors might have done.

A recipe takes the raw pixels (before `app.preprocess`) and gives raw pixels, so that the served preprocessing is also
the trained one. Every recipe draws from the generator it is given, so a seed fixes all of it.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from app.preprocess import fill_outside, paper_colour
from app.training.devices import degrade, resize
from app.training.distort import alter_strokes
from app.training.page_crops import alter_page

Grey = NDArray[np.uint8]
Generator = np.random.Generator
Other = Callable[[], Grey]
"""Gives the RGB pixels of another random training image, for neighbouring lines."""
Recipe = Callable[[Grey, Generator, Other], Grey]


def keep(pixels: Grey, _random: Generator, _other: Other) -> Grey:
    """Recipe `none`: change nothing."""
    return pixels


def alter_text_line(pixels: Grey, random: Generator, other: Other) -> Grey:
    """Recipe `text_line`: RGB pixels of a line in, grey pixels out, as if cut, scanned and sent by somebody else."""
    grey = cut(mix_channels(pixels, random), random)
    if random.random() < 0.12:
        grey = change_stroke(grey, random)
    if random.random() < 0.35:
        grey = add_neighbours(grey, random, other)
    if random.random() < 0.5:
        grey = frame(grey, random)
    if random.random() < 0.15:
        grey = draw_rules(grey, random)
    if random.random() < 0.5:
        grey = rotate(grey, random)
    return degrade(grey, random)


def cut(grey: Grey, random: Generator) -> Grey:
    """What scissors do: a polygon on paper, a piece of the line, or close around the writing."""
    if random.random() < 0.75:
        grey = fill_outside(grey)
    if random.random() < 0.4:
        grey = crop_width(grey, random)
    if random.random() < 0.25:
        grey = crop_to_ink(grey, random)
    return grey


def mix_channels(pixels: Grey, random: Generator) -> Grey:
    """RGB to grey with random weights, which stands for other inks, other papers and other scanners."""
    if pixels.ndim == 2:  # grey already
        return pixels
    weights = random.dirichlet((1.5, 2.5, 1.5))
    return np.asarray(pixels @ weights).astype(np.uint8)


def crop_width(grey: Grey, random: Generator) -> Grey:
    """Cut a piece out of the line, down to a word, seldom to one of few letters."""
    height, width = grey.shape
    shortest, longest = (height, 2 * height) if random.random() < 0.15 else (2 * height, width)
    kept = int(random.integers(min(width, shortest), min(width, longest) + 1))
    left = int(random.integers(0, width - kept + 1))
    return grey[:, left : left + kept]


def crop_to_ink(grey: Grey, random: Generator) -> Grey:
    """Cut close around the writing, so that no frame of a collection tells where its images come from."""
    paper, darkest = int(paper_colour(grey)[0]), int(grey.min())
    ink = cv2.GaussianBlur(grey, (0, 0), 1.0) < paper - 0.35 * (paper - darkest)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if rows.size < 6 or columns.size < 6:  # next to nothing is written
        return grey
    margin = int(random.integers(0, 1 + grey.shape[0] // 4))
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    return grey[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1]


def change_stroke(grey: Grey, random: Generator) -> Grey:
    """Make dark strokes a little thicker or thinner."""
    kernel = np.ones((2, 2), np.uint8)
    return np.asarray((cv2.erode if random.random() < 0.5 else cv2.dilate)(grey, kernel), np.uint8)


def add_neighbours(grey: Grey, random: Generator, other: Other) -> Grey:
    """Put fragments of another line above or below, as a rectangle cut out of a page shows them."""
    sides = random.choice(3)
    if sides != 0:
        grey = np.vstack([fragment(other(), grey, random, top=True), grey])
    if sides != 1:
        grey = np.vstack([grey, fragment(other(), grey, random, top=False)])
    return grey


def fragment(pixels: Grey, beside: Grey, random: Generator, *, top: bool) -> Grey:
    """A strip of another line in the width and paper of *beside*, its lower part for the top or its upper part."""
    line = fill_outside(mix_channels(pixels, random))
    height, width = beside.shape
    share, gap = random.uniform(0.15, 0.45), int(random.integers(0, height // 4 + 1))
    line = resize(line, height, max(1, round(line.shape[1] * height / line.shape[0])))
    cut = max(1, round(height * share))
    line = line[-cut:] if top else line[:cut]
    paper, own = int(paper_colour(beside)[0]), int(paper_colour(line)[0])
    strip = np.full((cut, width), paper, np.uint8)
    shift = int(random.integers(-min(width, line.shape[1]) // 2, width // 2 + 1))
    start, end = max(0, shift), min(width, shift + line.shape[1])
    if end > start:
        tone = line[:, start - shift : end - shift].astype(np.int16) + (paper - own)
        strip[:, start:end] = tone.clip(0, 255)
    space = np.full((gap, width), paper, np.uint8)
    return np.vstack([strip, space] if top else [space, strip])


def frame(grey: Grey, random: Generator) -> Grey:
    """Give the line margins of paper, or cut a little off above and below."""
    height = grey.shape[0]
    above, below = (int(random.uniform(-0.1, 0.5) * height) for _ in range(2))
    grey = grey[max(0, -above) : height - max(0, -below)]
    left, right = (int(random.exponential(0.4) * height) for _ in range(2))
    sides = ((max(0, above), max(0, below)), (left, right))
    return np.pad(grey, sides, constant_values=int(paper_colour(grey)[0]))


def draw_rules(grey: Grey, random: Generator) -> Grey:
    """Draw a ruled line, dots of a form or a box, in some grey."""
    grey = grey.copy()
    height, width = grey.shape
    ink, thick = int(random.integers(0, 160)), int(random.integers(1, 3))
    row = int(random.uniform(0.6, 0.98) * height)
    if random.random() < 0.3:
        grey[row : row + thick, :: int(random.integers(3, 9))] = ink
    else:
        grey[row : row + thick] = ink
    if random.random() < 0.4:
        grey[: max(1, height - row)][:thick] = ink
    if random.random() < 0.4:
        column = int(random.integers(0, width))
        grey[:, column : column + thick] = ink
    return grey


def rotate(grey: Grey, random: Generator) -> Grey:
    """Turn by a few degrees, seldom by up to 11, and shear a little; the corners become paper."""
    angle = random.normal(0, 1.5) if random.random() < 0.65 else random.uniform(-11, 11)
    height, width = grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    matrix[0, 1] += random.normal(0, 0.06)
    sine, cosine = abs(matrix[1, 0]), abs(matrix[0, 0])
    new_width, new_height = int(height * sine + width * cosine) + 1, int(height * cosine + width * sine) + 1
    matrix[:, 2] += (new_width - width) / 2, (new_height - height) / 2
    paper = int(paper_colour(grey)[0])
    turned = cv2.warpAffine(grey, matrix, (new_width, new_height), borderMode=cv2.BORDER_CONSTANT, borderValue=paper)
    return np.asarray(turned, np.uint8)


def alter_character(pixels: Grey, random: Generator, _other: Other) -> Grey:
    """Recipe `strokes`: RGB or grey pixels of a single character in, grey pixels out, as if written by another hand."""
    return alter_strokes(pixels, random)


RECIPES: dict[str, Recipe] = {
    "none": keep,
    "text_line": alter_text_line,
    "strokes": alter_character,
    "page": alter_page,
}
