"""Judges anything that predicts, on cases with known labels: overall, per class, per slice, by confidence.

Knows only `predict`, never what is behind it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, PrivateAttr
from tqdm import tqdm

from app.errors import DataError
from app.evaluate import metrics
from app.evaluate.metrics import Probabilities, Truths
from app.tasks import Predict

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Case:
    """One image to be judged on: its right label, how to read it, and the slices it belongs to."""

    label: str
    read: Callable[[], Image]
    slices: Mapping[str, str]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClassFigures(_Frozen):
    """The figures of one label."""

    precision: float
    recall: float
    f1: float
    support: int


class SliceFigures(_Frozen):
    """The figures of the cases of one slice."""

    count: int
    accuracy: float
    ece: float
    confidence: float


class Kept(_Frozen):
    """What remains when answers under a confidence are set aside: the share kept, and its error rate."""

    threshold: float
    coverage: float
    error: float


class Report(_Frozen):
    """All figures of one evaluation. `confusion` has truths in rows; `milliseconds` is the median for one image."""

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
    milliseconds: float
    confusion: tuple[tuple[int, ...], ...]
    per_class: dict[str, ClassFigures]
    slices: dict[str, dict[str, SliceFigures]]
    kept: tuple[Kept, ...]
    reliability: tuple[tuple[float, float, int], ...]
    _truths: Truths = PrivateAttr()
    _probabilities: Probabilities = PrivateAttr()

    @property
    def truths(self) -> Truths:
        """Positions of the right labels, in the order of the cases."""
        return self._truths

    @property
    def probabilities(self) -> Probabilities:
        """What was predicted, of shape (count, labels), in the order of the cases."""
        return self._probabilities

    def figures(self, prefix: str) -> dict[str, float]:
        """The overall figures by name, such as `validation_accuracy`; those that are not a number are left out."""
        names = ("accuracy", "precision", "recall", "f1", "roc_auc", "ece", "brier")
        values = {f"{prefix}_{name}": float(getattr(self, name)) for name in names}
        values[f"{prefix}_loss"] = self.log_loss
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
    """Predict all cases in batches and report; *progress* is the title of a progress bar; raises DataError."""
    if not cases:
        message = "there is nothing to evaluate: no case was given; import data with this split"
        raise DataError(message)
    rows, milliseconds = [], []
    starts = range(0, len(cases), batch)
    for start in tqdm(starts, desc=progress, unit="batch", mininterval=2, disable=progress is None):
        images = [case.read() for case in cases[start : start + batch]]
        began = time.perf_counter()
        predictions = predict(images)
        milliseconds.append((time.perf_counter() - began) * 1000 / len(images))
        rows.extend([prediction.probabilities[label] for label in labels] for prediction in predictions)
    truths = np.array([position_of(case.label, labels) for case in cases])
    names = {name for case in cases for name in case.slices}
    slices = {name: [case.slices.get(name, "unknown") for case in cases] for name in sorted(names)}
    return report_of(labels, truths, np.array(rows), slices, milliseconds=float(np.median(milliseconds)))


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
    milliseconds: float = 0.0,
) -> Report:
    """All figures from truths of shape (n,) and probabilities of shape (n, labels); *slices* name a value a case."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = predicted == truths
    confusion = metrics.confusion_matrix(truths, predicted, len(labels))
    precision, recall, f1 = metrics.precision_recall_f1(confusion)
    report = Report(
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
        milliseconds=milliseconds,
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        per_class={
            label: ClassFigures(precision=precision[i], recall=recall[i], f1=f1[i], support=int(confusion[i].sum()))
            for i, label in enumerate(labels)
        },
        slices={name: slice_figures(np.asarray(values), correct, confidence) for name, values in slices.items()},
        kept=tuple(kept_above(threshold, correct, confidence) for threshold in THRESHOLDS),
        reliability=tuple(metrics.reliability(correct, confidence)),
    )
    report._truths, report._probabilities = truths, probabilities  # noqa: SLF001 - pydantic's way to attach arrays
    return report


def slice_figures(
    values: np.ndarray, correct: np.ndarray, confidence: np.ndarray
) -> dict[str, SliceFigures]:
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
