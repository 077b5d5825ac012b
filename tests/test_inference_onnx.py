"""The command that answers without the service: table, JSON lines, folders, failures, exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from app.inference.inference_onnx import CELL, main
from app.tasks import DEFAULT, DOCUMENT_TYPE, OF_PLACES, PAGE_TEXT
from app.webservice.text_routes import Character
from tests.bundles import DARK, LIGHT, MIDDLE, make_bundle, picture
from tests.pages import as_pdf, draw_page

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


@pytest.fixture(name="images")
def _images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    for name, grey in (("a.png", DARK), ("b.PNG", LIGHT), ("below/c.png", MIDDLE)):
        (folder / name).write_bytes(picture(grey))
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder


def test_a_folder_gives_a_row_for_each_image(bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Images in and below a folder are answered in order, other files are left out, uncertain ones are marked."""
    assert main([str(images), "--bundle", str(bundle)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[:2]] == ["handwritten", "printed"]
    assert [row.split()[-1] for row in rows] == [str(images / name) for name in ("a.png", "b.PNG", "below/c.png")]
    assert [" ? " in row for row in rows] == [False, False, True]
    assert all(" ms " in row for row in rows)


def test_json_gives_an_object_a_line(bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line is JSON with the file, the time and the whole prediction."""
    assert main([str(images / "a.png"), str(images / "b.PNG"), "--json", "--bundle", str(bundle)]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["label"], second["label"]) == ("handwritten", "printed")
    assert set(first) == {
        "file",
        "milliseconds",
        "label",
        "confidence",
        "probabilities",
        "uncertain",
        "reasons",
    }
    assert first["milliseconds"] > 0


def test_a_broken_file_is_reported_and_the_rest_goes_on(
    bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unreadable and absent files get an error in their place, and the exit code is 1."""
    broken, absent = images / "notes.txt", images / "absent.png"
    assert main([str(broken), str(absent), str(images / "a.png"), "--json", "--bundle", str(bundle)]) == 1
    output = capsys.readouterr()
    first, second, third = map(json.loads, output.out.splitlines())
    assert "not an image" in first["error"]
    assert "absent.png" in second["error"]
    assert third["label"] == "handwritten"
    assert "2 of 3 files" in output.err


def test_an_error_has_a_row_in_the_table_too(bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names the file and what is wrong with it."""
    assert main([str(images / "notes.txt"), "--bundle", str(bundle)]) == 1
    row = capsys.readouterr().out
    assert row.startswith("ERROR")
    assert "notes.txt" in row


def test_the_shipped_bundle_answers_by_default(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `--bundle`, the embedded bundle of the main task is used."""
    monkeypatch.setenv("PENPRESS_EMBEDDED", str(tmp_path / "embedded"))
    make_bundle(tmp_path / "embedded" / DEFAULT, bias=20)
    make_bundle(tmp_path / "embedded" / OF_PLACES, PAGE_TEXT)
    assert main([str(images / "a.png")]) == 0
    assert capsys.readouterr().out.startswith("printed")


def test_a_page_is_analysed(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page has its lines in the row and in the object; of a PDF the first page counts, as in the service."""
    (tmp_path / "a.pdf").write_bytes(as_pdf([draw_page(5), draw_page(9)]))
    assert main([str(tmp_path / "a.pdf"), "--bundle", str(bundle)]) == 0
    row = capsys.readouterr().out
    assert (row.split()[0], row.strip().endswith("a.pdf: a page, lines: 0 handwritten, 5 printed")) == ("printed", True)
    (tmp_path / "scans").mkdir()
    (tmp_path / "a.pdf").rename(tmp_path / "scans" / "a.pdf")
    steps = tmp_path / "steps.png"
    assert main([str(tmp_path / "scans"), "--bundle", str(bundle), "--json", "--show-steps", str(steps)]) == 0
    with Image.open(steps) as shown:
        assert shown.width > CELL[0] * 2
    found = json.loads(capsys.readouterr().out)
    assert (found["label"], found["mixed"], found["orientation"]) == ("printed", False, 0)
    assert (found["lines"], found["shares"]["printed"]) == ({"handwritten": 0, "printed": 5}, pytest.approx(1))


@pytest.mark.parametrize(
    "options",
    [
        ["--overlay", "x"],
        ["--alto", "x"],
        ["--copy-to", "x"],
        ["--text", "--task", "digit"],
        ["--text", "--bundle", "x"],
        ["--out", "x.txt"],
        ["--show-steps", "x.png", "--out", "x.csv"],
        ["--json", "--out", "x.csv"],
    ],
)
def test_options_that_would_do_nothing_are_refused(
    options: list[str], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named in the message."""
    with pytest.raises(SystemExit):
        main([str(images), *options])
    assert options[0] in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("--max-pages", "0", "at least 1"),
        ("--max-pages", "many", "at least 1"),
        ("--show-steps", "steps", ".png"),
        ("--show-steps", "absent/steps.png", "a folder that does not exist"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    option: str, value: str, remedy: str, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line names the option and the value, and says what is taken."""
    with pytest.raises(SystemExit):
        main([str(images), option, value])
    said = capsys.readouterr().err.splitlines()[-1]
    assert option in said
    assert value in said
    assert remedy in said


def test_a_folder_without_images_is_named(bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said instead of nothing, with exit code 1; other files are answered nevertheless."""
    (images / "empty.png").mkdir()
    assert main([str(images / "empty.png"), "--bundle", str(bundle)]) == 1
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert f"no images were found in {images / 'empty.png'}" in output.err
    assert main([str(images / "empty.png"), str(images / "a.png"), "--bundle", str(bundle)]) == 1
    assert capsys.readouterr().out.startswith("handwritten")


def test_only_files_of_a_folder_are_taken(bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is named like an image is none; a link that leads nowhere is reported, not passed over."""
    (images / "folder.png").mkdir()
    assert main([str(images), "--bundle", str(bundle)]) == 0
    (images / "link.png").symlink_to("absent")
    assert main([str(images), "--bundle", str(bundle)]) == 1
    (error,) = (row for row in capsys.readouterr().out.splitlines() if row.startswith("ERROR"))
    assert "link.png" in error


def test_rarer_endings_are_found_in_folders(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Images of all formats that are read are found by any of the usual endings of their names."""
    (tmp_path / "rare").mkdir()
    for name, form in (("a.jpe", "JPEG"), ("b.jfif", "JPEG"), ("c.j2k", "JPEG2000"), ("d.pnm", "PPM")):
        (tmp_path / "rare" / name).write_bytes(picture(DARK, fmt=form))
    assert main([str(tmp_path / "rare"), "--bundle", str(bundle)]) == 0
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()] == ["handwritten"] * 4


def test_a_name_that_is_no_utf8_is_printed(bundle: Path, images: Path) -> None:
    """Such a file has its row, in the table and as JSON, where the output takes whole characters only."""
    file = images / os.fsdecode(b"caf\xe9.png")
    file.write_bytes(picture(DARK))
    said = []
    for options in ([], ["--json"]):
        with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict")) as output:
            assert main([str(file), "--bundle", str(bundle), *options]) == 0
        output.seek(0)
        said.append(output.read())
    assert "caf\\udce9.png" in said[0]
    assert json.loads(said[1])["file"] == str(file)


@pytest.mark.usefixtures("unmeasured")
def test_an_interruption_is_quiet(bundle: Path, images: Path) -> None:
    """Ctrl+C while files are answered ends the command with 130 and one line."""
    options = [*[str(images / "a.png")] * 5000, "--bundle", str(bundle)]
    line = [sys.executable, "-u", "-m", "app.inference.inference_onnx", *options]
    with subprocess.Popen(  # noqa: S603 - our own
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()  # it has ended, unless the test fails
    assert (process.returncode, said) == (130, "interrupted\n")


def test_only_the_main_task_analyses_documents(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of pages by a recogniser of digits would say nothing."""
    assert main([str(images), "--task", "digit", "--out", str(tmp_path / "x.jsonl")]) == 2
    assert "not digit" in capsys.readouterr().err
    assert not (tmp_path / "x.jsonl").exists()


def test_a_missing_bundle_is_explained(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a bundle gives exit code 2 and names the file that is missing."""
    assert main([str(images), "--bundle", str(tmp_path)]) == 2
    assert "model.json" in capsys.readouterr().err


def test_the_steps_can_be_looked_at(bundle: Path, images: Path, tmp_path: Path) -> None:
    """A picture has a row for each image that can be read, with a cell for the image, each step and the fit."""
    (images / "broken.png").write_bytes(b"no image")
    assert main([str(images), "--bundle", str(bundle), "--show-steps", str(tmp_path / "steps.png")]) == 1
    with Image.open(tmp_path / "steps.png") as page:
        assert page.size == (CELL[0] * (2 + len(DOCUMENT_TYPE.image.steps)), CELL[1] * 3)


def test_the_steps_may_lie_among_the_images(bundle: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their picture is not taken for one of the images; when it cannot be written, one line says so."""
    steps = images / "steps.png"
    for _ in range(2):
        assert main([str(images), "--bundle", str(bundle), "--show-steps", str(steps)]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 3
    steps.unlink()
    steps.mkdir()
    assert main([str(images), "--bundle", str(bundle), "--show-steps", str(steps)]) == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), "steps.png cannot be written" in said) == (1, True)


@pytest.fixture(name="note")
def _note(tmp_path: Path) -> Path:
    """An image with two lines of text."""
    image = Image.new("RGB", (700, 300), "white")
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(("TEX T", "7 4")):
        for column, letter in enumerate(line):
            pen.text((60 + 70 * column, 20 + 130 * row), letter, "black", ImageFont.load_default(90))
    file = tmp_path / "note.png"
    image.save(file)
    return file


def test_a_text_is_read_by_the_task_of_signs(note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--text` takes the shipped model of single characters; the lines of the text stand below the row of the file."""
    assert main([str(note), "--text"]) == 0
    row, *lines = capsys.readouterr().out.splitlines()
    assert (row.split()[0], row.split()[-1]) == ("text", str(note))
    assert lines == ["    TEX T", "    7 4"]


def test_a_text_as_json_has_its_signs(note: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The object has what `/predict/text/` answers: text, confidence, lines with boxes, and every sign."""
    (tmp_path / "blank.png").write_bytes(picture(LIGHT, (200, 100)))
    assert main([str(note), str(tmp_path / "blank.png"), "--text", "--json"]) == 1
    found, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(found) == {"file", "milliseconds", "text", "confidence", "uncertain", "reasons", "lines"}
    assert [len(line["characters"]) for line in found["lines"]] == [4, 2]
    for line in found["lines"]:
        signs = line["characters"]
        assert set(signs[0]) == set(Character.model_fields)
        assert line["box"][0] == min(sign["box"][0] for sign in signs)
        assert "".join(sign["character"] for sign in signs) in found["text"].replace(" ", "")
    assert "nothing drawn" in blank["error"]


def test_a_text_has_no_pages_and_no_steps(note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What would not be done is refused and said."""
    with pytest.raises(SystemExit):
        main([str(note), "--text", "--out", "results.csv"])
    assert "--text is for single images" in capsys.readouterr().err
