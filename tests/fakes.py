"""Stand-ins for tests: a registry in memory and a prediction log in a list. Holds no tests."""

import shutil
from pathlib import Path
from typing import ClassVar

from app.config import Settings
from app.errors import PredictionLogError, RegistryError
from app.inference.production import Live, OpenStore, Production
from app.inference.registry import Version
from app.prediction_log import Entry
from app.tasks import Task


class FakeStore:
    """A registry in memory: bundle folders by version number, and the version that holds the alias."""

    def __init__(self) -> None:
        """Begin empty and reachable."""
        self.bundles: dict[str, Path] = {}
        self.alias: str | None = None
        self.reachable = True
        self.downloads: list[str] = []

    def promote(self, version: str, bundle: Path) -> None:
        """Add a bundle as a version and give it the alias."""
        self.bundles[version] = bundle
        self.alias = version

    def open(self) -> "FakeStore":
        """Stand in for `open_registry`; fails while the store is unreachable."""
        if not self.reachable:
            message = "the registry is unreachable; start it"
            raise RegistryError(message)
        return self

    def resolve(self, task: str) -> Version | None:
        """The version that holds the alias."""
        return None if self.alias is None else self._version(task, self.alias)

    def download(self, version: Version, directory: Path) -> Path:
        """Copy the bundle, and note that this was done."""
        self.downloads.append(version.version)
        return Path(shutil.copytree(self.bundles[version.version], directory, dirs_exist_ok=True))

    def register_embedded(self, directory: Path, task: str) -> Version:
        """Register it as version 1 with the alias."""
        self.promote("1", directory)
        return self._version(task, "1")

    def _version(self, task: str, number: str) -> Version:
        return Version(task, number, f"run-{number}", "prod", {}, "2026-01-01T00:00:00+00:00")


class ListLog:
    """A prediction log that is a list; it refuses entries while *broken*."""

    def __init__(self) -> None:
        """Begin empty and whole."""
        self.entries: list[Entry] = []
        self.broken = False

    def check(self) -> None:
        """Fail while broken."""
        if self.broken:
            message = "the list is full; empty it"
            raise PredictionLogError(message)

    def append(self, entry: Entry) -> None:
        """Keep the entry."""
        self.check()
        self.entries.append(entry)


class Shipped(Production):
    """The shipped bundle of a task, loaded once for all tests, whatever the registry has."""

    _loaded: ClassVar[dict[str, Live]] = {}

    def __init__(self, task: Task) -> None:
        """Nothing is read yet."""
        super().__init__(task, Settings())

    def start(self) -> None:
        """Load it, the first time."""
        if self.task.name not in self._loaded:
            super().start()
            if self.live:
                self._loaded[self.task.name] = self.live
        self.live = self._loaded.get(self.task.name)

    def reconcile(self, _: OpenStore) -> None:
        """Stay as it is."""
        self._settled = True


def opener(store: FakeStore) -> OpenStore:
    """The fake as production wants it."""
    return store.open
