"""Compares two recognisers on the same held-out images, and says where the first is worse than the gate allows."""

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from app.data.manifest import FILE_NAME, Sample, map_beside, read_listed, read_manifest, read_places
from app.errors import RegistryError
from app.evaluate import Case, PlacesReport, Report, evaluate, evaluate_places
from app.inference.recogniser import Recogniser
from app.inference.registry import RunSummary
from app.tasks import Gate, Task

TIMED = 50  # how often the milliseconds are measured
UNNOTICED = 1.0  # milliseconds by which a candidate may always be slower: nobody notices, and timers are not finer
ROUNDING = 1e-9


@dataclass(frozen=True)
class Figures:
    """What the gate judges of one recogniser; milliseconds are the median of single images."""

    accuracy: float
    ece: float
    milliseconds: float


@dataclass(frozen=True)
class Comparison:
    """Two recognisers on the same images, of the data sets *data*; *failures* names every figure that is refused."""

    candidate: Figures
    live: Figures
    images: int
    data: tuple[str, ...]
    failures: tuple[str, ...]


def judged_by(run: RunSummary) -> list[str] | None:
    """Name the data sets that a run was judged by: those of its `--data` that are not among its `--train-only`.

    None where the run says nothing of data. Raises RegistryError where its list was too long for the store.
    """
    if "data" not in run.tags:
        return None
    try:
        # The parameters are exact; runs that were not logged by the pipeline have the tag alone.
        data = json.loads(run.parameters["data"]) if "data" in run.parameters else run.tags["data"].split()
        train_only = json.loads(run.parameters.get("train_only", "[]"))
    except json.JSONDecodeError as error:
        message = f"the store has not the whole list of the data sets of run {run.run_id}; name some with --datasets"
        raise RegistryError(message) from error
    names = dict.fromkeys(entry.partition(":")[0] for entry in data)  # each without its weight
    return [name for name in names if name not in train_only]


def held_out_cases(datasets: Path, task: Task, names: Sequence[str] | None = None, limit: int = 600) -> list[Case]:
    """Choose at most *limit* images of the `test` splits under *datasets*, but one of each label at least.

    Always the same ones: equally many of each label, in the order of their hashes, each content once. *names* chooses
    data sets, else all take part. A task of places is judged by pages with maps alone. Raises DataError for a data set
    that is not there.
    """
    folders = sorted(path.parent for path in datasets.glob(f"*/{FILE_NAME}"))
    if names is not None:
        folders = [datasets / name for name in names]
    groups: dict[str, dict[str, Case]] = defaultdict(dict)
    for folder in folders:
        for sample in read_manifest(folder):
            label = task.same_as.get(sample.label, sample.label)
            if sample.split == "test" and fits(folder / sample.path, label, task):
                group = groups[label if task.kind == "classify" else ""]
                group[sample.sha256] = as_case(folder, sample, label)
    share = max(1, limit // max(1, len(groups)))
    return [case for _, group in sorted(groups.items()) for _, case in sorted(group.items())[:share]]


def fits(file: Path, label: str, task: Task) -> bool:
    """Whether a task can be judged by an image of a label."""
    known = task.kind == "transcribe" or label in task.labels
    return known and (map_beside(file).is_file() or not task.places)


def as_case(folder: Path, sample: Sample, label: str) -> Case:
    """Make a sample of a data set a case for `evaluate`; its image is read when it is needed."""
    slices = {"dataset": folder.name, "source": sample.source, "language": sample.language, "years": sample.years}
    file = folder / sample.path
    read_map = partial(read_places, file) if map_beside(file).is_file() else None
    return Case(label=label, read=partial(read_listed, file), slices=slices, read_places=read_map)


def compare(candidate: Recogniser, live: Recogniser, cases: Sequence[Case], task: Task) -> Comparison:
    """Judge both on *cases* of `held_out_cases`, of which there is at least one.

    Where the task is to say where on a page labels are, that is judged, and not the label of the page.
    """
    named = {"candidate": candidate, "live": live}
    reports = [report_on(each, cases, name, places=task.places) for name, each in named.items()]
    times = milliseconds_each((candidate, live), cases)
    new, old = (
        Figures(report.accuracy, report.ece, milliseconds) for report, milliseconds in zip(reports, times, strict=True)
    )
    data = sorted({case.slices["dataset"] for case in cases})
    return Comparison(new, old, len(cases), tuple(data), judge(new, old, task.gate))


def report_on(recogniser: Recogniser, cases: Sequence[Case], name: str, *, places: bool) -> Report | PlacesReport:
    """Judge a recogniser by its answers for images, or by those for *places* of them."""
    if places:
        return evaluate_places(recogniser.places, [case.read_places for case in cases if case.read_places], name)
    return evaluate(recogniser.predict, cases, recogniser.description.labels, progress=name)


def judge(candidate: Figures, live: Figures, gate: Gate) -> tuple[str, ...]:
    """Name each figure of the candidate that is worse than the live version's by more than the gate allows."""
    failures = []
    if candidate.accuracy < live.accuracy - gate.accuracy_loss - ROUNDING:
        failures.append(
            f"accuracy {candidate.accuracy:.4f} is below {live.accuracy - gate.accuracy_loss:.4f} "
            f"(live {live.accuracy:.4f}, allowed loss {gate.accuracy_loss:g})"
        )
    if candidate.ece > live.ece + gate.ece_gain + ROUNDING:
        failures.append(
            f"ECE {candidate.ece:.4f} is above {live.ece + gate.ece_gain:.4f} "
            f"(live {live.ece:.4f}, allowed gain {gate.ece_gain:g})"
        )
    if candidate.milliseconds > slowest(live, gate):
        failures.append(
            f"latency {candidate.milliseconds:.1f} ms is above {slowest(live, gate):.1f} ms "
            f"(live {live.milliseconds:.1f} ms, allowed ratio {gate.latency_ratio:g})"
        )
    return tuple(failures)


def slowest(live: Figures, gate: Gate) -> float:
    """Give the milliseconds an image that a candidate may take."""
    return max(live.milliseconds * gate.latency_ratio, live.milliseconds + UNNOTICED)


def milliseconds_each(recognisers: Sequence[Recogniser], cases: Sequence[Case]) -> list[float]:
    """Measure the median milliseconds that each recogniser takes for a single image, 50 times on images of *cases*.

    They take turns at every image, so that a busy moment hits all of them, and at being the first.
    """
    images = [case.read() for case in spread(cases, TIMED)]
    taken: list[list[float]] = [[] for _ in recognisers]
    for recogniser in recognisers:
        recogniser.predict(images[:1])  # the first run of a session also allocates
    pairs = list(zip(recognisers, taken, strict=True))
    for image in islice(cycle(images), TIMED):
        pairs.reverse()
        for recogniser, times in pairs:
            started = time.perf_counter()
            recogniser.predict([image])
            times.append((time.perf_counter() - started) * 1000)
    return [statistics.median(times) for times in taken]


def spread(cases: Sequence[Case], count: int) -> Sequence[Case]:
    """Take at most *count* cases at even distances, so that every label is among them."""
    return cases[:: max(1, len(cases) // count)][:count]


def table(comparison: Comparison, gate: Gate) -> str:
    """Lay the comparison out for a terminal, with the limits of the gate."""
    new, old = comparison.candidate, comparison.live
    rows = (
        ("", "candidate", "live", "limit"),
        ("accuracy", f"{new.accuracy:.4f}", f"{old.accuracy:.4f}", f">= {old.accuracy - gate.accuracy_loss:.4f}"),
        ("ECE", f"{new.ece:.4f}", f"{old.ece:.4f}", f"<= {old.ece + gate.ece_gain:.4f}"),
        ("ms per image", f"{new.milliseconds:.1f}", f"{old.milliseconds:.1f}", f"<= {slowest(old, gate):.1f}"),
    )
    lines = [f"{name:13} {first:>10} {second:>10} {limit:>12}" for name, first, second, limit in rows]
    return "\n".join([*lines, f"on {comparison.images} held-out images of {', '.join(comparison.data)}"])
