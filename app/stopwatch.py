"""Measures how long the stages of an answer take, wherever in the code they run.

Whoever wants the times opens `measured`; a stage that nobody measures costs a microsecond. Knows no metrics.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

_stages: ContextVar[dict[str, float] | None] = ContextVar("stages", default=None)


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Collect the seconds of every stage that ends inside, by its name; a name that comes twice is summed up."""
    stages: dict[str, float] = {}
    token = _stages.set(stages)
    try:
        yield stages
    finally:
        _stages.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measure the block under this name, also when it raises."""
    start = perf_counter()
    try:
        yield
    finally:
        stages = _stages.get()
        if stages is not None:
            stages[name] = stages.get(name, 0.0) + perf_counter() - start
