"""API keys: who is let in, who is not, and how often."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import Settings
from app.webservice.keys import Bucket
from tests.bundles import picture
from tests.services import Fixture, check_error, serving

KEY, OTHER_KEY = "correct horse battery staple", "schlüssel"
HASHES = [hashlib.sha256(key.encode()).hexdigest() for key in (KEY, OTHER_KEY)]


@pytest.fixture(name="service")
def _service(tmp_path: Path) -> Iterator[Fixture]:
    with serving(tmp_path, api_key_hashes=HASHES, requests_per_minute=2) as service:
        yield service


@pytest.mark.parametrize("headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}])
def test_a_known_key_is_let_in(service: Fixture, headers: dict[str, str]) -> None:
    """The key may come in either header."""
    assert service.post(picture(), headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/predict/", "/health", "/readyz", "/metrics", "/docs", "/nothing"])
@pytest.mark.parametrize("key", ["", "wrong", HASHES[0], "\xff"])
def test_without_a_known_key_nothing_is_told(service: Fixture, path: str, key: str) -> None:
    """Every path but one refuses a missing or wrong key, and the hash itself, in the usual shape."""
    response = service.client.get(path, headers={"X-API-Key": key.encode("latin-1")})
    check_error(response, 401, "unknown_key")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert service.log.entries == []


def test_alive_needs_no_key(service: Fixture) -> None:
    """A supervisor sees that the process lives."""
    assert service.client.get("/healthz").status_code == 200


def test_each_key_has_its_own_limit(service: Fixture) -> None:
    """After two requests a minute the key is told when to come back, and another key is still let in."""
    mine, other = {"X-API-Key": KEY}, {"X-API-Key": OTHER_KEY.encode()}
    assert [service.post(picture(), headers=mine).status_code for _ in range(2)] == [200, 200]
    refused = service.post(picture(), headers=mine)
    check_error(refused, 429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert service.client.get("/health", headers=other).status_code == 200


def test_every_file_of_a_batch_counts(service: Fixture) -> None:
    """Of three files in a batch the two that the minute allows are answered, and the third is told to wait."""
    files = [("files", ("line.png", picture()))] * 3
    answer = service.client.post("/predict/batch/", files=files, headers={"X-API-Key": KEY})
    entries = answer.json()["entries"]
    assert (answer.status_code, [entry["status"] for entry in entries]) == (200, [200, 200, 429])
    assert entries[2]["error"]["code"] == "too_many_requests"
    assert len(service.log.entries) == 2
    check_error(service.post(picture(), headers={"X-API-Key": KEY}), 429, "too_many_requests")


def test_a_bucket_is_refilled_steadily_and_never_over_its_brim() -> None:
    """At 60 a minute one request comes back each second, and an hour of silence saves no more than a minute's."""
    bucket = Bucket(60, now=0)
    assert [bucket.take(0) for _ in range(60)] == [0] * 60
    assert bucket.take(0) == pytest.approx(1)
    assert bucket.take(1.0) == 0
    assert [bucket.take(4000) for _ in range(60)] == [0] * 60
    assert bucket.take(4000) > 0


def test_a_key_in_the_place_of_its_hash_is_refused() -> None:
    """What is no SHA-256 ends the start, so that no one thinks that a key is set."""
    with pytest.raises(ValidationError, match="api_key_hashes"):
        Settings(api_key_hashes=(KEY,))
