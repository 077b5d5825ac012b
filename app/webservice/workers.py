"""Where images are recognised, beside the event loop: the seam that routes know, and threads of this process behind it.

The processes that a started service recognises in are in `processes.py`. How many requests wait at most is the
envelope's matter, since what waits there has not been read yet.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import ParamSpec, Protocol, TypeVar

from app.webservice.failures import RequestError

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """Runs work that computes; used from one event loop."""

    count: int

    def queued(self) -> int:
        """How much work waits."""

    async def run(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Do the work and give its result; raises RequestError once the time is over, and what the work raises.

        The work is a function of a module or a method of the service, for it may run in another process.
        """

    async def start(self) -> None:
        """Get ready for the first work, once the service has started."""

    async def stop(self) -> None:
        """Let all end; to be called when nobody waits for an answer."""


class Threads:
    """Workers that are threads of this process, one for each processor."""

    def __init__(self, seconds: float) -> None:
        """Take the time limit; threads start with the first work."""
        self.count = processors()  # more at once would only take more memory and wait for each other
        self._submitted = 0
        self._lock = Lock()
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(self.count, "recognise")

    def queued(self) -> int:
        """How much work waits for a thread."""
        return max(0, self._submitted - self.count)

    async def run(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Do the work in a thread and give its result; raises RequestError once the time is over.

        Work that waits then is dropped; work that runs goes on to its end, and nobody gets the result.
        """
        self._count(1)
        future = self._pool.submit(copy_context().run, partial(work, *arguments, **options))
        future.add_done_callback(lambda _: self._count(-1))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError:
            raise too_late(self._seconds) from None

    async def start(self) -> None:
        """Do nothing: threads start when they are needed."""

    async def stop(self) -> None:
        """Let the threads end with the work that they have."""
        self._pool.shutdown(wait=False)

    def _count(self, more: int) -> None:
        with self._lock:
            self._submitted += more


def too_late(seconds: float) -> RequestError:
    """What a request gets whose time is over."""
    message = f"there was no answer within {seconds:g} s; scale the image down, or try again later"
    return RequestError(503, "timed_out", message)


def processors() -> int:
    """How many processors this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
