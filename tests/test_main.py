"""The process: help, a taken port, wrong settings, and a real start that answers, finds its last model and ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from app.main import listen, main
from tests.bundles import LIGHT, make_bundle, picture
from tests.stores import settings_in


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_help_says_how_to_set_the_port(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names the settings, and unknown arguments are refused."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "PORT" in capsys.readouterr().out
    with pytest.raises(SystemExit) as refused:
        main(["--prot", "1"])
    assert refused.value.code == 2


def test_a_taken_port_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """When something listens there already, the message names the port and the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        assert main([]) == 2
    message = capsys.readouterr().err
    assert str(port) in message
    assert "set PORT" in message


def test_a_misspelt_setting_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service does not start with a setting that it does not know."""
    monkeypatch.setenv("PENPRESS_PROT", "1")
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "PENPRESS_PROT" in capsys.readouterr().err


def test_ipv6_addresses_are_understood() -> None:
    """The loopback address of IPv6 can be listened on where the machine has one."""
    listener = listen("::1" if socket.has_dualstack_ipv6() else "127.0.0.1", 0)
    with listener:
        assert listener.getsockname()[1] > 0


def test_the_service_starts_answers_and_ends_on_a_signal(tmp_path: Path) -> None:
    """A real process answers health and a prediction, writes its log line, and ends in good order on Ctrl-C."""
    settings = settings_in(tmp_path)
    make_bundle(settings.embedded / "document_type")
    port = free_port()
    environment = os.environ | {
        "PORT": str(port),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "PENPRESS_ARTIFACT_ROOT": str(settings.artifact_root),
        "PENPRESS_EMBEDDED": str(settings.embedded),
        "PENPRESS_BUNDLE_CACHE": str(settings.bundle_cache),
        "PENPRESS_PREDICTION_LOG": str(settings.prediction_log),
    }
    command = [sys.executable, "-m", "app.main"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            assert any("Application startup complete" in json.loads(line)["message"] for line in process.stdout)
            threading.Thread(target=process.stdout.read).start()  # an unread pipe would hold the service up
            answer = post(port, picture(LIGHT))
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert answer["predicted_class"] == "printed"
    (line,) = settings.prediction_log.read_text("utf-8").splitlines()
    assert json.loads(line)["request_id"] == answer["request_id"]


def post(port: int, data: bytes) -> dict[str, object]:
    """Send a file to the service by hand, without any client library."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n'
    whole = head + data + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/predict/", whole, headers)
        return dict(json.loads(connection.getresponse().read()))
