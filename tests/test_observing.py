"""What an operator sees: probes, metrics, request ids, and the service's own log as lines of JSON."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.inference.production import Production
from app.stopwatch import measured, stage
from app.tasks import OF_PLACES, TASKS
from app.webservice.metrics import Metrics
from app.webservice.observing import JsonLines, request_id
from tests.bundles import DARK, LIGHT, MIDDLE, make_bundle, picture
from tests.services import NAME, Fixture, check_error, serving


@pytest.fixture(name="service")
def _service(tmp_path: Path) -> Iterator[Fixture]:
    with serving(tmp_path) as service:
        yield service


def metrics_of(service: Fixture) -> dict[tuple[str, ...], float]:
    """All samples of a reading of `/metrics`, by name and sorted label values."""
    response = service.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/readyz", "/readyz/"])
def test_probes_of_a_sound_service_are_ok(service: Fixture, path: str) -> None:
    """Alive and ready answer 200 with the request id, to GET and HEAD, with and without a last slash."""
    response = service.client.get(path, headers={"X-Request-ID": "probe"})
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["X-Request-ID"] == "probe"
    assert service.client.head(path).status_code == 200


def test_without_a_model_the_service_is_alive_but_not_ready(tmp_path: Path) -> None:
    """A service that has nothing to answer with is not started anew, but gets no requests."""
    with serving(tmp_path, bundle=False) as service:
        assert service.client.get("/healthz").status_code == 200
        check_error(service.client.get("/readyz"), 503, "no_model")


def test_without_a_page_network_the_service_is_not_ready(service: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages would not be answered, which health says as well."""
    productions = service.client.app.state.service.productions
    monkeypatch.setitem(productions, OF_PLACES, Production(TASKS[OF_PLACES], service.client.app.state.service.settings))
    assert OF_PLACES in check_error(service.client.get("/readyz"), 503, "no_model")
    health = service.client.get("/health").json()
    assert health["status"] == "degraded"
    assert "pages are not answered" in health["problems"][0]


def test_ready_follows_the_log(service: Fixture) -> None:
    """Without a log that can be written no prediction would be answered; readiness comes back with it by itself."""
    service.log.broken = True
    check_error(service.client.get("/readyz"), 503, "log_unavailable")
    service.log.broken = False
    assert service.client.get("/readyz").status_code == 200
    assert service.client.get("/health").json()["status"] == "ok"


def test_a_log_that_is_not_required_is_not_needed_to_be_ready(tmp_path: Path) -> None:
    """With `prediction_log_required=false` the service can answer without it."""
    with serving(tmp_path, prediction_log_required=False) as service:
        service.log.broken = True
        assert service.client.get("/readyz").status_code == 200


def test_answers_are_counted_by_class_and_confidence(service: Fixture) -> None:
    """Predictions, uncertain ones, confidences and the seconds of each stage are there after three answers."""
    for grey in (DARK, LIGHT, MIDDLE):
        assert service.post(picture(grey)).status_code == 200
    found = metrics_of(service)
    assert found["penpress_predictions_total", NAME, "handwritten"] >= 1
    assert sum(value for key, value in found.items() if key[0] == "penpress_predictions_total") == 3
    assert found["penpress_uncertain_total", NAME] == 1
    assert found["penpress_confidence_count", NAME] == 3
    for name in ("decode", "preprocess", "infer", "log"):
        assert found["penpress_stage_seconds_count", name] == 3


def test_requests_are_counted_by_route_and_status(service: Fixture) -> None:
    """Refused and unknown paths are counted too, and no path or method that a client made up becomes a label."""
    service.post(picture())
    service.post(b"no image")
    service.client.get("/nothing/4711")
    service.client.request("BREW", "/predict/")
    found = metrics_of(service)
    assert found["penpress_requests_total", "/predict", "200", "POST"] == 1
    assert found["penpress_requests_total", "/predict", "415", "POST"] == 1
    assert found["penpress_requests_total", "404", "GET", "unmatched"] == 1
    assert not any({"BREW", "/nothing/4711"} & set(key) for key in found)
    assert found["penpress_request_seconds_count", "/predict"] == 3
    assert found["penpress_requests_in_flight",] == 1  # this one


def test_the_model_swaps_and_refusals_are_seen(service: Fixture, tmp_path: Path) -> None:
    """The live version, the swap to it and a refused version show in the metrics."""
    service.store.promote("6", make_bundle(tmp_path / "six"))
    service.production.reconcile(service.store.open)
    service.store.promote("7", make_bundle(tmp_path / "seven", sha256="0" * 64))
    service.production.reconcile(service.store.open)
    found = metrics_of(service)
    assert service.production.live is not None
    assert found["penpress_model_info", *sorted((NAME, "6", "prod", service.production.live.description.sha256))] == 1
    assert (found["penpress_swaps_total", NAME], found["penpress_refusals_total", NAME]) == (1, 1)


def test_two_services_do_not_share_their_metrics() -> None:
    """Each application counts for itself, however many are made in one process."""
    first, second = Metrics({}), Metrics({})
    first.requested("GET", "/", 200, 0.1)
    assert b'penpress_requests_total{method="GET"' in first.page()
    assert b'penpress_requests_total{method="GET"' not in second.page()


def test_every_request_leaves_a_line_with_its_id(service: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    """The line has method, path, status and milliseconds; probes leave none."""
    with caplog.at_level(logging.INFO, "app.webservice.observing"):
        service.client.get("/healthz")
        service.post(b"", headers={"X-Request-ID": "scan-7"})
    (record,) = [each for each in caplog.records if each.name == "app.webservice.observing"]
    details = record.details
    assert (details["method"], details["path"], details["status"]) == ("POST", "/predict/", 400)
    assert details["milliseconds"] > 0


def test_a_log_record_becomes_one_line_of_json() -> None:
    """Line breaks, quotes and tracebacks cannot break the line, and the request id of the context is in it."""
    token = request_id.set("scan-7")
    try:
        record = logging.LogRecord(
            "app", logging.ERROR, "x.py", 1, 'two\n"%s"', ("lines",), (ValueError, ValueError("no"), None)
        )
        record.details = {"status": 500}
        line = JsonLines().format(record)
    finally:
        request_id.reset(token)
    fields = json.loads(line)
    assert "\n" not in line
    assert (fields["level"], fields["message"], fields["status"]) == ("ERROR", 'two\n"lines"', 500)
    assert (fields["request_id"], "ValueError" in fields["traceback"]) == ("scan-7", True)


def test_a_stage_is_summed_and_measured_also_when_it_fails() -> None:
    """Two blocks of one name give one time, and outside of `measured` a stage leaves nothing."""
    with measured() as stages:
        with stage("infer"):
            pass
        first = stages["infer"]
        with pytest.raises(ValueError, match="no"), stage("infer"):
            raise ValueError("no")  # noqa: EM101 - any error
    with stage("infer"):
        pass
    assert stages["infer"] > first > 0
    assert list(stages) == ["infer"]
