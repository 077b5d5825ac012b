"""Tests of the table that compares algorithms."""

from pathlib import Path

import pytest

from app.inference.registry import Registry, RunSummary
from app.training.comparison import main, render_comparison
from tests.stores import log_run, settings_in


def run(name: str, **metrics: float) -> RunSummary:
    """A finished run with these figures."""
    size = {"input_height": "64", "input_width": "512"}
    return RunSummary("id", "experiment", name, "2026-01-01", "FINISHED", metrics, size, {}, embedded=False)


def test_the_best_run_comes_first() -> None:
    """Rows are in the order of test accuracy, whatever the order of the store."""
    table = render_comparison([run("poor", test_accuracy=0.7), run("good", test_accuracy=0.99)])
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| good", "| poor"]


def test_figures_have_the_digits_of_their_kind() -> None:
    """Shares have four digits, times one, parameters none but separators; a missing figure is a dash."""
    figures = {"test_accuracy": 0.99123, "test_ece": 0.0, "parameters": 2225858.0, "training_minutes": 0.26}
    row = render_comparison([run("net", **figures, milliseconds_per_image=12.345)]).splitlines()[2]
    assert row == "| net | 64x512 | 0.9912 | – | – | 0.0000 | – | 2,225,858 | 12.3 | 0.3 |"


def test_every_row_is_as_wide_as_the_head() -> None:
    """Markdown needs as many cells in every row, the rule under the head included; times say how they are measured."""
    lines = render_comparison([run("net", test_accuracy=0.9)]).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| ms/image (single images, median) |" in lines[0]


@pytest.mark.parametrize(("arguments", "rows"), [([], 2), (["--experiments", "first"], 1)])
def test_the_command_prints_runs_with_test_figures(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    rows: int,
) -> None:
    """Runs of all experiments or of the named ones are printed, those that were never judged left out."""
    settings = settings_in(tmp_path / "all")
    monkeypatch.setenv("PENPRESS_MLFLOW_TRACKING_URI", settings.mlflow_tracking_uri)
    registry = Registry(settings)
    for experiment in ("first", "second"):
        log = registry.start_run(experiment, "judged", {}, {"task": "document_type"})
        log.log_metrics({"test_accuracy": 0.9})
        log.finish()
    log_run(registry, tmp_path, "first")
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("| judged |") == rows


def test_an_unknown_experiment_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 1 and names the experiment."""
    monkeypatch.setenv("PENPRESS_MLFLOW_TRACKING_URI", settings_in(tmp_path / "all").mlflow_tracking_uri)
    with pytest.raises(SystemExit) as ended:
        main(["--experiments", "nowhere"])
    assert ended.value.code == 1
    assert "nowhere" in capsys.readouterr().err
