"""Overload and time limits: predictions and uploads that take too long, a queue, and an end in good order."""

import asyncio
import http.client
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Message, Receive

from app.tasks import Prediction
from app.webservice.envelope import Envelope
from app.webservice.failures import RequestError
from app.webservice.workers import Threads
from tests.bundles import LIGHT, picture
from tests.processes import Process, running
from tests.services import Fixture, check_error, serving

SURE = Prediction("printed", 1.0, {"handwritten": 0.0, "printed": 1.0}, uncertain=False)


@contextmanager
def held(service: Fixture) -> Iterator[threading.Event]:
    """Predictions of the service wait until the block ends; the event is set once one has begun."""
    live = service.production.live
    assert live is not None
    entered, release = threading.Event(), threading.Event()

    def slow(_: object) -> list[Prediction]:
        entered.set()
        assert release.wait(30)
        return [SURE]

    service.production.live = replace(live, predict=slow)
    try:
        yield entered
    finally:
        release.set()
        service.production.live = live


def test_a_prediction_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """After the time limit there is a 503 that says so, and the next request is answered."""
    with serving(tmp_path, time_limit_seconds=0.05) as service:
        with held(service):
            assert "0.05 s" in check_error(service.post(picture()), 503, "timed_out")
        response = service.post(picture())
        assert response.status_code == 200


def test_work_that_waits_too_long_is_never_begun() -> None:
    """What a client has given up costs no thread: it is taken out of the queue."""
    workers, release, begun = Threads(seconds=0.05), threading.Event(), []

    async def overload() -> None:
        for _ in range(workers.count):
            with pytest.raises(RequestError, match="no answer within"):
                await workers.run(release.wait, 30)
        with pytest.raises(RequestError, match="no answer within"):
            await workers.run(begun.append, 1)
        assert workers.queued() == 0

    asyncio.run(overload())
    release.set()
    asyncio.run(workers.stop())
    assert begun == []


def test_waiting_work_is_counted() -> None:
    """The depth of the queue is what has no thread yet."""
    workers, release = Threads(seconds=30), threading.Event()

    async def crowd() -> tuple[int, int]:
        tasks = [asyncio.create_task(workers.run(release.wait, 30)) for _ in range(workers.count + 3)]
        await asyncio.wait(tasks, timeout=0)
        crowded = workers.queued()
        release.set()
        await asyncio.gather(*tasks)
        return crowded, workers.queued()

    assert asyncio.run(crowd()) == (3, 0)
    asyncio.run(workers.stop())


def test_an_upload_that_never_ends_is_given_up() -> None:
    """A client that stops sending does not hold its place for ever."""
    sent: list[Message] = []

    async def body_reader(_scope: object, receive: Receive, _send: object) -> None:
        await receive()

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def collect(message: Message) -> None:
        sent.append(message)

    envelope = Envelope(body_reader, max_upload_bytes=1000, max_pending_requests=1, time_limit_seconds=0.01)
    scope = {"type": "http", "method": "POST", "headers": []}
    with pytest.raises(Exception, match="408: the upload took more than"):
        asyncio.run(envelope(scope, silent, collect))
    assert sent == []


@pytest.fixture(name="process")
def _process(tmp_path: Path) -> Iterator[Process]:
    with running(tmp_path) as process:
        yield process


def test_sigterm_finishes_what_runs_and_refuses_new_work(process: Process) -> None:
    """A request whose body is half there when the signal comes is answered; a new connection is refused."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n' + picture(LIGHT) + b"\r\n--b--"
    )
    with closing(http.client.HTTPConnection("127.0.0.1", process.port, timeout=30)) as connection:
        connection.putrequest("POST", "/predict/")
        connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:50])
        assert process.wait_for_metric("penpress_requests_in_flight 2.0")  # this request and the question
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait_until_refused()
        connection.send(body[50:])
        response = connection.getresponse()
        assert response.status == 200
        assert b'"printed"' in response.read()
    assert process.popen.wait(30) in {0, -signal.SIGTERM}
    assert len(process.settings.prediction_log.read_text("utf-8").splitlines()) == 1
