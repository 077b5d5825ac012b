"""The registry side: which versions there are, which one holds the alias, and where their bundles lie."""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from app.config import Settings
from app.errors import RegistryError
from app.inference.bundle import read_description
from app.inference.registry.edge import REMOTE, at_edge, open_client, pages, suppress_present
from app.inference.registry.records import BUNDLE, EMBEDDED, RunSummary, Version, is_better_when_smaller
from app.inference.registry.runs import RunLog, iso_time, log_parameters, open_run, summary_of

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second: an alias that no version holds


class Registry:
    """Runs and model versions in the store of the settings. Opened at the first question; raises RegistryError."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing is opened yet."""
        self.settings = settings
        self.uri = settings.mlflow_tracking_uri

    @cached_property
    def client(self) -> MlflowClient:
        """The connection, opened at first use and tried anew after a failure."""
        return open_client(self.settings)

    # Runs

    def start_run(
        self,
        experiment: str,
        name: str,
        parameters: Mapping[str, str | float | int],
        tags: Mapping[str, str],
        run_id: str | None = None,
    ) -> RunLog:
        """Open a new run, or the interrupted run *run_id*, whose known parameters are kept."""
        with at_edge(self.uri):
            if run_id is None:
                run_id = open_run(self.client, self._experiment_id(experiment), name, tags)
            else:
                self.client.update_run(run_id, status="RUNNING")
            log_parameters(self.client, run_id, parameters)
        return RunLog(run_id, self.client, self.uri)

    def log_bundle(self, run_log: RunLog, directory: Path) -> None:
        """Log the bundle in *directory* as the model of a run."""
        run_log.log_bundle(directory)

    def run(self, run_id: str) -> RunSummary:
        """The run of this id, finished or not."""
        with at_edge(self.uri):
            run = self.client.get_run(run_id)
            return summary_of(run, self.client.get_experiment(run.info.experiment_id).name)

    def runs(self, experiments: Sequence[str] | None, task: str) -> list[RunSummary]:
        """The finished runs of a task, newest first, in the named experiments or in all."""
        with at_edge(self.uri):
            names = {found.experiment_id: found.name for found in pages(self.client.search_experiments)}
            unknown = sorted(set(experiments or ()) - set(names.values()))
            if unknown:
                message = f"unknown experiments {unknown}; known are {sorted(names.values())}"
                raise RegistryError(message)
            chosen = [key for key, name in names.items() if experiments is None or name in experiments]
            wanted = f"tags.task = '{task}' and attributes.status = 'FINISHED'"
            found = pages(self.client.search_runs, experiment_ids=chosen, filter_string=wanted)
        return [summary_of(run, names[run.info.experiment_id]) for run in found]

    def best_run(self, metric: str, task: str, experiments: Sequence[str] | None = None) -> RunSummary | None:
        """The finished run with the best *metric*; the embedded model takes part only when its experiment is named."""
        candidates = [
            run
            for run in self.runs(experiments, task)
            if metric in run.metrics and (not run.embedded or EMBEDDED in (experiments or ()))
        ]
        sign = -1 if is_better_when_smaller(metric) else 1
        return max(candidates, key=lambda run: sign * run.metrics[metric], default=None)

    # Versions

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

        Safe when several processes do it at once: each registers, and all agree on the lowest version number.
        """
        description = read_description(directory)
        if not self._with_sha256(task, description.sha256):
            origin = description.origin
            tags = {"task": task, "data": origin.data, "data_fingerprint": origin.data_fingerprint}
            tags |= {"git_commit": origin.git_commit, "strategy": origin.strategy, "architecture": origin.architecture}
            log = self.start_run(EMBEDDED, task, {"parameters": origin.parameters}, tags)
            log.log_metrics(description.figures)
            log.log_bundle(directory)
            log.finish()
            self.register(log.run_id, task, {**tags, "sha256": description.sha256, "embedded": "true"})
        return self.resolve(task) or self.set_alias(self._with_sha256(task, description.sha256)[0])

    def set_alias(self, version: Version, *, rollback: bool = False) -> Version:
        """Give the alias to a version; the one that held it is tagged as archived, and remembered for `previous`.

        A *rollback* is not remembered, so that a second one goes a step further back and not forth again.
        """
        before = self.resolve(version.name)
        if before is not None and before.version == version.version:
            return before
        now = datetime.now(UTC).isoformat(timespec="seconds")
        tags = {"promoted_at": now, "stage": self.settings.alias}
        if before is not None and not rollback:
            tags["previous_version"] = before.version
        self.tag(version, tags)
        with at_edge(self.uri):
            self.client.set_registered_model_alias(version.name, self.settings.alias, version.version)
        if before is not None:
            self.tag(before, {"archived_at": now, "stage": "archived"})
        return self.version(version.name, version.version)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        with at_edge(self.uri):
            for name, value in tags.items():
                self.client.set_model_version_tag(version.name, version.version, name, value)

    def previous(self, task: str) -> Version | None:
        """The version that held the alias before the present one, or None.

        Where the alias was moved by hand, in MLflow's browser, that is the version which was promoted last.
        """
        live = self.resolve(task)
        if live is None:
            return None
        if "promoted_at" in live.tags:
            number = live.tags.get("previous_version")
            return self.version(task, number) if number else None
        promoted = [known for known in self.versions(task) if "promoted_at" in known.tags]
        return max(promoted, key=lambda known: (known.tags["promoted_at"], int(known.version)), default=None)

    def download(self, version: Version, directory: Path) -> Path:
        """Fetch the bundle of a version into *directory*, whole or not at all; returns *directory*."""
        with at_edge(self.uri):
            source = self.client.get_model_version_download_uri(version.name, version.version)
        return self._fetch(source, directory)

    def download_run(self, run_id: str, directory: Path) -> Path:
        """Fetch the bundle of a run, registered or not, into *directory*; returns *directory*."""
        with at_edge(self.uri):
            source = self._bundle_uri(run_id)
        return self._fetch(source, directory)

    def _fetch(self, source: str, directory: Path) -> Path:
        with at_edge(self.uri):
            directory.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
                found = download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=self.uri)
                shutil.copytree(found, directory, dirs_exist_ok=True)
        return directory

    def _bundle_uri(self, run_id: str) -> str:
        if not self.client.list_artifacts(run_id, BUNDLE):
            message = f"run {run_id} has no bundle under the artifact folder {BUNDLE!r}; train it to the end"
            raise RegistryError(message)
        return f"{self.client.get_run(run_id).info.artifact_uri}/{BUNDLE}"

    def _with_sha256(self, task: str, sha256: str) -> list[Version]:
        return [version for version in self.versions(task) if version.tags.get("sha256") == sha256]

    def _experiment_id(self, name: str) -> str:
        with suppress_present():
            if self.client.get_experiment_by_name(name) is None:
                self.client.create_experiment(name, artifact_location=self._artifact_location(name))
        found = self.client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            message = f"the experiment {name!r} was deleted; restore it in MLflow, or choose another name"
            raise RegistryError(message)
        return str(found.experiment_id)

    def _artifact_location(self, name: str) -> str | None:
        if self.uri.startswith(REMOTE):
            return None  # a tracking server decides where artifacts go
        return (self.settings.artifact_root.resolve() / re.sub(r"[^\w.-]", "_", name)).as_uri()

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
