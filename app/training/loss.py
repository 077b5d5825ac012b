"""The loss of a batch, in which images may be that are none of the task's labels."""

import torch
from torch import nn

from app.training.dataset import NONE

STRANGE_SHARE = 0.5  # of images that are none of the labels


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
