"""The settings: defaults, environment, `.env`, bare names, and misspelt keys."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import APP, Settings


def test_the_defaults_are_those_promised() -> None:
    """Port 9000 on this machine, a SQLite store and its artifacts below `app/training/mlruns`, the alias `prod`."""
    settings = Settings()
    assert (settings.host, settings.port, settings.alias) == ("127.0.0.1", 9000, "prod")
    assert settings.mlflow_tracking_uri == f"sqlite:///{APP}/training/mlruns/mlflow.db"
    assert settings.artifact_root == APP / "training" / "mlruns"
    assert settings.prediction_log == APP / "webservice_predictions" / "predictions.log"
    assert settings.prediction_log_required


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("PENPRESS_PORT", "8080", "port", 8080),
        ("PORT", "8081", "port", 8081),
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),  # noqa: S104 - only a value
        ("MLFLOW_TRACKING_URI", "http://mlflow:5000", "mlflow_tracking_uri", "http://mlflow:5000"),
        ("PENPRESS_PREDICTION_LOG_REQUIRED", "false", "prediction_log_required", False),
        ("penpress_alias", "staging", "alias", "staging"),
    ],
)
def test_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    """Variables with the prefix, in any case, and the three well-known bare ones."""
    monkeypatch.setenv(variable, value)
    assert getattr(Settings(), field) == expected


def test_the_prefix_wins_over_the_bare_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is meant for PenPress alone is stronger than what other programs read too."""
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("PENPRESS_PORT", "2")
    assert Settings().port == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PENPRESS_PROT", "8080"),
        ("PENPRESS_PORT", "0"),
        ("PENPRESS_PORT", "much"),
        ("PENPRESS_ALIAS_POLL_SECONDS", "0"),
    ],
)
def test_misspelt_keys_and_wrong_values_are_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """A typo in a name or a value out of range stops the start, and the message names it."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=re.compile(variable.removeprefix("PENPRESS_"), re.IGNORECASE)):
        Settings()


def test_a_misspelt_key_in_the_file_is_refused() -> None:
    """The `.env` file of the working folder is read, and checked like the environment."""
    Path(".env").write_text("PENPRESS_ALIAS=canary\n", encoding="utf-8")
    assert Settings().alias == "canary"
    Path(".env").write_text("PENPRESS_ALIASS=canary\n", encoding="utf-8")
    with pytest.raises(ValidationError, match="aliass"):
        Settings()


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen once read, and unknown arguments are refused."""
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1
    with pytest.raises(ValidationError, match="prot"):
        Settings.model_validate({"prot": 1})
