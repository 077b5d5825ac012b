"""The figures of a classifier, from truths and probabilities. NumPy only, because the promotion gate runs without more.

`truths` are label positions of shape (n,), `probabilities` have the shape (n, labels) and sum to one in each row.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Truths = NDArray[np.int64]
Probabilities = NDArray[np.floating]
Figures = NDArray[np.float64]
BINS = 15


def confusion_matrix(truths: Truths, predicted: Truths, labels: int) -> NDArray[np.int64]:
    """Counts of shape (labels, labels): rows are truths, columns predictions."""
    counts = np.bincount(truths * labels + predicted, minlength=labels * labels)
    return counts.reshape(labels, labels).astype(np.int64)


def precision_recall_f1(confusion: NDArray[np.int64]) -> tuple[Figures, Figures, Figures]:
    """Precision, recall and F1 of every label; 0 where the denominator is 0."""
    hits = confusion.diagonal().astype(np.float64)
    precision, recall = ratio(hits, confusion.sum(0)), ratio(hits, confusion.sum(1))
    return precision, recall, ratio(2 * precision * recall, precision + recall)


def ratio(above: NDArray[np.generic], below: NDArray[np.generic]) -> Figures:
    """Element-wise division, 0 where the divisor is 0."""
    numerators, divisors = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(numerators, divisors, out=np.zeros_like(numerators), where=divisors > 0)


def roc_curve(positive: NDArray[np.bool_], scores: Figures) -> tuple[Figures, Figures]:
    """False and true positive rates over falling thresholds, equal scores taken together, from (0, 0) to (1, 1)."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(positive[order])[ends]
    misses = ends + 1 - hits
    rates = [np.concatenate([[0.0], counts / max(1, counts[-1])]) for counts in (misses, hits)]
    return rates[0], rates[1]


def roc_auc(truths: Truths, probabilities: Probabilities) -> float:
    """Area under the ROC curve: of the second label of two, else the mean over the labels, one against the rest.

    Labels without both positives and negatives are left out; not a number when none is left.
    """
    width = probabilities.shape[1]
    columns = [1] if width == 2 else range(width)  # noqa: PLR2004 - two labels share one curve
    areas = []
    for column in columns:
        positive = truths == column
        if 0 < positive.sum() < len(truths):
            false_rate, true_rate = roc_curve(positive, np.asarray(probabilities[:, column], np.float64))
            areas.append(float(np.trapezoid(true_rate, false_rate)))
    return float(np.mean(areas)) if areas else float("nan")


def sums_by_confidence(correct: NDArray[np.bool_], confidence: NDArray[np.floating]) -> Figures:
    """For each of 15 equal bins of confidence its answers, their confidence and the right ones in sum: shape (15, 3).

    What was summed up in parts may be added.
    """
    bins = np.searchsorted(np.arange(1, BINS) / BINS, confidence)
    return np.stack([np.bincount(bins, weights, BINS) for weights in (None, confidence, correct)], axis=1)


def reliability(correct: NDArray[np.bool_], confidence: Figures) -> list[tuple[float, float, int]]:
    """For each of 15 equal bins of confidence that is not empty: mean confidence, accuracy, count."""
    sums = sums_by_confidence(correct, confidence)
    return [(float(sure / count), float(right / count), int(count)) for count, sure, right in sums if count]


def expected_calibration_error(correct: NDArray[np.bool_], confidence: Figures) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins, weighted by count (Naeini et al., 2015)."""
    return calibration_error(sums_by_confidence(correct, confidence))


def calibration_error(sums: Figures) -> float:
    """The same from sums by confidence."""
    return float(np.abs(sums[:, 1] - sums[:, 2]).sum() / max(1.0, float(sums[:, 0].sum())))


def brier_score(truths: Truths, probabilities: Probabilities) -> float:
    """Mean squared distance to the truth (Brier, 1950): for two labels from 0 to 1, for more from 0 to 2."""
    target = np.eye(probabilities.shape[1])[truths]
    scale = 0.5 if probabilities.shape[1] == 2 else 1.0  # noqa: PLR2004 - two labels are off by the same amount
    return float(scale * ((probabilities - target) ** 2).sum(axis=1).mean())


def top_accuracy(truths: Truths, probabilities: Probabilities, count: int) -> float:
    """The share of truths among the *count* most probable labels."""
    own = probabilities[np.arange(len(truths)), truths][:, None]
    return float(((probabilities > own).sum(axis=1) < count).mean())


def alike_accuracy(truths: Truths, predicted: Truths, labels: Sequence[str], alike: Iterable[Collection[str]]) -> float:
    """The accuracy when labels that stand in one group of *alike* may be taken for each other."""
    same = np.eye(len(labels), dtype=np.bool_)
    for group in alike:
        members = [number for number, label in enumerate(labels) if label in group]
        same[np.ix_(members, members)] = True
    return float(same[truths, predicted].mean())


def log_loss(truths: Truths, probabilities: Probabilities) -> float:
    """Mean negative logarithm of the probability of the truth."""
    return float(-np.log(probabilities[np.arange(len(truths)), truths].clip(1e-12)).mean())
