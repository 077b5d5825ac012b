"""The service over HTTP: answers, health, the error contract, limits, the log line, and swapping under load."""

import hashlib
import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.config import Settings, without_passwords
from app.inference.registry import Registry
from app.tasks import PAGE_TEXT, Prediction
from app.webservice import create_app
from tests.bundles import DARK, LIGHT, MIDDLE, make_bundle, picture
from tests.fakes import ListLog
from tests.services import NAME, OTHER, Fixture, check_error, serving
from tests.stores import log_run, settings_in

FIELDS = {
    "predicted_class",
    "confidence",
    "probabilities",
    "uncertain",
    "reasons",
    "model_name",
    "model_version",
    "model_alias",
    "prediction_time_ms",
    "request_id",
}


@pytest.fixture(name="service")
def _service(tmp_path: Path) -> Iterator[Fixture]:
    with serving(tmp_path, max_upload_bytes=100_000, max_pixels=500_000) as service:
        yield service


@pytest.mark.parametrize("path", ["/predict/", "/predict", f"/predict/{NAME}/", f"/predict/{NAME}"])
def test_an_image_is_answered_with_all_fields(service: Fixture, path: str) -> None:
    """Each path answers, with and without its last slash, and without a redirect; with a task, also the best labels."""
    response = service.post(picture(LIGHT), path, follow_redirects=False)
    answer = response.json()
    assert response.status_code == 200
    assert set(answer) == (FIELDS | {"top"} if NAME in path else FIELDS)
    assert (answer["predicted_class"], answer["uncertain"], answer["reasons"]) == ("printed", False, [])
    assert (answer["model_name"], answer["model_version"], answer["model_alias"]) == (NAME, "5", "prod")
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_dark_and_light_differ_and_the_middle_is_uncertain(service: Fixture) -> None:
    """The answer depends on the image, and low confidence is flagged with a reason."""
    assert service.post(picture(DARK)).json()["predicted_class"] == "handwritten"
    answer = service.post(picture(MIDDLE)).json()
    assert answer["uncertain"]
    assert "below the threshold" in answer["reasons"][0]


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000"])
def test_every_named_format_is_read(service: Fixture, fmt: str) -> None:
    """All formats that the error message offers are accepted."""
    assert service.post(picture(LIGHT, fmt=fmt)).json()["predicted_class"] == "printed"


def test_every_answer_has_its_log_line(service: Fixture) -> None:
    """The entry names the upload by hash and size only, and has the answer's id, label and version."""
    data = picture(LIGHT)
    answer = service.post(data).json()
    (entry,) = service.log.entries
    assert (entry.request_id, entry.label, entry.task) == (answer["request_id"], answer["predicted_class"], NAME)
    assert (entry.input_sha256, entry.input_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (entry.model_version, entry.milliseconds) == ("5", answer["prediction_time_ms"])
    assert entry.time.endswith("+00:00")


def test_without_a_log_there_is_no_answer(service: Fixture) -> None:
    """A log that cannot be written gives 503 and degraded health, until it can be written again."""
    service.log.broken = True
    response = service.post(picture())
    check_error(response, 503, "log_unavailable")
    assert response.headers["Retry-After"] == "1"
    assert service.client.get("/health").json()["status"] == "degraded"
    service.log.broken = False
    assert service.post(picture()).status_code == 200
    assert service.client.get("/health").json()["status"] == "ok"


def test_the_log_may_be_waived(tmp_path: Path) -> None:
    """With `prediction_log_required=false` a broken log costs no answer; health still tells, from the start on."""
    log = ListLog()
    log.broken = True
    with serving(tmp_path, log=log, prediction_log_required=False) as service:
        assert "the list is full" in service.client.get("/health").json()["problems"][0]
        assert service.post(picture()).status_code == 200


def test_a_body_of_unknown_length_is_refused_while_it_is_read(service: Fixture) -> None:
    """Without a Content-Length the bytes are counted, and the rest of an endless body is never asked for."""
    pulled = []

    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for number in range(1000):
            pulled.append(number)
            yield b"x" * 10_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    message = check_error(service.client.post("/predict/", content=endless(), headers=headers), 413, "too_large")
    assert "over the limit" in message


@pytest.mark.parametrize(
    "request_parts",
    [
        {},
        {"files": {"image": ("line.png", picture())}},
        {"data": {"file": "text"}},
        {"json": {"file": "text"}},
        {"content": picture(), "headers": {"Content-Type": "image/png"}},
    ],
)
def test_a_missing_file_is_explained(service: Fixture, request_parts: dict[str, object]) -> None:
    """No field, another field, text in the field, or a body of another kind: 422 that shows a right request."""
    message = check_error(service.client.post("/predict/", **request_parts), 422, "missing_file")
    assert "curl -F file=@line.png" in message


@pytest.mark.parametrize("path", ["/predict/?explain=maybe", "/explain/?method=magic", "/predict/page/?page=0"])
def test_a_wrong_parameter_is_no_missing_file(service: Fixture, path: str) -> None:
    """The message names the parameter and its value, and says nothing of files."""
    message = check_error(service.post(picture(DARK), path), 422, "invalid_request")
    name, value = path.partition("?")[2].split("=")
    assert message.startswith(f"query.{name}: ")
    assert message.endswith(f", not '{value}'")
    assert "file" not in message


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/predict/", 405, "method_not_allowed"),
        ("PUT", "/predict/x/", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
    ],
)
def test_wrong_paths_and_methods_have_the_same_shape(
    service: Fixture, method: str, path: str, status: int, code: str
) -> None:
    """What the framework refuses looks like what the service refuses."""
    check_error(service.client.request(method, path), status, code)


def test_a_broken_multipart_body_is_a_bad_request(service: Fixture) -> None:
    """A body that is not what its header says gives 400, never 500."""
    for kind in ("multipart/form-data", "multipart/form-data; boundary=b"):
        response = service.client.post("/predict/", content=b"--b\r\nnonsense", headers={"Content-Type": kind})
        assert response.status_code in {400, 422}
        assert set(response.json()) == {"code", "message", "request_id"}


def test_unknown_tasks_and_tasks_without_a_model(service: Fixture, tmp_path: Path) -> None:
    """An unknown name is 404 and lists the known ones; a task that has no model yet is 503."""
    assert NAME in check_error(service.post(picture(), "/predict/nothing/"), 404, "unknown_task")
    with serving(tmp_path / "none", bundle=False) as empty:
        check_error(empty.post(picture()), 503, "no_model")
        health = empty.client.get("/health")
        assert (health.status_code, health.json()["status"], health.json()["sha256"]) == (503, "absent", None)


def test_another_task_answers_under_its_own_path(tmp_path: Path) -> None:
    """A task with a shipped bundle is served beside the main one, with its own labels."""
    make_bundle(tmp_path / "embedded" / OTHER.name, task=OTHER)
    with serving(tmp_path, bundle=False) as service:
        answer = service.post(picture(LIGHT), f"/predict/{OTHER.name}/").json()
        assert (answer["predicted_class"], answer["model_name"]) == ("white", OTHER.name)
        assert OTHER.name in service.client.get("/health").json()["tasks"]


@pytest.mark.parametrize(("offered", "kept"), [("scan-7.a_B", True), ("x" * 65, False), ("a b", False), ("", False)])
def test_a_sane_request_id_is_kept(service: Fixture, offered: str, kept: bool) -> None:  # noqa: FBT001 - a parameter
    """The client's id comes back in body, header and log; anything unfit for a log line is replaced."""
    response = service.post(picture(), headers={"X-Request-ID": offered})
    request_id = response.json()["request_id"]
    assert (request_id == offered) is kept
    assert response.headers["X-Request-ID"] == service.log.entries[0].request_id == request_id


def test_what_nobody_foresaw_is_a_500_with_the_request_id(service: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets no inner detail, the log gets the traceback under the same id."""

    def failing(_: object) -> list[Prediction]:
        message = "secret detail"
        raise RuntimeError(message)

    assert service.production.live is not None
    service.production.live = replace(service.production.live, predict=failing)
    message = check_error(service.post(picture(), headers={"X-Request-ID": "seven"}), 500, "internal_error")
    assert "seven" in message
    assert "secret" not in message
    assert "secret detail" in caplog.text


def test_one_request_too_many_is_told_to_wait(tmp_path: Path) -> None:
    """Above the limit of uploads in hand there is a 503 at once, while health still answers; then all is as before."""
    entered, release = threading.Event(), threading.Event()

    def slow(_: object) -> list[Prediction]:
        entered.set()
        assert release.wait(30)
        return [Prediction("printed", 1.0, {"handwritten": 0.0, "printed": 1.0}, uncertain=False)]

    with serving(tmp_path, max_pending_requests=1) as service:
        assert service.production.live is not None
        service.production.live = replace(service.production.live, predict=slow)
        statuses: list[int] = []
        first = threading.Thread(target=lambda: statuses.append(service.post(picture()).status_code))
        first.start()
        assert entered.wait(30)
        refused = service.post(picture())
        check_error(refused, 503, "overloaded")
        assert refused.headers["Retry-After"] == "1"
        assert service.client.get("/health").status_code == 200
        release.set()
        first.join(30)
        assert service.post(picture()).status_code == 200
        assert statuses == [200]


@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_health_tells_what_is_live(service: Fixture, path: str) -> None:
    """Status, model, version, alias, run, sha256, time of loading, limits and refusals are all there."""
    health = service.client.get(path).json()
    live = service.production.live
    assert live is not None
    assert (health["status"], health["model_name"], health["model_version"]) == ("ok", NAME, "5")
    assert (health["model_alias"], health["run_id"], health["sha256"]) == ("prod", "run-5", live.description.sha256)
    assert health["limits"] == {
        "max_upload_bytes": 100_000,
        "max_pixels": 500_000,
        "max_pages": 20,
        "max_pending_requests": 64,
        "time_limit_seconds": 30.0,
    }
    assert health["loaded_at"]
    assert (health["refused"], health["problems"], list(health["tasks"])) == ([], [], [NAME, PAGE_TEXT.name])
    assert health["uptime_seconds"] >= 0
    assert service.client.head(path).status_code == 200


def test_the_reference_describes_every_field(service: Fixture) -> None:
    """OpenAPI has the two paths once each, the answer's fields with descriptions, and the documented errors."""
    reference = service.client.get("/openapi.json").json()
    assert set(reference["paths"]) == {
        "/predict/",
        "/explain/",
        "/explain/{task}/",
        "/predict/batch/",
        "/predict/page/",
        "/predict/text/",
        "/predict/{task}/",
        "/health",
        "/healthz",
        "/readyz",
        "/metrics",
        "/models",
    }
    answer = reference["components"]["schemas"]["Answer"]["properties"]
    assert set(answer) == FIELDS
    assert all("description" in field for field in answer.values())
    assert {"400", "404", "413", "415", "422", "429", "503"} <= set(
        reference["paths"]["/predict/"]["post"]["responses"]
    )


def test_the_settings_are_shown_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One log line has all settings, as JSON."""
    with caplog.at_level(logging.INFO), serving(tmp_path):
        (line,) = [record.message for record in caplog.records if record.message.startswith("settings ")]
    assert Settings.model_validate_json(line.removeprefix("settings ")).alias == "prod"


def test_passwords_are_not_shown() -> None:
    """The password of a database address is starred out, the rest of the text stays."""
    shown = without_passwords('{"a":"postgresql://me:secret@host/db","b":"sqlite:///x"}')
    assert json.loads(shown) == {"a": "postgresql://me:***@host/db", "b": "sqlite:///x"}


def test_a_dead_watch_is_reported(service: Fixture) -> None:
    """When the alias is no longer followed, health says so."""
    service.client.app.state.service.watch.stop()
    health = service.client.get("/health").json()
    assert (health["status"], "no longer followed" in health["problems"][0]) == ("degraded", True)


def test_an_image_with_orientation_and_alpha_is_read(service: Fixture) -> None:
    """EXIF orientation and transparency, which phones and scanners write, are no obstacle."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGBA", (60, 20), (0, 0, 0, 0)).save(buffer, "PNG", exif=exif)
    assert service.post(buffer.getvalue()).json()["predicted_class"] == "printed"


def test_moving_the_alias_swaps_under_load_without_a_failed_request(tmp_path: Path) -> None:
    """With a real registry: versions change in answers and in health within 5 seconds, and no request fails."""
    settings = settings_in(tmp_path, alias_poll_seconds=0.05)
    registry = Registry(settings)
    first = registry.register(log_run(registry, tmp_path, bias=20.0), NAME, {})
    second = registry.register(log_run(registry, tmp_path, bias=-20.0), NAME, {})
    registry.set_alias(first)
    seen: list[tuple[int, str, str]] = []
    stop, swapped = threading.Event(), threading.Event()
    with TestClient(create_app(settings)) as client:
        assert wait_for_version(client, "1")

        def post_on() -> None:
            while not stop.is_set():
                response = client.post("/predict/", files={"file": picture(MIDDLE)})
                answer = response.json()
                seen.append((response.status_code, answer["model_version"], answer["predicted_class"]))
                if answer["model_version"] == "2":
                    swapped.set()

        threads = [threading.Thread(target=post_on) for _ in range(3)]
        for thread in threads:
            thread.start()
        registry.set_alias(second)
        in_time = swapped.wait(5)
        stop.set()
        for thread in threads:
            thread.join(30)
        assert in_time
        assert client.get("/health").json()["model_version"] == "2"
    assert set(seen) == {(200, "1", "printed"), (200, "2", "handwritten")}
    logged = [json.loads(line) for line in settings.prediction_log.read_text("utf-8").splitlines()]
    assert len(logged) == len(seen)


def wait_for_version(client: TestClient, version: str) -> bool:
    """Ask health until the main task has the version, for at most 30 seconds."""
    pause = threading.Event()
    for _ in range(600):
        health = client.get("/health").json()["tasks"][NAME]  # there is no page network, so the whole is degraded
        if (health["status"], health["model_version"]) == ("ok", version):
            return True
        pause.wait(0.05)
    return False
