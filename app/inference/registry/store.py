"""The registry side: which versions there are, which one holds the alias, and where their bundles lie."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from app.errors import RegistryError
from app.inference.bundle import read_description
from app.inference.registry.edge import SQLITE, at_edge, folder_of, locked, pages, suppress_present
from app.inference.registry.records import EMBEDDED, Version
from app.inference.registry.run_store import RunStore
from app.inference.registry.runs import iso_time, tags_of

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second: an alias that no version holds
REMEMBERED = 500  # steps that can be rolled back, so that the record fits into a tag of any MLflow store


class Registry(RunStore):
    """Runs and model versions in the store of the settings. Opened at the first question; raises RegistryError."""

    def resolve(self, task: str) -> Version | None:
        """The version of a task that holds the alias, or None when there is no such model or nothing holds it."""
        with at_edge(self.uri):
            try:
                return self._as_version(self.client.get_model_version_by_alias(task, self.settings.alias))
            except MlflowException as error:
                if error.error_code in ABSENT:
                    return None
                raise

    def versions(self, task: str) -> list[Version]:
        """All versions of a task, oldest first; none of them knows its alias (MLflow's search leaves it out)."""
        with at_edge(self.uri):
            found = pages(self.client.search_model_versions, filter_string=f"name = '{task}'")
        return sorted((self._as_version(version) for version in found), key=lambda version: int(version.version))

    def version(self, task: str, number: str) -> Version:
        """One version of a task."""
        with at_edge(self.uri):
            return self._as_version(self.client.get_model_version(task, number))

    def register(self, run_id: str, task: str, tags: Mapping[str, str]) -> Version:
        """Register a run's bundle as a version of the task; a run that is registered already keeps its version."""
        for known in self.versions(task):
            if known.run_id == run_id:
                return known
        with at_edge(self.uri):
            source = self._bundle_uri(run_id)
            with suppress_present():
                self.client.create_registered_model(task)
            return self._as_version(self.client.create_model_version(task, source, run_id, tags=dict(tags)))

    def register_embedded(self, directory: Path, task: str) -> Version:
        """Register the shipped bundle once and give it the alias if nothing holds it; returns what holds the alias.

        Safe when several processes do it at once: beside a SQLite store one waits for the other, elsewhere each
        registers, and all agree on the lowest version number.
        """
        sha256 = read_description(directory).sha256
        with self._alone():
            if not self._with_sha256(task, sha256):
                self._register_shipped(directory, task)
            first = self._with_sha256(task, sha256)[0]
            try:
                return self.resolve(task) or self.set_alias(first)
            except RegistryError:
                live = self.resolve(task)  # another process set the alias between our question and our answer
                if live is None:
                    raise
                return live

    def _register_shipped(self, directory: Path, task: str) -> None:
        description = read_description(directory)
        tags = tags_of(description)
        log = self.start_run(EMBEDDED, task, {"parameters": description.origin.parameters}, tags)
        log.log_metrics(description.figures)
        log.log_bundle(directory)
        log.finish()
        self.register(log.run_id, task, {**tags, "sha256": description.sha256, "embedded": "true"})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self.uri.startswith(SQLITE):
            yield
            return
        with at_edge(self.uri), locked(folder_of(self.uri) / ".registering.lock"):
            yield

    def set_alias(self, version: Version) -> Version:
        """Give the alias to a version; the one that held it is tagged as archived, and remembered for `previous`."""
        before = self.resolve(version.name)
        if before is not None and before.version == version.version:
            return before
        history = self._history(version.name, before)
        live = self._move_alias(version, before)
        self._record(version.name, [*history, version.version])  # after the alias: what is recorded was live
        return live

    def roll_back(self, task: str) -> Version:
        """Give the alias back to the version that held it before, and forget that the present one ever did."""
        live, previous = self.resolve(task), self.previous(task)
        if live is None or previous is None:
            message = f"{task} has no earlier promoted version to go back to; promote another run with --run-id"
            raise RegistryError(message)
        self._record(task, self._history(task, live)[:-1])  # before the alias: what is live is never forgotten
        version = self._move_alias(previous, live)
        self.tag(live, {"rolled_back": "true"})
        return version

    def previous(self, task: str) -> Version | None:
        """The version that held the alias before the present one, or None; also after moves in MLflow's browser."""
        live = self.resolve(task)
        history = self._history(task, live) if live is not None else []
        return self.version(task, history[-2]) if len(history) > 1 else None

    def _history(self, task: str, live: Version | None) -> list[str]:
        """The numbers of the versions that held the alias, as far as they exist still, in order; *live* is the last."""
        present = {version.version for version in self.versions(task)}
        with at_edge(self.uri):
            recorded = self.client.get_registered_model(task).tags.get(self._history_tag, "").split()
        numbers = [*recorded, *([live.version] if live is not None else [])]
        return [number for number, _ in groupby(number for number in numbers if number in present)]

    def _record(self, task: str, history: list[str]) -> None:
        with at_edge(self.uri):
            set_firmly(self.client.set_registered_model_tag, task, self._history_tag, " ".join(history[-REMEMBERED:]))

    @property
    def _history_tag(self) -> str:
        return f"history.{self.settings.alias}"

    def _move_alias(self, version: Version, before: Version | None) -> Version:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.tag(version, {"promoted_at": now, "stage": self.settings.alias, "archived_at": None, "rolled_back": None})
        with at_edge(self.uri):
            self.client.set_registered_model_alias(version.name, self.settings.alias, version.version)
        if before is not None:
            self.tag(before, {"archived_at": now, "stage": "archived"})
        return self.version(version.name, version.version)

    def tag(self, version: Version, tags: Mapping[str, str | None]) -> None:
        """Set tags of a version; None takes one away."""
        with at_edge(self.uri):
            for name, value in tags.items():
                if value is not None:
                    set_firmly(self.client.set_model_version_tag, version.name, version.version, name, value)
                elif name in version.tags:
                    self.client.delete_model_version_tag(version.name, version.version, name)

    def download(self, version: Version, directory: Path) -> Path:
        """Fetch the bundle of a version into *directory*, whole or not at all; returns *directory*."""
        with at_edge(self.uri):
            source = self.client.get_model_version_download_uri(version.name, version.version)
        return self._fetch(source, directory)

    def _with_sha256(self, task: str, sha256: str) -> list[Version]:
        return [version for version in self.versions(task) if version.tags.get("sha256") == sha256]

    def _as_version(self, found: ModelVersion) -> Version:
        aliases = [str(alias) for alias in found.aliases]
        return Version(
            name=found.name,
            version=str(found.version),
            run_id=found.run_id or None,
            alias=self.settings.alias if self.settings.alias in aliases else None,
            tags=dict(found.tags),
            created=iso_time(found.creation_timestamp),
        )


def set_firmly(set_tag: Callable[..., None], *arguments: str) -> None:
    """Set a tag; another process may have made the same one a moment ago, and then it can be changed."""
    try:
        set_tag(*arguments)
    except MlflowException:
        set_tag(*arguments)
