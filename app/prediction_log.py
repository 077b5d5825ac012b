"""The prediction log: one JSON line for every answer of the service, appended before the answer is sent.

Owns the line's fields and how it reaches the file. Never sees image bytes or file names, only their hash and size.

A line is one `write` to a descriptor opened for appending, so lines of several threads or processes never mix, and a
line survives `kill -9` as soon as the kernel has it. It is not synced to the disk: a power cut may cost the last
seconds. The file is opened anew for each line, so it may be rotated or removed at any time; it can also be put aside
here when it is full. A last line that was cut short is moved to `predictions.log.torn` before anything is appended.
"""

import fcntl
import json
import logging
import mmap
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from app.errors import PredictionLogError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One line of the log; `time` is ISO 8601 in UTC, `milliseconds` is what reading and recognising took."""

    time: str
    request_id: str
    input_sha256: str
    input_bytes: int
    task: str
    model_version: str
    label: str
    confidence: float
    uncertain: bool
    milliseconds: float


class PredictionLog(Protocol):
    """Where predictions are recorded; tests put a list in its place."""

    def check(self) -> None:
        """Raise PredictionLogError when nothing could be appended now."""

    def append(self, entry: Entry) -> None:
        """Record a prediction; raises PredictionLogError when that is not certain."""


class PredictionFile:
    """The prediction log as a file of JSON lines."""

    def __init__(self, path: Path, max_bytes: int = 0) -> None:
        """Take the place of the log, and the size at which it is put aside (0: never); nothing is opened yet."""
        self.path = path
        self._max_bytes = max_bytes

    def check(self) -> None:
        """Make the log and its folder when absent; raises PredictionLogError when it cannot be written."""
        self._write(b"")

    def append(self, entry: Entry) -> None:
        """Append one line in one write; raises PredictionLogError unless all of it was taken."""
        self._write(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while (counts := self._try(line)) is None:  # the file was put aside, so there is a new one
                pass
        except OSError as error:
            message = f"the prediction log {self.path} cannot be written ({error}); {REMEDY}"
            raise PredictionLogError(message) from error
        written, wanted = counts
        if written != wanted:
            message = f"the prediction log {self.path} took {written} of {wanted} bytes; {REMEDY}"
            raise PredictionLogError(message)

    def _try(self, line: bytes) -> tuple[int, int] | None:
        """Append the line; returns the bytes written and wanted, or None when it does not belong into this file."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # else a line that is half written would look like a torn one
            if not self._is_current(descriptor):
                return None
            set_torn_line_aside(descriptor, self.path.with_name(f"{self.path.name}.torn"))
            return os.write(descriptor, line), len(line)
        finally:
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """Whether lines belong into this locked file: neither was it put aside while waiting for it, nor is it full.

        A full one is put aside here, under the time at which that happens, so that no name is used twice.
        """
        opened = os.fstat(descriptor)
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        if not os.path.samestat(opened, named):
            return False
        if not self._max_bytes or opened.st_size < self._max_bytes:
            return True
        self.path.rename(f"{self.path}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        return False


REMEDY = (
    "free the disk, let the service write there, or set PENPRESS_PREDICTION_LOG, "
    "or PENPRESS_PREDICTION_LOG_REQUIRED=false to answer without a log"
)


def set_torn_line_aside(descriptor: int, aside: Path) -> None:
    """Move a last line that was cut short (by a full disk) from a locked log to the end of another file.

    It is written there before it is cut off here, so a torn line may be found twice, but never nowhere. Nobody was
    told that it is in the log.
    """
    size = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as text:
        start = text.rfind(b"\n") + 1
        torn = text[start:]
    with open(aside, "ab", opener=partial(os.open, mode=0o640)) as file:
        file.write(torn + b"\n")
    os.ftruncate(descriptor, start)
    logger.warning("a torn line of %d bytes at the end of the prediction log was set aside in %s", len(torn), aside)
