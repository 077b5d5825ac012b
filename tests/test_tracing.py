"""Traces: nothing without OpenTelemetry's variables; with them, spans that arrive at a collector on this machine."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.webservice.tracing import ENDPOINTS, LAST_SPANS, open_traces
from tests.bundles import DARK, picture
from tests.services import serving

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STAGES = {"decode", "preprocess", "infer", "log"}


class Collector:
    """What an OpenTelemetry collector has been sent: spans, and the names of the services that they are of."""

    def __init__(self) -> None:
        """Begin empty."""
        self.spans: list[Span] = []
        self.services: set[str] = set()

    def take(self, body: bytes) -> None:
        """Keep what is in a request."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(attributes["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """A collector that listens, and its address."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield collector, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_variables_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENDPOINTS, "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)


def test_every_request_is_a_span_with_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prediction is a span by its route, below the caller's, around its stages; probes are no spans."""
    with collecting() as (collector, address):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        with serving(tmp_path) as service:
            headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "asked"}
            assert service.post(picture(DARK), headers=headers).status_code == 200
            assert service.client.get("/health").status_code == 200
            assert service.post(b"no image", "/predict/nothing/").status_code == 404
    requests = {span.name: span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER}
    assert set(requests) == {"POST /predict", "POST /predict/{task}"}
    found = requests["POST /predict"]
    assert (found.trace_id.hex(), found.parent_span_id.hex()) == (TRACE, CALLER)
    attributes = {each.key: each.value.string_value or each.value.int_value for each in found.attributes}
    assert (attributes["penpress.request_id"], attributes["http.response.status_code"]) == ("asked", 200)
    stages = [span for span in collector.spans if span.parent_span_id == found.span_id]
    assert {span.name for span in stages} == STAGES
    assert all(found.start_time_unix_nano <= span.start_time_unix_nano for span in stages)
    assert all(span.end_time_unix_nano <= found.end_time_unix_nano for span in stages)
    assert collector.services == {"penpress"}


def test_the_environment_names_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's own variables hold: here the name, and the address of traces alone."""
    with collecting() as (collector, address):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{address}/v1/traces")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "archive")
        with serving(tmp_path) as service:
            assert service.client.get("/models").status_code == 200
    assert collector.services == {"archive"}


@pytest.mark.parametrize("variables", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}])
def test_without_the_variables_nothing_is_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """The application has no layer for traces, and nobody opens a way to a collector."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert open_traces() is None
    with serving(tmp_path) as service:
        assert "Traced" not in [layer.cls.__name__ for layer in service.client.app.user_middleware]


def test_missing_packages_are_told_and_cost_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the group was not installed the service answers, and says what to install."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with serving(tmp_path) as service:
        assert service.post(picture(DARK)).status_code == 200
    assert "group `tracing`" in caplog.text


def test_a_collector_that_is_down_costs_no_answer_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Spans that nobody takes are dropped: answers come, and the service ends, with all that tried to send them."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with serving(tmp_path) as service:
        assert service.post(picture(DARK)).status_code == 200
    assert "the last spans are dropped" in caplog.text
    assert LAST_SPANS not in [thread.name for thread in threading.enumerate()]
