"""From the bytes of an upload to an answer with its log line, and the state of it all. Knows nothing of routes."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from app import heap
from app.config import Settings
from app.errors import PredictionLogError
from app.inference.production import Live, Place, Production, Watch
from app.pages import Page, PageLimits, Readers, analyse, first_page, pages_of, prediction_of, recognise_anything
from app.prediction_log import Entry, PredictionLog
from app.stopwatch import measured, stage
from app.tasks import OF_PLACES, Prediction
from app.webservice.answers import Answer, Health, Limits, entry_of, fields_of, task_health
from app.webservice.failures import RequestError
from app.webservice.metrics import Metrics
from app.webservice.page_answers import PagesAnswer, ReadPages, one_page, with_page
from app.webservice.sharing import Sharing
from app.webservice.workers import processors

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
    """An answer, the bundle that gave it, the image as it was read, and the page if it is one."""

    answer: Answer
    live: Live
    image: Image
    page: Page | None


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
        self.worker_problem: str | None = None
        self.started = time.monotonic()
        self._sharing = Sharing(settings.page_threads or processors())

    def start(self) -> None:
        """Load what lies on disk, so that there are answers before the registry is asked."""
        self.started = time.monotonic()
        try:
            self.log.check()
        except PredictionLogError as error:
            self._log_failed(error)
        for production in self.productions.values():
            production.start()

    def answer(self, task: str, data: bytes, request_id: str) -> Answer:
        """Recognise an upload and record the answer; raises InputError, RequestError or PredictionLogError."""
        return self.answer_in_full(task, data, request_id).answer

    def answer_in_full(self, task: str, data: bytes, request_id: str) -> Answered:
        """The same as `answer`, with what it was made from, for those who explain it."""
        live = self.live_of(task)
        self.check_size(data)
        with measured() as stages:
            start = time.perf_counter()
            prediction, image, page = self._recognise(task, live, data)
            milliseconds = round((time.perf_counter() - start) * 1000, 3)
            with stage("log"):
                self.record(entry_of(prediction, live, data, request_id, milliseconds))
        heap.give_back_after(image.width * image.height)
        self.metrics.took(stages)
        self.metrics.predicted(live.description.task, prediction)
        answer = Answer(
            predicted_class=prediction.label,
            confidence=min(1.0, prediction.confidence),
            probabilities=dict(prediction.probabilities),
            uncertain=prediction.uncertain,
            reasons=list(prediction.reasons),
            **fields_of(live, milliseconds, request_id),
        )
        whole = answer if page is None else with_page(answer, page, live.description.labels)
        return Answered(whole, live, image, page)

    def read_pages(self, data: bytes, request_id: str, only: int | None = None) -> ReadPages:
        """Analyse all pages of an upload, or *only* one (from 1), and record an answer for each; raises like `answer`.

        Nothing is recorded where a page cannot be read. Only the image of the single page that was asked for is kept.
        """
        live = self.live_of(self.main)
        self.check_size(data)
        labels, start = tuple(live.description.labels), time.perf_counter()
        kept, found = None, []
        with measured() as stages:
            with closing(pages_of(data, self._page_limits(), only or 1)) as images:
                for image in images:
                    found.append(self._analyse(live, image, data, request_id))
                    if only:
                        kept = image
                        break
            with stage("log"):
                for _, entry in found:
                    self.record(entry)
        pages = [page for page, _ in found]
        heap.give_back_after(max((page.width * page.height for page in pages), default=0))
        self.metrics.took(stages)
        for page in pages:
            if page.label:
                self.metrics.predicted(live.description.task, prediction_of(page))
        answer = PagesAnswer(
            pages=[one_page(page, labels) for page in pages],
            **fields_of(live, round((time.perf_counter() - start) * 1000, 3), request_id),
        )
        return ReadPages(answer, pages, labels, kept)

    def _analyse(self, live: Live, image: Image, data: bytes, request_id: str) -> tuple[Page, Entry]:
        """Analyse one page, and make the log line of the answer."""
        start = time.perf_counter()
        page = analyse(image, self._readers(live))
        prediction, milliseconds = prediction_of(page), round((time.perf_counter() - start) * 1000, 3)
        return page, entry_of(prediction, live, data, request_id, milliseconds)

    def _recognise(self, task: str, live: Live, data: bytes) -> tuple[Prediction, Image, Page | None]:
        """Read an upload (of several pages the first) and recognise it; only the main task knows pages."""
        with stage("decode"):
            image = first_page(data, self._page_limits())
        if task != self.main:
            return live.predict([image])[0], image, None
        prediction, page = recognise_anything(image, self._readers(live))
        return prediction, image, page

    def _readers(self, live: Live) -> Readers:
        """What reads pages, of which *live* tells what kind a line is."""
        about, predict = live.description, self._sharing.among_threads(live.predict)
        kinds: Sequence[str] = ()
        with suppress(RequestError):  # a single line needs no page network; for a page, `locate` raises it again
            kinds = self.live_of(OF_PLACES).description.labels
        return Readers(predict, self.locate, about.labels, kinds, about.uncertain_below)

    def _page_limits(self) -> PageLimits:
        return PageLimits(self.settings.max_pages, self.settings.max_pixels)

    def check(self) -> None:
        """Raise RequestError or PredictionLogError when the main task, pages too, could not be answered now."""
        for task in (self.main, OF_PLACES):
            self.live_of(task)
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

    def live_of(self, task: str) -> Live:
        """What answers for a task; raises RequestError where nothing does."""
        if task not in self.productions:
            message = f"there is no task {task!r}; known are {', '.join(self.productions)}"
            raise RequestError(404, "unknown_task", message)
        live = self.productions[task].live
        if live is None:
            message = f"no model of {task!r} is in production; promote one and try again"
            raise RequestError(503, "no_model", message)
        return live

    def places(self) -> dict[str, Place | None]:
        """Where the bundle of each task lies that answers now."""
        lives = {name: production.live for name, production in self.productions.items()}
        return {name: live.place if live else None for name, live in lives.items()}

    def locate(self, page: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Say where on a grey page text is, by the page network that is live; raises RequestError where there is none.

        See `Locate` in `app.tasks` for the shapes.
        """
        return self.live_of(OF_PLACES).recogniser.places(page)

    def check_size(self, data: bytes) -> None:
        """Raise RequestError for an upload of no bytes or of too many."""
        if not data:
            raise RequestError(400, "empty_file", "the file has 0 bytes; send an image")
        if len(data) > self.settings.max_upload_bytes:
            message = f"the file has {len(data)} bytes, over the limit of {self.settings.max_upload_bytes}"
            raise RequestError(413, "too_large", message)

    def record(self, entry: Entry) -> None:
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
        own = [] if self.watch.alive else ["the alias is no longer followed; start the service anew"]
        if not self.productions[OF_PLACES].live:
            own.append(f"no model of {OF_PLACES!r} is in production, so pages are not answered; promote one")
        return [*own, *filter(None, (self.log_problem, self.worker_problem))]
