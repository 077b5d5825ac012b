"""The pictures of a training run, as image files: curves, confusion, ROC, reliability, and contact sheets of images.

Draws what `app.evaluate` and the epoch loop have measured; computes nothing itself. Every figure is an object of its
own, so nothing is shared between plots and no display is needed. The colours are those of Okabe and Ito (2008), which
people with any kind of colour vision can tell apart.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from PIL.Image import Image

from app.errors import DataError
from app.evaluate import Report
from app.evaluate.metrics import roc_curve

BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, BLACK)
STYLES = ("-", "--", ":", "-.")
RESOLUTION = 120
READABLE = 12  # labels at most, for which there is room for numbers and a legend
COLUMNS = 2
MOST_IMAGES = 48
LONGEST = 1600  # pixels of an image on a contact sheet: a page would take a hundred times the room of a line


def plot_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss, accuracy, learning rate and speed over the epochs of *history*; raises DataError without an epoch."""
    if not history:
        message = "there is no epoch to draw: the history is empty; train for one epoch at least"
        raise DataError(message)
    figure = start_figure(10, 6.5)
    (loss, accuracy), (rate, speed) = figure.subplots(2, 2, sharex=True)
    draw_series(loss, history, {"train_loss": "training", "validation_loss": "validation"}, "loss")
    draw_series(accuracy, history, {"train_accuracy": "training", "validation_accuracy": "validation"}, "accuracy")
    draw_series(rate, history, {"learning_rate": "Adam"}, "learning rate")
    rate.set_yscale("log")
    draw_series(speed, history, {"images_per_second": "training"}, "images per second")
    speed.set_ylim(bottom=0)
    for axes in (rate, speed):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    save(figure, path)


def draw_series(axes: Axes, history: Sequence[Mapping[str, float]], names: Mapping[str, str], title: str) -> None:
    """Draw the values *names* (key: shown as) of the epochs that have them."""
    for (key, shown), colour, marker in zip(names.items(), COLOURS, "osD^v<>", strict=False):
        points = [(epoch["epoch"], epoch[key]) for epoch in history if key in epoch]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=4, label=shown)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    if len(axes.lines) > 1:
        axes.legend()


def plot_confusion(report: Report, path: Path) -> None:
    """Draw the confusion matrix: truths in rows, predictions in columns; counts, and shares of each row in colour."""
    counts = np.array(report.confusion)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    readable = len(report.labels) <= READABLE
    size = 2.6 + (0.9 if readable else 0.2) * len(report.labels)
    figure = start_figure(size + 1.2, size)
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares) if readable else ():
        colour = "white" if share > 0.5 else "black"  # noqa: PLR2004 - half of the scale of colours
        text = f"{counts[row, column]}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    positions = range(len(report.labels))
    axes.set_xticks(positions, report.labels, rotation=30 if readable else 0, ha="right" if readable else "center")
    axes.set_yticks(positions, report.labels)
    axes.set(xlabel="predicted", ylabel="truth", title=f"accuracy {report.accuracy:.2%} of {report.count}")
    figure.colorbar(picture, label="share of the truth")
    save(figure, path)


def plot_roc(report: Report, path: Path) -> None:
    """Draw the ROC curve of every label against the rest, with the area under it; two labels share one curve."""
    figure = start_figure(5.5, 5.5)
    axes = figure.subplots()
    for number, column in enumerate(scored_columns(report)):
        false_rate, true_rate = roc_curve(report.truths == column, report.probabilities[:, column].astype(np.float64))
        shown = f"{report.labels[column]} ({np.trapezoid(true_rate, false_rate):.4f})"
        style = STYLES[number // len(COLOURS) % len(STYLES)]
        axes.plot(false_rate, true_rate, style, color=COLOURS[number % len(COLOURS)], label=shown)
    axes.plot((0, 1), (0, 1), ":", color="grey", label="chance (0.5)")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC, with the area under the curve")
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    if len(report.labels) <= READABLE:
        axes.legend(loc="lower right", fontsize="small")
    save(figure, path)


def scored_columns(report: Report) -> list[int]:
    """The labels whose curve is drawn: those with positives and negatives; two labels share one curve."""
    width = len(report.labels)
    columns = [1] if width == 2 else range(width)  # noqa: PLR2004 - the second label of two, as in `roc_auc`
    supports = np.bincount(report.truths, minlength=width)
    return [column for column in columns if 0 < supports[column] < report.count]


def plot_reliability(report: Report, path: Path) -> None:
    """Draw accuracy against confidence in 15 bins (on the line: as sure as right), and how many answers each holds."""
    figure = start_figure(5.5, 6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidences, accuracies, counts = np.array(report.reliability).reshape(-1, 3).T
    upper.plot((0, 1), (0, 1), ":", color="grey", label="as sure as right")
    upper.vlines(confidences, confidences, accuracies, color=ORANGE, label="gap")
    upper.plot(confidences, accuracies, "o-", color=BLUE, label="model")
    upper.set(ylabel="accuracy", ylim=(-0.02, 1.02), title=f"ECE {report.ece:.4f}, Brier score {report.brier:.4f}")
    upper.legend(loc="upper left")
    lower.bar(confidences, counts, width=0.03, color=BLUE)
    lower.set(xlabel="confidence", ylabel="answers", xlim=(0, 1.02), yscale="log", ylim=(0.5, None))
    lower.yaxis.set_major_formatter("{x:g}")
    lower.yaxis.set_minor_formatter(NullFormatter())
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    save(figure, path)


def plot_images(images: Sequence[Image], captions: Sequence[str], path: Path) -> None:
    """Draw a contact sheet: at most 48 images, two in a row, each under its caption; without any, it says so."""
    pairs = list(zip(images, captions, strict=True))[:MOST_IMAGES]
    rows = max(1, -(-len(pairs) // COLUMNS))
    figure = start_figure(14, 0.8 + 0.9 * rows)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, (image, caption) in zip(grid, pairs, strict=False):
        picture = image.convert("RGB")
        picture.thumbnail((LONGEST, LONGEST))
        axes.imshow(picture)
        axes.set_title(caption, fontsize="small")
    if not pairs:
        figure.suptitle("no images")
    save(figure, path)


def start_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, which lays out its parts without overlap."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure to *path*, in the format of its suffix; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=RESOLUTION, metadata={"Software": None} if path.suffix == ".png" else None)
