"""What an operator sees of every request: its metrics, and one line of JSON with its id on standard output.

Owns the form of the service's own log, which is not the prediction log. Neither query strings nor bodies get into it.
"""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.webservice.metrics import Metrics

logger = logging.getLogger(__name__)

PROBES = {"/healthz", "/readyz", "/health", "/metrics"}  # asked every few seconds, so their lines would hide the others
UNMATCHED = "unmatched"
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class Observer:
    """ASGI middleware around all others: counts, measures and logs each request once it is answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Take the application and where to count."""
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and observe its answer; what raises is answered with 500 further out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 500, perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self.metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, sending)
            finally:
                self._observe(scope, status, perf_counter() - start)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        path = route_of(scope)
        self.metrics.requested(scope["method"], path, status, seconds)
        level = logging.DEBUG if path in PROBES else logging.INFO
        if logger.isEnabledFor(level):
            milliseconds = round(seconds * 1000, 3)
            details = {"method": scope["method"], "path": scope["path"], "status": status, "milliseconds": milliseconds}
            logger.log(level, "%s %s", scope["method"], status, extra={"details": details})


def route_of(scope: Scope) -> str:
    """The path of the route that answered, as it is written in the code and without its last slash."""
    path = getattr(scope.get("route"), "path", None)
    return UNMATCHED if path is None else path.rstrip("/") or "/"


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON with time, level, logger, message, request id, details and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **getattr(record, "details", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in fields.items() if value is not None})
