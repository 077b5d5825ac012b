"""The page at `/`: it is served, loads nothing from outside, and uses what the service really answers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.inference.heat import Method
from app.webservice.explanations import Explained
from app.webservice.front import PAGE
from app.webservice.page_answers import AnswerForPage
from tests.bundles import picture
from tests.services import Fixture, serving

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(name="service")
def _service(tmp_path: Path) -> Iterator[Fixture]:
    with serving(tmp_path) as service:
        yield service


def test_the_page_is_html_that_may_load_nothing_from_outside(service: Fixture) -> None:
    """The root answers the page, and its policy allows requests to the service itself only."""
    response = service.client.get("/")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.text == TEXT
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    assert service.client.head("/").status_code == 200


def test_the_page_names_no_other_place() -> None:
    """Neither addresses nor imports: everything the page needs is in the page."""
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+|@import|url\(|\bimport\b|<script src", TEXT) == []
    assert set(re.findall(r'\b(?:src|href)="([^"]*)"', TEXT)) == {"data:,"}
    assert set(re.findall(r'ask\([`"]([\w/]+)', TEXT)) == {"models", "explain/"}


def test_the_page_asks_for_what_is_answered(service: Fixture) -> None:
    """Every field that the page reads is one of an answer, and both of its requests are answered."""
    fields = set(Explained.model_fields) | set(AnswerForPage.model_fields)
    assert set(re.findall(r"\banswer\.(\w+)", TEXT)) <= fields
    assert set(re.findall(r"\bexplanation\.(\w+)", TEXT)) <= {"image", "label", "method"}
    main, *_ = [model for model in service.client.get("/models").json()["models"] if model["version"]]
    assert {"task", "version", "labels"} <= set(main)
    assert "explanation" in service.post(picture(), f"/explain/{main['task']}/?format=json").json()


def test_every_method_is_told() -> None:
    """The page says in words how each kind of explanation is read."""
    assert set(re.findall(r"^  (\w+): \"The ", TEXT, re.MULTILINE)) == {*Method, "lines"}


def test_the_page_can_be_used_without_a_mouse_and_without_seeing() -> None:
    """The file is chosen by a real field in a label, focus is shown, pictures have texts, and answers are announced."""
    assert re.search(r'<label id="drop">\s*<input id="file" type="file"', TEXT)
    assert ":focus-within" in TEXT
    assert all("alt=" in tag for tag in re.findall(r"<img [^>]*>", TEXT))
    assert 'aria-live="polite"' in TEXT
    assert '<html lang="en">' in TEXT
