"""The steps of a promotion: choose a run, check its bundle, compare, register, move the alias."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.data.manifest import FILE_NAME
from app.errors import BundleError, PromotionRefusedError, RegistryError
from app.evaluate import Case
from app.inference.bundle import Description
from app.inference.promotion.comparison import Comparison, compare, held_out_cases, judged_by, table
from app.inference.recogniser import Recogniser
from app.inference.registry import Registry, RunSummary, Version
from app.tasks import Task

LONGEST_TAG = 5000  # characters that every MLflow store takes
RUN_TAGS = ("data", "data_fingerprint", "git_commit", "strategy", "architecture")


@dataclass(frozen=True)
class Choice:
    """Which run is to be promoted (the best by the task's metric when nothing is given), and how it is judged."""

    metric: str | None = None
    experiments: Sequence[str] | None = None
    run_id: str | None = None
    datasets: Sequence[str] | None = None
    images: int = 600
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a promotion, the version that is live now, and the comparison's table, if there was one."""

    message: str
    version: Version | None
    table: str = ""


@dataclass(frozen=True)
class Verdict:
    """Why a run must not be promoted, if anything, and the comparison that says so."""

    refusals: tuple[str, ...] = ()
    comparison: Comparison | None = None
    table: str = ""


def promote(registry: Registry, task: Task, choice: Choice) -> Outcome:
    """Register the chosen run and give it the alias, unless it holds it already.

    Where nothing holds the alias, the shipped bundle gets it first, as from a service, so that every run is compared.
    Raises PromotionRefusedError when it is worse than the live version on the held-out images, RegistryError when
    there is no such run, and BundleError when its bundle is broken.
    """
    run = choose_run(registry, task, choice)
    shipped = registry.settings.embedded / task.name
    live = registry.resolve(task.name)
    if live is None and shipped.is_dir() and not choice.dry_run:
        live = registry.register_embedded(shipped, task.name)
    if live is not None and live.run_id == run.run_id:
        message = f"nothing changed: run {run.run_id} is version {live.version}, which holds the alias already"
        return Outcome(message, live)
    with tempfile.TemporaryDirectory() as folder:
        candidate = load(registry, registry.download_run(run.run_id, Path(folder) / "candidate"))
        current = load_live(registry, live or shipped, Path(folder) / "live", force=choice.force)
    check_kind(candidate.description, current, task)
    verdict = Verdict()
    if live is not None or shipped.is_dir():
        cases = choose_cases(registry.settings.datasets, task, run, choice)
        verdict = judge_candidate(candidate, current, cases, task, choice.datasets or judged_by(run) or ())
    if choice.dry_run:
        refuse(run, verdict, force=choice.force)
        return Outcome(f"run {run.run_id} would be promoted; nothing changed", live, verdict.table)
    version = registry.register(run.run_id, task.name, version_tags(run, candidate.description))
    registry.tag(version, verdict_tags(verdict, force=choice.force))
    refuse(run, verdict, force=choice.force)
    version = registry.set_alias(version)
    message = f"run {run.run_id} is now version {version.version} of {task.name}, in {version.alias}"
    if verdict.refusals:
        message += f", by force, although:\n{listed(verdict.refusals)}"
    return Outcome(message, version, verdict.table)


def roll_back(registry: Registry, task: Task) -> Outcome:
    """Give the alias back to the version that was promoted before the live one; raises RegistryError without one."""
    live = registry.resolve(task.name)
    version = registry.roll_back(task.name)
    left = f" from version {live.version}" if live else ""
    return Outcome(f"{version.alias} went back{left} to version {version.version}", version)


def choose_run(registry: Registry, task: Task, choice: Choice) -> RunSummary:
    """Find the run of the given id, or the best one by the metric; raises RegistryError when there is none."""
    if choice.run_id is not None:
        run = registry.run(choice.run_id)
        if run.tags.get("task") != task.name or run.status != "FINISHED":
            found = f"run {run.run_id} is {run.status} and of the task {run.tags.get('task')!r}"
            message = f"{found}; choose a finished run of {task.name}"
            raise RegistryError(message)
        return run
    metric = choice.metric or task.metric
    best = registry.best_run(metric, task.name, choice.experiments)
    if best is None:
        where = f"the experiments {', '.join(choice.experiments)}" if choice.experiments else "any experiment"
        message = f"no finished run of {task.name} in {where} has the metric {metric!r}; train one, or name another"
        raise RegistryError(message)
    return best


def load(registry: Registry, directory: Path) -> Recogniser:
    """Open a downloaded bundle as the service would, its probe images included; raises BundleError."""
    recogniser = Recogniser.load(directory, registry.settings.inference_threads)
    recogniser.check_probes(directory)
    return recogniser


def load_live(registry: Registry, live: Version | Path, directory: Path, *, force: bool) -> Recogniser | None:
    """Open the live version's bundle, else the shipped one if there is any; a broken one is only replaced by force."""
    if isinstance(live, Path):
        return load(registry, live) if live.is_dir() else None
    try:
        return load(registry, registry.download(live, directory))
    except (BundleError, RegistryError) as error:
        if force:
            return None
        message = f"version {live.version} cannot be opened to compare with ({error}); --force replaces it unseen"
        raise PromotionRefusedError(message) from error


def check_kind(candidate: Description, current: Recogniser | None, task: Task) -> None:
    """Refuse a bundle of another task or with other labels than the live one, by force too: callers rely on them."""
    expected = current.description.labels if current else task.labels
    if candidate.task != task.name or candidate.labels != expected:
        message = (
            f"the bundle is of the task {candidate.task!r} with the labels {list(candidate.labels)}, but "
            f"{task.name!r} serves {list(expected)}; make it a task of its own"
        )
        raise PromotionRefusedError(message)


def choose_cases(datasets: Path, task: Task, run: RunSummary, choice: Choice) -> list[Case]:
    """Choose held-out images: of the data sets of the choice, else of those that judged the run and are there.

    Not of all: tasks may share their labels, and a run may have learnt from all of a data set. Raises DataError where
    a data set of the choice is missing.
    """
    names = choice.datasets
    if names is None and (known := judged_by(run)) is not None:
        names = [name for name in known if (datasets / name / FILE_NAME).is_file()]
    return held_out_cases(datasets, task, names, choice.images)


def judge_candidate(
    candidate: Recogniser, current: Recogniser | None, cases: Sequence[Case], task: Task, names: Sequence[str]
) -> Verdict:
    """Compare with the live version on held-out images of every label, which come from the data sets *names*."""
    if current is None:
        return Verdict(("the live version cannot be opened to compare with",))
    missing = sorted(set(task.labels) - {case.label for case in cases}) if task.kind == "classify" else []
    if not cases or missing:
        what = f"held-out images{of(missing)} in the test splits{of(names)}"
        remedy = "import data, name other data sets with --datasets, or use --force"
        return Verdict((f"there are no {what} to compare on: {remedy}",))
    comparison = compare(candidate, current, cases, task)
    return Verdict(comparison.failures, comparison, table(comparison, task.gate))


def of(names: Sequence[str]) -> str:
    """Write names behind what is said of them; nothing where there are none."""
    return f" of {', '.join(names)}" if names else ""


def refuse(run: RunSummary, verdict: Verdict, *, force: bool) -> None:
    """Raise PromotionRefusedError when the verdict is against the run and is not overridden."""
    if verdict.refusals and not force:
        reasons = listed(verdict.refusals)
        message = f"{verdict.table}\n\nrun {run.run_id} is not promoted:\n{reasons}\n--force promotes it all the same"
        raise PromotionRefusedError(message.lstrip("\n"))


def listed(reasons: Sequence[str]) -> str:
    """Write reasons one a line."""
    return "\n".join(f"- {reason}" for reason in reasons)


def version_tags(run: RunSummary, description: Description) -> dict[str, str]:
    """Describe a version by its data, its model, its commit and its figures."""
    image = description.image
    tags = {name: run.tags[name] for name in RUN_TAGS if name in run.tags}
    tags |= {
        "task": description.task,
        "experiment": run.experiment,
        "sha256": description.sha256,
        "labels": ", ".join(description.labels),
        "model": f"{description.origin.architecture}, {description.origin.parameters} parameters, "
        f"{image.height} x {image.width or 'free'} pixels, {image.channels} channels",
    }
    tags |= {f"metric.{name}": f"{value:.6g}" for name, value in description.figures.items()}
    return {name: value[:LONGEST_TAG] for name, value in tags.items()}


def verdict_tags(verdict: Verdict, *, force: bool) -> dict[str, str | None]:
    """Record how a version was judged, and whether it was promoted all the same."""
    reasons = "; ".join(verdict.refusals)[:LONGEST_TAG] or None
    tags = {"forced": reasons if force else None, "refused": None if force else reasons}
    if verdict.comparison is not None:
        new = verdict.comparison.candidate
        figures = {"accuracy": new.accuracy, "ece": new.ece, "milliseconds": new.milliseconds}
        tags |= {f"gate.{name}": f"{value:.6g}" for name, value in figures.items()}
        tags["gate.images"] = str(verdict.comparison.images)
    return tags
