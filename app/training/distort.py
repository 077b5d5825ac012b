"""Random alterations of single characters and digits: other hands, other pens, other devices, in the same cell.

Works on grey pixels before `app.preprocess`, of either polarity; the ground is what most of the rim shows.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from app.preprocess import luminance

Grey = NDArray[np.uint8]
Generator = np.random.Generator


def alter_strokes(pixels: Grey, random: Generator) -> Grey:
    """Turned, sheared, stretched, bent, with a thicker or thinner pen, in other light, with blur and grain."""
    grey = luminance(pixels)
    if random.random() < 0.9:
        grey = bend(grey, random)
    if random.random() < 0.25:
        grey = change_pen(grey, random)
    if random.random() < 0.2:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), random.uniform(0.3, 0.7)), np.uint8)
    if random.random() < 0.5:
        grey = np.asarray(grey * random.uniform(0.5, 1.0) + random.uniform(0, 60)).clip(0, 255).astype(np.uint8)
    if random.random() < 0.2:
        grey = (grey + random.normal(0, random.uniform(1, 5), grey.shape)).clip(0, 255).astype(np.uint8)
    return grey


def ground_of(grey: Grey) -> int:
    """The grey value of most of the rim."""
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return int(np.bincount(rim).argmax())


def bend(grey: Grey, random: Generator) -> Grey:
    """One map for all that moves: rotation, shear, size and place of the whole, and bends of its parts."""
    height, width = grey.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows, columns = rows - (height - 1) / 2, columns - (width - 1) / 2
    turn, shear = math.radians(random.normal(0, 6)), random.normal(0, 0.1)
    tall, wide = np.exp(random.normal(0, 0.08, 2))
    cosine, sine = math.cos(turn), math.sin(turn)
    down = (cosine * rows + sine * columns) / tall + (height - 1) / 2 + random.normal(0, 0.02) * height
    across = (cosine * columns - sine * rows + shear * rows) / wide + (width - 1) / 2 + random.normal(0, 0.02) * width
    across, down = (np.asarray(place + field(grey.shape, random), np.float32) for place in (across, down))
    return np.asarray(cv2.remap(grey, across, down, cv2.INTER_LINEAR, borderValue=ground_of(grey)), np.uint8)


def field(shape: tuple[int, ...], random: Generator) -> NDArray[np.float32]:
    """Displacements in pixels, smooth between the nodes of a coarse grid: few nodes bend the whole, many a stroke."""
    nodes = int(random.integers(3, 8))
    strength = random.uniform(0, 0.14) * max(shape) / nodes
    coarse = random.normal(0, strength, (nodes, nodes)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def change_pen(grey: Grey, random: Generator) -> Grey:
    """Part of the way to a stroke that is a pixel wider, on either ground."""
    kernel = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    light = ground_of(grey) > grey.mean()
    wider = np.asarray((cv2.erode if light else cv2.dilate)(grey, kernel), np.float32)
    share = random.uniform(-0.3, 0.8)
    return np.asarray(grey + share * (wider - grey)).clip(0, 255).astype(np.uint8)
