"""Measures how long the stages of an answer take, wherever in the code they run.

Whoever wants the times opens `measured`; a stage that nobody measures costs a microsecond. Knows neither metrics nor
traces.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from time import perf_counter

Around = Callable[[str], AbstractContextManager[object]]
Tell = Callable[[str, int, int], None]
_stages: ContextVar[dict[str, float] | None] = ContextVar("stages", default=None)
_around: ContextVar[Around] = ContextVar("around", default=nullcontext)
_tell: ContextVar[Tell] = ContextVar("tell", default=lambda _name, _begin, _end: None)


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
def around_stages(around: Around, tell: Tell | None = None) -> Iterator[None]:
    """Open what *around* gives for a stage's name around every stage that runs inside, for instance a span.

    *tell* is called for a stage that ran in another process, with its name, and its begin and end as `tell_stage` has
    them.
    """
    tokens = _around.set(around), tell and _tell.set(tell)
    try:
        yield
    finally:
        _around.reset(tokens[0])
        if tokens[1]:
            _tell.reset(tokens[1])


def tell_stage(name: str, begin: int, end: int) -> None:
    """Tell of a stage that ran in another process, from *begin* to *end* in nanoseconds since 1970."""
    _tell.get()(name, begin, end)
