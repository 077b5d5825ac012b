"""The runs of a store: opens new ones, finds finished ones and the best of them, fetches their bundles."""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from app.config import Settings
from app.errors import RegistryError
from app.inference.registry.edge import REMOTE, at_edge, open_client, pages, suppress_present
from app.inference.registry.records import BUNDLE, EMBEDDED, RunSummary, is_better_when_smaller
from app.inference.registry.runs import RunLog, log_parameters, open_run, summary_of

KIND = "mlflow.experimentKind"  # the tag by which MLflow's pages show an experiment as training, not as a dialogue


class RunStore:
    """The runs in the store of the settings; every method raises RegistryError when the store fails."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing is opened yet."""
        self.settings = settings
        self.uri = settings.mlflow_tracking_uri

    @cached_property
    def client(self) -> MlflowClient:
        """The connection, opened at first use and tried anew after a failure."""
        return open_client(self.settings)

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

    def download_run(self, run_id: str, directory: Path) -> Path:
        """Fetch the bundle of a run, registered or not, into *directory*; returns *directory*."""
        with at_edge(self.uri):
            source = self._bundle_uri(run_id)
        return self._fetch(source, directory)

    def download_file(self, run_id: str, artifact: str, directory: Path) -> Path:
        """Fetch one artifact of a run, such as `checkpoint/network.pth`, into *directory*; returns its path there."""
        with at_edge(self.uri):
            directory.mkdir(parents=True, exist_ok=True)
            found = download_artifacts(
                run_id=run_id, artifact_path=artifact, dst_path=str(directory), tracking_uri=self.uri
            )
        return Path(found)

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

    def _experiment_id(self, name: str) -> str:
        with suppress_present():
            if self.client.get_experiment_by_name(name) is None:
                self.client.create_experiment(name, self._artifact_location(name), {KIND: "custom_model_development"})
        found = self.client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            message = f"the experiment {name!r} was deleted; restore it in MLflow, or choose another name"
            raise RegistryError(message)
        return str(found.experiment_id)

    def _artifact_location(self, name: str) -> str | None:
        if self.uri.startswith(REMOTE):
            return None  # a tracking server decides where artifacts go
        return (self.settings.artifact_root.resolve() / re.sub(r"[^\w.-]", "_", name)).as_uri()
