"""Measures how long the stages of an answer take, wherever in the code they run.

Whoever wants the times opens `measured`; a stage that nobody measures costs a microsecond. Knows neither metrics nor
traces.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from time import perf_counter

Around = Callable[[str], AbstractContextManager[object]]
_stages: ContextVar[dict[str, float] | None] = ContextVar("stages", default=None)
_around: ContextVar[Around] = ContextVar("around", default=nullcontext)


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
        with _around.get()(name):
            yield
    finally:
        stages = _stages.get()
        if stages is not None:
            stages[name] = stages.get(name, 0.0) + perf_counter() - start


@contextmanager
def around_stages(around: Around) -> Iterator[None]:
    """Open what *around* gives for a stage's name around every stage that runs inside, for instance a span."""
    token = _around.set(around)
    try:
        yield
    finally:
        _around.reset(token)
