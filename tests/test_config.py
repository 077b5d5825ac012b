"""The settings: defaults, environment, `.env`, bare names, and misspelt keys."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import APP, Settings, read_settings


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
    with pytest.raises(ValidationError, match="there is no setting PENPRESS_ALIASS; the nearest are PENPRESS_ALIAS,"):
        Settings()


def test_keys_of_other_programs_in_the_file_are_left_alone() -> None:
    """A `.env` that Compose reads as well does not stop PenPress, and its own keys in it still count."""
    lines = ["MLFLOW_ALLOWED_HOSTS=*", "PIP_INDEX_URL=https://mirror/simple", "ALIASS=x", "PORT=8082"]
    Path(".env").write_text("\n".join([*lines, "penpress_alias=canary"]), encoding="utf-8")
    settings = Settings()
    assert (settings.port, settings.alias) == (8082, "canary")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("PENPRESS_PROT", "PENPRESS_PORT"), ("penpress_prediction_logs", "PENPRESS_PREDICTION_LOG")],
)
def test_the_nearest_known_keys_are_named(monkeypatch: pytest.MonkeyPatch, name: str, nearest: str) -> None:
    """The refusal of a misspelt key begins its suggestions with the one that was meant."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(ValidationError, match=f"no setting {name.upper()}; the nearest are {nearest}, "):
        Settings()


def test_a_key_like_no_other_is_answered_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no known key is near, all of them are listed."""
    monkeypatch.setenv("PENPRESS_" + "X" * 40, "1")
    with pytest.raises(ValidationError, match=r"PENPRESS_ALIAS, .*PENPRESS_PRETRAINED"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PENPRESS_PROT", "1", "there is no setting PENPRESS_PROT; the nearest are PENPRESS_PORT"),
        ("PORT", "much", "PENPRESS_PORT=much: Input should be a valid integer"),
        ("PENPRESS_ALIAS_POLL_SECONDS", "0", "PENPRESS_ALIAS_POLL_SECONDS=0: Input should be greater than 0"),
    ],
)
def test_a_command_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str, words: str
) -> None:
    """Wrong settings end a command with the status 2 and one line that says which and why."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match="2"):
        read_settings()
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_file_that_is_no_text_ends_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A `.env` that cannot be decoded is named."""
    Path(".env").write_bytes(b"\xff\xfe")
    with pytest.raises(SystemExit, match="2"):
        read_settings()
    assert ".env cannot be read" in capsys.readouterr().err


def test_commands_read_their_settings_in_one_place() -> None:
    """No module calls `Settings()` but the one that turns its errors into a line, and the pipeline for notebooks."""
    callers = [
        file.relative_to(APP).as_posix() for file in APP.rglob("*.py") if "Settings()" in file.read_text("utf-8")
    ]
    assert sorted(callers) == ["config.py", "training/pipeline.py"]


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen once read, and unknown arguments are refused."""
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1
    with pytest.raises(ValidationError, match="prot"):
        Settings.model_validate({"prot": 1})
