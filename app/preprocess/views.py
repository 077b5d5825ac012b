"""Views of one network input, for test-time augmentation: as it is, moved by a pixel, turned by a few degrees."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]

SHIFTS = ((1, 0), (-1, 0), (0, 1), (0, -1))
TURNS = (-6, -3, 3, 6)  # degrees


def views_of(array: Pixels) -> Pixels:
    """Nine views of shape (9, channels, height, width) of an array of the last three; the first is the array itself."""
    height, width = array.shape[1:]
    middle = ((width - 1) / 2, (height - 1) / 2)
    maps = [np.array([[1, 0, right], [0, 1, down]], np.float64) for right, down in SHIFTS]
    maps += [np.asarray(cv2.getRotationMatrix2D(middle, turn, 1.0)) for turn in TURNS]
    views = [array]
    for each in maps:
        planes = [cv2.warpAffine(plane, each, (width, height), borderMode=cv2.BORDER_REPLICATE) for plane in array]
        views.append(np.stack(planes))
    return np.stack(views)
