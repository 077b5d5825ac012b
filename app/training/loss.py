"""The loss of a batch: of labels, where images may be that have none of them, or of maps that are known in part."""

import torch
from torch import nn

from app.training.dataset import NONE

STRANGE_SHARE = 0.5  # of images that are none of the labels
OVERLAP_SHARE = 0.3
AROUND, EDGE = 9, 1.5  # a place so near a line, in a square of places, counts so much more


def loss_of(logits: torch.Tensor, truths: torch.Tensor, criterion: nn.Module) -> torch.Tensor:
    """The loss of a batch: by *criterion* for images with a label; all labels alike for those that have none of them.

    The latter after D. Hendrycks and others, Deep anomaly detection with outlier exposure, 2019.
    """
    known = truths != NONE
    loss: torch.Tensor = criterion(logits[known], truths[known]) if known.any() else logits.sum() * 0
    if known.all():
        return loss
    strange = logits[~known]
    return loss + STRANGE_SHARE * (strange.logsumexp(1) - strange.mean(1)).mean()


def loss_of_maps(logits: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """The loss of logits of shape (n, outputs, rows, columns) for maps of uint8 with a plane more: what is known, 255.

    Cross-entropy by place, where the surroundings of lines count more, and how little of the lines overlaps what is
    taken for them (F. Milletari and others, V-Net, 2016), which is the same for lines on little and on much of a page.
    """
    shares = maps.float() / 255
    truths, known = shares[:, :-1], shares[:, -1:]
    text = (truths * known).amax(1, keepdim=True)
    around = nn.functional.max_pool2d(text, AROUND, stride=1, padding=AROUND // 2) - text
    weights = (known * (1 + EDGE * around) / (1 + EDGE)).expand_as(logits)
    crossed = nn.functional.binary_cross_entropy_with_logits(logits, truths, weight=weights)
    found, there = logits.sigmoid() * weights, truths * weights
    places = (0, 2, 3)
    overlap = (2 * (found * there).sum(places) + 1) / ((found**2).sum(places) + (there**2).sum(places) + 1)
    return crossed + OVERLAP_SHARE * (1 - overlap).mean()
