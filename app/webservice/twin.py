"""The service inside a process that recognises: does one job after another and tells what came of it.

It opens the bundles that the service names, when they are first needed, and writes the prediction log itself. Metrics
and traces are told to the service, which keeps them for all.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedRWPair
from traceback import format_exc

from app import heap
from app.errors import BundleError, PenPressError
from app.inference.production import Live, Place, Production, open_live
from app.prediction_log import Entry
from app.stopwatch import around_stages
from app.tasks import Prediction
from app.webservice.failures import meaning
from app.webservice.messages import LENGTH, Job, Refusal, Reply, packed, unpacked
from app.webservice.metrics import Metrics
from app.webservice.observing import request_id
from app.webservice.service import Service


class OutdatedError(PenPressError):
    """The bundle that a job names is no longer there."""


class Noted(Metrics):
    """Metrics that count nothing here: they are noted for the process that keeps them."""

    def __init__(self, productions: Mapping[str, Production]) -> None:
        """Begin with nothing."""
        super().__init__(productions)
        self.calls: list[tuple[str, tuple[object, ...]]] = []

    def took(self, stages: Mapping[str, float]) -> None:
        """Note the seconds of stages."""
        self.calls.append(("took", (dict(stages),)))

    def predicted(self, task: str, prediction: Prediction) -> None:
        """Note an answer."""
        self.calls.append(("predicted", (task, prediction)))


class Twin(Service):
    """Answers as the service does of which it is the twin, by the bundles that each job names."""

    metrics: Noted

    def __init__(self, service: Service) -> None:
        """Take over what the service is made of, before any of it has started."""
        super().__init__(service.settings, service.productions, service.log, service.watch)
        self.metrics = Noted(service.productions)
        self._places: Mapping[str, Place | None] = {}
        self._opened: dict[str, Live] = {}
        self._stages: list[tuple[str, int, int]] = []
        self._log_tried = False

    def live_of(self, task: str) -> Live:
        """What answers for a task, opened now if it is another than before; raises OutdatedError where it is gone."""
        live, place = self._opened.get(task), self._places.get(task)
        if place is None:
            return super().live_of(task)  # which says what is missing, for nothing was live when this process began
        if live is None or live.place != place:
            try:
                replaced = task in self._opened
                live = self._opened[task] = open_live(place, self.productions[task].task, self.settings)
                if replaced:
                    heap.give_back()
            except BundleError as error:
                raise OutdatedError(str(error)) from error
        return live

    def record(self, entry: Entry) -> None:
        """Append a log line as the service does, and note that it was tried."""
        self._log_tried = True
        super().record(entry)

    def do(self, job: Job) -> Reply:
        """Do a job, whatever comes of it."""
        self.metrics.calls, self._stages, self._log_tried = [], [], False
        if job.places is not None:
            self._places = job.places
        request_id.set(job.request_id)
        with around_stages(self._note):
            reply = outcome(job)
        return reply._replace(
            noted=tuple(self.metrics.calls),
            stages=tuple(self._stages),
            log_tried=self._log_tried,
            log_problem=self.log_problem,
        )

    @contextmanager
    def _note(self, name: str) -> Iterator[None]:
        """Note when a stage begins and ends."""
        begin = time.time_ns()
        try:
            yield
        finally:
            self._stages.append((name, begin, time.time_ns()))


def outcome(job: Job) -> Reply:
    """What comes of the work alone."""
    try:
        return Reply(job.work(*job.arguments, **job.options))
    except OutdatedError as error:
        return Reply(failure=str(error), outdated=True)
    except PenPressError as error:
        return Reply(refusal=Refusal(*meaning(error), str(error)))
    except Exception:  # noqa: BLE001 - it is raised again, where the service's own handler of the unforeseen is
        return Reply(failure=format_exc())


def get_ready(service: Service) -> None:
    """Open the main task's bundle and try it, so that the first answer takes no longer than others."""
    live = service.live_of(service.main)
    live.recogniser.check_probes(live.place.directory)


def serve(service: Service, connection: socket.socket) -> None:
    """Do jobs until the service hangs up; the first message is the number of this process."""
    twin = Twin(service)
    with suppress(ConnectionError), connection, connection.makefile("rwb") as stream:
        send(stream, packed(os.getpid(), twin))
        while head := stream.read(LENGTH.size):
            job = unpacked(stream.read(*LENGTH.unpack(head)), twin)
            send(stream, packed(twin.do(job), twin))


def send(stream: BufferedRWPair, message: bytes) -> None:
    """Send a message at once."""
    stream.write(message)
    stream.flush()
