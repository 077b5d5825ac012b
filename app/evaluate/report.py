"""Judges anything that predicts, on cases with known labels: overall, per class, per slice, by confidence.

Knows only `predict`, never what is behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from app.errors import DataError, InputError
from app.evaluate import metrics
from app.evaluate.metrics import Probabilities, Truths
from app.evaluate.places import ReadPlaces
from app.tasks import Predict, Prediction

TOP = 5
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Case:
    """One image to be judged on: its right label, how to read it (as RGB), and the slices it belongs to.

    *slices* name a value each, such as `{"source": "a-letter-book", "language": "French"}`. `read_places` gives a page
    with its map, where there is one.
    """

    label: str
    read: Callable[[], Image]
    slices: Mapping[str, str]
    read_places: ReadPlaces | None = None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)


class ClassFigures(_Frozen):
    """The figures of one label."""

    precision: float
    recall: float
    f1: float
    support: int


class SliceFigures(_Frozen):
    """The figures of the cases that share one value of a slice; `confidence` is their mean."""

    count: int
    accuracy: float
    ece: float
    confidence: float


class Kept(_Frozen):
    """What remains when answers under a confidence are set aside: the share kept, and its error rate (0 of none)."""

    threshold: float
    coverage: float
    error: float


class Report(_Frozen):
    """All figures of one evaluation; precision, recall and F1 are means over the labels.

    `top_5` is the share of truths among the five most probable labels.
    `roc_auc` is not a number where all truths are alike. `confusion` has truths in rows. Only `evaluate` knows
    `uncertain`, the share of answers that were flagged.
    `reliability` has mean confidence, accuracy and count of every bin that is not empty. `truths` (label positions)
    and `probabilities` (of shape (count, labels)) are in the order of the cases; they are no part of the JSON.
    """

    labels: tuple[str, ...]
    count: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    roc_auc: float
    ece: float
    brier: float
    log_loss: float
    top_5: float
    uncertain: float = 0.0
    confusion: tuple[tuple[int, ...], ...]
    per_class: dict[str, ClassFigures]
    slices: dict[str, dict[str, SliceFigures]]
    kept: tuple[Kept, ...]
    reliability: tuple[tuple[float, float, int], ...]
    truths: Truths = Field(exclude=True, repr=False)
    probabilities: Probabilities = Field(exclude=True, repr=False)

    def figures(self, prefix: str) -> dict[str, float]:
        """The overall figures by name, such as `validation_accuracy`; those that are not a number are left out."""
        names = ("accuracy", "precision", "recall", "f1", "roc_auc", "ece", "brier")
        values = {f"{prefix}_{name}": float(getattr(self, name)) for name in names}
        values[f"{prefix}_loss"] = self.log_loss
        if len(self.labels) > TOP:
            values[f"{prefix}_top_5"] = self.top_5
        return {name: value for name, value in values.items() if np.isfinite(value)}

    def worst(self, count: int) -> list[int]:
        """Positions of the most confident errors, the most confident first."""
        predicted = self.probabilities.argmax(axis=1)
        wrong = np.flatnonzero(predicted != self.truths)
        order = np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")
        return [int(position) for position in wrong[order][:count]]


def evaluate(
    predict: Predict, cases: Sequence[Case], labels: Sequence[str], *, batch: int = 16, progress: str | None = None
) -> Report:
    """Predict all cases, *batch* images at a time, and report; *progress* is the title of a progress bar.

    An image that is refused counts as answered without any preference, and as flagged.
    Raises DataError when there is no case, or one whose label the model does not know, before any image is read.
    """
    truths = np.array([position_of(case.label, labels) for case in cases], np.int64)
    predictions: list[Prediction] = []
    starts = range(0, len(cases), batch)
    for start in tqdm(starts, desc=progress, unit="batch", mininterval=2, disable=progress is None):
        images = [case.read() for case in cases[start : start + batch]]
        predictions.extend(answers_of(predict, images, labels))
    rows = [[prediction.probabilities[label] for label in labels] for prediction in predictions]
    report = report_of(labels, truths, np.array(rows, np.float64).reshape(-1, len(labels)), slices_of(cases))
    flagged = sum(prediction.uncertain for prediction in predictions) / len(cases)
    return report.model_copy(update={"uncertain": flagged})


def answers_of(predict: Predict, images: Sequence[Image], labels: Sequence[str]) -> list[Prediction]:
    """The answers for images; one that is refused, with InputError, gets an answer without any preference."""
    try:
        return predict(images)
    except InputError as error:
        if len(images) > 1:
            return [answer for image in images for answer in answers_of(predict, [image], labels)]
        even = 1 / len(labels)
        return [Prediction(labels[0], even, dict.fromkeys(labels, even), uncertain=True, reasons=(str(error),))]


def slices_of(cases: Sequence[Case]) -> dict[str, list[str]]:
    """For every slice that some case names, the value of each case; `unknown` where a case names none."""
    names = sorted({name for case in cases for name in case.slices})
    return {name: [case.slices.get(name, "unknown") for case in cases] for name in names}


def position_of(label: str, labels: Sequence[str]) -> int:
    """Where a label stands; raises DataError for one that the model does not know."""
    if label not in labels:
        message = f"a case has the label {label!r}, but the model knows {', '.join(labels)}"
        raise DataError(message)
    return list(labels).index(label)


def report_of(
    labels: Sequence[str],
    truths: Truths,
    probabilities: Probabilities,
    slices: Mapping[str, Sequence[str]],
) -> Report:
    """All figures from truths of shape (n,) and probabilities of shape (n, labels); *slices* name a value a case.

    Raises DataError when the shapes do not fit, when n is 0, or when a probability is not a number.
    """
    check_answers(labels, truths, probabilities)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = predicted == truths
    confusion = metrics.confusion_matrix(truths, predicted, len(labels))
    precision, recall, f1 = metrics.precision_recall_f1(confusion)
    return Report(
        labels=tuple(labels),
        count=len(truths),
        accuracy=float(correct.mean()),
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        f1=float(f1.mean()),
        roc_auc=metrics.roc_auc(truths, probabilities),
        ece=metrics.expected_calibration_error(correct, confidence),
        brier=metrics.brier_score(truths, probabilities),
        log_loss=metrics.log_loss(truths, probabilities),
        top_5=metrics.top_accuracy(truths, probabilities, TOP),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        per_class={
            label: ClassFigures(precision=precision[i], recall=recall[i], f1=f1[i], support=int(confusion[i].sum()))
            for i, label in enumerate(labels)
        },
        slices={name: slice_figures(np.asarray(values), correct, confidence) for name, values in slices.items()},
        kept=tuple(kept_above(threshold, correct, confidence) for threshold in THRESHOLDS),
        reliability=tuple(metrics.reliability(correct, confidence)),
        truths=truths,
        probabilities=probabilities,
    )


def check_answers(labels: Sequence[str], truths: Truths, probabilities: Probabilities) -> None:
    """Raise DataError for answers that no figure can be computed from."""
    if not len(truths):
        message = "there is nothing to evaluate: no case was given; import data with this split"
        raise DataError(message)
    if probabilities.shape != (len(truths), len(labels)):
        message = f"{len(truths)} cases with {len(labels)} labels got probabilities of shape {probabilities.shape}"
        raise DataError(message)
    if not np.isfinite(probabilities).all():
        message = "a probability is not a number: the training diverged; use a lower learning rate"
        raise DataError(message)


def slice_figures(values: np.ndarray, correct: np.ndarray, confidence: np.ndarray) -> dict[str, SliceFigures]:
    """The figures of every value of a slice, the largest first."""
    names, counts = np.unique(values, return_counts=True)
    figures = {}
    for name in names[np.argsort(-counts, kind="stable")]:
        hits, sure = correct[values == name], confidence[values == name]
        ece = metrics.expected_calibration_error(hits, sure)
        figures[str(name)] = SliceFigures(
            count=len(hits), accuracy=float(hits.mean()), ece=ece, confidence=float(sure.mean())
        )
    return figures


def kept_above(threshold: float, correct: np.ndarray, confidence: np.ndarray) -> Kept:
    """Coverage and error rate of the answers that are at least this confident."""
    kept = correct[confidence >= threshold]
    error = float(1 - kept.mean()) if kept.size else 0.0
    return Kept(threshold=threshold, coverage=float(kept.size / correct.size), error=error)
