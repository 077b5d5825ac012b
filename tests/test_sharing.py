"""Lines of a page, shared out among threads."""

import threading
from collections.abc import Sequence

import pytest
from PIL import Image

from app.errors import BundleError
from app.inference.recogniser import BATCH
from app.stopwatch import measured, stage
from app.tasks import Prediction
from app.webservice.sharing import Sharing

LINES = [Image.new("L", (8, 8), number) for number in range(3 * BATCH + 1)]


def by_brightness(images: Sequence[Image.Image]) -> list[Prediction]:
    """Stand in for a recogniser: the label is the grey value."""
    with stage("infer"):
        return [Prediction(str(image.getpixel((0, 0))), 1.0, {}, uncertain=False) for image in images]


def test_answers_come_in_the_order_of_the_lines() -> None:
    """Whichever thread is first, and the seconds of all threads are known to the stopwatch."""
    with measured() as stages:
        found = Sharing(3).among_threads(by_brightness)(LINES)
    assert [int(prediction.label) for prediction in found] == list(range(len(LINES)))
    assert stages["infer"] > 0


def test_batches_are_recognised_at_the_same_time() -> None:
    """Two batches wait for each other, which they could not in one thread."""
    meeting = threading.Barrier(2, timeout=20)

    def wait_for_the_other(images: Sequence[Image.Image]) -> list[Prediction]:
        meeting.wait()
        return by_brightness(images)

    assert len(Sharing(2).among_threads(wait_for_the_other)(LINES[: 2 * BATCH])) == 2 * BATCH


def test_one_line_stays_in_its_thread() -> None:
    """It is not worth another thread."""
    threads = []

    def note_thread(images: Sequence[Image.Image]) -> list[Prediction]:
        threads.append(threading.current_thread())
        return by_brightness(images)

    Sharing(2).among_threads(note_thread)(LINES[:1])
    assert threads == [threading.current_thread()]
    assert Sharing(2).among_threads(note_thread)([]) == []


@pytest.mark.parametrize(
    ("lines", "threads", "sizes"),
    [
        (10, 2, [5, 5]),
        (11, 2, [5, 6]),
        (BATCH, 3, [4, 6, 6]),
        (36, 2, [9] * 4),
        (2 * BATCH, 2, [BATCH] * 2),
        (2, 4, [1, 1]),
    ],
)
def test_threads_have_even_shares(lines: int, threads: int, sizes: list[int]) -> None:
    """None waits for another that has much more to do, and no piece is larger than a batch."""
    seen: list[int] = []

    def note_size(images: Sequence[Image.Image]) -> list[Prediction]:
        seen.append(len(images))
        return by_brightness(images)

    found = Sharing(threads).among_threads(note_size)(LINES[:lines])
    assert [int(prediction.label) for prediction in found] == list(range(lines))
    assert sorted(seen) == sizes


def test_an_error_in_a_thread_is_that_of_the_page() -> None:
    """What one batch raises, the page raises."""

    def fail(images: Sequence[Image.Image]) -> list[Prediction]:
        raise BundleError(str(len(images)))

    with pytest.raises(BundleError):
        Sharing(2).among_threads(fail)(LINES)
