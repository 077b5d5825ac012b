"""What passes between the service and the processes that recognise for it, and in which form.

A message is its length and then the value as `pickle` writes it. The service itself, among the arguments of a job or as
the object of a method, is named only: the other side puts its own in the place. Both sides are forks of one process, on
a pair of sockets that nobody else has; nothing that a client sent is ever unpickled.
"""

import io
import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from app.inference.production import Place

LENGTH = struct.Struct("!Q")
SERVICE = "service"


class Job(NamedTuple):
    """Work to do; `places` tells where the bundles lie that answer, or is None when that is as it was."""

    work: Callable[..., object]
    arguments: tuple[object, ...]
    options: Mapping[str, object]
    request_id: str | None
    places: Mapping[str, Place | None] | None


class Refusal(NamedTuple):
    """An error that was raised on purpose, as it is answered."""

    status: int
    code: str
    message: str


class Reply(NamedTuple):
    """What came of a job: a value, a refusal, or the text of a traceback; and what is to be told of it.

    `noted` are calls of the metrics, by name; `stages` have their begin and end in nanoseconds since 1970. A job is
    `outdated` when its bundle was removed after two swaps. `log_problem` counts only where the job has tried the log.
    """

    value: object = None
    refusal: Refusal | None = None
    failure: str | None = None
    outdated: bool = False
    noted: tuple[tuple[str, tuple[object, ...]], ...] = ()
    stages: tuple[tuple[str, int, int], ...] = ()
    log_tried: bool = False
    log_problem: str | None = None


class Writer(pickle.Pickler):
    """Writes values in which the service is only named."""

    def __init__(self, file: io.BytesIO, service: object) -> None:
        """Take where to write, and what to name."""
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._service = service

    def persistent_id(self, value: object) -> str | None:
        """The name, for the service."""
        return SERVICE if value is self._service else None


class Reader(pickle.Unpickler):
    """Reads values, with a service of its own where one is named."""

    def __init__(self, data: bytes, service: object) -> None:
        """Take what to read, and what to put in the place."""
        super().__init__(io.BytesIO(data))
        self._service = service

    def persistent_load(self, _: str) -> object:
        """The service."""
        return self._service


def packed(value: object, service: object) -> bytes:
    """A whole message."""
    buffer = io.BytesIO()
    buffer.write(bytes(LENGTH.size))
    Writer(buffer, service).dump(value)
    length = buffer.tell() - LENGTH.size
    buffer.seek(0)
    buffer.write(LENGTH.pack(length))
    return buffer.getvalue()


def unpacked(data: bytes, service: object) -> Any:  # noqa: ANN401 - the reader knows what the writer sent
    """The value of a message, without its length."""
    return Reader(data, service).load()
