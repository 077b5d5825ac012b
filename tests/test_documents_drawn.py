"""Drawn documents: of every kind, the same for the same seed, their lines where the ink is, readable by the judge."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data import archive
from app.data.camera import capture, moved
from app.data.cuttings import Cuttings
from app.data.documents import Material, draw_document, main
from app.data.marks import free_place, leave_marks
from app.data.present_day import KINDS, SIGNED
from app.data.scribe import Scribe
from app.data.sheet import Sheet, coloured
from benchmarks.judged_pages import read_samples
from tests.lines import write_lines
from tests.test_strokes import drawn

CORNERS = 4  # of the core of a line that was written with a font
CLASSES = {"form": "mixed", "table": "mixed", "note": "handwritten", "sticky": "handwritten"}


@pytest.fixture(name="lines", scope="module")
def _lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of cut-out lines."""
    folder = tmp_path_factory.mktemp("lines")
    write_lines(folder, {"handwritten a train": 6, "printed a train": 4})
    return folder


@pytest.fixture(name="cuttings", scope="module")
def _cuttings(lines: Path) -> Cuttings:
    """The documents of that data set."""
    return Cuttings(lines)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_document_has_lines_where_its_ink_is(kind: str) -> None:
    """A document has the class of its kind, and nearly every box holds what is darker than most of the box."""
    image, label, lines = draw_document(np.random.default_rng(3), kind, "train", photo=False)
    assert label in {CLASSES.get(kind, "printed"), *(["mixed"] if kind in SIGNED else [])}
    assert {line.label for line in lines} == ({"handwritten", "printed"} if label == "mixed" else {label})
    grey = np.asarray(image.convert("L")).astype(int)
    inked = [grey[top:bottom, left:right] for left, top, right, bottom in [line.box for line in lines]]
    contrasts = [np.percentile(box, 80) - box.min() for box in inked if box.size]
    assert np.mean(np.array(contrasts) > 15) > 0.9


def test_the_same_seed_draws_the_same_document() -> None:
    """Everything follows from the random numbers that are given."""
    first, second, other = (
        draw_document(np.random.default_rng(seed), "sticky", "test", photo=False) for seed in (5, 5, 6)
    )
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1:] == second[1:]
    assert first[2] != other[2]


@pytest.mark.parametrize("photo", [False, True])
def test_a_box_moves_with_the_sheet(photo: bool) -> None:  # noqa: FBT001 - a parameter
    """What is dark on the sheet is dark in the image, where the matrix says."""
    pixels = np.full((800, 600, 3), 240, np.float32)
    pixels[300:500, 200:400] = 20
    image, matrix = capture(np.random.default_rng(1), pixels, photo=photo)
    left, top, right, bottom = moved((200, 300, 400, 500), matrix)
    middle = np.asarray(image.convert("L"))[(top + bottom) // 2, (left + right) // 2]
    beside = np.asarray(image.convert("L"))[(top + bottom) // 2, right + (right - left) // 4]
    assert middle < beside - 40


def test_documents_are_read_by_the_judge(tmp_path: Path) -> None:
    """The command writes pages that the judge reads: as many as asked for, each with its image."""
    assert main(["--out", str(tmp_path), "--pages", "1", "--seed", "4"]) == 0
    samples = read_samples(tmp_path, None, {})
    assert [sample.source for sample in samples] == ["letter, photographed"]
    for sample in samples:
        image = sample.read()
        assert all(0 <= line.box[0] < image.width and line.box[3] <= image.height + 60 for line in sample.lines)


@pytest.mark.parametrize("kind", archive.KINDS)
def test_pages_of_archives_have_lines_where_their_ink_is(kind: str) -> None:
    """Their class is that of their lines; nearly every box is darker than its surroundings, and its core is in it."""
    image, label, lines = draw_document(np.random.default_rng(7), kind, "train", photo=False)
    labels = {line.label for line in lines}
    assert label == ("mixed" if len(labels) > 1 else labels.pop())
    grey = np.asarray(image.convert("L")).astype(int)
    contrasts, middles = [], []
    for line in lines:
        left, top, right, bottom = line.box
        box = grey[max(0, top) : bottom, max(0, left) : right]
        if min(box.shape) > 3:
            contrasts.append(np.percentile(box, 90) - box.min())
            middles.append((np.mean([y for _, y in line.core]) - top) / (bottom - top))
    assert np.mean(np.array(contrasts) > 15) > 0.85
    assert np.quantile(middles, 0.05) > 0
    assert np.quantile(middles, 0.95) < 1


def test_pages_are_composed_of_the_lines_of_a_data_set(cuttings: Cuttings) -> None:
    """Some columns are set with lines that were cut out, the others with fonts; a seed fixes the page."""
    random = np.random.default_rng(0)
    sheet = Sheet(random, (900, 1200), "train", cuttings=cuttings)
    scribes = [Scribe(sheet, sheet.hand("handwritten", 12)) for _ in range(20)]
    real = [scribe for scribe in scribes if scribe.document is not None]
    assert 4 < len(real) < 20
    real[0].write(50, 300, 500)
    (line,) = sheet.lines
    assert line.label == "handwritten"
    assert sheet.ink["handwritten"][line.box[1] : line.box[3], line.box[0] : line.box[2]].mean() > 0.3
    assert np.mean([y for _, y in line.core]) == pytest.approx(294, abs=2)
    first, second = (
        draw_document(np.random.default_rng(3), "annotated", "train", photo=False, material=Material(cuttings))
        for _ in range(2)
    )
    assert first[0].tobytes() == second[0].tobytes()
    assert first[2] == second[2]


@pytest.mark.parametrize("kind", ["note", "form", "table"])
def test_entries_by_hand_are_cut_out_too(cuttings: Cuttings, kind: str) -> None:
    """Some present-day documents are filled in with what was cut out: lines where the ink is, none beyond the sheet."""
    real = 0
    for seed in range(6):
        material = Material(cuttings)
        image, label, lines = draw_document(np.random.default_rng(seed), kind, "train", photo=False, material=material)
        real += any(len(line.core) > CORNERS for line in lines)
        assert label == CLASSES[kind]
        grey = np.asarray(image.convert("L")).astype(int)
        pens = [line.box for line in lines if line.label == "handwritten"]
        inked = [grey[top:bottom, left:right] for left, top, right, bottom in pens]
        assert np.mean([np.percentile(box, 80) - box.min() > 15 for box in inked]) > 0.9
        assert all(left >= 0 and right <= image.width for left, _, right, _ in pens)
    assert real > 0


def test_what_is_no_text_is_no_line() -> None:
    """Pictures, blots and stamps are on a sheet without being among its lines, and off the lines that are there."""
    for seed in range(8):
        sheet = Sheet(np.random.default_rng(seed), (900, 1200), "train")
        sheet.write(sheet.hand("printed", 20, 20), "some words", 100, 600)
        (line,) = sheet.lines
        archive.picture(sheet)
        left, top, right, bottom = line.box
        assert not sheet.pictures[top:bottom, left:right].any()
        archive.stamped(sheet)
        archive.decorate(sheet)
        assert sheet.pictures.any()
        assert sheet.lines == [line]


def test_marks_are_left_where_nothing_else_is(cuttings: Cuttings) -> None:
    """Half of the sheets get one to four, in ink and in pencil; all are handwritten lines, hardly any crosses print."""
    tools, marked, count, crossed = set(), 0, 0, 0
    for seed in range(40):
        sheet = Sheet(np.random.default_rng(seed), (900, 1200), "train", cuttings=cuttings if seed % 2 else None)
        sheet.write(sheet.hand("printed", 20, 20), "some printed words", 100, 600)
        leave_marks(sheet)
        (left, top, right, bottom), marks = sheet.lines[0].box, sheet.lines[1:]
        crossed += sum(
            mark.box[0] < right and mark.box[2] > left and mark.box[1] < bottom and mark.box[3] > top for mark in marks
        )
        count += len(marks)
        marked += bool(marks)
        tools |= {line.tool for line in marks}
        assert {line.label for line in marks} <= {"handwritten"}
    assert 10 < marked < 30
    assert crossed <= 0.02 * count
    assert tools == {"pencil", "handwritten"}


def test_pencil_is_paler_than_print() -> None:
    """The same words in pencil take less of the paper's light than in print."""
    sheet = Sheet(np.random.default_rng(3), (900, 600), "train")
    press = sheet.hand("printed", 24, 24)
    sheet.write(press, "printed words", 60, 150)
    sheet.write(replace(press, label="handwritten", tool="pencil"), "printed words", 60, 450)
    pixels = coloured(sheet).mean(axis=2)
    assert pixels[:300].min() < pixels[300:].min()


def test_a_full_sheet_has_no_free_place() -> None:
    """Where writing covers all, nothing is left to write on."""
    sheet = Sheet(np.random.default_rng(0), (300, 200), "train")
    for base in range(20, 210, 12):
        sheet.write(sheet.hand("printed", 12, 12), "words words words words", 0, base, 400)
    assert free_place(sheet, (60, 30)) is None


def test_composed_pages_are_for_training(lines: Path, tmp_path: Path) -> None:
    """The command writes archive pages with the core of each line, all in the training split, none photographed."""
    command = ["--out", str(tmp_path), "--pages", "2", "--kinds", "title page", "register", "--lines", str(lines)]
    assert main(command) == 0
    pages = [json.loads(text) for text in (tmp_path / "pages.jsonl").read_text().splitlines()]
    assert [(page["file"], page["source"], page["split"]) for page in pages] == [
        ("title-page-0-00000.jpg", "title page, scanned", "train"),
        ("register-0-00001.jpg", "register, scanned", "train"),
    ]
    for page in pages:
        assert page["lines"]
        assert all(len(line["core"]) >= 4 for line in page["lines"])


@pytest.mark.parametrize("option", ["--lines", "--glyphs"])
def test_a_folder_without_lines_or_letters_is_named(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be taken from, the command ends with one line that says what is missing, and draws nothing."""
    (tmp_path / "empty").mkdir()
    assert main(["--out", str(tmp_path / "out"), "--pages", "1", option, str(tmp_path / "empty")]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(rf"error: no .* in {tmp_path}/empty.*\n", said)
    assert not (tmp_path / "out").exists()


def test_pens_write_with_the_letters_of_people() -> None:
    """Most pens of a sheet that knows people's letters use those of one person, some in capitals; no press does."""
    letters = {letter: [Image.fromarray(drawn())] for letter in "abcdefghijklmnop0123456789"}
    sheet = Sheet(np.random.default_rng(0), (900, 1200), "train", hands=[letters])
    pens = [sheet.hand("handwritten", 10, 14) for _ in range(60)]
    lettered = [pen for pen in pens if pen.glyphs is letters]
    assert 24 < len(lettered) < 50
    assert 3 < sum(pen.capitals for pen in lettered) < len(lettered) / 2
    assert sheet.hand("printed", 10, 14).glyphs is None
    sheet.write(lettered[0], "abc 123", 100, 600)
    (line,) = sheet.lines
    assert line.label == "handwritten"
    assert sheet.ink["handwritten"][line.box[1] : line.box[3], line.box[0] : line.box[2]].max() > 0.5


def test_a_table_is_printed_and_filled_in() -> None:
    """Its head is printed, most of its cells are handwritten, and some of these hold no more than a figure."""
    kinds, narrow = set(), 0
    for seed in range(6):
        _, label, lines = draw_document(np.random.default_rng(seed), "table", "train", photo=False)
        kinds.add(label)
        narrow += sum(line.box[2] - line.box[0] < 30 for line in lines if line.label == "handwritten")
    assert kinds == {"mixed"}
    assert narrow > 5
