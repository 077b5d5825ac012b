"""Services that end while callers go on, in good order beside each other or by force: nothing is lost."""

import http.client
import json
import signal
import threading
from collections import Counter
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from tests.bundles import LIGHT, make_bundle, picture
from tests.processes import PAUSE, Process, eventually, free_port, started
from tests.stores import settings_in

CALLERS = 3
KILLS = 5
BODY = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n' + picture(LIGHT) + b"\r\n--b--\r\n"
)


def ask(port: int, request_id: str) -> int:
    """The status of a prediction; raises ConnectionError when the service hangs up or is not there."""
    headers = {"Content-Type": "multipart/form-data; boundary=b", "X-Request-ID": request_id}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/predict/", BODY, headers)
        response = connection.getresponse()
        response.read()
        return response.status


def ask_any(ports: list[int], request_id: str) -> int:
    """The status that the first service gives which takes the request, as behind a proxy that knows both."""
    for port in ports * 500:
        try:
            return ask(port, request_id)
        except ConnectionError:
            PAUSE.wait(0.01)
    return 0


def test_restarts_under_load_lose_nothing(tmp_path: Path) -> None:
    """Each of two instances ends on SIGTERM and comes back: every request is answered, and has one line in the log."""
    settings, ports, stop = settings_in(tmp_path), [free_port(), free_port()], threading.Event()
    make_bundle(settings.embedded / "document_type")
    answered: dict[str, int] = {}

    def call(caller: int) -> None:
        for number in count():
            if stop.is_set():
                return
            turn = (caller + number) % len(ports)
            request_id = f"{caller}-{number}"
            answered[request_id] = ask_any(ports[turn:] + ports[:turn], request_id)

    with ExitStack() as stack:

        def start(number: int) -> Process:
            own = {"PENPRESS_BUNDLE_CACHE": str(tmp_path / f"cache-{number}")}
            return stack.enter_context(started(settings, ports[number], **own))

        instances = [start(number) for number in range(len(ports))]
        threads = [threading.Thread(target=call, args=(caller,)) for caller in range(CALLERS)]
        stack.callback(stop.set)
        for thread in threads:
            thread.start()
        for number, instance in enumerate(instances):
            before = len(answered)
            assert eventually(lambda before=before: len(answered) > before + CALLERS)
            instance.popen.send_signal(signal.SIGTERM)
            assert instance.popen.wait(30) in {0, -signal.SIGTERM}
            restarted = start(number)
            assert restarted.wait_for_metric('status="200"')
        stop.set()
        for thread in threads:
            thread.join(60)
    assert set(answered.values()) == {200}
    lines = settings.prediction_log.read_text("utf-8").splitlines()
    assert Counter(json.loads(line)["request_id"] for line in lines) == Counter(answered.keys())


@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_answer_that_was_received_from_a_killed_service_is_in_its_log(tmp_path: Path, workers: str) -> None:
    """Killed at random moments while callers ask: whatever came back has its line, and the next start answers."""
    settings, moments, received = settings_in(tmp_path), np.random.default_rng(0), list[str]()
    make_bundle(settings.embedded / "document_type")

    def call(port: int, name: str) -> None:
        with suppress(OSError, http.client.HTTPException):
            for number in count():
                assert ask(port, f"{name}-{number}") == 200
                received.append(f"{name}-{number}")

    for turn in range(KILLS):
        before = len(received)
        with started(settings, free_port(), PENPRESS_WORKERS=workers) as service:
            threads = [threading.Thread(target=call, args=(service.port, f"{turn}-{n}")) for n in range(CALLERS)]
            for thread in threads:
                thread.start()
            assert eventually(lambda before=before: len(received) > before)
            PAUSE.wait(moments.random() / 5)
            service.popen.kill()
            for thread in threads:
                thread.join(60)
        assert len(received) > before
    lines = settings.prediction_log.read_bytes().splitlines()
    written = [json.loads(line)["request_id"] for line in lines if line.endswith(b"}")]  # one may be torn at the end
    assert set(received) <= set(written)
    assert len(set(received)) == len(received) > KILLS
