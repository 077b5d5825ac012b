"""One run from data to a logged bundle: the stages in order, one line each. Also the command line.

    python -m app.training.pipeline --data catmus corto --strategy transfer
    python -m app.training.pipeline --data catmus corto --strategy fine-tune --epochs 8 --minutes 60
    python -m app.training.pipeline --resume RUN_ID

What it leaves: a run in MLflow with figures of every epoch, plots, the checkpoint, a model card, and the bundle
that `app/inference/model_registry_prod_experiments.py` promotes.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError

from app.config import Settings, read_settings
from app.data.manifest import fingerprint
from app.errors import PenPressError
from app.inference.bundle import Description, Origin
from app.inference.registry import Registry, RunLog
from app.tasks import TASKS
from app.training.card import write_card
from app.training.dataset import Item, load_items, load_strange
from app.training.export import draft_bundle, export_network
from app.training.feeding import make_splits, train_network
from app.training.judge import Judgement, calibrate, judge, pick
from app.training.model import Network, count_parameters, has_maps, save_checkpoint
from app.training.options import Options, choose_spec, parse_options
from app.training.pictures import draw_explanations, draw_pictures
from app.training.quantise import quantise
from app.training.train import History

PARITY_IMAGES = 8


@dataclass(frozen=True)
class Outcome:
    """What a run gives back: its MLflow id, its bundle's description, the history of its epochs and the judgement."""

    run_id: str
    bundle: Path
    description: Description
    history: History
    judgement: Judgement


def run_pipeline(options: Options, settings: Settings | None = None, resume: str | None = None) -> Outcome:
    """Train, export, calibrate, judge and log one model; raises a PenPressError when a stage cannot be done."""
    settings = settings or Settings()
    task, spec = TASKS[options.task], choose_spec(options)
    data = options.datasets or settings.datasets
    splits = make_splits(load_items(data, task, options.data), options, load_strange(data, task, options.strange))
    tags = Registry(settings).run(resume).tags if resume else describe_run(options, splits.everything)
    run = start_run(options, settings, tags, resume)
    folder = settings.checkpoints / run.run_id
    remember(folder, options)
    bundle = folder / "bundle"
    bundle.mkdir(exist_ok=True)
    with closing(run):
        network, history = train_network(splits, options, folder, run.log_metrics)
        compared = [item.read() for item in pick(splits.validation, PARITY_IMAGES)]
        export_network(network, spec, compared, bundle / "model.onnx", any_size=task.places)
        draft_bundle(bundle, task, spec, describe_origin(tags, run, network))
        calibrate(bundle, splits.validation, task.strange_share)
        if options.quantise == "auto" and quantise(bundle, splits.train, splits.validation, places=task.places):
            calibrate(bundle, splits.validation, task.strange_share)  # the bundle has another model now
        judgement = judge(bundle, splits, options.judged, task)
        write_card(bundle, judgement, options.model_dump(mode="json", exclude_none=True))
        save_checkpoint(folder / "network.pth", network, options.architecture, task, spec)
        draw_pictures(folder / "plots", history, judgement, splits)
        if has_maps(network):
            draw_explanations(folder / "plots" / "explanations.png", network, bundle, judgement, splits.test)
        log_results(run, folder, judgement, history)
    return Outcome(run.run_id, bundle, judgement.description, history, judgement)


@contextmanager
def closing(run: RunLog) -> Iterator[None]:
    """Close a run as finished, or as failed with the command that goes on with it."""
    status: Literal["FINISHED", "FAILED"] = "FAILED"
    try:
        yield
        status = "FINISHED"
    finally:
        run.finish(status)
        if status == "FAILED":
            tell(f"run {run.run_id} stopped; go on with: python -m app.training.pipeline --resume {run.run_id}")


def describe_run(options: Options, items: Sequence[Item]) -> dict[str, str]:
    """What a run is made of, as its tags; taken before it begins, since code may change while it goes on."""
    return {
        "task": options.task,
        "strategy": options.strategy,
        "architecture": options.architecture,
        "data": " ".join(options.data),
        "data_fingerprint": fingerprint([item.sample for item in items]),
        "git_commit": git_commit(),
    }


def start_run(options: Options, settings: Settings, tags: Mapping[str, str], resume: str | None) -> RunLog:
    """Open the MLflow run, or the interrupted one again."""
    spec = choose_spec(options)
    dumped = options.model_dump(mode="json", exclude_none=True)
    parameters = {name: json.dumps(value) if isinstance(value, list) else value for name, value in dumped.items()}
    parameters |= {"input_height": spec.height, "input_width": spec.width or 0}
    name = options.name or f"{options.strategy} {options.architecture}"
    registry = Registry(settings)
    return registry.start_run(options.experiment or options.task, name, parameters, tags, run_id=resume)


def remember(folder: Path, options: Options) -> None:
    """Write the options beside the checkpoints, so that a resumed run has the same."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(options.model_dump_json(indent=2), encoding="utf-8")


def recall(folder: Path) -> Options:
    """Read the options of an interrupted run; raises PenPressError when this release cannot go on with them."""
    path = folder / "options.json"
    if not path.is_file():
        message = f"{path} does not exist: only a run that was started on this machine can be resumed"
        raise PenPressError(message)
    saved = json.loads(path.read_bytes())
    used = {name: value for name, value in saved.items() if name in Options.model_fields or value}
    try:
        return Options.model_validate(used)  # an option that was dropped since then may stand there unused
    except ValidationError as error:
        message = f"{path} asks for what this release does not have ({error}); start a new run"
        raise PenPressError(message) from error


def describe_origin(tags: Mapping[str, str], run: RunLog, network: Network) -> Origin:
    """Where the model comes from, for its bundle: what the run's tags say, too."""
    return Origin(
        run_id=run.run_id,
        architecture=tags["architecture"],
        strategy=tags["strategy"],
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=tags["git_commit"],
        data_fingerprint=tags["data_fingerprint"],
        data=tags["data"],
        parameters=count_parameters(network),
    )


def git_commit() -> str:
    """The commit of the working tree, with a plus sign when it has changes; `unknown` outside a checkout."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    folder = Path(__file__).parent
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:  # no git on this machine
        return "unknown"
    return result.stdout.strip() or "unknown"


def log_results(run: RunLog, folder: Path, judgement: Judgement, history: History) -> None:
    """Everything that a reader of the run wants to see, and the bundle that the registry takes."""
    minutes = sum(epoch["seconds"] for epoch in history) / 60
    parameters = judgement.description.origin.parameters
    figures = {**judgement.description.figures, "training_minutes": minutes, "parameters": float(parameters)}
    run.log_metrics(figures, step=len(history) + 1)  # after the epochs, so that these are the run's last word
    run.log_file(folder / "network.pth", "checkpoint")
    run.log_artifacts(folder / "plots", "plots")
    run.log_artifacts(write_reports(folder / "reports", judgement), "reports")
    run.log_file(folder / "bundle" / "README.md", "card")
    run.log_bundle(folder / "bundle")


def write_reports(folder: Path, judgement: Judgement) -> Path:
    """Write every report of the judgement as JSON: figures, confusion, slices, thresholds."""
    folder.mkdir(exist_ok=True)
    reports = {"validation": judgement.validation, "test": judgement.test, "unseen": judgement.unseen}
    for name, report in (reports | {"unaltered": judgement.unaltered} | judgement.altered).items():
        if report:
            (folder / f"{name}.json").write_text(report.model_dump_json(indent=2), encoding="utf-8")
    return folder


def tell(text: str) -> None:
    """Say something to whoever started the run."""
    sys.stderr.write(text + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline from the command line."""
    settings = read_settings()
    options, resume = parse_options(arguments, __doc__ or "")
    try:
        outcome = run_pipeline(recall(settings.checkpoints / resume) if resume else options, settings, resume)
    except PenPressError as error:
        tell(f"error: {error}")
        return 1
    except KeyboardInterrupt:  # the run has said how to go on
        return 130
    figures = outcome.description.figures
    for name in sorted(figures):
        sys.stdout.write(f"{name:40} {figures[name]:.4f}\n")
    command = f"python -m app.inference.model_registry_prod_experiments --run-id {outcome.run_id}"
    sys.stdout.write(f"run {outcome.run_id}; promote it with\n{command}\n")
    return 0


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who ends a run so shall not leave it `RUNNING`
    sys.exit(main())
