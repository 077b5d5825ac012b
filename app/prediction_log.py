"""The prediction log: one JSON line for every answer of the service, appended before the answer is sent.

Owns the line's fields and how it reaches the file. Never sees image bytes or file names, only their hash and size.

A line is one `write` to a descriptor opened for appending, so lines of several threads or processes never mix, and a
line survives `kill -9` as soon as the kernel has it. It is not synced to the disk: a power cut may cost the last
seconds. The file is opened anew for each line, so it may be rotated or removed at any time.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from app.errors import PredictionLogError


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

    def __init__(self, path: Path) -> None:
        """Take the place of the log; nothing is opened yet."""
        self.path = path

    def check(self) -> None:
        """Make the log and its folder when absent; raises PredictionLogError when it cannot be written."""
        self._write(b"")

    def append(self, entry: Entry) -> None:
        """Append one line in one write; raises PredictionLogError unless all of it was taken."""
        self._write(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # else a line that is half written would look like a torn one
                whole = end_of_torn_line(descriptor) + line
                written = os.write(descriptor, whole)
            finally:
                os.close(descriptor)
        except OSError as error:
            message = f"the prediction log {self.path} cannot be written ({error}); {REMEDY}"
            raise PredictionLogError(message) from error
        if written != len(whole):
            message = f"the prediction log {self.path} took {written} of {len(whole)} bytes; {REMEDY}"
            raise PredictionLogError(message)


REMEDY = (
    "free the disk, let the service write there, or set PENPRESS_PREDICTION_LOG, "
    "or PENPRESS_PREDICTION_LOG_REQUIRED=false to answer without a log"
)


def end_of_torn_line(descriptor: int) -> bytes:
    """Return the newline that a file needs whose last line was cut short (by a full disk), else nothing.

    The torn line stays as it is: the log is only ever appended to, and readers leave out what is no JSON.
    """
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
