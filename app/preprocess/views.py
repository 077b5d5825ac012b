"""Views of one network input, for test-time augmentation: a sign moved by a pixel or turned, a line made smaller."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
ViewSet = Literal["sign", "line"]


class View(NamedTuple):
    """What is done to the input: moved by pixels, turned to the left by degrees, scaled about the middle."""

    right: int = 0
    down: int = 0
    turn: float = 0
    scale: float = 1


VIEWS: Mapping[ViewSet, tuple[View, ...]] = {
    "sign": (
        *(View(right=right, down=down) for right, down in ((1, 0), (-1, 0), (0, 1), (0, -1))),
        *(View(turn=turn) for turn in (-6, -3, 3, 6)),
    ),
    "line": (View(scale=0.9), View(scale=0.8), View(scale=0.85, turn=2), View(scale=0.85, turn=-2)),
}


def views_of(array: Pixels, view_set: ViewSet) -> Pixels:
    """Views of an array of shape (channels, height, width), one more than `VIEWS` has: the first is the array itself.

    They are of shape (views, channels, height, width). What comes in from outside repeats the edge.
    """
    height, width = array.shape[1:]
    middle = ((width - 1) / 2, (height - 1) / 2)
    views = [array]
    for right, down, turn, scale in VIEWS[view_set]:
        change = np.asarray(cv2.getRotationMatrix2D(middle, turn, scale))
        change[:, 2] += right, down
        views.append(
            np.stack([cv2.warpAffine(p, change, (width, height), borderMode=cv2.BORDER_REPLICATE) for p in array])
        )
    return np.stack(views)
