"""What the service withstands, for every task: swaps under load, bad and damaged images; writers that are killed."""

import gc
import io
import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.inference.production import Live
from app.tasks import TASKS
from app.webservice import create_app
from tests.bundles import huge_picture, make_bundle, picture, stroke
from tests.fakes import FakeStore, ListLog, opener
from tests.services import Fixture, check_error, serving
from tests.stores import settings_in

ROOT = Path(__file__).resolve().parents[1]
SWAPS = 100
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000", "PPM")


@pytest.fixture(name="client", scope="module")
def _client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service in which every task has a bundle."""
    limits = {"max_upload_bytes": 100_000, "max_pixels": 500_000}
    settings, store = settings_in(tmp_path_factory.mktemp("service"), inference_threads=1, **limits), FakeStore()
    store.reachable = False
    for task in TASKS.values():
        make_bundle(settings.embedded / task.name, task)
    with TestClient(create_app(settings, None, ListLog(), opener(store)), raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, task: str, data: bytes) -> Response:
    """Send a file to a task."""
    return client.post(f"/predict/{task}/", files={"file": ("image.png", data)})


@pytest.mark.parametrize("task", TASKS)
def test_a_hundred_swaps_under_load_cost_no_request(task: str, tmp_path: Path) -> None:
    """Every answer is that of the version it names, none fails, and neither bundles nor sessions pile up."""
    labels = TASKS[task].labels
    bundles = [make_bundle(tmp_path / f"{bias}", TASKS[task], bias) for bias in (-20.0, 20.0)]
    expected = labels[0], labels[-1]  # by the version's parity
    answers: list[tuple[int, str, str]] = []
    stop, old = threading.Event(), list[weakref.ref[Live]]()
    with serving(tmp_path, task=TASKS[task], alias_poll_seconds=3600) as service:

        def post_on() -> None:
            while not stop.is_set():
                response = service.post(stroke(), service.own_path)
                body = response.json()
                answers.append((response.status_code, body["model_version"], body["predicted_class"]))

        swap(service, 100, bundles)
        threads = [threading.Thread(target=post_on) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(101, 101 + SWAPS):
            assert service.production.live is not None
            old.append(weakref.ref(service.production.live))
            swap(service, number, bundles)
        stop.set()
        for thread in threads:
            thread.join(30)
        gc.collect()
        assert service.production.swaps == SWAPS + 1
        assert len(list((tmp_path / "cache" / task).iterdir())) <= 3
        assert sum(live() is not None for live in old) <= 1
    assert {status for status, _, _ in answers} == {200}
    assert all(label == expected[int(version) % 2] for _, version, label in answers)
    assert len({version for _, version, _ in answers}) > 1
    assert len(service.log.entries) == len(answers)


def swap(service: Fixture, number: int, bundles: list[Path]) -> None:
    """Give the alias to a new version and have it taken; fails when it is not."""
    service.store.promote(str(number), bundles[number % 2])
    service.production.reconcile(service.store.open)
    assert service.production.live is not None
    assert service.production.live.version == str(number)


KILLED = """
import json, os, random, signal, sys
from dataclasses import replace
from pathlib import Path
from app.prediction_log import Entry, PredictionFile

log = PredictionFile(Path(sys.argv[1]))
entry = Entry("2026-01-01T00:00:00.000+00:00", "", "0" * 64, 10, "t", "1", "l" * 300, 0.9, False, 1.5)
random.seed(0)
told = []
for round in range(50):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        number = 0
        while True:
            log.append(replace(entry, request_id=f"{round}-{number}"))
            os.write(writing, b".")
            number += 1
    os.close(writing)
    wanted = random.randrange(1, 40)
    while wanted > 0:
        wanted -= len(os.read(reading, wanted))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    acknowledged = 0
    os.set_blocking(reading, True)
    while rest := os.read(reading, 65536):
        acknowledged += len(rest)
    told.append(acknowledged)
    os.close(reading)
print(json.dumps(told))
"""


def test_what_was_acknowledged_is_in_the_log_of_a_killed_writer(tmp_path: Path) -> None:
    """Fifty writers are killed at random moments: each entry that was told to be written is a whole line."""
    path = tmp_path / "predictions.log"
    command = [sys.executable, "-c", KILLED, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own script
    numbers: dict[int, set[int]] = {}
    for line in path.read_text("utf-8").splitlines():
        turn, number = map(int, json.loads(line)["request_id"].split("-"))
        numbers.setdefault(turn, set()).add(number)
    late = json.loads(done.stdout)
    assert len(numbers) == len(late) == 50
    for turn, found in numbers.items():
        assert found == set(range(len(found)))
        assert len(found) > late[turn]


def image_of(fmt: str) -> bytes:
    """A small image with some structure."""
    image = Image.linear_gradient("L").resize((60, 24)).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, fmt)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what Pillow warns of and reads all the same
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), fmt=st.sampled_from(FORMATS))
def test_damaged_images_are_answered_or_refused(client: TestClient, task: str, data: st.DataObject, fmt: str) -> None:
    """Bytes changed, cut out or put in anywhere never lead to a 500; a sign may be damaged until nothing is drawn."""
    damaged = bytearray(image_of(fmt))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        kept = data.draw(st.sampled_from([0, 1, 8, 10_000]))
        damaged[place : place + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
        damaged = damaged[: max(1, len(damaged) - (0 if kept == 10_000 else kept))]
    response = post(client, task, bytes(damaged))
    if response.status_code == 422:
        check_error(response, 422, "nothing_drawn")
    else:
        assert response.status_code in {200, 400, 413, 415}, response.text


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty_file"),
        (b"hello", 415, "not_an_image"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 415, "not_an_image"),
        (b"PK\x03\x04" + bytes(26), 415, "not_an_image"),
        (picture(size=(1, 1)), 422, "too_small"),
        (picture(size=(1, 300)), 422, "too_small"),
        (picture(size=(65_000, 2)), 413, "too_large"),
        (picture(size=(2, 65_000)), 413, "too_large"),
        (b"%PDF-1.7 " * 20, 400, "broken_image"),
        (picture(size=(300, 300))[:150], 400, "broken_image"),
        (picture(fmt="JPEG")[:400], 400, "broken_image"),
        (picture(size=(1000, 501)), 413, "too_large"),
        (b"x" * 100_001, 413, "too_large"),
        (b"x" * 300_000, 413, "too_large"),
    ],
)
def test_bad_files_get_the_error_contract(client: TestClient, task: str, data: bytes, status: int, code: str) -> None:
    """What is empty, no image, cut short or too large is refused with its code, and leaves no log line."""
    entries = client.app.state.service.log.entries
    before = len(entries)
    check_error(post(client, task, data), status, code)
    assert len(entries) == before


@pytest.mark.parametrize("task", TASKS)
def test_a_huge_picture_in_few_bytes_is_refused_before_it_is_decoded(client: TestClient, task: str) -> None:
    """A decompression bomb costs no memory: its size is read from the header."""
    check_error(post(client, task, huge_picture(60_000)), 413, "too_large")


@pytest.fixture
def collected() -> Iterator[None]:
    """Whatever the test left lying is collected at its end, and not in a later test."""
    yield
    gc.collect()


# The framework leaves the file of a form that it cannot read to the collector.
@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.Spooled:ResourceWarning")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300), kind=st.sampled_from(["multipart/form-data; boundary=b", "multipart/form-data", ""])
)
def test_damaged_bodies_are_refused(client: TestClient, body: bytes, kind: str) -> None:
    """Whatever stands in the place of a multipart body is the client's fault, on every path that takes files."""
    for path in (
        "/predict/",
        "/predict/batch/",
        "/predict/page/",
        "/predict/text/",
        *map("/predict/{}/".format, TASKS),
    ):
        content = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n' + body
        response = client.post(path, content=content, headers={"Content-Type": kind})
        assert response.status_code in {400, 413, 415, 422}, response.text


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x00b.png", "x" * 500, "'; DROP TABLE", "\u202egnp.exe", ""])
def test_hostile_file_names_mean_nothing(client: TestClient, task: str, name: str) -> None:
    """The name of a file is never used; without one the part is no file."""
    response = client.post(f"/predict/{task}/", files={"file": (name, stroke())})
    assert response.status_code == (200 if name else 422)
