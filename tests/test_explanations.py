"""Explanations over HTTP: pictures and numbers, labels and methods, pages, and explained predictions."""

import io
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.tasks import DOCUMENT_TYPE
from app.webservice.explanations import Explained, Explanation
from tests.bundles import DARK, LIGHT, MIDDLE, make_bundle, make_bundle_with_maps, picture
from tests.pages import draw_page, saved
from tests.services import NAME, Fixture, check_error, serving

INPUT = DOCUMENT_TYPE.image


@pytest.fixture(name="service", scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fixture]:
    folder = tmp_path_factory.mktemp("explanations")
    with serving(folder, bundle=False, alias_poll_seconds=3600) as service:
        service.store.promote("7", make_bundle_with_maps(folder / "seven"))
        service.production.reconcile(service.store.open)
        yield service


@pytest.mark.parametrize("path", ["/explain/", "/explain", f"/explain/{NAME}/", f"/explain/{NAME}"])
def test_a_picture_is_the_default(service: Fixture, path: str) -> None:
    """Every path gives a PNG of the network's input with the heat under it, and leaves a line in the log."""
    before = len(service.log.entries)
    response = service.post(picture(DARK), path)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.width == INPUT.width
        assert image.height > 2 * INPUT.height
    (entry,) = service.log.entries[before:]
    assert entry.request_id == response.headers["X-Request-ID"]


def test_numbers_come_with_the_whole_answer(service: Fixture) -> None:
    """As JSON there are the fields of an answer, the map as rows of numbers, and the picture as a data URI."""
    answer = service.post(picture(LIGHT), "/explain/?format=json").json()
    assert set(answer) == set(Explained.model_fields)
    explanation = answer["explanation"]
    assert set(explanation) == set(Explanation.model_fields)
    assert (explanation["label"], explanation["method"]) == (answer["predicted_class"], "map") == ("printed", "map")
    rows = explanation["values"]
    assert (len(rows), {len(row) for row in rows}) == (INPUT.height // 8, {INPUT.width // 8})
    assert opened(explanation["image"]).width == INPUT.width


def opened(uri: str) -> Image.Image:
    """The picture in a data URI."""
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(b64decode(data)))


def test_another_label_and_another_method_may_be_named(service: Fixture) -> None:
    """The explanation is that of the named label, by the named method; the answer stays the same."""
    answer = service.post(picture(LIGHT), "/explain/?format=json&label=handwritten&method=occlusion").json()
    assert answer["predicted_class"] == "printed"
    assert (answer["explanation"]["label"], answer["explanation"]["method"]) == ("handwritten", "occlusion")


def test_an_unknown_label_is_told_the_known_ones(service: Fixture) -> None:
    """A label that the model does not have is the client's error, and nothing is predicted."""
    before = len(service.log.entries)
    message = check_error(service.post(picture(), "/explain/?label=typed"), 422, "unknown_label")
    assert "handwritten, printed" in message
    assert len(service.log.entries) == before


@pytest.mark.parametrize("query", ["method=guess", "format=gif"])
def test_unknown_methods_and_forms_are_refused(service: Fixture, query: str) -> None:
    """What is not one of the documented values gives 422."""
    assert service.post(picture(), f"/explain/?{query}").status_code == 422


def test_a_model_without_maps_is_explained_by_occlusion(tmp_path: Path) -> None:
    """It falls back to occlusion, unless maps are asked for: then it says that it has none."""
    with serving(tmp_path) as plain:
        answer = plain.post(picture(), "/explain/?format=json").json()
        assert answer["explanation"]["method"] == "occlusion"
        assert "method=occlusion" in check_error(plain.post(picture(), "/explain/?method=map"), 422, "no_maps")
        assert len(plain.log.entries) == 1


def test_a_page_is_explained_by_its_lines(service: Fixture) -> None:
    """A page is shown with its lines in colour, as picture and in the answer, without numbers."""
    page = saved([draw_page(6, size=(2000, 2600))], "PNG")
    with Image.open(io.BytesIO(service.post(page, "/explain/").content)) as image:
        assert max(image.size) == 1600
    answer = service.post(page, "/predict/?explain=always").json()
    assert answer["lines"]["printed"] + answer["lines"]["handwritten"] == 6
    assert (answer["explanation"]["method"], answer["explanation"]["values"]) == ("lines", [])


@pytest.mark.parametrize(
    ("query", "grey", "has"),
    [
        ("?explain=always", LIGHT, True),
        ("?explain=auto", LIGHT, False),
        ("?explain=auto", MIDDLE, True),
        ("", MIDDLE, False),
    ],
)
def test_predictions_are_explained_on_demand(service: Fixture, query: str, grey: int, has: bool) -> None:  # noqa: FBT001
    """Always, or only where the answer is uncertain; without the parameter never."""
    answer = service.post(picture(grey), "/predict/" + query).json()
    assert ("explanation" in answer) is has
    plain = service.post(picture(grey)).json()
    assert set(answer) - set(plain) == ({"explanation"} if has else set())
    assert answer["probabilities"] == plain["probabilities"]


def test_bad_files_get_the_error_contract(service: Fixture) -> None:
    """What is no image, or for no task, is refused as it is for a prediction."""
    check_error(service.post(b"hello", "/explain/"), 415, "not_an_image")
    check_error(service.post(b"", "/predict/?explain=auto"), 400, "empty_file")
    check_error(service.post(picture(), "/explain/nothing/"), 404, "unknown_task")
    check_error(service.client.post("/explain/"), 422, "missing_file")


def test_an_explanation_is_of_the_version_that_answered(tmp_path: Path) -> None:
    """After a swap the new model explains."""
    with serving(tmp_path, alias_poll_seconds=3600) as service:
        service.store.promote("6", make_bundle(tmp_path / "six", bias=20.0))
        service.production.reconcile(service.store.open)
        answer = service.post(picture(DARK), "/explain/?format=json").json()
    assert (answer["model_version"], answer["explanation"]["label"]) == ("6", "printed")
