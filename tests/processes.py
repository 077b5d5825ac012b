"""A real service in a process of its own, with everything it keeps in one folder. Holds no tests."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.config import Settings
from tests.bundles import make_bundle
from tests.stores import settings_in

PAUSE = threading.Event()


class Process:
    """A running service: its port, its settings, and the process."""

    def __init__(self, popen: "subprocess.Popen[str]", port: int, settings: Settings) -> None:
        """Keep what tests look at."""
        self.popen, self.port, self.settings = popen, port, settings

    def get(self, path: str) -> str:
        """The body of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def wait_for_metric(self, line: str) -> bool:
        """Ask for the metrics until they have this line, for at most 30 seconds."""
        return eventually(lambda: line in self.get("/metrics"))

    def wait_until_refused(self) -> bool:
        """Connect until that is refused, for at most 30 seconds."""
        return eventually(lambda: not self.listens())

    def listens(self) -> bool:
        """Whether a connection is taken."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=30).close()
        except ConnectionRefusedError:
            return False
        return True


def eventually(done: Callable[[], bool], seconds: int = 30) -> bool:
    """Whether the condition holds within so many seconds; asked 50 times a second."""
    return any(done() or PAUSE.wait(0.02) for _ in range(50 * seconds))


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(folder: Path, **variables: str) -> Iterator[Process]:
    """Start a service with a tiny bundle, wait until it has started, and end it at the end of the block."""
    settings = settings_in(folder)
    make_bundle(settings.embedded / "document_type")
    with started(settings, free_port(), **variables) as process:
        yield process


@contextmanager
def started(settings: Settings, port: int, **variables: str) -> Iterator[Process]:
    """Start a service on a port with what there is, wait until it has started, and end it at the end of the block."""
    environment = os.environ | {
        "PORT": str(port),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "PENPRESS_ARTIFACT_ROOT": str(settings.artifact_root),
        "PENPRESS_EMBEDDED": str(settings.embedded),
        "PENPRESS_BUNDLE_CACHE": str(settings.bundle_cache),
        "PENPRESS_PREDICTION_LOG": str(settings.prediction_log),
        **variables,
    }
    command = [sys.executable, "-m", "app.main"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as popen:  # noqa: S603
        assert popen.stdout is not None
        try:
            assert any("Application startup complete" in json.loads(line)["message"] for line in popen.stdout)
            threading.Thread(target=popen.stdout.read).start()  # an unread pipe would hold the service up
            process = Process(popen, port, settings)
            assert eventually(process.listens)  # which it does a moment later
            yield process
        finally:
            popen.kill()


def post(port: int, data: bytes) -> dict[str, object]:
    """Send a file to the service by hand, without any client library."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
    whole = head + data + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/predict/", whole, headers)
        return dict(json.loads(connection.getresponse().read()))
