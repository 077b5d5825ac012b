"""A prediction log that cannot be written, as clients see it: a full disk, a forbidden folder, a torn line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.prediction_log import PredictionFile
from tests.bundles import picture
from tests.services import Fixture, check_error, serving

NOBODY = 65534


@contextmanager
def logging_to(path: Path, folder: Path, **settings: object) -> Iterator[Fixture]:
    """A service that writes its predictions to a real file and is asked by nobody else."""
    with serving(folder, log=PredictionFile(path), alias_poll_seconds=3600, **settings) as service:
        yield service


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Give up the rights of the root user for a while, for whom nothing is forbidden; others keep what they have."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture(name="forbidden")
def _forbidden(tmp_path: Path) -> Path:
    """A log with a line in a folder and a file that nobody may write to."""
    path = tmp_path / "log" / "predictions.log"
    path.parent.mkdir()
    path.write_text("{}\n")
    path.chmod(0o400)
    path.parent.chmod(0o500)
    return path


def test_a_full_disk_gives_503_and_no_answer(tmp_path: Path) -> None:
    """Every path that predicts refuses, says why, and may be asked again; health and readiness tell."""
    with logging_to(Path("/dev/full"), tmp_path) as service:
        for path in ("/predict/", "/predict/?explain=always", "/explain/", "/predict/page/"):
            response = service.post(picture(), path)
            assert "No space left" in check_error(response, 503, "log_unavailable")
            assert response.headers["Retry-After"] == "1"
        health = service.client.get("/health").json()
        assert (health["status"], "No space left" in health["problems"][0]) == ("degraded", True)


def test_a_full_disk_spoils_each_entry_of_a_batch(tmp_path: Path) -> None:
    """The batch is answered, and each of its files has the error that it would have had alone."""
    with logging_to(Path("/dev/full"), tmp_path) as service:
        files = [("files", ("a.png", picture())), ("files", ("b.png", picture()))]
        entries = service.client.post("/predict/batch/", files=files).json()["entries"]
    assert [(entry["status"], entry["error"]["code"]) for entry in entries] == [(503, "log_unavailable")] * 2


def test_a_missing_permission_gives_503_until_it_is_there(tmp_path: Path, forbidden: Path) -> None:
    """Without the right to write there is no answer; once it is given, answers go on with no restart."""
    with logging_to(forbidden, tmp_path) as service:
        with as_ordinary_user():
            assert "Permission denied" in check_error(service.post(picture()), 503, "log_unavailable")
        forbidden.chmod(0o600)
        assert service.post(picture()).status_code == 200
    assert len(forbidden.read_text().splitlines()) == 2


@pytest.mark.parametrize("full", [True, False])
def test_without_a_required_log_there_are_answers(tmp_path: Path, forbidden: Path, full: bool) -> None:  # noqa: FBT001
    """With `prediction_log_required=false` neither trouble costs an answer, and health goes on telling."""
    path = Path("/dev/full") if full else forbidden
    with logging_to(path, tmp_path, prediction_log_required=False) as service:
        with as_ordinary_user():
            assert service.post(picture()).status_code == 200
        assert service.client.get("/health").json()["status"] == "degraded"


def test_a_torn_last_line_is_set_aside_at_the_start(tmp_path: Path) -> None:
    """A service that starts on a log that was cut short leaves whole lines only, before anyone asks."""
    path = tmp_path / "predictions.log"
    path.write_text('{"label": "printed"}\n{"lab')
    with logging_to(path, tmp_path):
        assert path.read_text() == '{"label": "printed"}\n'
        assert (tmp_path / "predictions.log.torn").read_text() == '{"lab\n'
