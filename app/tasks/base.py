"""What a task is, and what a prediction is: plain values. No stage of the pipeline ever names a task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from app.preprocess import ImageSpec, ViewSet

Kind = Literal["classify", "transcribe"]
Views = Literal["off", "on", "uncertain"]


@dataclass(frozen=True)
class Gate:
    """By how much a candidate may be worse than the version in `prod` and still be promoted."""

    accuracy_loss: float = 0.0
    ece_gain: float = 0.005
    latency_ratio: float = 1.5


@dataclass(frozen=True)
class Task:
    """One recognition problem. The MLflow registered model has the task's name.

    `labels` are in the order of the network's outputs; `metric` is what the best run is chosen by. An answer is flagged
    when its calibrated confidence is under `uncertain_below`, or the contrast of the image, in grey values, under
    `blank_below`. `augment` names the recipe in `app/training/augment.py` that fits the task's images; `same_as` maps
    labels of sources to labels of the task. `alike` groups labels, also ones of other tasks, that people cannot tell
    apart without context. `strange_share` is the share of validation images that may be flagged as unlike all that was
    learnt; 0 for no such flag. `views` says whether answers are means over several views of an image (on), over one
    (off), or over several where the first is uncertain; `view_set` says which these are (`app/preprocess/views.py`).
    `signs` says that the labels are what texts are put together of.
    `places` says that a network is also taught where on an image its labels are, by a map beside every image, and
    where text stands on its head, and that its exported model takes images of any size.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    image: ImageSpec
    metric: str = "validation_accuracy"
    gate: Gate = field(default_factory=Gate)
    augment: str = "none"
    uncertain_below: float = 0.85
    blank_below: int = 12
    same_as: Mapping[str, str] = field(default_factory=dict)
    alike: tuple[tuple[str, ...], ...] = ()
    strange_share: float = 0.0
    views: Views = "off"
    view_set: ViewSet = "sign"
    signs: bool = False
    places: bool = False

    @property
    def outputs(self) -> int:
        """How many its networks have: one for each label, and with `places` a last one for text on its head."""
        return len(self.labels) + self.places


@dataclass(frozen=True)
class Prediction:
    """An answer: the most probable label is always kept; low calibrated confidence sets `uncertain` and says why."""

    label: str
    confidence: float
    probabilities: Mapping[str, float]
    uncertain: bool
    reasons: tuple[str, ...] = ()


def low_confidence(confidence: float, below: float) -> tuple[str, ...]:
    """Why an answer is uncertain whose calibrated confidence is under a threshold; nothing where it is not."""
    return (f"confidence {confidence:.3f} is below the threshold {below:.3f}",) if confidence < below else ()


PLACE = 2  # pixels, a side, of the squares that are the places of a page

Predict = Callable[[Sequence[Image]], list[Prediction]]
Locate = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a page, grey, of shape (height, width), to probabilities at every place of it: of every label, and last of text
that stands on its head."""
