"""Importing: interrupted and run again, with corrupt rows, mixed documents and a selection."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data.importing import Row, Selection, import_rows, make_parser, run_import
from app.data.manifest import Sample, read_manifest
from app.tasks import DOCUMENT_TYPE


def picture(number: int, kind: str = "PNG") -> bytes:
    """A small image file whose pixels depend on *number*."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (12, 30), np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def row(number: int, **changes: object) -> Row:
    """A row of its own document, handwritten when its number is even."""
    values = {
        "key": f"train-{number:06d}",
        "label": ("handwritten", "printed")[number % 2],
        "image": picture(number),
        "split": "train",
        "source": "archive",
        "document": f"document {number}",
    }
    return Row(**{**values, **changes})


def take(rows: Iterable[Row], folder: Path, **selection: object) -> list[Sample]:
    """Import rows and give the samples, without what was left out."""
    return import_rows(rows, folder, DOCUMENT_TYPE, Selection(**selection))[0]


def test_images_lie_by_split_and_class_and_the_manifest_lists_them(tmp_path: Path) -> None:
    """Files are in `<split>/<class>/`, hold the original bytes, and the manifest is what was returned."""
    samples = take([row(0), row(1, split="test", language="fr", years="1700-1799")], tmp_path)
    assert sorted(sample.path.rsplit("/", 1)[0] for sample in samples) == ["test/printed", "train/handwritten"]
    assert (tmp_path / samples[1].path).read_bytes() == picture(1)
    assert (samples[1].language, samples[1].years) == ("fr", "1700-1799")
    assert sorted(samples, key=lambda sample: sample.path) == read_manifest(tmp_path)


def test_typewritten_counts_as_printed(tmp_path: Path) -> None:
    """The task says what a source's label means."""
    assert [sample.label for sample in take([row(0, label="typewritten")], tmp_path)] == ["printed"]


def test_jpeg_stays_and_other_formats_become_png(tmp_path: Path) -> None:
    """A JPEG file keeps its bytes; a BMP file becomes a PNG file of the same pixels."""
    samples = take([row(0, image=picture(3, "JPEG")), row(1, image=picture(4, "BMP"))], tmp_path)
    assert [sample.path[-4:] for sample in samples] == [".jpg", ".png"]
    assert (tmp_path / samples[0].path).read_bytes() == picture(3, "JPEG")
    with Image.open(tmp_path / samples[1].path) as stored, Image.open(io.BytesIO(picture(4))) as original:
        assert np.array_equal(np.asarray(stored.convert("L")), np.asarray(original))


def test_corrupt_rows_are_left_out_and_named(tmp_path: Path) -> None:
    """An empty image, a cut one, no image at all and an unknown label are left out, in the result and in the file."""
    bad = [
        row(2, image=b""),
        row(4, image=picture(4)[:-30]),
        row(6, image=b"no image"),
        row(8, label="painted"),
        row(10, label=""),
    ]
    samples, left_out = import_rows([row(0), *bad, row(1)], tmp_path, DOCUMENT_TYPE)
    assert len(samples) == 2
    assert [entry.key for entry in left_out] == [entry.key for entry in bad]
    with (tmp_path / "left_out.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["key"] for line in lines] == [entry.key for entry in bad]
    assert "'painted' is none of handwritten, printed" in lines[3]["reason"]


@pytest.mark.parametrize("changes", [{}, {"split": "test", "document": "another"}, {"label": "printed"}])
def test_a_row_that_comes_again_is_left_out(tmp_path: Path, changes: dict[str, object]) -> None:
    """The first row with a key and an image stays as it is; another is left out and named, whatever else it says."""
    samples, left_out = import_rows([row(0), row(1), row(0, **changes)], tmp_path, DOCUMENT_TYPE)
    assert [(sample.document, sample.split) for sample in samples] == [("document 0", "train"), ("document 1", "train")]
    assert all((tmp_path / sample.path).is_file() for sample in samples)
    reason = "it has the key and the image of an earlier row, 'train-000000'"
    assert [(entry.key, entry.reason) for entry in left_out] == [("train-000000", reason)]


def test_interrupted_import_goes_on_and_writes_nothing_twice(tmp_path: Path) -> None:
    """After an interruption the same import ends with the whole data set, and files on disk are not touched."""
    rows = [row(number) for number in range(8)]

    def interrupted() -> Iterator[Row]:
        yield from rows[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(interrupted(), tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/*/*")}
    assert len(before) == 5
    assert not (tmp_path / "manifest.csv").exists()
    samples = take(rows, tmp_path)
    assert len(read_manifest(tmp_path)) == len(samples) == 8
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_running_twice_changes_nothing(tmp_path: Path) -> None:
    """The second run gives the same files and the same manifest, mixed documents included."""
    rows = [row(number, document="one", split=("test", "train")[number > 1]) for number in range(5)]
    take(rows, tmp_path)
    first = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/*/*")}
    manifest = (tmp_path / "manifest.csv").read_bytes()
    take(rows, tmp_path)
    assert {file.name for file in tmp_path.glob("*/*/*")} == {file.name for file in first}
    assert (tmp_path / "manifest.csv").read_bytes() == manifest


def test_a_document_in_two_splits_goes_where_most_of_it_is(tmp_path: Path) -> None:
    """A source that spreads a document over splits does not spread it here, and its files move along."""
    splits = ["test", "train", "test", "test", "validation"]
    rows = [row(number, document="one book", split=split) for number, split in enumerate(splits)]
    samples = take(rows, tmp_path)
    assert {sample.split for sample in samples} == {"test"}
    assert all((tmp_path / sample.path).is_file() for sample in samples)
    assert len(list(tmp_path.glob("*/*/*.png"))) == 5


def test_rows_without_a_split_get_that_of_their_document(tmp_path: Path) -> None:
    """The hash of the document chooses, so all its rows are together, and not all documents are in one split."""
    samples = take([row(number, split=None, document=f"d {number % 40}") for number in range(80)], tmp_path)
    splits = {sample.document: sample.split for sample in samples}
    assert all(sample.split == splits[sample.document] for sample in samples)
    assert len(set(splits.values())) == 3


def test_subset_keeps_a_share_that_does_not_change_and_every_source(tmp_path: Path) -> None:
    """A tenth is about a tenth, the same in every run, and a source with one row stays."""
    rows = [row(number, image=picture(0)) for number in range(300)] + [row(999, source="small")]
    first, again = take(rows, tmp_path / "a", subset=0.1), take(rows, tmp_path / "b", subset=0.1)
    assert first == again
    assert 15 <= len(first) <= 50
    assert "small" in {sample.source for sample in first}


def test_larger_subset_contains_the_smaller(tmp_path: Path) -> None:
    """Growing the subset keeps what was there, so that an import can be widened."""
    rows = [row(number, image=picture(0)) for number in range(100)]
    small, large = take(rows, tmp_path, subset=0.2), take(rows, tmp_path, subset=0.6)
    assert {sample.document for sample in small} < {sample.document for sample in large}


def test_splits_and_the_most_of_a_source_are_kept(tmp_path: Path) -> None:
    """`splits` leaves out the others; `max_per_source` counts per source and split."""
    rows = [row(number, split=("train", "test")[number % 2], source=f"s{number % 3}") for number in range(30)]
    assert {sample.split for sample in take(rows, tmp_path / "a", splits=("test",))} == {"test"}
    samples = take(rows, tmp_path / "b", max_per_source=2)
    assert len(samples) == 2 * 2 * 3


def command(folder: Path, rows: Iterable[Row], *options: str) -> int:
    """Run the import command on rows as a script does."""
    arguments = make_parser("Import.", "set").parse_args(["--datasets", str(folder), *options])
    return run_import(arguments, lambda _: (each for each in rows))


def test_command_prints_the_summary_and_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table, the number of samples, and the rows left out with the reason."""
    assert command(tmp_path, [row(0), row(1), row(2, image=b"x")]) == 0
    output = capsys.readouterr().out
    assert "archive" in output
    assert f"2 samples in {tmp_path / 'set'}" in output
    assert "1 rows left out, listed in left_out.csv:" in output
    assert "train-000002: 1 bytes are not an image" in output


def test_command_tells_how_to_go_on_after_an_interruption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with status 130 and one line, not with a traceback."""

    def interrupted() -> Iterator[Row]:
        yield row(0)
        raise KeyboardInterrupt

    assert command(tmp_path, interrupted()) == 130
    assert "the same command goes on where it stopped" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0", "1.5", "-1"])
def test_a_share_that_is_none_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--subset` must be above 0 and at most 1."""
    with pytest.raises(SystemExit):
        make_parser("Import.", "set").parse_args(["--subset", share])
    assert "is not a share" in capsys.readouterr().err
