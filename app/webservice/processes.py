"""Workers that are processes, since the threads of one hand Python's lock to each other at every small step.

Each does one job at a time; jobs wait here, in order. One that takes longer than the time limit is ended together with
its process, and a process that has ended is replaced. What they note of their work is counted here.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, cast

from app.errors import PenPressError
from app.stopwatch import tell_stage
from app.webservice.failures import RequestError
from app.webservice.messages import LENGTH, Job, Reply, packed, unpacked
from app.webservice.nursery import Nursery
from app.webservice.observing import request_id
from app.webservice.service import Service
from app.webservice.twin import get_ready, serve
from app.webservice.workers import Threads, Workers, too_late

if TYPE_CHECKING:
    from app.inference.production import Place

P = ParamSpec("P")
T = TypeVar("T")
BUFFER = 1024 * 1024  # bytes of a reply that are read ahead


class Source(Protocol):
    """Where processes come from."""

    def bear(self) -> socket.socket:
        """The connection to a new process; raises OSError when there can be none."""

    def kill(self, process: int) -> None:
        """End a process that does not answer."""

    def stop(self) -> None:
        """Start no more."""


class Worker:
    """One process, or the place for one: it is started when it is asked and not there."""

    def __init__(self, service: Service, source: Source) -> None:
        """Take whose jobs it does, and where processes come from."""
        self._service, self._source = service, source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._process: int | None = None
        self._told: Mapping[str, Place | None] | None = None

    async def ask(self, job: Job) -> Reply:
        """Have a job done; raises ConnectionError or EOFError when the process ends before it answers."""
        if self._has_ended():  # while it had nothing to do
            self.end()
        reader, writer = self._streams or await self._open()
        places = self._service.places()
        writer.write(packed(job._replace(places=None if places == self._told else places), self._service))
        self._told = places
        return cast("Reply", await self._receive(reader))

    def end(self) -> None:
        """End the process, whatever it does; the number of one that has ended may be that of another by now."""
        if self._process and not self._has_ended():
            self._source.kill(self._process)
        if self._streams:
            self._streams[1].transport.abort()
        self._streams = self._process = self._told = None

    def _has_ended(self) -> bool:
        """Whether there was a process that has closed its side of the connection, as only its end does."""
        reader = self._streams[0] if self._streams else None
        return reader is not None and (reader.at_eof() or reader.exception() is not None)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_unix_connection(sock=self._source.bear(), limit=BUFFER)
        self._process = cast("int", await self._receive(self._streams[0]))
        return self._streams

    async def _receive(self, reader: asyncio.StreamReader) -> object:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        return unpacked(await reader.readexactly(length), self._service)


class Processes:
    """Workers that are processes. Used from one event loop."""

    def __init__(self, service: Service, source: Source, count: int) -> None:
        """Take whose jobs they do, where processes come from, and how many there shall be."""
        self.count = count
        self._service, self._source = service, source
        self._seconds = service.settings.time_limit_seconds
        self._submitted = 0
        self._workers = [Worker(service, source) for _ in range(count)]
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()  # who worked last has what it needs at hand
        for worker in self._workers:
            self._idle.put_nowait(worker)

    def queued(self) -> int:
        """How much work waits for a process."""
        return max(0, self._submitted - self.count)

    async def run(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Do the work in a process and give its result; raises RequestError once the time is over, and what it raises.

        Work that waits then is dropped; work that runs is ended.
        """
        job = Job(work, arguments, options, request_id.get(), None)
        self._submitted += 1
        try:
            async with asyncio.timeout(self._seconds):
                reply = await self._done(job)
                if reply.outdated:  # two versions have come meanwhile, so there is a newer one
                    reply = await self._done(job)
        except TimeoutError:
            raise too_late(self._seconds) from None
        finally:
            self._submitted -= 1
        return cast("T", self._result(reply))

    async def start(self) -> None:
        """Start all processes and have them get ready; without a model there is nothing to get ready for."""

        async def start_one() -> None:
            with suppress(PenPressError):
                await self.run(get_ready, self._service)

        await asyncio.gather(*(start_one() for _ in self._workers))

    async def stop(self) -> None:
        """End all; to be called when nobody waits for an answer."""
        for worker in self._workers:
            worker.end()
        await asyncio.sleep(0)  # in which the connections are closed
        self._source.stop()

    async def _done(self, job: Job) -> Reply:
        """Have a job done by the next free worker; whatever goes wrong, there is a worker in its place."""
        worker, whole = await self._idle.get(), False
        try:
            reply = await worker.ask(job)
            whole = True
        except (OSError, EOFError) as error:
            self._service.worker_problem = f"a process that recognises has ended, or could not be started: {error}"
            raise lost(error) from error
        finally:
            if not whole:
                self._service.metrics.workers_lost.inc()
                worker.end()
            self._idle.put_nowait(worker)
        return reply

    def _result(self, reply: Reply) -> object:
        """Count what a reply tells, and give its value or raise its error."""
        for name, arguments in reply.noted:
            getattr(self._service.metrics, name)(*arguments)
        for stage in reply.stages:
            tell_stage(*stage)
        self._service.worker_problem = None
        if reply.log_tried:  # else it says what another job found, perhaps long ago
            self._service.log_problem = reply.log_problem
        if reply.refusal:
            raise RequestError(*reply.refusal)
        if reply.failure:
            raise RuntimeError(reply.failure)
        return reply.value


def lost(error: Exception) -> RequestError:
    """What a request gets whose process has ended."""
    message = f"the process that recognised this image has ended ({type(error).__name__}); try again"
    return RequestError(503, "worker_lost", message)


def open_workers(service: Service) -> Workers:
    """The workers that the settings ask for; to be called before there are threads."""
    if not service.settings.workers:
        return Threads(service.settings.time_limit_seconds)
    return Processes(service, Nursery(partial(serve, service)), service.settings.workers)
