"""The bundle on disk: what is read comes back as written, and whatever is broken is refused with its path."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.errors import BundleError
from app.inference.bundle import (
    DESCRIPTION,
    MODEL,
    Description,
    Probe,
    check_labels,
    read_description,
    sha256_of,
    write_description,
)
from app.tasks import DOCUMENT_TYPE
from tests.bundles import make_bundle


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


def change(bundle: Path, **fields: object) -> None:
    """Set fields of `model.json`, whatever they are."""
    path = bundle / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")


def test_a_description_comes_back_as_it_was_written(bundle: Path) -> None:
    """Writing and reading lose nothing, the image spec included."""
    description = read_description(bundle)
    assert description.image == DOCUMENT_TYPE.image
    write_description(bundle, description)
    assert read_description(bundle) == description


def test_editing_a_task_does_not_change_a_bundle(bundle: Path, tmp_path: Path) -> None:
    """The spec and the labels are the bundle's own: another task gives another bundle, and this one stays."""
    before = read_description(bundle)
    make_bundle(tmp_path / "other", task=replace(DOCUMENT_TYPE, labels=("a", "b", "c"), uncertain_below=0.1))
    assert read_description(bundle) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": ["one"]},
        {"labels": ["same", "same"]},
        {"labels": ["a", "b", "c"]},
        {"temperature": 0},
        {"uncertain_below": 1.5},
        {"probes": []},
        {"schema_version": 2},
        {"kind": "guess"},
        {"sha256": "short"},
        {"surprise": 1},
        {"image": {"height": 4, "width": 512}},
    ],
)
def test_a_description_with_a_wrong_field_is_refused(bundle: Path, fields: dict[str, object]) -> None:
    """Each rule of the schema is checked, unknown fields and future schemas included."""
    change(bundle, **fields)
    with pytest.raises(BundleError, match=r"model\.json"):
        read_description(bundle)


@pytest.mark.parametrize("file", [MODEL, DESCRIPTION, "probe_0.png"])
def test_a_missing_file_is_refused(bundle: Path, file: str) -> None:
    """The model, the description and every probe must be there; the error names the file."""
    (bundle / file).unlink()
    with pytest.raises(BundleError, match=file):
        read_description(bundle)


def test_a_changed_model_is_refused(bundle: Path) -> None:
    """One more byte in the model is noticed, and both hashes are named."""
    recorded = read_description(bundle).sha256
    with (bundle / MODEL).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match=recorded) as caught:
        read_description(bundle)
    assert sha256_of(bundle / MODEL) in str(caught.value)


def test_a_probe_outside_the_bundle_is_refused(bundle: Path) -> None:
    """A description cannot make the service read other files."""
    (bundle.parent / "outside.png").write_bytes((bundle / "probe_0.png").read_bytes())
    change(bundle, probes=[{"file": "../outside.png", "probabilities": [0.5, 0.5]}])
    with pytest.raises(BundleError, match="outside"):
        read_description(bundle)


def test_labels_must_be_in_the_same_order(bundle: Path) -> None:
    """The same labels in another order are other labels."""
    description = read_description(bundle)
    check_labels(description, DOCUMENT_TYPE.labels)
    with pytest.raises(BundleError, match="in this order"):
        check_labels(description, DOCUMENT_TYPE.labels[::-1])


def test_a_description_cannot_be_changed(bundle: Path) -> None:
    """Descriptions and probes are frozen values."""
    description = read_description(bundle)
    with pytest.raises(ValidationError, match="frozen"):
        description.temperature = 2.0
    with pytest.raises(ValidationError, match="frozen"):
        Probe(file="a", probabilities=(1.0,)).file = "b"
    assert isinstance(description, Description)
