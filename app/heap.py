"""Keeps the memory of a long-running process small, where its C library (glibc) lets a program say so.

glibc keeps memory that was freed, in as many arenas as threads have run at the same time. Where another C library has
no such functions, nothing is done.
"""

import ctypes

M_ARENA_MAX = -8  # of malloc.h
LARGE = 500_000  # pixels of an image


def share_one_arena() -> None:
    """Have all threads take memory from one place; to be called before there are any.

    They wait for each other there no more than they do anyway: nearly all of what they take, they take with Python's
    lock in hand, and onnxruntime has arenas of its own.
    """
    call("mallopt", M_ARENA_MAX, 1)


def give_back() -> None:
    """Give memory that nothing uses any more back to the system; takes a few milliseconds.

    What refers to itself is left to the collector: to run it here would hold up all answers for a fifth of a second,
    and finds next to nothing.
    """
    call("malloc_trim", 0)


def give_back_after(pixels: int) -> None:
    """Give back what it took to answer for an image of so many pixels, if that was much; not what is still in use.

    Freed by itself, it stays with the process in pieces: how many depends on what else was answered meanwhile.
    """
    if pixels > LARGE:
        give_back()


def call(name: str, *arguments: int) -> None:
    """Call a function of the C library, where it has it."""
    if function := getattr(ctypes.CDLL(None), name, None):
        function(*arguments)
