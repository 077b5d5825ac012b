"""Traces for OpenTelemetry: a span for each request, and within it one for each stage of an answer.

Owns when there are traces and what stands in them; where they go is told by OpenTelemetry's own variables, which its
packages read. Without those variables nothing is imported and nothing runs. Probes are not traced.
"""

import logging
import os
from threading import Thread
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.stopwatch import around_stages
from app.webservice.observing import PROBES, route_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

logger = logging.getLogger(__name__)

NAME = "penpress"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
LAST_SPANS = "last-spans"  # the thread that sends them
STOP_SECONDS = 2.0  # for the last spans; a collector that hangs must not keep the service from stopping
SERVER_ERRORS = 500


class Traces:
    """The way to the collector, for as long as the service runs."""

    def __init__(self, provider: "TracerProvider", exporter: "SpanExporter") -> None:
        """Take what collects the spans, and what sends them."""
        self.tracer = provider.get_tracer(NAME)
        self._provider = provider
        self._exporter = exporter

    def stop(self) -> None:
        """Send what is left, unless the collector does not take it in time."""
        thread = Thread(target=self._provider.shutdown, name=LAST_SPANS, daemon=True)
        thread.start()
        thread.join(STOP_SECONDS)
        if thread.is_alive():
            logger.warning("the last spans are dropped: the collector did not take them in %g s", STOP_SECONDS)
            self._exporter.shutdown()  # it does not try again
            thread.join(STOP_SECONDS / 4)


def open_traces() -> Traces | None:
    """Open the way to the collector that the environment names; None without one, or without the packages for it."""
    endpoint = next(filter(None, map(os.environ.get, ENDPOINTS)), None)
    if endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
    except ImportError:
        logger.warning("no traces go to %s: install the packages of the group `tracing`, see operations.md", endpoint)
        return None
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - for those who trace only
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = Resource.create({"service.name": NAME}).merge(OTELResourceDetector().detect())  # the environment prevails
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    exporter = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    logger.info("traces go to %s", endpoint)
    return Traces(provider, exporter)


class Traced:
    """ASGI middleware around all others: a request is a span, child of the one that the client names."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        """Take the application and what makes spans."""
        self.app = app
        self.tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on inside its span; a span for each stage comes below it."""
        if scope["type"] != "http" or scope["path"].rstrip("/") in PROBES:
            await self.app(scope, receive, send)
            return
        from opentelemetry.propagate import extract  # noqa: PLC0415 - it is there when this runs
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        status, caller = SERVER_ERRORS, extract(dict(Headers(scope=scope).items()))

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with (
            self.tracer.start_as_current_span(scope["method"], caller, SpanKind.SERVER) as span,
            around_stages(self.tracer.start_as_current_span, self._tell),
        ):
            try:
                await self.app(scope, receive, sending)
            finally:
                describe(span, scope, status)

    def _tell(self, name: str, begin: int, end: int) -> None:
        """Make a span of a stage that ran in another process."""
        self.tracer.start_span(name, start_time=begin).end(end)


def describe(span: "Span", scope: Scope, status: int) -> None:
    """Name a span by its route, and give it the attributes that OpenTelemetry's conventions ask for."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - it is there when this runs

    route = route_of(scope)
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.response.status_code": status,
            "http.route": route,
            "penpress.request_id": scope["state"]["request_id"],
            "url.path": scope["path"],
            "url.scheme": scope["scheme"],
        }
    )
    if status >= SERVER_ERRORS:
        span.set_status(StatusCode.ERROR)
