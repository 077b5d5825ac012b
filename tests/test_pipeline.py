"""Tests of the pipeline: real trainings, from lines on disk to a promoted bundle, on a tiny data set."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from app.config import Settings
from app.data.manifest import read_manifest, write_manifest
from app.errors import DataError, PenPressError
from app.evaluate import ALTERATIONS
from app.inference import model_registry_prod_experiments
from app.inference.bundle import CARD
from app.inference.recogniser import Recogniser
from app.inference.registry import Registry, RunSummary
from app.preprocess import to_batch
from app.tasks import DOCUMENT_TYPE
from app.training import pipeline
from app.training.dataset import load_items
from app.training.feeding import make_splits, train_network
from app.training.model import load_checkpoint
from app.training.options import Options
from app.training.pipeline import Outcome, main, recall, run_pipeline
from tests.processes import eventually
from tests.trainings import draw_line, tiny_options, training_settings, write_tiny

TRANSFER = tiny_options(leave_out=["there"], epochs=6)
INTERRUPTED = 130  # what a shell gives for Ctrl+C
HALF = TRANSFER.model_copy(update={"epochs": 3})
FINE_TUNE = tiny_options(
    strategy="fine-tune", architecture="mobilenet_v3_small", blocks=2, width=96, epochs=1, name="small"
)


@dataclass(frozen=True)
class Finished:
    """A run that came to its end, its artifacts, and what it was while it was interrupted."""

    outcome: Outcome
    before: RunSummary
    after: RunSummary
    artifacts: Path


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store, a data set and a folder for checkpoints."""
    return training_settings(tmp_path_factory.mktemp("training") / "all")


@pytest.fixture(scope="module")
def transfer(settings: Settings) -> Finished:
    """A transfer run that fails after half of its epochs, because an image is gone, and is then resumed."""
    samples = read_manifest(settings.datasets / "tiny")
    lost = settings.datasets / "tiny" / next(s.path for s in samples if (s.split, s.source) == ("test", "here"))
    hidden = lost.rename(lost.with_suffix(".hidden"))
    with pytest.raises(DataError, match="cannot be read"):
        run_pipeline(HALF, settings)
    hidden.rename(lost)
    (folder,) = settings.checkpoints.iterdir()
    before = Registry(settings).run(folder.name)
    outcome = run_pipeline(TRANSFER, settings, resume=folder.name)
    after = Registry(settings).run(folder.name)
    return Finished(outcome, before, after, settings.artifact_root / "document_type" / folder.name / "artifacts")


@pytest.fixture(scope="module")
def fine_tuned(settings: Settings, transfer: Finished) -> RunSummary:
    """A fine-tune run started from the command line, after the transfer run."""
    with pytest.MonkeyPatch.context() as patch:
        put_in_environment(patch, settings)
        assert main(as_arguments(FINE_TUNE)) == 0
    runs = Registry(settings).runs(None, DOCUMENT_TYPE.name)
    return next(run for run in runs if run.run_id != transfer.outcome.run_id)


def put_in_environment(patch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Let command lines find the settings."""
    for name in ("mlflow_tracking_uri", "artifact_root", "datasets", "checkpoints"):
        patch.setenv(f"PENPRESS_{name.upper()}", str(getattr(settings, name)))


def as_arguments(options: Options) -> list[str]:
    """Options as they are typed."""
    dumped = options.model_dump(mode="json", exclude_defaults=True)
    return [
        text
        for name, value in dumped.items()
        for text in (f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value]))
    ]


def test_a_failed_run_is_marked_and_keeps_what_it_learnt(transfer: Finished) -> None:
    """A run that cannot go on is FAILED in the store, with the figures of the epochs that it had."""
    assert transfer.before.status == "FAILED"
    assert transfer.before.metrics["epoch"] == 3
    assert "test_accuracy" not in transfer.before.metrics


@pytest.mark.usefixtures("unmeasured")
def test_a_run_that_is_told_to_end_is_marked_and_says_how_to_go_on(tmp_path: Path) -> None:
    """SIGTERM, as from `kill` or at the end of a container, does what Ctrl+C does."""
    settings, endless = training_settings(tmp_path), tiny_options(epochs=100_000, patience=100_000)
    command = [sys.executable, "-m", "app.training.pipeline", *as_arguments(endless)]
    with pytest.MonkeyPatch.context() as patch, (tmp_path / "said").open("w") as said:
        put_in_environment(patch, settings)
        process = subprocess.Popen(command, stderr=said)  # noqa: S603 - our own command
    try:
        assert eventually(lambda: any(settings.checkpoints.glob("*/fitting.pth")), seconds=120)
        process.terminate()
        assert process.wait(timeout=60) == INTERRUPTED
    finally:
        process.kill()
    (folder,) = settings.checkpoints.iterdir()
    assert f"--resume {folder.name}" in (tmp_path / "said").read_text()
    assert Registry(settings).run(folder.name).status == "FAILED"


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(
    settings: Settings, transfer: Finished, tmp_path: Path
) -> None:
    """Three epochs, a failure and three more give the very weights of six epochs at a stretch."""
    splits = make_splits(load_items(settings.datasets, DOCUMENT_TYPE, TRANSFER.data), TRANSFER)
    straight, history = train_network(splits, TRANSFER, tmp_path, lambda _figures, _step: None)
    resumed = load_checkpoint(transfer.outcome.bundle.parent / "network.pth", DOCUMENT_TYPE).network
    assert torch.equal(straight.head.weight, resumed.head.weight)
    losses = [epoch["validation_loss"] for epoch in history]
    assert losses == [epoch["validation_loss"] for epoch in transfer.outcome.history]


def test_a_transfer_run_learns(transfer: Finished) -> None:
    """The exported model recognises lines that it was not trained on, also from the source that was left out."""
    figures = transfer.outcome.description.figures
    assert figures["test_accuracy"] >= 0.9
    assert figures["unseen_accuracy"] >= 0.9
    assert transfer.outcome.judgement.unseen
    assert transfer.outcome.judgement.unseen.count == 80
    assert transfer.outcome.judgement.unaltered.count == transfer.outcome.judgement.altered["grey"].count == 4
    assert figures["unaltered_accuracy"] == transfer.outcome.judgement.unaltered.accuracy
    assert figures["milliseconds_per_image"] > 0


def test_the_store_holds_the_figures_of_a_run(transfer: Finished) -> None:
    """Figures of the epochs and of every split and altered copy, parameters and tags are in the store."""
    run = transfer.after
    assert run.status == "FINISHED"
    assert {"train_loss", "learning_rate", "images_per_second", "validation_roc_auc"} <= set(run.metrics)
    assert {"test_f1", "test_ece", "test_brier", "training_minutes", "parameters"} <= set(run.metrics)
    assert {f"{name}_accuracy" for name in ALTERATIONS} <= set(run.metrics)
    assert (run.parameters["strategy"], run.parameters["input_width"]) == ("transfer", "128")
    assert json.loads(run.parameters["leave_out"]) == ["there"]
    assert {"data_fingerprint", "git_commit", "architecture", "task"} <= set(run.tags)


def test_the_last_validation_figures_are_those_of_the_bundle(transfer: Finished) -> None:
    """What the best run is chosen by is what the exported model does, not what the network did in its last epoch."""
    figures = transfer.outcome.description.figures
    for name in ("validation_accuracy", "validation_loss", "validation_ece"):
        assert transfer.after.metrics[name] == pytest.approx(figures[name])


@pytest.mark.parametrize(
    "artifact",
    [
        "model/model.onnx",
        "model/model.json",
        "model/MLmodel",
        "model/README.md",
        "card/README.md",
        "checkpoint/network.pth",
        "reports/test.json",
        "reports/unseen.json",
        "reports/jpeg_30.json",
        "plots/curves.png",
        "plots/confusion.png",
        "plots/roc.png",
        "plots/reliability.png",
        "plots/errors.png",
        "plots/samples.png",
    ],
)
def test_the_artifacts_of_a_run_are_in_the_store(transfer: Finished, artifact: str) -> None:
    """Bundle, card, checkpoint, reports and pictures are stored with the run."""
    assert (transfer.artifacts / artifact).stat().st_size > 0


def test_the_stored_bundle_answers_like_the_checkpoint(settings: Settings, transfer: Finished, tmp_path: Path) -> None:
    """A bundle fetched from the store passes its probes and gives the logits of the stored network."""
    directory = Registry(settings).download_run(transfer.after.run_id, tmp_path / "bundle")
    recogniser = Recogniser.load(directory)
    recogniser.check_probes(directory)
    saved = load_checkpoint(transfer.artifacts / "checkpoint" / "network.pth", DOCUMENT_TYPE)
    images = [draw_line(label, np.random.default_rng(1)) for label in DOCUMENT_TYPE.labels]
    with torch.inference_mode():
        expected = saved.network(torch.from_numpy(to_batch(images, saved.spec))).numpy()
    assert np.allclose(recogniser.logits(images), expected, atol=1e-3)
    assert [answer.label for answer in recogniser.predict(images)] == list(DOCUMENT_TYPE.labels)


def test_the_card_says_what_the_model_is(transfer: Finished) -> None:
    """The card in the bundle has figures, thresholds, altered copies, slices and the sources left out."""
    card = (transfer.outcome.bundle / CARD).read_text()
    headings = ("## Figures", "## Confidence", "## Altered copies", "## Test split by", "## Sources left out")
    assert all(heading in card for heading in headings)
    assert transfer.outcome.description.sha256 in card
    assert "| 19th |" in card


def test_the_options_of_a_run_are_remembered(settings: Settings, transfer: Finished) -> None:
    """The options beside the checkpoints are those of the run, so that `--resume` needs nothing but its id."""
    assert recall(settings.checkpoints / transfer.outcome.run_id) == TRANSFER


def test_options_of_an_older_release_are_taken_where_they_were_not_used(tmp_path: Path) -> None:
    """An option that is no more does not hinder a run that did not use it, and stops one that did."""
    saved = TRANSFER.model_dump(mode="json")
    (tmp_path / "options.json").write_text(json.dumps(saved | {"bygone": 0}))
    assert recall(tmp_path) == TRANSFER
    (tmp_path / "options.json").write_text(json.dumps(saved | {"bygone": 2}))
    with pytest.raises(PenPressError, match="bygone"):
        recall(tmp_path)


def test_a_run_can_be_started_from_the_command_line(fine_tuned: RunSummary) -> None:
    """The command line gives a finished fine-tune run with its own name and figures."""
    assert (fine_tuned.status, fine_tuned.name) == ("FINISHED", "small")
    assert fine_tuned.parameters["blocks"] == "2"
    assert fine_tuned.metrics["epoch"] == 1
    assert 0 <= fine_tuned.metrics["test_accuracy"] <= 1
    assert "unseen_accuracy" not in fine_tuned.metrics


def test_the_best_run_is_promoted(
    settings: Settings, transfer: Finished, fine_tuned: RunSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promotion script takes the better of two runs and gives it the alias."""
    put_in_environment(monkeypatch, settings)
    assert fine_tuned.metrics["validation_accuracy"] < transfer.after.metrics["validation_accuracy"]
    assert model_registry_prod_experiments.main([]) == 0
    version = Registry(settings).resolve(DOCUMENT_TYPE.name)
    assert version
    assert version.run_id == transfer.after.run_id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"leave_out": ["Atlantis"]}, "no source Atlantis; there are here, there"),
        ({"train_only": ["rendered"]}, "no data set rendered; there are tiny"),
        ({"train_only": ["tiny"]}, "the validation split of tiny is empty"),
        ({"leave_out": ["here", "there"]}, "the train split of tiny is empty"),
        ({"data": ["absent"]}, "no data set in .*absent"),
        ({"data": ["tiny:heavy"]}, "'heavy' in 'tiny:heavy' is no weight"),
        ({"data": ["tiny:0"]}, "write a number above 0, such as tiny:0.5"),
        ({"data": ["pens"]}, "no training sample of printed"),
        ({"data": ["sculptures"]}, "sculptures has the label 'marble'; document_type knows handwritten, printed"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    """Whatever is wrong with the data is said, with a remedy, before a run is opened."""
    settings = Settings(datasets=tmp_path / "datasets", mlflow_tracking_uri="sqlite:///never-opened.db")
    write_tiny(settings.datasets / "tiny")
    write_tiny(settings.datasets / "pens", labels=["handwritten"])
    write_tiny(settings.datasets / "sculptures", labels=["marble"])
    with pytest.raises(DataError, match=said):
        run_pipeline(tiny_options(**changes), settings)
    assert not Path("never-opened.db").exists()


def test_a_commit_during_a_run_is_not_that_of_its_model(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle names the code and the data that the run began with, as its tags do, whatever came meanwhile."""
    commits = iter(["before", "meanwhile"])
    monkeypatch.setattr(pipeline, "git_commit", lambda: next(commits))
    outcome = run_pipeline(tiny_options(epochs=1, experiment="long"), settings)
    tags, origin = Registry(settings).run(outcome.run_id).tags, outcome.description.origin
    assert (tags["git_commit"], origin.git_commit) == ("before", "before")
    assert tags["data_fingerprint"] == origin.data_fingerprint
    resumed = run_pipeline(tiny_options(epochs=1, experiment="long"), settings, resume=outcome.run_id)
    assert resumed.description.origin.git_commit == "before"


def test_one_validation_image_is_enough(settings: Settings, tmp_path: Path) -> None:
    """A data set with a single image for validation still gives a model that takes batches of any size."""
    folder = tmp_path / "datasets" / "tiny"
    write_tiny(folder)
    samples = read_manifest(folder)
    spare = [sample.path for sample in samples if sample.split == "validation"][1:]
    write_manifest(folder, [sample for sample in samples if sample.path not in spare])
    outcome = run_pipeline(tiny_options(datasets=folder.parent, epochs=1, experiment="lonely"), settings)
    images = [draw_line("printed", np.random.default_rng(seed)) for seed in range(5)]
    assert len(Recogniser.load(outcome.bundle).predict(images)) == 5


def test_an_unknown_run_cannot_be_resumed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resuming a run that was not started here is an error that names the missing file."""
    put_in_environment(monkeypatch, settings)
    assert main(["--resume", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err
