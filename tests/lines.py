"""Draws lines as they are cut out of real pages, and data sets of such, for tests. Holds no tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from app.data.manifest import Sample, write_manifest

SIZE = (60, 400)


def strokes(slope: float = 0.0, end: int = 390) -> np.ndarray:
    """Ink, 0 or 1: strokes 20 pixels high from column 10 on, every fifth higher, around the middle row."""
    ink = np.zeros(SIZE, np.float32)
    for number, x in enumerate(range(10, end, 8)):
        middle = 30 + slope * (x - 200)
        ink[round(middle - (22 if number % 5 == 0 else 10)) : round(middle + 10), x : x + 4] = 1
    return ink


def write_line(file: Path, ink: np.ndarray) -> None:
    """Write a line on paper, cut out along a polygon with black outside."""
    pixels = (225 - 180 * ink).astype(np.uint8)
    pixels[:4] = pixels[-3:] = pixels[:, -5:] = 0
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def write_lines(folder: Path, counts: dict[str, int]) -> None:
    """Write a data set with one document of each name, of so many lines, of the class that its name begins with."""
    samples = []
    for name, count in counts.items():
        label, _, split = name.split()
        for number in range(count):
            path = f"{name}-{number}.png"
            write_line(folder / path, strokes(end=250 + 40 * (number % 4)))
            samples.append(Sample(path, label, split, "archive", name, "", "", "0"))
    write_manifest(folder, samples)
