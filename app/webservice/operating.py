"""The paths that operators and their programs ask: alive, ready, metrics."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.webservice.answers import ErrorAnswer
from app.webservice.metrics import CONTENT_TYPE
from app.webservice.service import Service


class State(BaseModel):
    """The answer of a probe that is content."""

    status: Literal["ok"] = "ok"


def operating(service: Service) -> APIRouter:
    """The routes `/healthz`, `/readyz` and `/metrics`."""
    router = APIRouter()

    async def alive() -> State:
        """Say that the process answers at all; a supervisor starts it anew when it does not."""
        return State()

    def ready() -> State:
        """Say whether a prediction would be answered now; 503 without a model or a log that can be written."""
        service.check()
        return State()

    async def metrics() -> Response:
        """Give the metrics in Prometheus's text format."""
        return Response(service.metrics.page(), media_type=CONTENT_TYPE)

    router.get("/healthz")(alive)
    router.get("/readyz", responses={503: {"model": ErrorAnswer}})(ready)
    router.get("/metrics", response_class=Response)(metrics)
    for path, endpoint in (("/healthz", alive), ("/readyz", ready), ("/metrics", metrics)):
        router.get(path + "/", include_in_schema=False)(endpoint)
        router.head(path, include_in_schema=False)(endpoint)
        router.head(path + "/", include_in_schema=False)(endpoint)
    return router
