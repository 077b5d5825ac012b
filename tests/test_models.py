"""Tests of the list of models, of tasks beside the main one over HTTP, and of an upload without any stroke."""

import io
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from app.tasks import CHARACTER, DIGIT, TASKS, Task
from app.webservice import create_app
from tests.bundles import make_bundle, stroke
from tests.fakes import FakeStore, ListLog, opener
from tests.services import check_error
from tests.stores import settings_in

SINGLE = (DIGIT, CHARACTER)


@pytest.fixture(name="client", scope="module")
def _client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = settings_in(tmp_path_factory.mktemp("models"), inference_threads=1)
    for task in SINGLE:
        make_bundle(settings.embedded / task.name, task)
    store = FakeStore()
    store.reachable = False
    with TestClient(create_app(settings, None, ListLog(), opener(store)), raise_server_exceptions=False) as client:
        yield client


def test_every_task_is_listed(client: TestClient) -> None:
    """The list has every task, the main one first, with what answers for it, or nothing."""
    for path in ("/models", "/models/"):
        models = client.get(path).json()["models"]
        assert client.head(path).status_code == 200
        assert [model["task"] for model in models] == list(TASKS)
        assert [model["version"] for model in models] == [None, "embedded", "embedded", None]
        assert [len(model["labels"]) for model in models] == [2, 10, 94, 2]
        assert all(model["limits"]["max_pixels"] > 0 for model in models)
        assert all(model["path"] == f"/predict/{model['task']}/" for model in models)


@pytest.mark.parametrize("task", SINGLE, ids=lambda task: task.name)
def test_a_single_sign_is_answered_with_the_best_five(client: TestClient, task: Task) -> None:
    """The answer has the five most probable labels, in order, and the first of them is the answer."""
    answer = client.post(f"/predict/{task.name}/", files={"file": ("a.png", stroke())}).json()
    shares = [choice["probability"] for choice in answer["top"]]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    assert (answer["top"][0]["label"], shares[0]) == (answer["predicted_class"], answer["confidence"])
    assert set(answer["probabilities"]) == set(task.labels)


@pytest.mark.parametrize("task", SINGLE, ids=lambda task: task.name)
def test_an_empty_field_is_the_senders_error(client: TestClient, task: Task) -> None:
    """An image without any stroke is answered with 422 and what to do."""
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), "white").save(buffer, "PNG")
    response = client.post(f"/predict/{task.name}/", files={"file": ("a.png", buffer.getvalue())})
    assert "nothing drawn" in check_error(response, 422, "nothing_drawn")


def test_a_text_is_read_sign_by_sign(client: TestClient) -> None:
    """The text of an image comes with its lines, and every sign with its confidence and place."""
    image, buffer = Image.new("RGB", (300, 120), "white"), io.BytesIO()
    pen = ImageDraw.Draw(image)
    for left in (20, 50, 150):
        pen.line([(left, 20), (left + 6, 100)], "black", 6)
    image.save(buffer, "PNG")
    for path in ("/predict/text/", "/predict/text"):
        answer = client.post(path, files={"file": ("a.png", buffer.getvalue())}).json()
        assert (len(answer["text"]), answer["text"][2], len(answer["lines"])) == (4, " ", 1)
        signs = answer["lines"][0]["characters"]
        assert "".join(sign["character"] for sign in signs) == answer["text"].replace(" ", "")
        assert answer["confidence"] == pytest.approx(sum(sign["confidence"] for sign in signs) / 3)
        assert answer["model_name"] == CHARACTER.name
    assert 'penpress_predictions_total{label="text",task="character"} 2.0' in client.get("/metrics").text


def test_an_empty_text_is_the_senders_error(client: TestClient) -> None:
    """Without ink there is no text."""
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), "white").save(buffer, "PNG")
    check_error(client.post("/predict/text/", files={"file": ("a.png", buffer.getvalue())}), 422, "nothing_drawn")
