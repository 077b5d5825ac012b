"""The import scripts, each from its command line to the manifest, on tiny sources made here."""

import io
import json
import re
import runpy
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from app.data import (
    data_import_folder,
    data_import_handwritten_corto,
    data_import_pages,
    data_import_printed_handwritten_catmus,
)
from app.data.manifest import read_manifest, split_of
from app.data.sources import find_split_files, open_splits
from app.errors import DataError


def picture(number: int, size: tuple[int, int] = (40, 16)) -> bytes:
    """A PNG file whose pixels depend on *number*."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0]), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(file: Path, column: str, numbers: Sequence[int], **columns: list[Any]) -> None:
    """Write a parquet file of pictures with further columns, as the `datasets` library stores images."""
    file.parent.mkdir(parents=True, exist_ok=True)
    values = {column: [{"bytes": picture(number), "path": None} for number in numbers], **columns}
    features = datasets.Features(
        {column: datasets.Image()}
        | {name: datasets.Value("int64" if name.startswith("not_") else "string") for name in columns}
    )
    datasets.Dataset.from_dict(values, features=features).to_parquet(file)


@pytest.fixture
def catmus(tmp_path: Path) -> Path:
    """A source in the layout of CATMuS/modern: four lines of three documents."""
    write_parquet(
        tmp_path / "train-00000-of-00001.parquet",
        "im",
        range(4),
        writing_type=["handwritten", "printed", "typewritten", "crayon"],
        project=["archive", "press", "press", "press"],
        shelfmark=["MS 1", "book", "letter", "book"],
        language=["French", "German", None, "German"],
        not_before=[1700, 1800, None, 1800],
        not_after=[1750, 1899, None, 1899],
        gen_split=["train", "dev", "train", "dev"],
    )
    return tmp_path


def test_catmus_columns_become_samples(catmus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Writing type, project, shelf mark, language, years and split are used; missing ones do no harm."""
    status = data_import_printed_handwritten_catmus.main(["--source", str(catmus), "--datasets", str(tmp_path / "out")])
    samples = {sample.document: sample for sample in read_manifest(tmp_path / "out" / "catmus")}
    assert status == 0
    first = samples["archive/MS 1"]
    assert (first.label, first.split, first.source, first.language, first.years) == (
        "handwritten", "train", "archive", "French", "1700-1750",
    )  # fmt: skip
    assert (samples["press/book"].split, samples["press/letter"].label) == ("validation", "printed")
    assert "'crayon' is none of" in capsys.readouterr().out


def test_catmus_without_the_optional_columns(tmp_path: Path) -> None:
    """With `im` and `writing_type` alone, every line is a document of one source and keeps the split of its file."""
    write_parquet(tmp_path / "test-00000-of-00001.parquet", "im", [7, 8], writing_type=["handwritten", "printed"])
    options = ["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]
    assert data_import_printed_handwritten_catmus.main(options) == 0
    samples = read_manifest(tmp_path / "out" / "catmus")
    assert [(sample.split, sample.source, sample.years) for sample in samples] == [("test", "CATMuS/modern", "")] * 2
    assert len({sample.document for sample in samples}) == 2


@pytest.mark.parametrize(
    ("begin", "end", "years"),
    [
        (1700, 1799, "1700-1799"),
        (1700.0, 1799.0, "1700-1799"),
        ("1700", " 1799.0 ", "1700-1799"),
        (900, 999, "0900-0999"),
        (1700, None, ""),
        (float("nan"), float("nan"), ""),
        (float("inf"), 1799, ""),
        ("about 1700", "1799", ""),
        ("", "", ""),
    ],
)
def test_years_of_catmus_may_be_floats_and_texts(begin: object, end: object, years: str) -> None:
    """Years are the same in whatever type a column has them, and empty where one of the two is none."""
    record = {"im": picture(0), "writing_type": "printed", "not_before": begin, "not_after": end}
    assert data_import_printed_handwritten_catmus.to_row(record, "train", 0).years == years


@pytest.mark.parametrize("name", ["valid-00000-of-00001", "validation", "val", "words-de-validation"])
def test_corto_finds_its_second_split_under_any_name(tmp_path: Path, name: str) -> None:
    """`valid`, `val` and `validation` are one split, in the folder itself or in `data/`."""
    write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet", "image", [1, 2], text=["a", "b"])
    write_parquet(tmp_path / "data" / f"{name}.parquet", "image", [3], text=["c"])
    status = data_import_handwritten_corto.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")])
    samples = read_manifest(tmp_path / "out" / "corto")
    assert status == 0
    assert sorted(sample.split for sample in samples) == ["train", "train", "validation"]
    assert {sample.label for sample in samples} == {"handwritten"}
    assert len({sample.document for sample in samples}) == 3


def test_corto_uses_writers_as_documents(tmp_path: Path) -> None:
    """With a column `writer`, the words of one hand stay in one split."""
    write_parquet(
        tmp_path / "train.parquet", "image", [1, 2], writer=["w1", "w1"], source=["words"] * 2, language=["de"] * 2
    )
    write_parquet(tmp_path / "test.parquet", "image", [3], writer=["w1"], source=["words"], language=["de"])
    options = ["--source", str(tmp_path), "--datasets", str(tmp_path / "out"), "--name", "words"]
    assert data_import_handwritten_corto.main(options) == 0
    samples = read_manifest(tmp_path / "out" / "words")
    assert {(sample.document, sample.split, sample.language) for sample in samples} == {("words/w1", "train", "de")}


def test_source_without_parquet_files_says_what_is_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder ends with one line and status 1."""
    options = ["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]
    assert data_import_printed_handwritten_catmus.main(options) == 1
    assert "no parquet file of a split" in capsys.readouterr().err


def library(load_dataset: Callable[..., object]) -> SimpleNamespace:
    """Stand in for the library `datasets`, with another way to open data sets."""
    return SimpleNamespace(load_dataset=load_dataset, config=SimpleNamespace())


def test_unreachable_hub_names_the_way_out() -> None:
    """When the hub cannot be reached, the error says to give a folder instead."""

    def unreachable(*_: object, **__: object) -> None:
        message = "Couldn't reach the Hub"
        raise ConnectionError(message)

    with pytest.raises(DataError, match="--source DIR"):
        list(open_splits(library(unreachable), "owner/name", None, ()))


def test_splits_of_the_hub_get_their_names_here() -> None:
    """Every split of the hub is opened as a stream, and one of an unknown name is refused."""
    stream = datasets.Dataset.from_dict({"image": [1]}).to_iterable_dataset()
    assert list(open_splits(library(lambda *_, **__: {"valid": stream}), "owner/name", None, ())) == [
        ("validation", stream)
    ]
    with pytest.raises(DataError, match="has the split 'extra'"):
        list(open_splits(library(lambda *_, **__: {"extra": stream}), "owner/name", None, ()))


@pytest.mark.parametrize("told", [True, False])
def test_columns_are_checked_before_the_first_row(told: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """A stream that lacks a column is refused with all that it has, also one that only its rows tell the columns of."""

    def rows() -> Iterator[dict[str, object]]:
        yield {"image": 1, "text": "a"}
        pytest.fail("a row was read")

    features = datasets.Features({"image": datasets.Value("int64"), "text": datasets.Value("string")}) if told else None
    stream = datasets.IterableDataset.from_generator(rows, features=features)
    with pytest.raises(DataError, match=r"'test' of owner/name has no column im, writing_type; it has image, text: "):
        list(open_splits(library(lambda *_, **__: {"test": stream}), "owner/name", None, ("im", "writing_type")))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (data_import_printed_handwritten_catmus, "no column im, writing_type; it has picture, text"),
        (data_import_handwritten_corto, "no column image; it has picture, text"),
    ],
)
def test_a_source_with_other_columns_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], script: ModuleType, words: str
) -> None:
    """An import of parquet files in another layout ends with one line that names what is missing and what is there."""
    write_parquet(tmp_path / "train.parquet", "picture", [1], text=["a"])
    assert script.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def of_page(changes: dict[str, object]) -> str:
    """A page of a listing, changed."""
    return json.dumps({"file": "page.png", "source": "archive", "document": "register", "lines": [], **changes})


def of_line(changes: dict[str, object]) -> str:
    """A page of a listing with one line, changed."""
    return of_page({"lines": [{"bbox": [10, 20, 110, 40], "writing_type": "printed", **changes}]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"file": "page.png", "lines": []}', "line 2 of .*pages.jsonl is no page .*source Field required; document"),
        (
            '{"file": "", "source": "", "document": "", "lines": [{"bbox": []}]}',
            "line 2 of .* lines.0.writing_type Field required",
        ),
        ('{"file": ', "line 2 of .* Invalid JSON"),
        ("\xff", "line 2 of .* Invalid JSON"),
        ("\n5", "line 3 of .* is no page with file, source, document and lines"),
        (of_page({"lines": None}), "line 2 of .* lines Input should be a valid array"),
        (of_page({"lines": [3]}), "line 2 of .* lines.0 Input should be an object"),
        (of_page({"file": 7}), "line 2 of .* file Input should be a valid string"),
        (of_page({"document": 1.5}), "line 2 of .* document"),
        (of_page({"split": "vall"}), "line 2 of .* split .*write one of train, validation, valid, val, dev"),
        (of_page({"split": ["test"]}), "line 2 of .* split Input should be a valid string"),
        (of_page({"complete": "no"}), "line 2 of .* complete Input should be a valid boolean"),
        (of_line({"bbox": [1, 2, 300]}), "line 2 of .* lines.0.bbox.3 Field required"),
        (of_line({"bbox": [1, 2, 3, 4, 5]}), "line 2 of .* lines.0.bbox Tuple should have at most 4 items"),
        (of_line({"bbox": None}), "line 2 of .* lines.0.bbox Input should be a valid array"),
        (of_line({"bbox": [1, 2, 3, "4"]}), "line 2 of .* lines.0.bbox.3 Input should be a valid number"),
        (of_line({"bbox": [1, 2, float("nan"), 4]}), "line 2 of .* lines.0.bbox.2 Input should be a finite number"),
        (of_line({"writing_type": 1}), "line 2 of .* lines.0.writing_type Input should be a valid string"),
        (of_line({"text": 1823}), "line 2 of .* lines.0.text Input should be a valid string"),
        (of_line({"core": [[1, 2], 3]}), "line 2 of .* lines.0.core.1 Input should be a valid array"),
    ],
)
def test_a_listing_of_pages_is_checked_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    """A page without a field that is needed, or with one of another form, is named before any page is cut."""
    make_page(tmp_path, [{"bbox": [10, 20, 110, 40], "writing_type": "printed"}])
    with (tmp_path / "pages.jsonl").open("a", encoding="latin-1") as listing:
        listing.write(f"{text}\n")
    assert data_import_pages.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 1
    assert re.search(words, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_files_of_several_parts_are_one_split(tmp_path: Path) -> None:
    """All parts of a split are found, in order."""
    for name in ("train-00001-of-00002", "train-00000-of-00002", "dev", "other"):
        (tmp_path / f"{name}.parquet").touch()
    found = find_split_files(tmp_path)
    assert {split: len(files) for split, files in found.items()} == {"train": 2, "validation": 1}
    assert found["train"][0].endswith("train-00000-of-00002.parquet")


def make_page(folder: Path, lines: list[dict[str, object]]) -> None:
    """Write a page of 400 x 300 px, white with grey noise, and its listing."""
    Image.fromarray(np.random.default_rng(0).integers(180, 255, (300, 400, 3), np.uint8)).save(folder / "page.png")
    page = {"file": "page.png", "source": "archive", "document": "register", "split": "validation", "lines": lines}
    (folder / "pages.jsonl").write_text(json.dumps(page) + "\n")


def line(box: list[int], kind: str = "handwritten", text: str = "words") -> dict[str, object]:
    """A line of a page."""
    return {"bbox": box, "writing_type": kind, "text": text}


@pytest.mark.parametrize(
    ("split", "expected"), [("val", "validation"), ("dev", "validation"), ("test", "test"), (None, None), ("", None)]
)
def test_pages_keep_their_split(tmp_path: Path, split: str | None, expected: str | None) -> None:
    """A page's split goes by any of its names, without one the document decides, and blank lines are passed over."""
    make_page(tmp_path, [line([100, 100, 180, 140])])
    page = json.loads((tmp_path / "pages.jsonl").read_text())
    (tmp_path / "pages.jsonl").write_text(f"\n{json.dumps(page | {'split': split})}\n \n")
    assert data_import_pages.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 0
    (sample,) = read_manifest(tmp_path / "out" / "pages")
    assert sample.split == (expected or split_of("archive/register"))


def size_of(file: Path) -> tuple[int, int]:
    """Width and height of an image file."""
    with Image.open(file) as image:
        return image.size


def test_pages_give_a_crop_with_surroundings_for_every_line(tmp_path: Path) -> None:
    """Boxes without a type, too small, or without letters give nothing; the margin stays within its bounds."""
    usable = [line([100, 100, 180, 140]), line([100, 200, 180, 230], "typewritten"), line([0, 0, 50, 30], text="")]
    useless = [line([9, 9, 99, 20]), line([9, 9, 28, 40]), line([9, 9, 99, 40], None), line([9, 9, 99, 40], text="- »")]
    make_page(tmp_path, usable + useless)
    options = ["--source", str(tmp_path), "--datasets", str(tmp_path / "out"), "--crops-per-line", "4"]
    assert data_import_pages.main(options) == 0
    samples = read_manifest(tmp_path / "out" / "pages")
    assert len(samples) == 12
    assert {(sample.split, sample.document) for sample in samples} == {("validation", "archive/register")}
    assert sum(sample.label == "printed" for sample in samples) == 4
    first = [sample.path for sample in samples if "page-000" in sample.path]
    sizes = {size_of(tmp_path / "out" / "pages" / path) for path in first}
    assert len(sizes) > 1
    for width, height in sizes:
        assert 80 <= width <= 160
        assert 36 <= height <= 88


def test_long_lines_also_give_pieces_and_a_second_run_the_same_crops(tmp_path: Path) -> None:
    """Now and then a long box gives a word-like piece, and nothing depends on the run."""
    make_page(tmp_path, [line([10, 20 * number, 390, 20 * number + 16]) for number in range(14)])
    for name in ("one", "two"):
        assert data_import_pages.main(["--source", str(tmp_path), "--datasets", str(tmp_path), "--name", name]) == 0
    samples = read_manifest(tmp_path / "one")
    assert samples == read_manifest(tmp_path / "two")
    pieces = [sample.path for sample in samples if "-piece-" in sample.path]
    assert 2 <= len(pieces) <= 12
    assert all(size_of(tmp_path / "one" / path)[0] < 150 for path in pieces)


def test_pages_whose_image_cannot_be_read_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing and a broken image are counted and named, once each, and the pages that are whole are imported."""
    make_page(tmp_path, [line([100, 100, 180, 140]), line([100, 200, 180, 230], "typewritten")])
    page = json.loads((tmp_path / "pages.jsonl").read_text())
    (tmp_path / "broken.png").write_bytes((tmp_path / "page.png").read_bytes()[:200])
    listing = [
        page | {"file": "gone.png"},
        page | {"file": "broken.png"},
        page,
        page | {"file": "idle.png", "lines": []},
    ]
    (tmp_path / "pages.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in listing))
    assert data_import_pages.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert len(read_manifest(tmp_path / "out" / "pages")) == 2
    assert (
        "2 rows left out, listed in left_out.csv:\n  gone: its image is missing or empty\n  broken: 200 bytes" in said
    )


def test_lines_that_are_not_on_their_page_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Boxes beyond an edge, or nearly, are counted and named; one that an edge cuts gives what lies on the page."""
    edges = [[420, 10, 560, 40], [10, -60, 90, -20], [10, 290, 390, 340], [-80, 10, 19, 40], [300, 250, 500, 320]]
    make_page(tmp_path, [line(box) for box in edges])
    assert data_import_pages.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 0
    samples = read_manifest(tmp_path / "out" / "pages")
    assert [sample.path.split("/")[-1][:8] for sample in samples] == ["page-004"]
    assert size_of(tmp_path / "out" / "pages" / samples[0].path) <= (170, 100)
    said = capsys.readouterr().out
    assert "4 rows left out" in said
    assert all(f"  page-00{number}-0: its image is missing or empty" in said for number in range(4))


def test_folder_without_a_page_listing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the file that is missing."""
    assert data_import_pages.main(["--source", str(tmp_path), "--datasets", str(tmp_path)]) == 1
    assert "pages.jsonl is missing" in capsys.readouterr().err


def import_folder(folder: Path, tmp_path: Path) -> int:
    """Import a folder under the name `own` and give the status."""
    return data_import_folder.main(["--folder", str(folder), "--name", "own", "--datasets", str(tmp_path / "out")])


def put(folder: Path, *paths: str) -> None:
    """Write a different picture to every path."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(picture(len(path) + sum(path.encode())))


def test_folder_of_classes_is_split_by_document(tmp_path: Path) -> None:
    """Sub-folders and numbered names are documents, across classes too; what is no image is passed over."""
    folder = tmp_path / "scans"
    put(folder, *[f"handwritten/letter{a}_{b}.png" for a in range(30) for b in (1, 2)])
    put(
        folder,
        *[f"printed/book/{a}.png" for a in range(3)],
        "printed/form-1.png",
        "printed/form-2.png",
        "printed/x.png",
    )
    put(folder, "printed/letter3_9.png")
    (folder / "printed" / "notes.txt").write_text("no image")
    assert import_folder(folder, tmp_path) == 0
    samples = read_manifest(tmp_path / "out" / "own")
    documents = {sample.document for sample in samples}
    assert len(samples) == 67
    assert {"own/letter3", "own/book", "own/form", "own/x"} <= documents
    assert len(documents) == 33
    assert len({sample.split for sample in samples}) == 3


def test_a_plainly_numbered_folder_is_not_one_document(tmp_path: Path) -> None:
    """`img_001.png`, `img_002.png`, ... would all be one document; there every image is its own."""
    put(tmp_path / "scans", *[f"printed/img_{number:03d}.png" for number in range(40)])
    assert import_folder(tmp_path / "scans", tmp_path) == 0
    samples = read_manifest(tmp_path / "out" / "own")
    assert len({sample.document for sample in samples}) == 40
    assert len({sample.split for sample in samples}) == 3


def test_split_folders_are_kept(tmp_path: Path) -> None:
    """Where the folder has splits, they hold; `valid` is `validation`."""
    put(tmp_path / "scans", "train/printed/a.png", "valid/handwritten/b.png", "test/printed/c.png")
    assert import_folder(tmp_path / "scans", tmp_path) == 0
    samples = read_manifest(tmp_path / "out" / "own")
    assert [sample.split for sample in samples] == ["test", "train", "validation"]


@pytest.mark.parametrize("file", ["img_{}.png", "letter_{}.png", "book/{}.png", "a-{0}_{0}.png"])
def test_split_folders_hold_where_names_repeat(tmp_path: Path, file: str) -> None:
    """Files and sub-folders of one name in two splits are two documents, so that no image leaves its split."""
    counts = {"train": 6, "val": 3, "test": 4}
    for split, count in counts.items():
        put(tmp_path / "scans", *[f"{split}/printed/{file.format(number)}" for number in range(count)])
    assert import_folder(tmp_path / "scans", tmp_path) == 0
    samples = read_manifest(tmp_path / "out" / "own")
    assert Counter(sample.split for sample in samples) == {"train": 6, "validation": 3, "test": 4}


def test_folders_beside_split_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders that are no splits are named, where others are, and nothing is imported; hidden ones do no harm."""
    put(tmp_path / "scans", "train/printed/a.png", "test/printed/b.png", ".cache/c.png", "train/.cache/d.png")
    (tmp_path / "scans" / "notes.txt").write_text("no folder")
    assert import_folder(tmp_path / "scans", tmp_path) == 0
    put(tmp_path / "scans", "printed/e.png", "eval/printed/f.png")
    assert import_folder(tmp_path / "scans", tmp_path / "again") == 1
    assert "has the folders ['eval', 'printed'] beside folders of splits" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_entries_that_are_no_readable_images_end_no_import(tmp_path: Path) -> None:
    """A folder with the name of an image is none, but what is in it is imported; a link to nowhere is left out."""
    put(tmp_path / "scans", "printed/a.png", "printed/folder.png/b.png")
    (tmp_path / "scans" / "printed" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert import_folder(tmp_path / "scans", tmp_path) == 0
    assert len(read_manifest(tmp_path / "out" / "own")) == 2
    left_out = (tmp_path / "out" / "own" / "left_out.csv").read_text().splitlines()
    assert left_out[1:] == ["printed/gone,own,its image is missing or empty"]


def test_folders_that_are_no_classes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown class folders, no folders and no folder at all end with the classes that are expected."""
    put(tmp_path / "scans", "doodles/a.png")
    assert import_folder(tmp_path / "scans", tmp_path) == 1
    assert "the classes of document_type are handwritten, printed, typewritten" in capsys.readouterr().err
    assert import_folder(tmp_path / "nowhere", tmp_path) == 1
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "option"),
    [
        (data_import_folder, "--folder"),
        (data_import_handwritten_corto, "--source"),
        (data_import_pages, "--crops-per-line"),
        (data_import_printed_handwritten_catmus, "--source"),
    ],
)
def test_every_script_says_what_it_can_do(
    script: ModuleType, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` names the script's own option and those that all share."""
    monkeypatch.setattr(sys, "argv", ["script", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script.__file__), run_name="__main__")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in (option, "--name", "--datasets", "--subset", "--splits", "--max-per-source", "--task"):
        assert name in text
