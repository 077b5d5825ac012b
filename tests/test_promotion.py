"""The promotion gate on real stores and bundles: what is promoted, what is refused, what is recorded."""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from app.data.manifest import Sample, write_manifest
from app.errors import DataError, PromotionRefusedError, RegistryError
from app.inference import model_registry_prod_experiments
from app.inference.promotion import Choice, Figures, held_out_cases, judge, promote, roll_back
from app.inference.promotion.comparison import judged_by
from app.inference.registry import Registry, RunSummary
from app.tasks import DOCUMENT_TYPE, Gate
from tests.bundles import DARK, LIGHT, make_bundle, picture
from tests.stores import TAGS, log_run, settings_in

TASK = DOCUMENT_TYPE
WORSE = 20.0  # the bias with which a tiny bundle calls everything printed


def make_data(folder: Path, name: str = "tiny", handwritten: int = 10, printed: int = 10, split: str = "test") -> None:
    """A data set of dark images called handwritten and light ones called typewritten, no two of the same content."""
    samples = []
    for number in range(handwritten + printed):
        label, grey = ("handwritten", DARK) if number < handwritten else ("typewritten", LIGHT)
        content = picture(grey, (40 + number, 16 + len(name)))
        path = folder / "datasets" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        samples.append(Sample(path.name, label, split, "here", f"{name}-{number}", "en", "2000-2010", digest))
    write_manifest(folder / "datasets" / name, samples)


@pytest.fixture(name="registry")
def _registry(tmp_path: Path) -> Registry:
    return Registry(settings_in(tmp_path))


@pytest.fixture(name="live")
def _live(registry: Registry, tmp_path: Path) -> Registry:
    """A registry with a good version in prod, and held-out images."""
    make_data(tmp_path)
    promote(registry, TASK, Choice(run_id=log_run(registry, tmp_path, "first", accuracy=0.9)))
    return registry


def live_version(registry: Registry) -> str | None:
    """The number of the version that holds the alias."""
    version = registry.resolve(TASK.name)
    return version.version if version else None


def test_the_first_run_is_compared_with_the_shipped_model(registry: Registry, tmp_path: Path) -> None:
    """With nothing in prod the embedded bundle is registered first, a worse run is refused, and a good one follows."""
    make_data(tmp_path)
    make_bundle(registry.settings.embedded / TASK.name)
    worse = log_run(registry, tmp_path, bias=WORSE)
    with pytest.raises(PromotionRefusedError, match=r"- accuracy 0\.5000 is below 1\.0000"):
        promote(registry, TASK, Choice(run_id=worse))
    live = registry.resolve(TASK.name)
    assert live is not None
    assert live.tags["embedded"] == "true"
    outcome = promote(registry, TASK, Choice(run_id=log_run(registry, tmp_path)))
    assert "on 20 held-out images" in outcome.table
    assert registry.previous(TASK.name) == registry.version(TASK.name, live.version)


def test_a_first_dry_run_compares_and_registers_nothing(registry: Registry, tmp_path: Path) -> None:
    """With nothing in prod a dry run is compared with the embedded bundle as it lies on disk."""
    make_data(tmp_path)
    make_bundle(registry.settings.embedded / TASK.name)
    run_id = log_run(registry, tmp_path)
    outcome = promote(registry, TASK, Choice(run_id=run_id, dry_run=True))
    assert "on 20 held-out images" in outcome.table
    with pytest.raises(PromotionRefusedError, match="accuracy"):
        promote(registry, TASK, Choice(run_id=log_run(registry, tmp_path, bias=WORSE), dry_run=True))
    assert registry.versions(TASK.name) == []


def test_without_live_and_shipped_model_nothing_is_compared(registry: Registry, tmp_path: Path) -> None:
    """A task that ships no model has nothing to be worse than; the version carries what describes it."""
    run_id = log_run(registry, tmp_path)
    outcome = promote(registry, TASK, Choice())
    version = registry.resolve(TASK.name)
    assert version is not None
    assert version == outcome.version
    assert version.run_id == run_id
    assert version.tags.items() >= {name: TAGS[name] for name in ("data", "git_commit", "strategy")}.items()
    assert version.tags["metric.validation_accuracy"] == "0.99"
    assert version.tags["labels"] == "handwritten, printed"
    assert version.tags["model"] == "brightness, 4 parameters, 64 x 512 pixels, 1 channels"
    assert outcome.table == ""


def test_the_best_run_is_promoted_when_it_is_not_worse(live: Registry, tmp_path: Path) -> None:
    """The run with the best figure takes the alias; the comparison is shown and recorded."""
    log_run(live, tmp_path, "second", accuracy=0.8, bias=WORSE)
    best = log_run(live, tmp_path, "second", accuracy=0.95)
    outcome = promote(live, TASK, Choice())
    assert outcome.version is not None
    assert (outcome.version.run_id, outcome.version.version) == (best, "2")
    assert live_version(live) == "2"
    assert outcome.version.tags["gate.accuracy"] == "1"
    assert outcome.version.tags["gate.images"] == "20"
    assert "refused" not in outcome.version.tags
    assert "accuracy          1.0000     1.0000    >= 1.0000" in outcome.table
    assert "on 20 held-out images" in outcome.table


def test_the_second_time_nothing_changes(live: Registry, tmp_path: Path) -> None:
    """Promoting again says that nothing changed, and it is true of versions, tags and alias."""
    log_run(live, tmp_path, "second", accuracy=0.95)
    first = promote(live, TASK, Choice())
    before = live.versions(TASK.name)
    second = promote(live, TASK, Choice())
    assert "nothing changed" in second.message
    assert "nothing changed" not in first.message
    assert second.version == first.version
    assert live.versions(TASK.name) == before


def test_a_worse_run_is_refused(live: Registry, tmp_path: Path) -> None:
    """The refusal names every failing figure with its limit, the alias stays, and the version says why."""
    worse = log_run(live, tmp_path, "second", accuracy=0.99, bias=WORSE)
    with pytest.raises(PromotionRefusedError, match=r"- accuracy 0\.5000 is below 1\.0000") as caught:
        promote(live, TASK, Choice())
    assert "- ECE 0.5" in str(caught.value)
    assert "--force" in str(caught.value)
    assert live_version(live) == "1"
    refused = live.versions(TASK.name)[-1]
    assert refused.run_id == worse
    assert refused.tags["refused"].startswith("accuracy 0.5000 is below")


def test_force_promotes_a_worse_run_and_is_recorded(live: Registry, tmp_path: Path) -> None:
    """Force moves the alias and leaves a tag with what it overrode."""
    run_id = log_run(live, tmp_path, "second", accuracy=0.99, bias=WORSE)
    with pytest.raises(PromotionRefusedError):
        promote(live, TASK, Choice(run_id=run_id))
    outcome = promote(live, TASK, Choice(run_id=run_id, force=True))
    assert live_version(live) == "2"
    assert outcome.version is not None
    assert outcome.version.tags["forced"].startswith("accuracy 0.5000 is below 1.0000")
    assert "by force, although:\n- accuracy 0.5000 is below 1.0000" in outcome.message
    assert "refused" not in outcome.version.tags
    assert "nothing changed" in promote(live, TASK, Choice(run_id=run_id, force=True)).message


def test_a_dry_run_changes_nothing(live: Registry, tmp_path: Path) -> None:
    """A dry run compares, and registers neither a good run nor a bad one."""
    good = log_run(live, tmp_path, "second")
    bad = log_run(live, tmp_path, "second", bias=WORSE)
    outcome = promote(live, TASK, Choice(run_id=good, dry_run=True))
    assert "would be promoted" in outcome.message
    assert "accuracy" in outcome.table
    with pytest.raises(PromotionRefusedError, match="accuracy"):
        promote(live, TASK, Choice(run_id=bad, dry_run=True))
    assert len(live.versions(TASK.name)) == 1


def test_rolling_back_returns_to_the_version_before(live: Registry, tmp_path: Path) -> None:
    """A roll-back gives the alias back, once for each promotion, and then says that there is nothing left."""
    log_run(live, tmp_path, "second", accuracy=0.95)
    promote(live, TASK, Choice())
    outcome = roll_back(live, TASK)
    assert outcome.message == "prod went back from version 2 to version 1"
    assert live_version(live) == "1"
    assert live.version(TASK.name, "2").tags.items() >= {"rolled_back": "true", "stage": "archived"}.items()
    assert "archived_at" not in live.version(TASK.name, "1").tags
    with pytest.raises(RegistryError, match="no earlier promoted version"):
        roll_back(live, TASK)
    assert promote(live, TASK, Choice()).message.endswith("is now version 2 of document_type, in prod")
    assert "rolled_back" not in live.version(TASK.name, "2").tags


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((0, 0), "no held-out images of handwritten, printed in the test splits of tiny"),
        ((5, 0), "no held-out images of printed in the test splits of tiny"),
    ],
)
def test_without_held_out_images_nothing_is_promoted(
    registry: Registry, tmp_path: Path, counts: tuple[int, int], message: str
) -> None:
    """Where there is nothing to compare on, the refusal says to import data; force promotes unseen."""
    make_data(tmp_path, "elsewhere", split="train")
    make_data(tmp_path, "tiny", *counts)
    promote(registry, TASK, Choice(run_id=log_run(registry, tmp_path)))
    run_id = log_run(registry, tmp_path)
    with pytest.raises(PromotionRefusedError, match=f"{message}.*import data"):
        promote(registry, TASK, Choice(run_id=run_id))
    assert live_version(registry) == "1"
    promote(registry, TASK, Choice(run_id=run_id, force=True))
    assert live_version(registry) == "2"


def test_other_labels_are_refused_even_by_force(live: Registry, tmp_path: Path) -> None:
    """Callers rely on the labels and their order, so a bundle with others never replaces the live one."""
    run_id = log_run(live, tmp_path, "second", labels=("printed", "handwritten"))
    with pytest.raises(PromotionRefusedError, match=r"labels \['printed', 'handwritten'\]"):
        promote(live, TASK, Choice(run_id=run_id, force=True))
    assert live_version(live) == "1"


def test_a_broken_live_version_is_only_replaced_by_force(live: Registry, tmp_path: Path) -> None:
    """Where the live bundle is gone there is no comparison; force replaces it and records that."""
    broken = live.resolve(TASK.name)
    assert broken is not None
    next((tmp_path / "mlruns").rglob(f"{broken.run_id}/artifacts/model")).rename(tmp_path / "gone")
    run_id = log_run(live, tmp_path, "second")
    with pytest.raises(PromotionRefusedError, match="version 1 cannot be opened"):
        promote(live, TASK, Choice(run_id=run_id))
    outcome = promote(live, TASK, Choice(run_id=run_id, force=True))
    assert outcome.version is not None
    assert outcome.version.tags["forced"] == "the live version cannot be opened to compare with"


def test_only_finished_runs_of_the_task_are_promoted(live: Registry, tmp_path: Path) -> None:
    """A run that goes on, a run of another task, an unknown run and an unknown metric are errors that say so."""
    running = live.start_run("second", "running", {}, TAGS).run_id
    other = live.start_run("second", "other", {}, TAGS | {"task": "digit"})
    other.finish()
    with pytest.raises(RegistryError, match="is RUNNING"):
        promote(live, TASK, Choice(run_id=running))
    with pytest.raises(RegistryError, match="of the task 'digit'"):
        promote(live, TASK, Choice(run_id=other.run_id))
    with pytest.raises(RegistryError, match="not found"):
        promote(live, TASK, Choice(run_id="0" * 32))
    with pytest.raises(RegistryError, match="in the experiments first has the metric 'speed'"):
        promote(live, TASK, Choice(metric="speed", experiments=["first"]))
    assert list(tmp_path.glob("bundle-*")) != []


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (Figures(0.98, 0.01, 10.0), []),
        (Figures(0.97, 0.03, 15.0), []),
        (Figures(0.969, 0.01, 10.0), ["accuracy 0.9690 is below 0.9700"]),
        (Figures(0.98, 0.031, 10.0), ["ECE 0.0310 is above 0.0300"]),
        (Figures(0.98, 0.01, 15.1), ["latency 15.1 ms is above 15.0 ms"]),
        (Figures(0.5, 0.5, 50.0), ["accuracy", "ECE", "latency"]),
    ],
)
def test_each_figure_has_its_limit(candidate: Figures, words: list[str]) -> None:
    """What is within the gate passes, what is beyond it is named with the limit."""
    failures = judge(candidate, Figures(0.98, 0.02, 10.0), Gate(accuracy_loss=0.01, ece_gain=0.01, latency_ratio=1.5))
    assert len(failures) == len(words)
    assert all(failure.startswith(word) for failure, word in zip(failures, words, strict=True))


def test_a_difference_that_nobody_notices_is_no_failure() -> None:
    """A candidate that is less than a millisecond slower passes, however quick the live version is."""
    assert judge(Figures(1, 0, 1.0), Figures(1, 0, 0.1), Gate()) == ()


def test_held_out_cases_are_balanced_and_stable(tmp_path: Path) -> None:
    """As many of each label, typewritten counted as printed, the same ones at every call, each content once."""
    make_data(tmp_path, handwritten=30, printed=12)
    make_data(tmp_path, "train", split="train")
    (tmp_path / "datasets" / "same").symlink_to(tmp_path / "datasets" / "tiny")
    cases = held_out_cases(tmp_path / "datasets", TASK, limit=20)
    assert [case.label for case in cases] == ["handwritten"] * 10 + ["printed"] * 10
    assert [case.read().size for case in cases] == [
        case.read().size for case in held_out_cases(tmp_path / "datasets", TASK, limit=20)
    ]
    assert len({case.read().size for case in cases}) == 20
    assert cases[0].slices["source"] == "here"
    assert len(held_out_cases(tmp_path / "datasets", TASK)) == 42


def test_a_lost_image_is_reported(tmp_path: Path) -> None:
    """An image that the manifest names and that is gone is an error with its path."""
    make_data(tmp_path)
    cases = held_out_cases(tmp_path / "datasets", TASK, limit=2)
    for path in (tmp_path / "datasets" / "tiny").glob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match="import the data set again"):
        cases[0].read()


def test_data_sets_can_be_chosen(tmp_path: Path) -> None:
    """Named data sets alone take part, and a name that does not exist is an error."""
    make_data(tmp_path, "one")
    make_data(tmp_path, "two")
    cases = held_out_cases(tmp_path / "datasets", TASK, ["two"])
    assert {case.slices["dataset"] for case in cases} == {"two"}
    with pytest.raises(DataError, match="three"):
        held_out_cases(tmp_path / "datasets", TASK, ["three"])


def test_two_tasks_of_the_same_labels_are_judged_on_their_own_images(live: Registry, tmp_path: Path) -> None:
    """The test splits of what the run was judged by are taken, not those of another task or of what was only learnt."""
    pages = replace(TASK, name="pages")
    for name in ("sheets", "drawn"):
        make_data(tmp_path, name)
    options = {"data": ["drawn", "sheets:4"], "train_only": ["drawn"]}
    run = partial(log_run, live, tmp_path, options=options, task=pages)
    promote(live, pages, Choice(run_id=run()))
    assert "on 20 held-out images of sheets" in promote(live, pages, Choice(run_id=run())).table
    assert "on 20 held-out images of tiny" in promote(live, TASK, Choice(run_id=log_run(live, tmp_path))).table
    chosen = Choice(run_id=run(), datasets=["drawn", "tiny"])
    assert "on 40 held-out images of drawn, tiny" in promote(live, pages, chosen).table


def test_of_the_data_of_a_run_those_are_compared_on_that_are_there(live: Registry, tmp_path: Path) -> None:
    """A data set that is gone is left out; where all are gone, the refusal names them and what to do."""
    part = log_run(live, tmp_path, options={"data": ["gone", "tiny"]})
    assert "on 20 held-out images of tiny" in promote(live, TASK, Choice(run_id=part)).table
    none = log_run(live, tmp_path, options={"data": ["gone", "lost"]})
    said = "in the test splits of gone, lost to compare on: import data, name other data sets with --datasets"
    with pytest.raises(PromotionRefusedError, match=said):
        promote(live, TASK, Choice(run_id=none))
    assert live_version(live) == "2"
    chosen = Choice(run_id=none, datasets=["tiny"])
    assert "on 20 held-out images of tiny" in promote(live, TASK, chosen).table


def test_a_run_that_names_no_data_is_compared_on_all(live: Registry, tmp_path: Path) -> None:
    """A run that was logged without the tag takes every data set there is."""
    make_data(tmp_path, "other")
    log = live.start_run("elsewhere", "foreign", {}, {"task": TASK.name})
    log.log_bundle(make_bundle(tmp_path / "foreign"))
    log.finish()
    assert "on 40 held-out images of other, tiny" in promote(live, TASK, Choice(run_id=log.run_id)).table


def summary(data: str | None, /, **parameters: str) -> RunSummary:
    """A finished run of which these data are known."""
    tags = {} if data is None else {"data": data}
    return RunSummary("1", "", "", "", "FINISHED", {}, parameters, tags, embedded=False)


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (summary(None), None),
        (summary("one two:0.5 one:3"), ["one", "two"]),
        (summary("my lines drawn", data='["my lines:2", "drawn"]', train_only='["drawn"]'), ["my lines"]),
    ],
)
def test_a_run_says_what_it_was_judged_by(run: RunSummary, names: list[str] | None) -> None:
    """Names come without weights, each once, those with spaces whole, and without what was only learnt from."""
    assert judged_by(run) == names


def test_a_list_of_data_that_was_cut_off_is_not_guessed_at() -> None:
    """Stores cut long parameters off; then the data sets have to be named."""
    with pytest.raises(RegistryError, match="not the whole list of the data sets of run 1; name some with --datasets"):
        judged_by(summary("one two", data='["one", "tw'))


def test_few_images_are_one_of_each_label_at_least(live: Registry, tmp_path: Path) -> None:
    """Fewer images than labels would be none at all, and then nothing could be said."""
    assert [case.label for case in held_out_cases(tmp_path / "datasets", TASK, limit=1)] == ["handwritten", "printed"]
    outcome = promote(live, TASK, Choice(run_id=log_run(live, tmp_path), images=1))
    assert "on 2 held-out images" in outcome.table


def test_the_command_line_promotes_refuses_and_rolls_back(
    live: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script answers 0 and the table, or 1 and the reason."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", live.uri)
    monkeypatch.setenv("PENPRESS_ARTIFACT_ROOT", str(tmp_path / "mlruns"))
    monkeypatch.setenv("PENPRESS_DATASETS", str(tmp_path / "datasets"))
    log_run(live, tmp_path, "good", accuracy=0.95)
    log_run(live, tmp_path, "bad", accuracy=0.99, bias=WORSE)
    run = model_registry_prod_experiments.main
    assert run(["--experiments", "good", "--images", "8", "--datasets", "tiny"]) == 0
    answer = capsys.readouterr()
    assert answer.out.startswith("               candidate       live        limit\naccuracy ")
    assert "on 8 held-out images" in answer.out
    assert "is now version 2 of document_type, in prod" in answer.out
    assert run([]) == 1
    assert "is not promoted" in capsys.readouterr().err
    assert run(["--rollback"]) == 0
    assert "from version 2 to version 1" in capsys.readouterr().out
    assert live_version(live) == "1"


@pytest.mark.parametrize("arguments", [["--images", "0"], ["--rollback", "--run-id", "x"], ["--task", "nothing"]])
def test_wrong_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Options that make no sense end with the usage."""
    with pytest.raises(SystemExit, match="2"):
        model_registry_prod_experiments.main(arguments)
    assert "usage:" in capsys.readouterr().err
