"""The training side: a run that is being written, and the summary of one that is finished."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run
from mlflow.exceptions import MlflowException

from app.inference.bundle import Description, read_description
from app.inference.registry.edge import at_edge
from app.inference.registry.flavour import write_flavour
from app.inference.registry.records import BUNDLE, EMBEDDED, RunSummary

Status = Literal["FINISHED", "FAILED", "KILLED"]
LONGEST = 500  # characters of a parameter that every MLflow store takes
ATTEMPTS = 3
BATCH = 100  # parameters that MLflow takes at once


@dataclass(frozen=True)
class RunLog:
    """A run that is open for writing. Every method raises RegistryError when the store fails."""

    run_id: str
    client: MlflowClient
    uri: str

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log figures, for an epoch when *step* is given."""
        now = milliseconds()
        entries = [Metric(name, float(value), now, step or 0) for name, value in metrics.items()]
        with at_edge(self.uri):
            self.client.log_batch(self.run_id, metrics=entries)

    def log_artifacts(self, directory: Path, folder: str) -> None:
        """Copy a directory's content into an artifact folder of the run."""
        with at_edge(self.uri):
            self.client.log_artifacts(self.run_id, str(directory), folder)

    def log_file(self, path: Path, folder: str | None = None) -> None:
        """Copy one file into an artifact folder of the run, or beside the folders."""
        with at_edge(self.uri):
            self.client.log_artifact(self.run_id, str(path), folder)

    def log_bundle(self, directory: Path) -> None:
        """Log the bundle in *directory* as the run's model, which MLflow's own ONNX loaders take as well."""
        description = read_description(directory)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / BUNDLE
            shutil.copytree(directory, copy)
            write_flavour(copy, description, self.run_id)
            self.log_artifacts(copy, BUNDLE)

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the run."""
        with at_edge(self.uri):
            self.client.set_terminated(self.run_id, status)


def open_run(client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
    """Create a run; git commit and data set also go where MLflow's browser looks for them."""
    commit = {"mlflow.source.git.commit": tags["git_commit"]} if "git_commit" in tags else {}
    run_id = str(client.create_run(experiment_id, run_name=name, tags={**tags, **commit}).info.run_id)
    if "data" in tags:
        digest = tags.get("data_fingerprint", "unknown")[:36]
        log_dataset(client, run_id, Dataset(tags["data"][:LONGEST], digest, source_type="local", source="{}"))
    return run_id


def log_dataset(client: MlflowClient, run_id: str, dataset: Dataset) -> None:
    """Log what a run learns from. MLflow fails where another run logs the same data set at the same moment."""
    inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
    for _ in range(ATTEMPTS - 1):
        try:
            client.log_inputs(run_id, inputs)
        except MlflowException:
            continue
        return
    client.log_inputs(run_id, inputs)


def tags_of(description: Description) -> dict[str, str]:
    """Give a run of a finished bundle the tags that its training would have given."""
    origin = description.origin
    return {
        "task": description.task,
        "data": origin.data,
        "data_fingerprint": origin.data_fingerprint,
        "git_commit": origin.git_commit,
        "strategy": origin.strategy,
        "architecture": origin.architecture,
    }


def log_parameters(client: MlflowClient, run_id: str, parameters: Mapping[str, str | float]) -> None:
    """Log the parameters that the run does not have yet: MLflow never changes one."""
    known = client.get_run(run_id).data.params
    entries = [Param(name, str(value)[:LONGEST]) for name, value in parameters.items() if name not in known]
    for start in range(0, len(entries), BATCH):
        client.log_batch(run_id, params=entries[start : start + BATCH])


def summary_of(run: Run, experiment: str) -> RunSummary:
    """A run of MLflow as a plain value."""
    return RunSummary(
        run_id=run.info.run_id,
        experiment=experiment,
        name=run.info.run_name or "",
        started=iso_time(run.info.start_time),
        status=run.info.status,
        metrics=dict(run.data.metrics),
        parameters=dict(run.data.params),
        tags={name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")},
        embedded=experiment == EMBEDDED,
        finished=iso_time(run.info.end_time) if run.info.end_time else None,
    )


def iso_time(milliseconds_since_epoch: int) -> str:
    """A time in UTC, to the second, as ISO 8601."""
    return datetime.fromtimestamp(milliseconds_since_epoch / 1000, UTC).isoformat(timespec="seconds")


def milliseconds() -> int:
    """Now, in milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1000)
