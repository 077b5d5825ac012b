"""What a network is taught, and how it is measured meanwhile: labels of images, or places of labels on images.

The epoch loop calls a goal and knows neither; for choosing an epoch only, the final judgement is of the ONNX file.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from app.evaluate import Report, report_of
from app.training.dataset import NONE
from app.training.loss import loss_of, loss_of_maps
from app.training.model import Network

Batch = tuple[torch.Tensor, torch.Tensor]
MOST_CONFUSED = 10  # with more labels, the picture and the report at the end show the confusion matrix


@dataclass(frozen=True)
class Goal:
    """How batches are used.

    `answer` runs a network on images; `loss` compares answers and truths, by a criterion for labels; `count` gives how
    many images of a batch were answered rightly, and of how many that is known; `assess` gives figures of a network,
    `validation_loss` among them.
    """

    answer: Callable[[Network, torch.Tensor], torch.Tensor]
    loss: Callable[[torch.Tensor, torch.Tensor, nn.Module], torch.Tensor]
    count: Callable[[torch.Tensor, torch.Tensor], tuple[float, int]]
    assess: Callable[[Network, Iterable[Batch], Sequence[str]], dict[str, float]]


def answer_labels(network: Network, images: torch.Tensor) -> torch.Tensor:
    """Logits of shape (n, labels)."""
    logits: torch.Tensor = network(images)
    return logits


def count_labels(logits: torch.Tensor, truths: torch.Tensor) -> tuple[float, int]:
    """Images whose best label is right, and images with a label."""
    return float((logits.argmax(1) == truths).sum()), int((truths != NONE).sum())


def assess_labels(network: Network, batches: Iterable[Batch], labels: Sequence[str]) -> dict[str, float]:
    """Figures of a network in full precision on batches, with the confusion of few labels."""
    device = next(network.parameters()).device
    network.eval()
    rows, truths = [], []
    with torch.inference_mode():
        for images, batch_truths in batches:
            rows.append(network(images.to(device)).float().softmax(1).cpu().numpy())
            truths.append(batch_truths.numpy())
    report = report_of(labels, np.concatenate(truths), np.concatenate(rows), {})
    return report.figures("validation") | confusion_figures(report)


def confusion_figures(report: Report) -> dict[str, float]:
    """The confusion matrix as figures, such as `validation_confusion/printed/handwritten` (truth, then answer)."""
    if len(report.labels) > MOST_CONFUSED:
        return {}
    return {
        f"validation_confusion/{truth}/{answer}": float(count)
        for truth, row in zip(report.labels, report.confusion, strict=True)
        for answer, count in zip(report.labels, row, strict=True)
    }


def answer_places(network: Network, images: torch.Tensor) -> torch.Tensor:
    """Logits of shape (n, outputs, rows, columns)."""
    return network.places(images)


def lose_places(logits: torch.Tensor, maps: torch.Tensor, _criterion: nn.Module) -> torch.Tensor:
    """The loss of maps, which no class weights change."""
    return loss_of_maps(logits, maps)


def count_places(logits: torch.Tensor, maps: torch.Tensor) -> tuple[float, int]:
    """The sum of the shares of known places that are rightly told, over all outputs, and the number of images."""
    known = maps[:, -1:] > 0
    right = ((logits > 0) == (maps[:, :-1] > 127)) & known  # noqa: PLR2004 - half of a byte
    counted = known.sum((1, 2, 3)).clamp(min=1) * right.shape[1]
    return float((right.sum((1, 2, 3)) / counted).sum()), len(maps)


def assess_places(network: Network, batches: Iterable[Batch], _labels: Sequence[str]) -> dict[str, float]:
    """Loss and share of places rightly told, means over the images."""
    device = next(network.parameters()).device
    network.eval()
    loss, right, count = 0.0, 0.0, 0
    with torch.inference_mode():
        for images, maps in batches:
            logits, truths = network.places(images.to(device)).float(), maps.to(device)
            loss += float(loss_of_maps(logits, truths)) * len(maps)
            right += count_places(logits, truths)[0]
            count += len(maps)
    return {"validation_loss": loss / count, "validation_accuracy": right / count}


LABELS = Goal(answer_labels, loss_of, count_labels, assess_labels)
PLACES = Goal(answer_places, lose_places, count_places, assess_places)
