"""The process: help, a taken port, wrong settings, and a real start that answers, finds its last model and ends."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.main import listen, main
from tests.bundles import LIGHT, picture
from tests.processes import post, running


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
    with running(tmp_path) as process:
        answer = post(process.port, picture(LIGHT))
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(30) == 0
    assert answer["predicted_class"] == "printed"
    (line,) = process.settings.prediction_log.read_text("utf-8").splitlines()
    assert json.loads(line)["request_id"] == answer["request_id"]


@pytest.mark.parametrize("hangs", [False, True])
def test_the_process_ends_with_its_code_and_its_last_words(hangs: bool) -> None:  # noqa: FBT001 - a parameter
    """A thread that nobody waits for keeps it neither from ending nor from flushing; others end by the book."""
    thread = "threading.Thread(target=threading.Event().wait, daemon=True).start();" if hangs else ""
    words = "atexit.register(print, 'by the book'); print('last words', end=' ')"
    script = f"import atexit, threading; from app.main import end; {thread} {words}; end(3)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 3
    assert done.stdout == "last words " + ("" if hangs else "by the book\n")
