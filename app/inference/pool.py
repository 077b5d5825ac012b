"""Does work piece by piece in several processes, which end in order on Ctrl+C, and with the one that started them.

Each has one piece in hand, so that an interruption comes through soon. What is done with the results is the caller's.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process, resource_tracker
from threading import Thread
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")

PATIENCE = 0.2  # seconds after which an interruption is seen


def in_processes(work: Callable[[Piece], Result], pieces: Iterator[Piece], processes: int) -> Generator[Result]:
    """What comes of the work on each piece, as soon as it is done; with one process, in this one.

    An interruption is raised when all have finished what they have in hand.
    """
    if processes == 1:
        yield from map(work, pieces)
        return
    with interruptions_later() as interrupted, ProcessPoolExecutor(processes, get_context("spawn"), begin_work) as pool:
        try:
            running = {pool.submit(work, piece) for piece in islice(pieces, processes)}
            while running and not interrupted():
                done, running = wait(running, PATIENCE, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, piece) for piece in islice(pieces, len(done))}
                yield from (future.result() for future in done)
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def interruptions_later() -> Iterator[Callable[[], bool]]:
    """Keep Ctrl+C for the end of the block, and from processes that are started in it; gives whether it has come.

    Raised amid the work of a pool, it could leave a lock held for ever. The processes inherit that it is blocked; this
    one may be given it nevertheless, by way of a thread that was there before.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a run that is not to be interrupted, nor are its processes
        yield lambda: False
        return
    caught: list[int] = []
    resource_tracker.ensure_running()  # which lets the signal through again when it is started
    handler = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield lambda: bool(caught) or signal.SIGINT in signal.sigpending()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, handler)
        if caught:
            signal.raise_signal(signal.SIGINT)


def begin_work() -> None:
    """Prepare a process for pieces: it ends with the one that started it."""
    Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """End this process when the one that started it is gone, be it killed."""
    if parent := parent_process():
        parent.join()
        os._exit(1)
