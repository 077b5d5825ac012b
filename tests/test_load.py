"""The load test against a real service, and its figures."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import signs
from benchmarks.load import Load, main, rendered, report, request_of, send_all
from tests.processes import running


def test_every_request_is_sent_once_and_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All callers together send as many requests as asked for, and each leaves its line in the prediction log."""
    with running(tmp_path) as process:
        load = send_all(("127.0.0.1", process.port), [request_of(image) for image in rendered(2)], 20, callers=3)
        assert load.statuses == {200: 20}
        assert len(load.latencies) == 20
        url = f"http://127.0.0.1:{process.port}"
        assert main(["--requests", "5", "--concurrency", "2", "--url", url]) == 0
        assert "statuses: 5 x 200" in capsys.readouterr().out
        assert len(process.settings.prediction_log.read_text("utf-8").splitlines()) == 25


def test_refusals_are_counted_and_do_not_end_the_load(tmp_path: Path) -> None:
    """A caller that is refused goes on."""
    with running(tmp_path) as process:
        load = send_all(
            ("127.0.0.1", process.port), [request_of(b"text"), *map(request_of, rendered(1))], 10, callers=2
        )
    assert load.statuses == {200: 5, 415: 5}


def test_the_report_has_throughput_percentiles_and_statuses() -> None:
    """Only answers with 200 count as throughput."""
    load = Load(
        seconds=2.0, latencies=[number / 1000 for number in range(1, 101)], statuses=Counter({200: 90, 503: 10})
    )
    text = report(load)
    assert "45.0 answers a second" in text
    assert "p50 50.5 ms" in text
    assert "90 x 200, 10 x 503" in text


def test_signs_are_measured_with_views_and_without(capsys: pytest.CaptureFixture[str]) -> None:
    """A service on one core answers drawn signs; a mean over views takes longer."""
    assert signs.main(["--requests", "40"]) == 0
    off, on = (line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:])
    assert (off[0], on[0]) == ("| off", "| on")
    assert float(off[1]) > float(off[2]) > 0
    assert float(on[2]) > float(off[2])
