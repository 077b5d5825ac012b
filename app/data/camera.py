"""Puts a drawn sheet before a camera or into a scanner: perspective, what it lies on, light, blur, compression.

Takes a sheet as pixels and gives an image with the matrix between them; knows nothing of what is on the sheet.
"""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.data.paper import Plane, Random, smooth_field

Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]
Matrix = NDArray[np.float64]
PHOTO = (1200, 1600)  # pixels
DESKS: tuple[Colour, ...] = (
    (120, 84, 52),
    (178, 140, 100),
    (60, 56, 54),
    (205, 203, 198),
    (96, 110, 120),
    (150, 62, 50),
)
BEDS: tuple[Colour, ...] = ((252, 252, 252), (20, 20, 20), (200, 200, 200))


def capture(random: Random, pixels: NDArray[np.float32], *, photo: bool) -> tuple[Image.Image, Matrix]:
    """Photograph or scan a sheet; gives the image and the matrix from the sheet's pixels to those of the image."""
    height, width = pixels.shape[:2]
    frame = PHOTO if photo else (width, height)
    scale = min(frame[0] / width, frame[1] / height) * (
        random.uniform(0.72, 1.05) if photo else random.uniform(0.96, 1)
    )
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.normal(0, 3.0 if photo else 0.6), scale)
    turn[:, 2] += (frame[0] - width) / 2, (frame[1] - height) / 2
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    seen = cv2.transform(corners[None], turn)[0] + random.normal(0, 0.02 if photo else 0, (4, 2)) * frame
    matrix = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    ground = np.array((DESKS if photo else BEDS)[int(random.integers(len(DESKS if photo else BEDS)))], np.float32)
    desk = ground + smooth_field(random, frame[::-1], 40)[..., None] * np.float32(10 * photo)
    covered = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, frame)[..., None]
    image = desk * (1 - covered) + cv2.warpPerspective(pixels, matrix, frame) * covered
    if photo:
        image *= light(random, frame)[..., None]
    blurred = cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 1.5) if photo else random.uniform(0.3, 0.8))
    noise = smooth_field(random, frame[::-1], 1.5)[..., None] * np.float32(random.uniform(0, 5))
    buffer = io.BytesIO()
    finished = Image.fromarray(np.clip(blurred + noise, 0, 255).astype(np.uint8))
    finished.convert("L" if random.random() < 0.2 else "RGB").save(buffer, "JPEG", quality=int(random.integers(40, 95)))
    return Image.open(buffer).convert("RGB"), np.array(matrix)


def light(random: Random, frame: tuple[int, int]) -> Plane:
    """How much light falls where: less towards one side, and in the shadow of a hand or head."""
    x, y = np.meshgrid(np.linspace(-1, 1, frame[0]), np.linspace(-1, 1, frame[1]))
    angle, edge = random.uniform(0, 2 * np.pi, 2), random.uniform(-0.5, 0.8)
    falling = 1 - random.uniform(0, 0.3) * (x * np.cos(angle[0]) + y * np.sin(angle[0]))
    shadow = 1 / (1 + np.exp((edge - x * np.cos(angle[1]) - y * np.sin(angle[1])) * random.uniform(8, 40)))
    return np.asarray(falling * (1 - random.choice([0, 0.3, 0.5]) * shadow), np.float32)


def moved(box: Box, matrix: Matrix) -> Box:
    """The box around a box after *matrix*."""
    x, y = zip(*moved_points([(box[x], box[y]) for x, y in ((0, 1), (2, 1), (2, 3), (0, 3))], matrix), strict=True)
    return min(x), min(y), max(x), max(y)


def moved_points(points: Sequence[tuple[int, int]], matrix: Matrix) -> tuple[tuple[int, int], ...]:
    """Points after *matrix*."""
    after = cv2.perspectiveTransform(np.array([points], np.float64), matrix)[0]
    return tuple((round(x), round(y)) for x, y in after)
