"""Many images in one request: order, errors of single files, log lines, limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Response

from app.webservice.answers import Answer
from app.webservice.service import Service
from tests.bundles import DARK, LIGHT, huge_picture, picture
from tests.services import Fixture, check_error, serving


@pytest.fixture(name="service")
def _service(tmp_path: Path) -> Iterator[Fixture]:
    with serving(tmp_path, max_upload_bytes=100_000) as service:
        yield service


def post(service: Fixture, *files: bytes, path: str = "/predict/batch/") -> Response:
    """Send files as a batch."""
    return service.client.post(path, files=[("files", (f"{n}.png", data)) for n, data in enumerate(files)])


@pytest.mark.parametrize("path", ["/predict/batch/", "/predict/batch"])
def test_files_are_answered_in_order(service: Fixture, path: str) -> None:
    """Twenty dark and light images get their classes in the order in which they were sent."""
    greys = [DARK if number % 3 else LIGHT for number in range(20)]
    body = post(service, *map(picture, greys), path=path).json()
    found = [entry["answer"]["predicted_class"] for entry in body["entries"]]
    assert found == ["handwritten" if grey == DARK else "printed" for grey in greys]
    assert set(body["entries"][0]["answer"]) == set(Answer.model_fields)


def test_a_bad_file_spoils_no_other(service: Fixture) -> None:
    """Errors stand in their places, with the status and code that the file would have got alone."""
    files = (picture(LIGHT), b"", b"text", picture(LIGHT)[:60], huge_picture(60_000), picture(DARK))
    response = post(service, *files)
    entries = response.json()["entries"]
    assert response.status_code == 200
    assert [entry["status"] for entry in entries] == [200, 400, 415, 400, 413, 200]
    codes = [entry["error"] and entry["error"]["code"] for entry in entries]
    assert codes == [None, "empty_file", "not_an_image", "broken_image", "too_large", None]
    assert [entry["answer"] is None for entry in entries] == [False, True, True, True, True, False]


def test_every_answer_of_a_batch_has_its_log_line(service: Fixture) -> None:
    """One line for each answer, none for an error, all under the id of the request."""
    body = post(service, picture(LIGHT), b"text", picture(DARK)).json()
    assert sorted(entry.label for entry in service.log.entries) == ["handwritten", "printed"]
    assert {entry.request_id for entry in service.log.entries} == {body["request_id"]}


def test_without_a_log_a_batch_has_no_answers(service: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    """When the log cannot be written, each entry says so, and the service's own log has it under the request's id."""
    service.log.broken = True
    (entry,) = post(service, picture()).json()["entries"]
    assert (entry["status"], entry["error"]["code"], entry["answer"]) == (503, "log_unavailable", None)
    assert f"request {entry['error']['request_id']}: PredictionLogError" in caplog.text


def test_a_batch_as_a_whole_has_the_limit_of_an_image(service: Fixture) -> None:
    """Many files together may not be larger than one may be."""
    check_error(post(service, *[b"x" * 50_000] * 4), 413, "too_large")


def test_a_batch_needs_files(service: Fixture) -> None:
    """Without a file in the field there is a 422 that names the field."""
    message = check_error(service.client.post("/predict/batch/"), 422, "missing_file")
    assert "body.files" in message
    assert "-F files=@" in message


def test_what_nobody_foresaw_spoils_no_other_file(service: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours is an entry with 500, without its text; the other files have their answers."""
    sound = Service.answer

    def answer(own: Service, task: str, data: bytes, request_id: str) -> Answer:
        if data == picture(LIGHT):
            message = "an oversight"
            raise ZeroDivisionError(message)
        return sound(own, task, data, request_id)

    monkeypatch.setattr(Service, "answer", answer)
    first, second = post(service, picture(LIGHT), picture(DARK)).json()["entries"]
    assert (first["status"], first["error"]["code"], first["answer"]) == (500, "internal_error", None)
    assert "oversight" not in first["error"]["message"]
    assert (second["status"], second["answer"]["predicted_class"]) == (200, "handwritten")
