"""Runs the containers as the documentation says, and tells what was seen.

    python -m benchmarks.containers

Builds the images, prints their size above that of the base, and starts both with Compose as a project of its own, whose
volumes are removed at the end. Ports 9000 and 5000 must be free, Docker must be there, and no `.env` with a key in it.
Answers with 1 when something is not as promised.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event
from time import perf_counter

from app.config import Settings
from app.inference.registry import Registry
from app.tasks import DOCUMENT_TYPE
from benchmarks.load import connect, exchange, request_of
from tests.stores import log_run

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "documentation" / "docs" / "images" / "handwritten.jpg"
SERVICE, STORE = ("127.0.0.1", 9000), "http://127.0.0.1:5000"
COMPOSE = ("compose", "--project-name", "penpress-check")
LOG = "app/webservice_predictions/predictions.log"
PROMISED_MEGABYTES = 350
PROMISED_SECONDS = 5.0  # for a swap, and for the end
PATIENCE = 300.0
OK = 200
PAUSE = Event()


class Seen:
    """What was seen, and whether it was as promised."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.failed = False

    def note(self, what: str, seen: object, *, promised: bool = True) -> None:
        """Print a line."""
        self.failed |= not promised
        sys.stdout.write(f"{'ok ' if promised else 'NOT'}  {what}: {seen}\n")
        sys.stdout.flush()


def docker(*arguments: str) -> str:
    """The output of a Docker command; raises CalledProcessError."""
    done = subprocess.run(["docker", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603, S607
    return done.stdout.strip()


def inspect(thing: str, form: str) -> str:
    """One property of an image or a container."""
    return docker("inspect", "--format", form, thing)


def container(name: str) -> str:
    """The id of the container of a Compose service."""
    return docker(*COMPOSE, "ps", "--all", "--quiet", name)


def within(service: str, *command: str) -> str:
    """The output of a command in a running container."""
    return docker(*COMPOSE, "exec", "-T", service, *command)


def ask(request: bytes) -> tuple[int, dict[str, object]]:
    """Send a request to the service; raises OSError while nothing listens."""
    with closing(connect(SERVICE)) as connection:
        status, body = exchange(connection, request)
        return status, json.loads(body)


def health() -> dict[str, object]:
    """What the service says of itself; nothing while it does not answer."""
    with suppress(OSError):
        return ask(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")[1]
    return {}


def predict() -> dict[str, object]:
    """The answer for the picture; raises RuntimeError for any other status than 200."""
    status, answer = ask(request_of(PICTURE.read_bytes()))
    if status != OK:
        message = f"the prediction was answered with {status}: {answer}"
        raise RuntimeError(message)
    return answer


def seconds_until(done: Callable[[], bool], what: str) -> float:
    """Wait for a condition and tell how long that took; raises TimeoutError."""
    start = perf_counter()
    while not done():
        if perf_counter() - start > PATIENCE:
            raise TimeoutError(what)
        PAUSE.wait(0.05)
    return perf_counter() - start


def show_size(seen: Seen) -> None:
    """Build the images and compare them with their base."""
    docker(*COMPOSE, "build")
    (base,) = set(
        re.findall(r"^FROM (\S+:\S+) AS base$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    sizes = {image: int(inspect(image, "{{.Size}}")) / 1e6 for image in (base, "penpress", "penpress-ui")}
    above = sizes["penpress"] - sizes[base]
    seen.note("size of the service's image", f"{above:.0f} MB above its base", promised=above <= PROMISED_MEGABYTES)
    seen.note("size of MLflow's image", f"{sizes['penpress-ui'] - sizes[base]:.0f} MB above its base")


@contextmanager
def running() -> Iterator[None]:
    """Start both containers, and remove them with their volumes at the end."""
    try:
        docker(*COMPOSE, "up", "--detach")
        yield
    finally:
        docker(*COMPOSE, "down", "--volumes", "--timeout", "10")


def show_start(seen: Seen) -> None:
    """Both become healthy, as an ordinary user, on a file system that cannot be written to."""
    for name in ("service", "mlflow"):
        form, identity = "{{.State.Health.Status}}", container(name)
        seconds = seconds_until(lambda: inspect(identity, form) == "healthy", f"{name} is healthy")  # noqa: B023
        user = within(name, "id", "-u")
        seen.note(f"{name} is healthy, as user", f"after {seconds:.0f} s, as {user}", promised=user != "0")
    written = inspect(container("service"), "{{.HostConfig.ReadonlyRootfs}}")
    seen.note("the service's root file system is read-only", written, promised=written == "true")
    seconds = seconds_until(lambda: health().get("status") == "ok", "the service has registered its model")
    seen.note("the shipped model is registered and live", f"version {health()['model_version']}, {seconds:.0f} s later")


def show_answer(seen: Seen) -> None:
    """A picture is answered, and its line is in the volume."""
    answer = predict()
    seen.note(
        "a picture of handwriting is", answer["predicted_class"], promised=answer["predicted_class"] == "handwritten"
    )
    line = json.loads(within("service", "tail", "-n", "1", LOG))
    seen.note("its line is in the log", line["request_id"], promised=line["request_id"] == answer["request_id"])


def show_swap(seen: Seen) -> None:
    """Another version is promoted through MLflow's server, and taken back, while the service runs."""
    registry = Registry(Settings.model_validate({"mlflow_tracking_uri": STORE}))
    task = DOCUMENT_TYPE.name
    with tempfile.TemporaryDirectory() as folder:
        run = log_run(registry, Path(folder), bias=20.0)  # says "printed" of everything
    other = registry.register(run, task, {})
    for what, move in (
        ("promotion", lambda: registry.set_alias(other)),
        ("roll-back", lambda: registry.roll_back(task)),
    ):
        version = move().version
        seconds = seconds_until(lambda: health()["model_version"] == version, what)  # noqa: B023 - used at once
        answer = predict()
        told = f"version {answer['model_version']} says {answer['predicted_class']}, {seconds:.1f} s after the command"
        expected = "printed" if version == other.version else "handwritten"
        as_promised = (answer["model_version"], answer["predicted_class"]) == (version, expected)
        seen.note(what, told, promised=as_promised and seconds <= PROMISED_SECONDS)


def show_end(seen: Seen) -> None:
    """Without the store the service goes on; it ends on SIGTERM in time; what it wrote is there afterwards."""
    docker(*COMPOSE, "stop", "mlflow")
    answer = predict()
    seen.note("with MLflow stopped, a picture is", answer["predicted_class"])
    state = container("service")
    start = perf_counter()
    docker("kill", "--signal", "SIGTERM", state)
    status = docker("wait", state)
    seconds = perf_counter() - start
    seen.note(
        "end on SIGTERM",
        f"{seconds:.1f} s, exit code {status}",
        promised=seconds <= PROMISED_SECONDS and status in {"0", "143"},
    )
    docker(*COMPOSE, "start", "service")
    seconds_until(lambda: "model_version" in health(), "the service is back")
    lines = within("service", "cat", LOG).splitlines()
    seen.note(
        "started again without MLflow", f"version {health()['model_version']}, {len(lines)} lines in the log",
        promised=json.loads(lines[-1])["request_id"] == answer["request_id"],
    )  # fmt: skip


def main() -> int:
    """Show everything; returns 1 when something was not as promised."""
    seen = Seen()
    show_size(seen)
    with running():
        for show in (show_start, show_answer, show_swap, show_end):
            show(seen)
    return int(seen.failed)


if __name__ == "__main__":
    sys.exit(main())
