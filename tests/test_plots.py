"""Tests of the plots: every one is written, holds what it should, and copes with what little there may be to draw."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.errors import DataError
from app.evaluate import Report, report_of
from app.training import plots
from app.training.plots import plot_confusion, plot_curves, plot_images, plot_reliability, plot_roc

LABELS = ("handwritten", "printed")


def make_report(count: int = 200, labels: tuple[str, ...] = LABELS, seed: int = 0) -> Report:
    """A report on made-up answers that are right more often than not."""
    random = np.random.default_rng(seed)
    truths = random.integers(0, len(labels), count)
    logits = random.normal(0, 1, (count, len(labels))) + 2 * np.eye(len(labels))[truths]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return report_of(labels, truths, probabilities, {})


def make_history(epochs: int) -> list[dict[str, float]]:
    """The figures of so many epochs."""
    names = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate", "seconds")
    return [
        {"epoch": float(epoch), "images_per_second": 40.0} | {name: (1 + i) / epoch for i, name in enumerate(names)}
        for epoch in range(1, epochs + 1)
    ]


def make_lines(count: int) -> list[Image.Image]:
    """Wide pictures, all different."""
    pictures = []
    for number in range(count):
        picture = Image.new("RGB", (400, 50), (240, 235, 220))
        ImageDraw.Draw(picture).text((10, 10), f"line {number}", fill="black", font_size=28)
        pictures.append(picture)
    return pictures


def read(path: Path) -> np.ndarray:
    """A written picture, checked to be of a readable size and not empty."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 400
        assert picture.height >= 100
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.std() > 1
    return pixels


def has_colour(pixels: np.ndarray, colour: str) -> bool:
    """Whether a colour, given as #RRGGBB, is found in a picture."""
    values = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return bool((pixels == values).all(axis=-1).any())


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_curves_are_drawn_for_any_number_of_epochs(tmp_path: Path, epochs: int) -> None:
    """Training and validation are both drawn, each in its colour."""
    plot_curves(make_history(epochs), tmp_path / "curves.png")
    pixels = read(tmp_path / "curves.png")
    assert has_colour(pixels, plots.BLUE)
    assert has_colour(pixels, plots.ORANGE)


def test_curves_leave_out_what_an_epoch_does_not_have(tmp_path: Path) -> None:
    """A history with losses only is drawn."""
    plot_curves([{"epoch": 1.0, "train_loss": 0.3}], tmp_path / "curves.png")
    assert not has_colour(read(tmp_path / "curves.png"), plots.ORANGE)


def test_curves_of_nothing_are_refused(tmp_path: Path) -> None:
    """An empty history is an error that says what to do."""
    with pytest.raises(DataError, match="train for one epoch"):
        plot_curves([], tmp_path / "curves.png")


@pytest.mark.parametrize("labels", [LABELS, tuple("abc"), tuple("0123456789")])
def test_reports_are_drawn_for_any_number_of_labels(tmp_path: Path, labels: tuple[str, ...]) -> None:
    """Confusion matrix, ROC curve and reliability diagram are written, in folders that need not exist."""
    report = make_report(labels=labels)
    plot_confusion(report, tmp_path / "plots" / "confusion.png")
    plot_roc(report, tmp_path / "plots" / "roc.png")
    plot_reliability(report, tmp_path / "plots" / "reliability.png")
    for name in ("confusion", "roc", "reliability"):
        read(tmp_path / "plots" / f"{name}.png")


def test_a_report_of_one_class_is_drawn(tmp_path: Path) -> None:
    """Where all truths are alike there is no ROC curve, and the plots are written nevertheless."""
    report = report_of(LABELS, np.zeros(3, int), np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), {})
    plot_roc(report, tmp_path / "roc.png")
    plot_confusion(report, tmp_path / "confusion.png")
    plot_reliability(report, tmp_path / "reliability.png")
    assert not has_colour(read(tmp_path / "roc.png"), plots.BLUE)


@pytest.mark.parametrize("count", [0, 1, 60])
def test_sheets_hold_any_number_of_images(tmp_path: Path, count: int) -> None:
    """From no image to more than fit, a sheet is written; more images make it larger, up to a limit."""
    plot_images(make_lines(count), [f"printed, 0.{number}" for number in range(count)], tmp_path / "sheet.png")
    assert read(tmp_path / "sheet.png").shape[0] < 3000


def test_every_image_needs_a_caption(tmp_path: Path) -> None:
    """A caption too few is an error instead of images under the wrong words."""
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        plot_images(make_lines(2), ["printed"], tmp_path / "sheet.png")


def test_a_plot_is_the_same_every_time(tmp_path: Path) -> None:
    """The same report gives the same bytes, so that a run's artifacts can be compared."""
    for name in ("first.png", "second.png"):
        plot_reliability(make_report(), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_plots_leave_pyplot_alone() -> None:
    """Drawing never loads pyplot, whose global state would be shared between plots and threads."""
    code = "import sys, app.training.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
