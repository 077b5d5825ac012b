"""Judges what finds text on pages, place by place: whether each label is there, and whether text stands on its head.

Knows only `locate`, never what is behind it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.errors import DataError
from app.evaluate import metrics
from app.tasks import PLACE, Locate

Plane = NDArray[np.uint8]
Page = tuple[Plane, Plane]
ReadPlaces = Callable[[], Page]
"""Gives a page in grey, (height, width), and its map, uint8, (rows, columns, labels + 1): last is what is known."""
HALF = 127  # of 255 on a map
EVEN = 0.5  # probability


@dataclass(frozen=True)
class PlacesReport:
    """The share of answers that are right, over all places that are known and all outputs, and their calibration."""

    accuracy: float
    ece: float

    def figures(self, prefix: str) -> dict[str, float]:
        """The figures by name, such as `validation_places_accuracy`."""
        return {f"{prefix}_places_accuracy": self.accuracy, f"{prefix}_places_ece": self.ece}


def evaluate_places(locate: Locate, pages: Sequence[ReadPlaces], progress: str | None = None) -> PlacesReport:
    """Locate text on each page as it lies and on its head; *progress* is the title of a progress bar.

    Raises DataError where there is no place of which anything is known.
    """
    sums = np.zeros((metrics.BINS, 3))
    for read in tqdm(pages, desc=progress, unit="page", mininterval=2, disable=progress is None):
        page, maps = whole_places(*read())
        for on_its_head in (False, True):
            turned, drawn = (page[::-1, ::-1], maps[::-1, ::-1]) if on_its_head else (page, maps)
            there, known = truths_of(drawn, on_its_head=on_its_head)
            found = locate(np.ascontiguousarray(turned))
            right, confidence = ((found > EVEN) == there)[:, known], np.maximum(found, 1 - found)[:, known]
            sums += metrics.sums_by_confidence(right.ravel(), confidence.ravel())
    count, _, hits = sums.sum(axis=0)
    if not count:
        message = "there is nothing to evaluate: of no place of any page is known what is there; import pages with maps"
        raise DataError(message)
    return PlacesReport(float(hits / count), metrics.calibration_error(sums))


def whole_places(page: Plane, maps: Plane) -> Page:
    """A page and its map without places that stick out: only then does the map lie on the page turned by half."""
    rows, columns = (length // PLACE for length in page.shape)
    return page[: PLACE * rows, : PLACE * columns], maps[:rows, :columns]


def truths_of(maps: Plane, *, on_its_head: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For every output and place what is right, of shape (labels + 1, rows, columns), and where this is known."""
    text = np.moveaxis(maps[..., :-1] > HALF, -1, 0)
    direction = text.any(axis=0, keepdims=True) & on_its_head
    return np.concatenate([text, direction]), maps[..., -1] > HALF
