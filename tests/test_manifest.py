"""The manifest: written and read back alike, refused when a test split would be worth nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.data.manifest import (
    SPLITS,
    Sample,
    check_samples,
    fingerprint,
    read_manifest,
    split_of,
    stable_share,
    summary,
    write_manifest,
)
from app.errors import DataError

SAMPLE = Sample("train/printed/a.png", "printed", "train", "press", "book, vol. 1", "fr", "1700-1799", "a" * 64)
OTHER = Sample("test/handwritten/b.png", "handwritten", "test", "archive", 'a "letter"\nof two lines', "", "", "b" * 64)


def test_read_back_as_written_sorted_by_path(tmp_path: Path) -> None:
    """Commas, quotes and line breaks in a document's name survive the file, and the order is that of the paths."""
    write_manifest(tmp_path, [SAMPLE, OTHER])
    assert read_manifest(tmp_path) == [OTHER, SAMPLE]


def test_writing_again_gives_the_same_bytes_and_leaves_no_other_file(tmp_path: Path) -> None:
    """The order of the samples does not matter, and the temporary file is gone."""
    write_manifest(tmp_path, [SAMPLE, OTHER])
    first = (tmp_path / "manifest.csv").read_bytes()
    write_manifest(tmp_path, [OTHER, SAMPLE])
    assert (tmp_path / "manifest.csv").read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.csv"]


def test_missing_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    """A folder without a manifest is refused, with the remedy."""
    with pytest.raises(DataError, match="make it with an import script"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,label\na,b\n", "has the columns"),
        ("path,label,split,source,document,language,years,sha256\na,b,train\n", "1 lines with missing"),
        ("path,label,split,source,document,language,years,sha256\na,b,train,d,e,f,g,h,i\n", "1 lines with missing"),
    ],
)
def test_broken_manifest_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """Other columns, and lines with too few or too many, are refused."""
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split": "dev", "document": "x"}, "unknown split 'dev'"),
        ({"path": SAMPLE.path, "document": "x"}, "occur more than once"),
        ({"document": SAMPLE.document}, "is in train and in test"),
    ],
)
def test_samples_that_would_spoil_the_test_are_refused(changes: dict[str, str], reason: str) -> None:
    """An unknown split, a path that occurs twice and a document in two splits are refused."""
    with pytest.raises(DataError, match=reason):
        check_samples([SAMPLE, replace(OTHER, **changes)])


def test_a_bad_list_never_replaces_a_good_manifest(tmp_path: Path) -> None:
    """What cannot be written leaves the old manifest as it was."""
    write_manifest(tmp_path, [SAMPLE])
    with pytest.raises(DataError):
        write_manifest(tmp_path, [SAMPLE, SAMPLE])
    assert read_manifest(tmp_path) == [SAMPLE]


def test_fingerprint_depends_on_content_label_and_split_alone() -> None:
    """Order, path and source do not change the fingerprint; bytes, label and split do."""
    whole = fingerprint([SAMPLE, OTHER])
    assert fingerprint([OTHER, replace(SAMPLE, path="elsewhere.png", source="s", document="d")]) == whole
    for changes in ({"sha256": "c" * 64}, {"label": "handwritten"}, {"split": "validation"}):
        assert fingerprint([replace(SAMPLE, **changes), OTHER]) != whole


@given(st.text(max_size=40))
def test_a_document_always_has_the_same_split(document: str) -> None:
    """The share of a text is in [0, 1), and its split one of the three, the same every time."""
    assert 0 <= stable_share(document) < 1
    assert split_of(document) == split_of(document)
    assert split_of(document) in SPLITS
    assert split_of(document, (0, 1, 0)) == "validation"


def test_splits_have_about_their_shares() -> None:
    """Of many documents, about eight, one and one tenth go to the splits."""
    splits = [split_of(f"document {number}") for number in range(4000)]
    assert [round(splits.count(split) / 4000, 1) for split in SPLITS] == [0.8, 0.1, 0.1]


def test_the_hash_is_that_of_last_year() -> None:
    """The split of a document must never change between versions, or a test split would leak into training."""
    splits = [split_of(name) for name in ("page 1", "page 2", "page 9", "page 16", "page 20", "Zürich")]
    assert splits == ["train", "validation", "validation", "test", "validation", "train"]


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.2), (1.2, -0.1, -0.1)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float, float]) -> None:
    """Shares must be positive and add up to 1."""
    with pytest.raises(DataError, match="add up to 1"):
        split_of("document", shares)


def test_summary_counts_by_source_label_and_split() -> None:
    """Each source and label has its line, and totals come last."""
    lines = [line.split() for line in summary([SAMPLE, OTHER]).splitlines()]
    assert ["press", "printed", "1", "0", "0", "1"] in lines
    assert lines[-1] == ["all", "all", "1", "0", "1", "2"]
