"""What the registry answers with: plain values, free of MLflow's types."""

from collections.abc import Mapping
from dataclasses import dataclass

EMBEDDED = "embedded"  # the experiment that holds the bundle shipped with the project
BUNDLE = "model"  # the artifact folder of a run that holds its bundle
SMALLER_IS_BETTER = ("ece", "brier", "loss", "milliseconds", "latency", "error", "seconds")


@dataclass(frozen=True)
class Version:
    """A registered version of a task's model; `created` is an ISO time in UTC, `alias` is set while it holds it."""

    name: str
    version: str
    run_id: str | None
    alias: str | None
    tags: Mapping[str, str]
    created: str


@dataclass(frozen=True)
class RunSummary:
    """A finished run: what it was called, what went in, and its last figures; `embedded` marks the shipped bundle."""

    run_id: str
    experiment: str
    name: str
    started: str
    status: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    embedded: bool
    finished: str | None = None


def is_better_when_smaller(metric: str) -> bool:
    """Whether a smaller figure is the better one, judged by the words in the metric's name."""
    return any(word in SMALLER_IS_BETTER for word in metric.lower().split("_"))
