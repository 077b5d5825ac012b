"""Puts the lines of a page into reading order: columns from left to right, lines from top to bottom."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

LEAST_LINES = 3  # on either side of a gutter: less are no columns


class Placed(Protocol):
    """What has a box in pixels and small letters of a height."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""

    @property
    def core(self) -> float:
        """The height of the small letters."""


T = TypeVar("T", bound=Placed)
Span = tuple[float, float]


def in_reading_order(lines: Sequence[T]) -> list[T]:
    """Sort lines: where a gutter parts them the left ones come first, else those above the widest gap."""
    done: list[T] = []
    waiting = [list(lines)]
    while waiting:
        group = waiting.pop()
        parts = columns_of(group) or rows_of(group)
        if parts is None:
            done += sorted(group, key=lambda line: (line.box[0], line.box[1]))
        else:
            waiting += reversed(parts)
    return done


def columns_of(lines: list[T]) -> list[list[T]] | None:
    """The lines left and right of the widest gutter through all of them, if both are columns."""
    parts = parted(lines, lambda line: (line.box[0], line.box[2]))
    return parts if parts and min(map(len, parts)) >= LEAST_LINES else None


def rows_of(lines: list[T]) -> list[list[T]] | None:
    """The lines above and below the widest gap through all of them; None when they are one row."""
    return parted(lines, core_of)


def core_of(line: Placed) -> Span:
    """From where to where a line's small letters reach, about: what is above and below them may touch other lines."""
    middle = (line.box[1] + line.box[3]) / 2
    return middle - line.core / 2, middle + line.core / 2


def parted(lines: list[T], span: Callable[[T], Span]) -> list[list[T]] | None:
    """Part lines at the widest gap between their spans; None when there is none."""
    ordered = sorted(lines, key=span)
    reach, widest, cut = float("-inf"), 0.0, 0
    for position, line in enumerate(ordered):
        start, end = span(line)
        if position and start - reach > widest:
            widest, cut = start - reach, position
        reach = max(reach, end)
    return [ordered[:cut], ordered[cut:]] if cut else None
