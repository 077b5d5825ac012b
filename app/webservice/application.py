"""The FastAPI application: routes, lifespan, and how the parts are put together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request, Response, UploadFile

from app.config import Settings, without_passwords
from app.inference.production import OpenStore, Production, Watch, open_registry
from app.prediction_log import PredictionFile, PredictionLog
from app.tasks import TASKS
from app.webservice.answers import Health, TaskAnswer, TaskAnswerForPage, with_top
from app.webservice.batch import batching
from app.webservice.envelope import Envelope
from app.webservice.explanations import explaining
from app.webservice.failures import DOCUMENTED, add_handlers
from app.webservice.front import front
from app.webservice.keys import Keys
from app.webservice.models import listing
from app.webservice.observing import Observer
from app.webservice.operating import operating
from app.webservice.page_routes import page_routes
from app.webservice.predicting import predicting
from app.webservice.service import Service
from app.webservice.text_routes import text_routes
from app.webservice.tracing import Traced, Traces, open_traces
from app.webservice.workers import Threads, Workers

logger = logging.getLogger(__name__)

OpenWorkers = Callable[[Service], Workers]
PATIENCE_SECONDS = 1.0  # how long a start waits for the registry before it serves what lies on disk
ABOUT = """Send an image of a text line as the multipart field `file`: `curl -F file=@line.png URL/predict/`.
Every path works with and without its last slash. Every error is `{"code", "message", "request_id"}`."""


def in_threads(service: Service) -> Workers:
    """Have images recognised in threads of this process."""
    return Threads(service.settings.time_limit_seconds)


def create_app(
    settings: Settings,
    productions: Mapping[str, Production] | None = None,
    log: PredictionLog | None = None,
    open_store: OpenStore | None = None,
    open_workers: OpenWorkers = in_threads,
) -> FastAPI:
    """Put the service together; what is not given is made from *settings*, and images are recognised in threads.

    No thread runs before the lifespan begins, but that which sends traces where they are wanted.
    """
    productions = productions or {name: Production(task, settings) for name, task in TASKS.items()}
    watch = Watch(productions.values(), open_store or open_registry(settings), settings.alias_poll_seconds)
    service = Service(
        settings, productions, log or PredictionFile(settings.prediction_log, settings.prediction_log_max_bytes), watch
    )

    workers = open_workers(service)  # before there are threads, which cannot be forked
    traces = open_traces()
    service.metrics.gauge("penpress_queue_depth", "images that wait for a worker", workers.queued)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        logger.info("settings %s", without_passwords(settings.model_dump_json()))
        await to_thread.run_sync(service.start)
        await asyncio.gather(workers.start(), to_thread.run_sync(watch.start, PATIENCE_SECONDS))
        yield
        await workers.stop()
        await to_thread.run_sync(watch.stop)
        if traces:
            await to_thread.run_sync(traces.stop)

    app = FastAPI(title="PenPress", description=ABOUT, lifespan=lifespan, redirect_slashes=False)
    app.state.service = service
    app.include_router(predicting(service, workers))  # first, for most requests are for it and routes are tried in turn
    for plain in (front(), operating(service), listing(service)):
        app.include_router(plain)
    for recognising in (batching, page_routes, explaining, text_routes, routes):
        app.include_router(recognising(service, workers))
    surround(app, service, traces)
    add_handlers(app)
    return app


def surround(app: FastAPI, service: Service, traces: Traces | None) -> None:
    """Add what surrounds every request, from the innermost outwards."""
    settings = service.settings
    app.add_middleware(Keys, hashes=settings.api_key_hashes, per_minute=settings.requests_per_minute)
    app.add_middleware(
        Envelope,
        max_upload_bytes=settings.max_upload_bytes,
        max_pending_requests=settings.max_pending_requests,
        time_limit_seconds=settings.time_limit_seconds,
    )
    app.add_middleware(Observer, metrics=service.metrics)
    if traces:
        app.add_middleware(Traced, tracer=traces.tracer)


def routes(service: Service, workers: Workers) -> APIRouter:
    """The paths of the service, each with and without its last slash."""
    router = APIRouter()

    async def predict_task(task: str, request: Request, file: UploadFile) -> TaskAnswerForPage | TaskAnswer:
        """Answer for any task that has a model in production, with its five most probable labels."""
        return with_top(await workers.run(service.answer, task, await file.read(), request.state.request_id))

    async def health(response: Response) -> Health:
        """Say which model answers, whether it is the one in production, and what the limits are; 503 without one."""
        state = service.health()
        response.status_code = 200 if state.model_version else 503
        return state

    router.post("/predict/{task}/", responses=DOCUMENTED)(predict_task)
    router.post("/predict/{task}", include_in_schema=False)(predict_task)
    router.get("/health", responses={503: {"model": Health}})(health)
    router.get("/health/", include_in_schema=False)(health)
    for path in ("/health", "/health/"):
        router.head(path, include_in_schema=False)(health)
    return router
