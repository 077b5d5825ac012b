"""What holds for every test: no settings from the machine it runs on, and Hypothesis without time limits."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

from app.config import APP, PREFIX

# Ctrl+C is ignored where tests run in the background, and then by all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("penpress", deadline=None)  # a busy machine is no reason to fail
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)  # a failure must come again
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "penpress")


@pytest.fixture(autouse=True)
def no_settings_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in an empty folder (so without a `.env`) and without the variables that PenPress reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(APP.parent))  # for the Python processes that a test starts
    for name in os.environ:
        if name.upper().startswith(PREFIX) or name in {"HOST", "PORT", "MLFLOW_TRACKING_URI"}:
            monkeypatch.delenv(name)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes without measuring coverage: it holds a lock for a moment, for ever if interrupted just then."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
