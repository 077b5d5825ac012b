"""The details of what is in prod: as a table, as JSON, and when there is nothing to show."""

import json
from pathlib import Path

import pytest

from app.inference import model_prod_details
from app.inference.registry import Registry
from app.tasks import DOCUMENT_TYPE
from tests.bundles import make_bundle
from tests.stores import log_run, settings_in

TASK = DOCUMENT_TYPE.name


@pytest.fixture(name="registry")
def _registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    settings = settings_in(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.mlflow_tracking_uri)
    monkeypatch.setenv("PENPRESS_ARTIFACT_ROOT", str(settings.artifact_root))
    monkeypatch.setenv("PENPRESS_EMBEDDED", str(settings.embedded))
    return Registry(settings)


def test_an_empty_registry_says_what_to_do(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing in prod the script fails with the remedy."""
    assert registry.resolve(TASK) is None
    assert model_prod_details.main([]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert "nothing is in prod for document_type" in answer.err
    assert "model_registry_prod_experiments" in answer.err


def test_json_holds_version_run_and_embedded_model(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON has every section, with the figures as numbers."""
    shipped = registry.register_embedded(make_bundle(registry.settings.embedded / TASK, bias=0.5), TASK)
    live = registry.set_alias(registry.register(log_run(registry, tmp_path, accuracy=0.97), TASK, {"data": "tiny"}))
    assert model_prod_details.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["version", "run", "metrics", "parameters", "tags", "embedded"]
    assert found["version"] == {
        "model": TASK,
        "version": live.version,
        "alias": "prod",
        "created": live.created,
        "promoted": live.tags["promoted_at"],
        "previous_version": shipped.version,
    }
    assert found["run"]["run_id"] == live.run_id
    assert found["run"]["experiment"] == "transfer"
    assert found["metrics"]["validation_accuracy"] == 0.97
    assert found["parameters"] == {"epochs": "1"}
    assert found["tags"]["data"] == "tiny"
    assert found["embedded"]["sha256"] == shipped.tags["sha256"]
    assert found["embedded"]["architecture"] == "brightness"


def test_the_table_has_a_heading_for_each_section(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table shows sections and values, and says so when no model is embedded."""
    registry.set_alias(registry.register(log_run(registry, tmp_path, accuracy=0.97), TASK, {}))
    assert model_prod_details.main(["--task", TASK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "version"
    assert [line.split() for line in lines if "validation_accuracy" in line] == [["validation_accuracy", "0.97"]]
    assert [line.split() for line in lines if "previous_version" in line] == [["previous_version", "-"]]
    assert lines[lines.index("embedded") + 1] == "  no model ships with this task"


def test_a_version_without_a_run_is_shown(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that somebody registered by hand has no run; what is known of it is shown."""
    registry.client.create_registered_model(TASK)
    registry.client.create_model_version(TASK, make_bundle(tmp_path / "by-hand").as_uri())
    registry.client.set_registered_model_alias(TASK, "prod", "1")
    assert model_prod_details.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["version", "tags", "embedded"]
    assert found["version"]["promoted"] is None
