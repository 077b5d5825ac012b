"""Tests on the commands at the top of the project: what they say, how they end, and when they install."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from app.config import APP

ROOT = APP.parent
BASH = shutil.which("bash") or "/bin/bash"
HEAVY = {"torch", "torchvision", "captum", "datasets", "pandas", "scikit-learn", "matplotlib"}


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this environment and nothing else in it."""
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 our own


def is_installed(folder: Path, wanted: str) -> bool:
    """Whether the set-up would find nothing left to do for the groups *wanted* in *folder*."""
    script = f'cd "{folder}" && source "{ROOT}/setup_environment.sh" && is_installed {wanted}'
    return run([BASH, "-c", script], PATH="/usr/bin:/bin").returncode == 0


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A folder with a lock file and an environment in which a set-up for serving has just ended."""
    (tmp_path / "poetry.lock").write_text("one\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").write_text("#!/bin/sh\n")
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    stamp(tmp_path, "main")
    return tmp_path


def stamp(folder: Path, groups: str) -> None:
    """Leave the note that a set-up of *groups* leaves."""
    script = f'cd "{folder}" && source "{ROOT}/setup_environment.sh" && echo "{groups} $(lock_fingerprint)" >"$STAMP"'
    assert run([BASH, "-c", script], PATH="/usr/bin:/bin").returncode == 0


def test_help_of_the_service_names_port_and_variables() -> None:
    """`./run_service.sh --help` says where the service listens and how to change that, and installs nothing."""
    done = run([BASH, str(ROOT / "run_service.sh"), "--help"], PATH="/usr/bin:/bin")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("9000", "HOST=", "PORT=", "Exit codes"))


@pytest.mark.parametrize("script", ["run_service.sh", "lint_module.sh"])
def test_unknown_arguments_are_refused(script: str) -> None:
    """A misspelt argument ends a script with 2 and is named."""
    done = run([BASH, str(ROOT / script), "--hlep"], PATH="/usr/bin:/bin")
    assert done.returncode == 2
    assert "--hlep" in done.stderr


def test_without_a_suitable_python_the_remedy_is_told(tmp_path: Path) -> None:
    """On a machine without Python the set-up ends with 3 and says what to install."""
    for tool in ("cksum", "tr", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    script = f'set -euo pipefail; source "{ROOT}/setup_environment.sh"; set_up main'
    done = run([BASH, "-c", script], PATH=str(tmp_path))
    assert done.returncode == 3
    assert "3.11" in done.stderr
    assert "PYTHON=" in done.stderr


def test_a_second_start_installs_nothing(environment: Path) -> None:
    """What is installed from this lock file is not installed again."""
    assert is_installed(environment, "main")


def test_everything_includes_what_serving_needs(environment: Path) -> None:
    """After the tests' set-up the service's is done too, so that neither takes packages from the other."""
    assert not is_installed(environment, "all")
    stamp(environment, "all")
    assert is_installed(environment, "all")
    assert is_installed(environment, "main")


def test_another_lock_file_is_installed(environment: Path) -> None:
    """A changed lock file, as after an update, makes the set-up run again."""
    (environment / "poetry.lock").write_text("two\n")
    assert not is_installed(environment, "main")


def test_the_supported_pythons_are_the_same_everywhere() -> None:
    """The set-up looks for the Python versions that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest, beyond = project["requires-python"].split(",")
    declared = f'PYTHON_LOWEST="{lowest.removeprefix(">=")}" PYTHON_BEYOND="{beyond.removeprefix("<")}"'
    assert declared in (ROOT / "setup_environment.sh").read_text(encoding="utf-8")


def test_serving_installs_nothing_heavy() -> None:
    """The group that serving needs holds no training library, and the lock file names no package index."""
    text = (ROOT / "poetry.lock").read_text(encoding="utf-8")
    served = {package["name"] for package in tomllib.loads(text)["package"] if "main" in package["groups"]}
    assert "onnxruntime" in served
    assert not served & HEAVY
    assert "://" not in text
