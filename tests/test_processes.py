"""Processes that recognise: what passes between them and the service, and what happens when one is slow or ends."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from app.inference.production import Production, Watch
from app.prediction_log import Entry
from app.stopwatch import around_stages, stage
from app.tasks import TASKS
from app.webservice.failures import RequestError
from app.webservice.messages import packed
from app.webservice.processes import Processes, Source, open_workers
from app.webservice.service import Service
from app.webservice.twin import OutdatedError, serve
from app.webservice.workers import Threads
from tests.bundles import DARK, LIGHT, make_bundle, picture
from tests.fakes import FakeStore, ListLog, opener
from tests.processes import Process, eventually, post, running
from tests.services import Fixture, check_error, serving
from tests.stores import settings_in

SWAPS = 100
ENTRY = Entry("2026-01-01T00:00:00.000+00:00", "id", "0" * 64, 10, "document_type", "1", "printed", 0.9, False, 1.5)  # noqa: FBT003


@dataclass
class Threaded:
    """A source of workers that are threads of the test; what would be ended is noted."""

    service: Service
    killed: list[int] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)

    def bear(self) -> socket.socket:
        """A thread that serves."""
        ours, theirs = socket.socketpair()
        self.connections.append(theirs)
        self.threads.append(threading.Thread(target=serve, args=(self.service, theirs)))
        self.threads[-1].start()
        return ours

    def end_last(self) -> None:
        """Let the last worker end, which has nothing to do, and wait until it has."""
        self.connections[-1].shutdown(socket.SHUT_RDWR)
        self.threads[-1].join(30)

    def kill(self, process: int) -> None:
        """Note it."""
        self.killed.append(process)

    def stop(self) -> None:
        """Wait for the threads, which end when nobody is at the other side."""
        for thread in self.threads:
            thread.join(30)


class Deaf(Threaded):
    """A source of workers that hang up before they have said anything."""

    def bear(self) -> socket.socket:
        """A connection whose other side is closed."""
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours


class Brief(Threaded):
    """A source of workers that hang up after their first message."""

    def bear(self) -> socket.socket:
        """A connection that has this message only."""
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(packed(1, None))
        return ours


class Rude(Threaded):
    """A source of workers that hang up on their first job without reading it."""

    def bear(self) -> socket.socket:
        """A connection that is reset once a job has come."""
        ours, theirs = socket.socketpair()

        def hang_up() -> None:
            with theirs:
                theirs.sendall(packed(1, None))
                theirs.recv(1, socket.MSG_PEEK)

        self.threads.append(threading.Thread(target=hang_up))
        self.threads[-1].start()
        return ours


def in_twins(service: Service) -> Processes:
    """Two workers that speak to the service as processes do."""
    return Processes(service, Threaded(service), 2)


def service_in(folder: Path, **overrides: object) -> Service:
    """A service that has not started, with an empty registry and a log in a list."""
    settings = settings_in(folder, inference_threads=1, **overrides)
    productions = {name: Production(task, settings) for name, task in TASKS.items()}
    return Service(settings, productions, ListLog(), Watch([], opener(FakeStore()), 3600))


@asynccontextmanager
async def processes(service: Service, source: Source | None = None) -> AsyncIterator[Processes]:
    """One worker that ends with the block."""
    found = Processes(service, source or Threaded(service), 1)
    try:
        yield found
    finally:
        await found.stop()


async def done(service: Service, work: Callable[[Service], object], source: Source | None = None) -> object:
    """What one worker gives for work."""
    async with processes(service, source) as workers:
        return await workers.run(work, service)


def fail(_: Service) -> None:
    """Work that nobody foresaw to fail."""
    message = "unforeseen"
    raise ZeroDivisionError(message)


def measure(_: Service) -> str:
    """Work with a stage."""
    with stage("infer"):
        return "done"


def find_outdated(service: Service) -> None:
    """Work whose bundle is gone; the log has how often it was asked for."""
    service.record(ENTRY)
    message = "gone"
    raise OutdatedError(message)


def wait_for(_: Service, release: str) -> None:
    """Work that takes as long as a file is not there."""
    assert eventually(Path(release).exists)


@pytest.mark.parametrize(("ink", "label"), [(DARK, "handwritten"), (LIGHT, "printed")])
def test_all_paths_answer_as_threads_do(ink: int, label: str, tmp_path: Path) -> None:
    """Predictions, batches, explanations, pages and errors have the same statuses and classes by either way."""
    found = []
    for number, workers in enumerate((in_twins, None)):
        options = {"open_workers": workers} if workers else {}
        with serving(tmp_path / str(number), **options) as service:
            found.append(list(answers_of(service, picture(ink))))
    assert found[0] == found[1]
    assert found[0][0] == (200, label)


def answers_of(service: Fixture, data: bytes) -> Iterator[tuple[int, str | None]]:
    """The status of every path, and the class or the code of the error where there is one."""
    paths = ("/predict/", "/predict/?explain=always", service.own_path, "/explain/?format=json", "/explain/?method=map")
    for path in (*paths, "/predict/text/", "/predict/nothing/"):
        response = service.post(data, path)
        kind = response.headers["content-type"]
        body = response.json() if kind == "application/json" else {"predicted_class": kind}
        yield response.status_code, body.get("predicted_class", body.get("code"))
    check_error(service.post(b"no image"), 415, "not_an_image")
    batch = service.client.post("/predict/batch/", files=[("files", ("a", data)), ("files", ("b", b"no image"))])
    for entry in batch.json()["entries"]:
        yield entry["status"], (entry["answer"] or {}).get("predicted_class")
    page = Image.new("RGB", (700, 900), "white")
    page.paste((0, 0, 0), (100, 100, 600, 110))
    yield service.post(picture(size=(700, 900)), "/predict/page/?format=alto").status_code, None


def test_metrics_stages_and_the_log_are_those_of_the_service(tmp_path: Path) -> None:
    """What a process notes is counted once, in the service; the answer's id is in the prediction log."""
    with serving(tmp_path, open_workers=in_twins) as service:
        answer = service.post(picture(DARK), headers={"X-Request-ID": "asked"}).json()
        page = service.client.get("/metrics").text
    assert answer["request_id"] == "asked"
    assert [entry.request_id for entry in service.log.entries] == ["asked"]
    assert 'penpress_predictions_total{label="handwritten",task="document_type"} 1.0' in page
    for name in ("decode", "preprocess", "infer", "log"):
        assert f'penpress_stage_seconds_count{{stage="{name}"}} 1.0' in page


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A process that cannot write the log refuses, and the service's health says so until it can."""
    log = ListLog()
    with serving(tmp_path, log=log, open_workers=in_twins) as service:
        log.broken = True
        check_error(service.post(picture()), 503, "log_unavailable")
        assert service.client.get("/health").json()["status"] == "degraded"
        log.broken = False
        assert service.post(picture()).status_code == 200
        assert service.client.get("/health").json()["problems"] == []


def test_a_log_that_cannot_be_written_at_the_start_is_told_until_it_can(tmp_path: Path) -> None:
    """Getting ready, and a refusal by a process that has not tried the log, leave what health says of it as it is."""
    log = ListLog()
    log.broken = True
    with serving(tmp_path, log=log, open_workers=in_twins) as service:
        check_error(service.post(b"no image"), 415, "not_an_image")
        assert service.client.get("/health").json()["problems"] == ["the list is full; empty it"]
        log.broken = False
        assert service.post(picture()).status_code == 200
        assert service.client.get("/health").json()["problems"] == []


def test_a_problem_of_the_log_that_is_over_does_not_come_back(tmp_path: Path) -> None:
    """A process that found the log full once, and has not tried it again, does not tell of that for ever."""
    log = ListLog()
    with serving(tmp_path, log=log, open_workers=lambda service: Processes(service, Threaded(service), 1)) as service:
        log.broken = True
        check_error(service.post(picture()), 503, "log_unavailable")
        log.broken = False
        assert service.client.get("/readyz").status_code == 200  # tried by the service itself
        check_error(service.post(b"no image"), 415, "not_an_image")
        assert service.client.get("/health").json()["problems"] == []


def test_a_hundred_swaps_under_load_are_followed(tmp_path: Path) -> None:
    """Every answer is that of the version it names, whichever process gave it, and none fails."""
    task = TASKS["document_type"]
    bundles = [make_bundle(tmp_path / f"{bias}", task, bias) for bias in (-20.0, 20.0)]
    answers: list[tuple[int, str, str]] = []
    stop = threading.Event()
    with serving(tmp_path, open_workers=in_twins, alias_poll_seconds=3600) as service:

        def post_on() -> None:
            while not stop.is_set():
                body = (response := service.post(picture())).json()
                answers.append((response.status_code, body["model_version"], body["predicted_class"]))

        swap(service, 100, bundles)
        threads = [threading.Thread(target=post_on) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(101, 101 + SWAPS):
            swap(service, number, bundles)
        stop.set()
        for thread in threads:
            thread.join(30)
    assert {status for status, _, _ in answers} == {200}
    assert all(label == task.labels[int(version) % 2] for _, version, label in answers)
    assert len({version for _, version, _ in answers}) > 1
    assert len(service.log.entries) == len(answers)


def swap(service: Fixture, number: int, bundles: list[Path]) -> None:
    """Give the alias to a new version and have it taken."""
    service.store.promote(str(number), bundles[number % 2])
    service.production.reconcile(service.store.open)


def test_what_nobody_foresaw_is_raised_with_its_traceback(tmp_path: Path) -> None:
    """The service's own handler gets the traceback of the process."""
    with pytest.raises(RuntimeError, match="ZeroDivisionError: unforeseen"):
        asyncio.run(done(service_in(tmp_path), fail))


def test_stages_are_told_to_who_traces(tmp_path: Path) -> None:
    """A stage that ran in a process is told with its begin and its end."""
    told = list[tuple[str, int, int]]()
    with around_stages(nullcontext, lambda *stage: told.append(stage)):
        assert asyncio.run(done(service_in(tmp_path), measure)) == "done"
    ((name, begin, end),) = told
    assert name == "infer"
    assert 0 < begin <= end


def test_work_whose_bundle_has_gone_is_done_again_once(tmp_path: Path) -> None:
    """After two swaps there is a newer bundle; a second miss is an error, not a third attempt."""
    service = service_in(tmp_path)
    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(done(service, find_outdated))
    assert isinstance(service.log, ListLog)
    assert service.log.entries == [ENTRY] * 2


def test_work_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """After the time limit there is a 503, its process is ended, and the next work is done by another."""
    service, release = service_in(tmp_path, time_limit_seconds=0.5), tmp_path / "release"
    source = Threaded(service)

    async def both() -> object:
        async with processes(service, source) as workers:
            with pytest.raises(RequestError, match=r"no answer within 0\.5 s"):
                await workers.run(wait_for, service, str(release))
            found = await workers.run(measure, service)
            release.touch()
            return found

    assert asyncio.run(both()) == "done"
    assert source.killed == [os.getpid()] * 2  # one for the time limit, one at the end
    assert "penpress_workers_lost_total 1.0" in service.metrics.page().decode()


def test_work_that_is_given_up_is_never_begun(tmp_path: Path) -> None:
    """What nobody waits for is taken out of the queue, whose depth is counted."""
    service, release = service_in(tmp_path), tmp_path / "release"

    async def crowd() -> tuple[int, int]:
        async with processes(service) as workers:
            first = asyncio.create_task(workers.run(wait_for, service, str(release)))
            others = [asyncio.create_task(workers.run(fail, service)) for _ in range(2)]
            await asyncio.wait([first], timeout=0.01)
            waiting = workers.queued()
            for each in others:
                each.cancel()
            await asyncio.wait(others)
            release.touch()
            await first
            return waiting, workers.queued()

    assert asyncio.run(crowd()) == (2, 0)


@pytest.mark.parametrize("source", [Deaf, Brief, Rude])
def test_a_process_that_ends_before_it_answers_costs_one_request(source: type[Threaded], tmp_path: Path) -> None:
    """The request gets a 503 that says so, and it is counted; the work itself is not done twice."""
    service = service_in(tmp_path)
    ending = source(service)
    with pytest.raises(RequestError, match="try again") as caught:
        asyncio.run(done(service, measure, ending))
    assert (caught.value.status, caught.value.code) == (503, "worker_lost")
    assert "has ended, or could not be started" in service.health().problems[-1]
    assert ending.killed == []  # its number may be another's by now
    asyncio.run(done(service, measure))
    assert not any("has ended" in problem for problem in service.health().problems)
    assert "penpress_workers_lost_total 1.0" in service.metrics.page().decode()


def test_the_number_of_a_process_that_has_ended_is_never_used(tmp_path: Path) -> None:
    """It may be another's by now: neither the next work nor the end of the service kills by it."""
    service = service_in(tmp_path)
    source = Threaded(service)

    async def work_twice() -> None:
        async with processes(service, source) as workers:
            for _ in range(2):
                assert await workers.run(measure, service) == "done"
                await asyncio.to_thread(source.end_last)

    asyncio.run(work_twice())
    assert len(source.threads) == 2
    assert source.killed == []
    assert "penpress_workers_lost_total 0.0" in service.metrics.page().decode()


def test_the_settings_choose(tmp_path: Path) -> None:
    """Without processes, images are recognised in threads."""
    workers = open_workers(service_in(tmp_path, workers=0))
    assert isinstance(workers, Threads)
    asyncio.run(workers.stop())


@pytest.fixture(name="process", scope="module")
def _process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with running(tmp_path_factory.mktemp("service"), PENPRESS_WORKERS="2") as process:
        yield process


def children_of(process: int) -> list[int]:
    """The processes that a process has started."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def ended(process: int) -> bool:
    """Whether a process is no more, or is only waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_processes_that_are_killed_are_replaced(process: Process) -> None:
    """When all that recognise are killed while they have nothing to do, the next requests are answered all the same."""
    (nursery,) = children_of(process.popen.pid)
    before = children_of(nursery)
    assert len(before) == 2
    for each in before:
        os.kill(each, signal.SIGKILL)
    assert eventually(lambda: all(map(ended, before)))
    answers = [post(process.port, picture(LIGHT)) for _ in range(6)]
    assert {answer.get("predicted_class", answer.get("code")) for answer in answers} == {"printed"}
    after = children_of(nursery)
    assert 1 <= len(after) <= 2
    assert not set(before) & set(after)


def test_nothing_outlives_a_service_that_is_killed(process: Process) -> None:
    """The processes of a service end with it, however it ends."""
    (nursery,) = children_of(process.popen.pid)
    family = [nursery, *children_of(nursery)]
    process.popen.kill()
    assert process.popen.wait(30) == -signal.SIGKILL
    assert eventually(lambda: all(map(ended, family)))
