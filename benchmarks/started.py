"""Starts services for measurements, each in a process of its own with a folder of its own, and ends them."""

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import perf_counter

PATIENCE = 180.0  # seconds; the straightforward service may have to export a network first
PAUSE = Event()


@dataclass(frozen=True)
class Started:
    """A service that answers: where, the seconds that its start took, its first process."""

    address: tuple[str, int]
    seconds: float
    process: int

    def megabytes(self) -> float:
        """The memory that its processes hold now; what several share counts once."""
        return sum(map(megabytes_of, family_of(self.process)))


def family_of(process: int) -> list[int]:
    """A process with those that it started, and so on, as far as they still run."""
    found = [process]
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text(encoding="utf-8").split():
                found += family_of(int(child))
    return found


def megabytes_of(process: int) -> float:
    """The memory of a process, and its share of what it has together with others; 0 when it runs no more."""
    with suppress(FileNotFoundError, ProcessLookupError):
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8")
        if found := re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE):
            return int(found[0]) / 1024
    return 0.0


@contextmanager
def service(python: str = sys.executable, **variables: str) -> Iterator[Started]:
    """Start PenPress with the shipped model and an empty registry, with the packages of the interpreter *python*."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        own = {
            "PORT": str(port),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "PENPRESS_ARTIFACT_ROOT": f"{folder}/artifacts",
            "PENPRESS_BUNDLE_CACHE": f"{folder}/cache",
            "PENPRESS_PREDICTION_LOG": f"{folder}/predictions.log",
        }
        with running([python, "-m", "app.main"], port, "/readyz", own | variables) as started:
            yield started


@contextmanager
def baseline() -> Iterator[Started]:
    """Start the straightforward service."""
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.baseline", str(port)], port, "/openapi.json", {}) as started:
        yield started


@contextmanager
def running(command: list[str], port: int, path: str, variables: Mapping[str, str]) -> Iterator[Started]:
    """Run a command as a process until the block ends, once *path* has answered 200."""
    start, address = perf_counter(), ("127.0.0.1", port)
    with subprocess.Popen(command, env=os.environ | dict(variables), stdout=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            while not answers(address, path):
                if process.poll() is not None or perf_counter() - start > PATIENCE:
                    message = f"{' '.join(command)} does not answer {path}"
                    raise RuntimeError(message)
                PAUSE.wait(0.01)
            yield Started(address, perf_counter() - start, process.pid)
        finally:
            process.terminate()


def answers(address: tuple[str, int], path: str, text: bytes = b"") -> bool:
    """Whether a service gives 200 for a path now, and *text* somewhere in its answer."""
    with (
        suppress(OSError),
        socket.create_connection(address, timeout=5) as connection,
        connection.makefile("rb") as file,
    ):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        found = file.read()
        return b" 200 " in found[:64] and text in found
    return False


def settle(started: Started) -> None:
    """Wait until PenPress has asked the registry, for which it imports MLflow beside its first answers."""
    start = perf_counter()
    while not answers(started.address, "/health", b'"status":"ok"') and perf_counter() - start < PATIENCE:
        PAUSE.wait(0.1)


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
