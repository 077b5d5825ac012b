"""Pages over HTTP: a page sent to `/predict/`, and `/predict/page/` in all its forms."""

import struct
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from app.webservice.page_answers import LineAnswer, OnePage, PagesAnswer
from tests.bundles import LIGHT, picture
from tests.pages import as_pdf, as_tiff, draw_page, saved
from tests.services import NAME, Fixture, check_error, serving
from tests.test_pages import ENCRYPTED


@pytest.fixture(name="service", scope="module")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fixture]:
    with serving(tmp_path_factory.mktemp("pages"), max_pages=3) as service:
        yield service


def as_png(page: Image.Image) -> bytes:
    """One page as PNG."""
    return saved([page], "PNG")


def test_a_page_is_answered_with_what_is_on_it(service: Fixture) -> None:
    """A page gets the class of its text, the ratio, the turn, and the number of lines by class."""
    answer = service.post(as_png(draw_page())).json()
    assert (answer["predicted_class"], answer["mixed"], answer["orientation"]) == ("printed", False, 0)
    assert (answer["lines"], answer["handwritten_ratio"]) == ({"handwritten": 0, "printed": 12}, 0)
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_a_line_has_no_fields_of_a_page(service: Fixture) -> None:
    """The answer for a line is what it always was."""
    assert "lines" not in service.post(picture(LIGHT)).json()


@pytest.mark.parametrize("path", ["/predict/document_type/", "/predict/batch/"])
def test_a_page_is_the_same_wherever_it_is_sent(service: Fixture, path: str) -> None:
    """By the name of the task, and in a batch, a page has the fields that it has at `/predict/`."""
    whole, own = service.post(as_png(draw_page(red=range(6)))).json(), {"prediction_time_ms", "request_id", "top"}
    file = ("files" if "batch" in path else "file", ("page.png", as_png(draw_page(red=range(6)))))
    answer = service.client.post(path, files=[file]).json()
    found = answer["entries"][0]["answer"] if "batch" in path else answer
    assert {name: value for name, value in found.items() if name not in own} == {
        name: value for name, value in whole.items() if name not in own
    }
    assert whole["lines"]["printed"] == 12


def test_a_pdf_may_be_sent_anywhere(service: Fixture) -> None:
    """For `/predict/` the first page of a PDF counts."""
    assert service.post(as_pdf([draw_page(5), draw_page(9)])).json()["lines"]["printed"] == 5


@pytest.mark.parametrize("path", ["/predict/page/", "/predict/page"])
@pytest.mark.parametrize("save", [as_pdf, as_tiff])
def test_every_page_of_a_file_is_answered(service: Fixture, path: str, save: object) -> None:
    """Each page has all promised fields, its lines in reading order, and a line in the prediction log."""
    before = len(service.log.entries)
    response = service.post(save([draw_page(4), draw_page(0), draw_page(6)]), path)
    answer = response.json()
    assert response.status_code == 200
    assert set(answer) == set(PagesAnswer.model_fields)
    assert [set(page) for page in answer["pages"]] == [set(OnePage.model_fields)] * 3
    assert [len(page["lines"]) for page in answer["pages"]] == [4, 0, 6]
    assert [page["predicted_class"] for page in answer["pages"]] == ["printed", None, "printed"]
    line = answer["pages"][0]["lines"][0]
    assert set(line) == set(LineAnswer.model_fields)
    assert line["box"][1] < answer["pages"][0]["lines"][1]["box"][1]
    entries = service.log.entries[before:]
    assert [(entry.label, entry.task) for entry in entries] == [("printed", NAME), ("", NAME), ("printed", NAME)]
    assert {entry.request_id for entry in entries} == {answer["request_id"]}


def test_alto_is_answered_for_all_pages(service: Fixture) -> None:
    """`format=alto` gives one document with every page and the name of the file."""
    response = service.post(as_tiff([draw_page(3), draw_page(2)]), "/predict/page/?format=alto")
    assert response.headers["content-type"] == "application/xml"
    root = ET.fromstring(response.content)  # noqa: S314 - our own
    assert sum(element.tag.endswith("TextLine") for element in root.iter()) == 5
    assert "line.png" in [element.text for element in root.iter()]


def test_page_xml_and_picture_are_of_one_page(service: Fixture) -> None:
    """`format=page` and `format=png` answer for the page that is asked for, of the size of the upload."""
    data = as_tiff([draw_page(3), draw_page(2, (600, 500))])
    xml = service.post(data, "/predict/page/?format=page&page=2")
    assert sum(element.tag.endswith("TextLine") for element in ET.fromstring(xml.content).iter()) == 2  # noqa: S314
    picture_ = service.post(data, "/predict/page/?format=png&page=2")
    assert picture_.headers["content-type"] == "image/png"
    assert picture_.content[16:24] == (600).to_bytes(4, "big") + (500).to_bytes(4, "big")


def test_a_page_is_answered_though_one_before_it_is_bad(service: Fixture) -> None:
    """Only the page that is asked for is looked at; the first has one pixel."""
    data = as_tiff([Image.new("RGB", (1, 1)), draw_page(2, (600, 500))])
    assert service.post(data, "/predict/page/?format=png&page=2").status_code == 200
    assert check_error(service.post(data, "/predict/page/?format=png"), 422, "too_small")


def holed(data: bytes) -> bytes:
    """A TIFF of several pages, the description of the second of which is lost."""
    (first,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * tags)
    (tags,) = struct.unpack_from("<H", data, second)
    return data[: second + 2] + bytes(12 * tags) + data[second + 2 + 12 * tags :]


@pytest.mark.parametrize(
    ("data", "path", "status", "code"),
    [
        (saved([Image.new("RGB", (800, 900), "white")], "PNG"), "/predict/", 422, "no_text"),
        (ENCRYPTED, "/predict/page/", 422, "encrypted_file"),
        (b"%PDF-1.7 nothing", "/predict/page/", 400, "broken_image"),
        (as_pdf([draw_page(1, (200, 200))] * 4), "/predict/page/", 413, "too_many_pages"),
        (as_pdf([draw_page(1, (200, 200))]), "/predict/page/?format=png&page=2", 422, "no_such_page"),
        (picture(), "/predict/page/?format=docx", 422, "invalid_request"),
        (b"hello", "/predict/page/", 415, "not_an_image"),
        (holed(as_tiff([draw_page(1, (200, 200))] * 2)), "/predict/page/", 400, "broken_image"),
        (as_tiff([draw_page(1, (200, 200))] * 2)[:-2000], "/predict/page/", 400, "broken_image"),
        (as_tiff([draw_page(1, (200, 200))] * 2), "/predict/page/?format=page&page=3", 422, "no_such_page"),
        (picture(), "/predict/page/?format=page&page=2", 422, "no_such_page"),
    ],
    ids=[
        "empty-page",
        "encrypted",
        "broken",
        "too-many",
        "no-such-page",
        "unknown-form",
        "no-image",
        "hole",
        "cut-off-later",
        "of-tiff",
        "of-png",
    ],
)
def test_what_cannot_be_analysed_is_refused(service: Fixture, data: bytes, path: str, status: int, code: str) -> None:
    """Each has its error in the promised shape, and leaves no line in the prediction log."""
    before = len(service.log.entries)
    assert check_error(service.post(data, path), status, code)
    assert len(service.log.entries) == before
