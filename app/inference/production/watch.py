"""The thread that follows the alias for all tasks, beside the requests and never in their way."""

import threading
from collections.abc import Iterable

from app import heap
from app.config import Settings
from app.inference.production.live import OpenStore, Production, Store

STOP_SECONDS = 2.0  # a registry that hangs must not keep the service from stopping


class Watch:
    """Asks the registry every few seconds, for one task after the other."""

    def __init__(self, productions: Iterable[Production], open_store: OpenStore, seconds: float) -> None:
        """Prepare the thread; it does not run yet."""
        self._productions = tuple(productions)
        self._open_store = open_store
        self._seconds = seconds
        self._settled = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alias-watch", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the alias is being followed."""
        return self._thread.is_alive()

    def start(self, patience: float) -> None:
        """Start the thread and wait until it has asked for every task once, at most *patience* seconds."""
        self._thread.start()
        self._settled.wait(patience)

    def stop(self) -> None:
        """Stop the thread and wait for its end, unless the registry keeps it hanging."""
        self._stopped.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        swaps = -1
        while not self._stopped.is_set():
            for production in self._productions:
                if self._stopped.is_set():
                    return
                production.reconcile(self._open_store)
            self._settled.set()
            self._stopped.wait(self._seconds)
            before, swaps = swaps, sum(production.swaps for production in self._productions)
            if swaps != before and not self._stopped.is_set():
                heap.give_back()  # what the start took, or models that by now hardly a request is still at


def open_registry(settings: Settings) -> OpenStore:
    """How the watch opens the registry: at its first question, in its own thread, and only once."""
    stores: list[Store] = []

    def open_store() -> Store:
        if not stores:
            from app.inference.registry import Registry  # noqa: PLC0415 - importing MLflow takes seconds

            stores.append(Registry(settings))
        return stores[0]

    return open_store
