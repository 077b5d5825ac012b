"""A process that only makes processes: forked from the service before anything in it has started.

A process with threads, as the service soon is, cannot be forked safely; this one stays as it was at its beginning, with
everything imported, so that a new process has nothing to load but models, and shares the memory of the rest.
"""

import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

Serve = Callable[[socket.socket], None]


class Nursery:
    """Starts processes that each serve one connection; to be made before there are threads."""

    def __init__(self, serve: Serve) -> None:
        """Fork the process that will fork the others; *serve* is what each of them runs until it ends."""
        self._asking, asked = socket.socketpair()
        if os.fork() == 0:
            self._asking.close()
            breed(asked, serve)
        asked.close()

    def bear(self) -> socket.socket:
        """The connection to a new process; raises OSError when there can be none."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._asking, [b"."], [theirs.fileno()])
        return ours

    def kill(self, process: int) -> None:
        """End a process that does not answer."""
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        """Let the nursery end; what it has borne ends when its connection does."""
        self._asking.close()


def breed(asked: socket.socket, serve: Serve) -> NoReturn:
    """Fork a process for every connection that comes, until the service has gone."""
    try:
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
            signal.SIGCHLD,
        ):  # the service says when to end; none is waited for
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()  # what is there now is never collected, so its memory stays shared
        while descriptors := socket.recv_fds(asked, 1, 1)[1]:
            connection = socket.socket(fileno=descriptors[0])
            if os.fork() == 0:
                asked.close()
                serve(connection)
                break
            connection.close()
    finally:
        os._exit(0)  # neither handlers nor buffers of the service are this process's to finish
