"""A tiny data set that is learnt in seconds, and tiny trainings on it, for tests of the pipeline. Holds no tests."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from app.config import Settings
from app.data.manifest import Sample, write_manifest
from app.tasks import DOCUMENT_TYPE
from app.training.options import Options
from tests.stores import settings_in

COUNTS = {"train": 64, "validation": 8, "test": 8}  # of each label
SOURCES = ("here", "there")
SIZE = (128, 32)


def draw_line(label: str, random: np.random.Generator) -> Image.Image:
    """Draw slanted strokes for the first label of the document type, upright ones for the last, on grainy paper."""
    image = Image.new("L", SIZE, int(random.integers(200, 250)))
    pencil = ImageDraw.Draw(image)
    slant = 14 if label == DOCUMENT_TYPE.labels[0] else 0
    for left in range(4, SIZE[0] - 20, 9):
        bottom = left + int(random.integers(-2, 3))
        pencil.line([(bottom + slant, 6), (bottom, 26)], fill=int(random.integers(20, 80)), width=3)
    grain = random.normal(0, 4, SIZE[::-1])
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8)).convert("RGB")


def write_tiny(directory: Path, labels: Iterable[str] = DOCUMENT_TYPE.labels) -> None:
    """Write a data set of drawn lines from two sources."""
    samples = []
    for label in labels:
        for split, count in COUNTS.items():
            for number in range(count):
                source = SOURCES[number % 2]
                name = f"{split}-{label}-{number}"
                seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
                buffer = io.BytesIO()
                draw_line(label, np.random.default_rng(seed)).save(buffer, "PNG")
                (directory / f"{name}.png").parent.mkdir(parents=True, exist_ok=True)
                (directory / f"{name}.png").write_bytes(buffer.getvalue())
                digest = hashlib.sha256(buffer.getvalue()).hexdigest()
                samples.append(Sample(f"{name}.png", label, split, source, name, "French", "1850-1899", digest))
    write_manifest(directory, samples)


def training_settings(folder: Path) -> Settings:
    """Settings that keep store, data sets and checkpoints in *folder*, with the data set `tiny` in place."""
    settings = settings_in(folder, checkpoints=folder / "checkpoints")
    write_tiny(settings.datasets / "tiny")
    return settings


def tiny_options(**changes: object) -> Options:
    """Options of a training that takes seconds: transfer on gradient histograms, which learns all the same."""
    values = {
        "data": ["tiny"],
        "strategy": "transfer",
        "architecture": "gradient_histogram",
        "weights": "none",
        "height": 32,
        "width": 128,
        "augment": "none",
        "views": 1,
        "epochs": 6,
        "patience": 6,
        "batch": 8,
        "learning_rate": 0.05,
        "workers": 0,
        "judged": 4,
        "quantise": "never",
    }
    return Options.model_validate(values | changes)
