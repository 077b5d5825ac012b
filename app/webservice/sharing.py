"""Shares the lines of one page out among threads, since a caller waits for all of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from math import ceil

from PIL.Image import Image

from app.inference.recogniser import BATCH
from app.tasks import Predict, Prediction


class Sharing:
    """Threads that recognise the lines of a page in pieces; they start with the first page of two lines."""

    def __init__(self, threads: int) -> None:
        """Take how many threads there may be."""
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "lines")

    def among_threads(self, predict: Predict) -> Predict:
        """Like *predict*, and in the same order, in pieces as even as may be, none larger than a batch."""

        def predict_shared(images: Sequence[Image]) -> list[Prediction]:
            rounds = ceil(len(images) / (BATCH * self._threads))
            size = ceil(len(images) / max(1, rounds * self._threads))
            pieces = [images[start : start + size] for start in range(0, len(images), max(1, size))]
            if len(pieces) < 2:  # noqa: PLR2004 - one image is not shared
                return predict(images)
            contexts = [copy_context() for _ in pieces]  # with the stopwatch and the request's id
            found = self._pool.map(lambda context, piece: context.run(predict, piece), contexts, pieces)
            return [prediction for piece in found for prediction in piece]

        return predict_shared
