"""From the bytes of an upload to an answer with its log line, and the state of it all. Knows nothing of routes."""

import hashlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from app.config import Settings
from app.errors import PredictionLogError
from app.inference.production import Live, Production, Watch
from app.prediction_log import Entry, PredictionLog
from app.preprocess import read_image
from app.stopwatch import measured, stage
from app.tasks import Prediction
from app.webservice.answers import Answer, Health, Limits, RefusedVersion, TaskHealth
from app.webservice.failures import RequestError
from app.webservice.metrics import Metrics

logger = logging.getLogger(__name__)


class Service:
    """Answers for all tasks; the first of *productions* is the main one. May be used from several threads."""

    def __init__(
        self, settings: Settings, productions: Mapping[str, Production], log: PredictionLog, watch: Watch
    ) -> None:
        """Take what the application is made of; nothing is started."""
        self.settings = settings
        self.productions = productions
        self.main = next(iter(productions))
        self.log = log
        self.watch = watch
        self.metrics = Metrics(productions)
        self.log_problem: str | None = None
        self.started = time.monotonic()

    def start(self, patience: float) -> None:
        """Load what lies on disk, then wait at most *patience* seconds for the registry."""
        self.started = time.monotonic()
        try:
            self.log.check()
        except PredictionLogError as error:
            self._log_failed(error)
        for production in self.productions.values():
            production.start()
        self.watch.start(patience)

    def answer(self, task: str, data: bytes, request_id: str) -> Answer:
        """Recognise an upload and record the answer; raises InputError, RequestError or PredictionLogError."""
        live = self._live(task)
        self._check_size(data)
        with measured() as stages:
            start = time.perf_counter()
            with stage("decode"):
                image = read_image(data, self.settings.max_pixels)
            prediction = live.predict([image])[0]
            milliseconds = round((time.perf_counter() - start) * 1000, 3)
            with stage("log"):
                self._record(entry_of(prediction, live, data, request_id, milliseconds))
        self.metrics.took(stages)
        self.metrics.predicted(live.description.task, prediction)
        return Answer(
            predicted_class=prediction.label,
            confidence=prediction.confidence,
            probabilities=dict(prediction.probabilities),
            uncertain=prediction.uncertain,
            reasons=list(prediction.reasons),
            model_name=live.description.task,
            model_version=live.version,
            model_alias=live.alias,
            prediction_time_ms=milliseconds,
            request_id=request_id,
        )

    def check(self) -> None:
        """Raise RequestError or PredictionLogError when the main task could not be answered now."""
        self._live(self.main)
        try:
            self.log.check()
            self.log_problem = None
        except PredictionLogError as error:
            self._log_failed(error)
            if self.settings.prediction_log_required:
                raise

    def health(self) -> Health:
        """The state of the main task as that of the service, and of every other task that has a model."""
        states = {name: task_health(production) for name, production in self.productions.items()}
        main = states[self.main]
        problems = [*main.problems, *self._own_problems()]
        degraded = any(state.status == "degraded" for state in states.values()) or problems
        status = "degraded" if degraded and main.status == "ok" else main.status
        limits = Limits.model_validate(self.settings, from_attributes=True)
        return Health(
            **main.model_dump(exclude={"status", "problems"}),
            status=status,
            problems=problems,
            limits=limits,
            uptime_seconds=round(time.monotonic() - self.started, 3),
            tasks={name: state for name, state in states.items() if state.model_version or name == self.main},
        )

    def _live(self, task: str) -> Live:
        if task not in self.productions:
            message = f"there is no task {task!r}; known are {', '.join(self.productions)}"
            raise RequestError(404, "unknown_task", message)
        live = self.productions[task].live
        if live is None:
            message = f"no model of {task!r} is in production; promote one and try again"
            raise RequestError(503, "no_model", message)
        return live

    def _check_size(self, data: bytes) -> None:
        if not data:
            raise RequestError(400, "empty_file", "the file has 0 bytes; send an image")
        if len(data) > self.settings.max_upload_bytes:
            message = f"the file has {len(data)} bytes, over the limit of {self.settings.max_upload_bytes}"
            raise RequestError(413, "too_large", message)

    def _record(self, entry: Entry) -> None:
        """Append a log line; when that fails, there is no answer unless the settings allow one without."""
        try:
            self.log.append(entry)
            self.log_problem = None
        except PredictionLogError as error:
            self._log_failed(error)
            if self.settings.prediction_log_required:
                raise

    def _log_failed(self, error: PredictionLogError) -> None:
        self.log_problem = str(error)
        logger.error("%s", error)

    def _own_problems(self) -> list[str]:
        stopped = [] if self.watch.alive else ["the alias is no longer followed; start the service anew"]
        return stopped + ([self.log_problem] if self.log_problem else [])


def entry_of(prediction: Prediction, live: Live, data: bytes, request_id: str, milliseconds: float) -> Entry:
    """The log line of a prediction: the upload is known in it by hash and size only."""
    return Entry(
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        request_id=request_id,
        input_sha256=hashlib.sha256(data).hexdigest(),
        input_bytes=len(data),
        task=live.description.task,
        model_version=live.version,
        label=prediction.label,
        confidence=prediction.confidence,
        uncertain=prediction.uncertain,
        milliseconds=milliseconds,
    )


def task_health(production: Production) -> TaskHealth:
    """The state of one task; the live bundle is looked at once, so the fields belong together."""
    live, problem = production.live, production.problem
    return TaskHealth(
        status=production.status,
        problems=[problem] if problem else [],
        model_name=production.task.name,
        model_version=live.version if live else None,
        model_alias=live.alias if live else None,
        run_id=live.run_id if live else None,
        sha256=live.description.sha256 if live else None,
        labels=list(live.description.labels) if live else None,
        loaded_at=live.loaded_at if live else None,
        refused=[RefusedVersion.model_validate(refusal, from_attributes=True) for refusal in production.refused],
    )
