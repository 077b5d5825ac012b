"""Folders of documents on the command line: results, overlays, ALTO, copies, resuming, broken files, processes."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from app.inference.inference_onnx import main
from app.inference.paths import names_for
from app.inference.pool import in_processes
from tests.bundles import DARK, make_bundle, picture
from tests.pages import as_pdf, as_tiff, draw_page, saved

PAUSE = threading.Event()
ROOT = Path(__file__).resolve().parents[1]
SMALL = (700, 500)  # pixels of a page that is quickly answered
EMPTY_PDF = b"""%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [] /Count 0>> endobj
trailer <</Root 1 0 R>>
%%EOF
"""
Command = Callable[..., int]


@pytest.fixture(name="command")
def _command(tmp_path: Path) -> Command:
    bundle = make_bundle(tmp_path / "bundle")
    folder = tmp_path / "scans"
    (folder / "below").mkdir(parents=True)
    (folder / "a.pdf").write_bytes(as_pdf([draw_page(4), draw_page(0), draw_page(5)]))
    (folder / "below" / "b.png").write_bytes(saved([draw_page(6)], "PNG"))
    (folder / "c.png").write_bytes(picture(DARK))
    return lambda *arguments: main([str(folder), "--bundle", str(bundle), *map(str, arguments)])


def rows_of(results: Path) -> list[dict[str, object]]:
    """The rows of JSON lines."""
    return [json.loads(line) for line in results.read_text().rstrip("\n").split("\n")]


def test_every_page_has_its_row(command: Command, tmp_path: Path) -> None:
    """Each page of each file has a row with its number, class and lines; a line has no fields of a page."""
    out = tmp_path / "out" / "results.jsonl"
    assert command("--out", out) == 0
    rows = rows_of(out)
    assert [(Path(row["file"]).name, row["page"]) for row in rows] == [
        ("a.pdf", 1),
        ("a.pdf", 2),
        ("a.pdf", 3),
        ("b.png", 1),
        ("c.png", 1),
    ]
    assert [row.get("printed_lines") for row in rows] == [4, None, 5, 6, None]
    assert [row["predicted_class"] for row in rows] == ["printed", None, "printed", "printed", "handwritten"]


def test_overlays_alto_and_copies_are_written(command: Command, tmp_path: Path) -> None:
    """Overlays for pages, ALTO for documents with pages, and every file in the folder of its class."""
    folders = [tmp_path / name for name in ("overlays", "alto", "sorted")]
    out = tmp_path / "results.csv"
    assert command("--out", out, "--overlay", folders[0], "--alto", folders[1], "--copy-to", folders[2]) == 0
    assert sorted(path.name[-14:] for path in folders[0].iterdir()) == [
        "a.pdf-0001.png",
        "a.pdf-0003.png",
        "b.png-0001.png",
    ]
    assert sorted(path.name[-9:] for path in folders[1].iterdir()) == ["a.pdf.xml", "b.png.xml"]
    (alto,) = folders[1].glob("*a.pdf.xml")
    assert [page.count("<TextLine") for page in alto.read_text().split("<Page ")[1:]] == [4, 0, 5]
    assert {path.parent.name: path.name[-5:] for path in folders[2].rglob("*c.png")} == {"handwritten": "c.png"}
    assert len(list((folders[2] / "printed").iterdir())) == 2
    with out.open(newline="") as file:
        assert [row["predicted_class"] for row in csv.DictReader(file)][:2] == ["printed", ""]


def test_a_run_goes_on_where_it_was(command: Command, tmp_path: Path) -> None:
    """Files with rows are not answered again, a row that was cut short does not count, and no row comes twice."""
    out = tmp_path / "results.jsonl"
    command("--out", out)
    whole = out.read_text().splitlines(keepends=True)
    out.write_text("".join(whole[:3]) + whole[3][:40])
    command("--out", out)
    assert sorted(line for line in out.read_text().splitlines(keepends=True) if line in whole) == sorted(whole)


def test_a_run_goes_on_within_a_long_file(command: Command, tmp_path: Path) -> None:
    """Of a file that was interrupted only the missing pages are answered, and its copy and ALTO file are whole."""
    (tmp_path / "scans" / "long.pdf").write_bytes(as_pdf([draw_page(4, SMALL)] * 6))
    out, again = tmp_path / "results.jsonl", tmp_path / "again.jsonl"
    command("--out", out)
    whole = out.read_text().splitlines(keepends=True)
    long = [line for line in whole if "long.pdf" in line]
    again.write_text("".join(long[:4]))
    command("--out", again, "--overlay", tmp_path / "overlays", "--copy-to", tmp_path / "sorted")
    assert sorted(again.read_text().splitlines(keepends=True)) == sorted(whole)
    drawn = sorted(path.stem[-4:] for path in (tmp_path / "overlays").glob("*long.pdf-*"))
    assert drawn == ["0005", "0006"]
    assert len(list((tmp_path / "sorted" / "printed").glob("*long.pdf"))) == 1
    again.write_text("".join(long[:4]))
    command("--out", again, "--alto", tmp_path / "alto")
    assert sorted(again.read_text().splitlines(keepends=True)) == sorted(whole)
    (alto,) = (tmp_path / "alto").glob("*long.pdf.xml")
    assert alto.read_text().count("<Page ") == 6


@contextmanager
def started(folder: Path, processes: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A run on a file of 200 pages in a process group of its own, and its options."""
    bundle, scan, out = make_bundle(folder / "bundle"), folder / "long.tif", folder / "results.jsonl"
    scan.write_bytes(as_tiff([Image.new("RGB", (300, 60), "white")] * 200))
    options = [str(scan), "--bundle", str(bundle), "--out", str(out)]
    line = [sys.executable, "-m", "app.inference.inference_onnx", *options, "--processes", str(processes)]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:  # noqa: S603 - our own
        try:
            yield process, options
        finally:
            process.kill()  # it has ended, unless a test fails


@contextmanager
def begun(folder: Path, processes: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Such a run when it has written its first rows."""
    out = folder / "results.jsonl"
    with started(folder, processes) as (process, options):
        while not out.exists() or not out.read_text():
            assert process.poll() is None
            PAUSE.wait(0.01)
        yield process, options


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("processes", [1, 2])
def test_an_interruption_loses_nothing(tmp_path: Path, processes: int) -> None:
    """Ctrl+C, which the whole group of processes gets, ends a run quietly; the next answers the rest."""
    with begun(tmp_path, processes) as (process, options):
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert "interrupted; the same command goes on" in said
    assert 0 < len(rows_of(tmp_path / "results.jsonl")) < 200
    assert main(options) == 0
    assert sorted(row["page"] for row in rows_of(tmp_path / "results.jsonl")) == list(range(1, 201))


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("later", [0, 0.1])
def test_an_interruption_is_quiet_while_processes_start(tmp_path: Path, later: float) -> None:
    """Ctrl+C when the last process of the pool has been started, or *later* s, when it imports what it needs."""
    with started(tmp_path, 2) as (process, _):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(children.read_text().split()) < 3:  # the two, and the one of Python that watches what they share
            assert process.poll() is None
            PAUSE.wait(0.001)
        PAUSE.wait(later)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, "Traceback" in said) == (130, False)


def test_a_run_that_ignores_interruptions_answers_everything() -> None:
    """Started with Ctrl+C ignored, as scripts start what runs in the background, pieces are all done, and no less."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        found = in_processes(abs, iter(range(-3, 3)), 2)
        first = next(found)
        signal.raise_signal(signal.SIGINT)
        assert sorted([first, *found]) == [0, 1, 1, 2, 2, 3]
    finally:
        signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    """When the command is ended from outside, so are the processes that it started: none holds its output open."""
    with begun(tmp_path, 2) as (process, _):
        process.send_signal(number)
        process.communicate(timeout=60)  # comes back when all that could write there have ended
    assert process.returncode == -number


def test_a_page_that_cannot_be_read_is_a_row_among_the_others(command: Command, tmp_path: Path) -> None:
    """A page that is too large, or a file without any page, spoils no other page."""
    pages = [draw_page(4), Image.new("1", (9000, 9000)), draw_page(5)]
    (tmp_path / "scans" / "d.tif").write_bytes(as_tiff(pages))
    (tmp_path / "scans" / "e.pdf").write_bytes(EMPTY_PDF)
    out, copies = tmp_path / "results.jsonl", tmp_path / "sorted"
    assert command("--out", out, "--copy-to", copies) == 1
    assert {path.name[-5:]: path.parent.name for path in copies.rglob("*[de].*")} == {
        "d.tif": "printed",
        "e.pdf": "error",
    }
    rows = [(row["page"], row.get("printed_lines"), "error" in row) for row in rows_of(out) if "d.tif" in row["file"]]
    assert rows == [(1, 4, False), (2, None, True), (3, 5, False)]
    (empty,) = (row for row in rows_of(out) if "e.pdf" in row["file"])
    assert empty["page"] == 1
    assert "error" in empty


def test_files_are_answered_once_and_share_no_names(command: Command, tmp_path: Path) -> None:
    """A file that is named twice has one row; two files of one name have an overlay each; odd names do no harm."""
    folder = tmp_path / "scans"
    for name in ("c.jpg", "d\u2028e.png", os.fsdecode(b"f\xff.png")):
        (folder / name).write_bytes(saved([draw_page(6)], "PNG"))
    (folder / "c.png").write_bytes(saved([draw_page(7)], "PNG"))
    out, overlays, bundle = tmp_path / "results.csv", tmp_path / "overlays", ["--bundle", str(tmp_path / "bundle")]
    for _ in range(2):
        main([str(folder), str(folder / "c.png"), *bundle, "--out", str(out), "--overlay", str(overlays)])
    rows = rows_of(out.with_suffix(".jsonl"))
    assert len(rows) == len({(row["file"], row["page"]) for row in rows}) == 8
    assert len(list(overlays.iterdir())) == 7
    command("--out", out.with_suffix(".parquet"))
    assert len(pq.read_table(out.with_suffix(".parquet"))) == 8


def test_a_broken_file_is_a_row_and_the_rest_goes_on(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken file has its error in the results, the others are answered, and the exit code is 1."""
    (tmp_path / "scans" / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    out = tmp_path / "results.jsonl"
    assert command("--out", out) == 1
    (row,) = (row for row in rows_of(out) if "error" in row)
    assert "not a whole PDF" in row["error"]
    assert len(rows_of(out)) == 6
    assert "1 error" in capsys.readouterr().err


def test_several_processes_give_the_same_rows(command: Command, tmp_path: Path) -> None:
    """Two processes answer like one, in whatever order they end."""
    outs = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    command("--out", outs[0])
    command("--out", outs[1], "--processes", 2)
    assert sorted(outs[0].read_text().splitlines()) == sorted(outs[1].read_text().splitlines())


def test_results_must_have_a_known_form(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Another suffix than `.csv`, `.jsonl` and `.parquet` is refused before anything is read."""
    with pytest.raises(SystemExit):
        command("--out", "results.docx")
    assert "must end in .csv, .jsonl or .parquet" in capsys.readouterr().err


def test_results_may_be_parquet(command: Command, tmp_path: Path) -> None:
    """A Parquet file has a row for each page, with nothing where a line has no such field."""
    out = tmp_path / "results.parquet"
    assert command("--out", out) == 0
    table = pq.read_table(out).to_pydict()
    assert table["page"] == [1, 2, 3, 1, 1]
    assert table["printed_lines"] == [4, None, 5, 6, None]


def files_in(folder: Path) -> list[str]:
    """The files in and below a folder, by their paths in it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def pages_in(results: Path) -> list[tuple[str, object, bool]]:
    """The rows of results: the name of the file, its page, and whether that has an error."""
    return sorted((Path(str(row["file"])).name, row["page"], "error" in row) for row in rows_of(results))


def test_a_run_does_not_read_what_it_wrote(command: Command, tmp_path: Path) -> None:
    """Overlays and copies inside the folder are left out however often a run goes on; a file that is named is taken."""
    scans, out = tmp_path / "scans", tmp_path / "scans" / "results.csv"
    options = ["--out", out, "--overlay", scans / "overlays", "--alto", scans / "alto", "--copy-to", scans / "sorted"]
    assert command(*options) == 0
    written, table = files_in(scans), out.read_text()
    for _ in range(2):
        assert command(*options) == 0
        assert files_in(scans) == written
        assert out.read_text() == table
    named = next((scans / "overlays").iterdir())
    assert main([str(named), "--bundle", str(tmp_path / "bundle"), *map(str, options)]) == 0
    assert len(rows_of(out.with_suffix(".jsonl"))) == 6


def test_what_was_written_for_a_file_stays_its_own(command: Command, tmp_path: Path) -> None:
    """When files of the same name but for the suffix are added, what was there is left alone."""
    options = ["--out", tmp_path / "x.csv", "--overlay", tmp_path / "of", "--alto", tmp_path / "of"]
    command(*options)
    before = {path: path.read_bytes() for path in (tmp_path / "of").iterdir()}
    for name in ("below/b.jpg", "a.png", "below.png"):
        (tmp_path / "scans" / name).write_bytes(saved([draw_page(3, SMALL)], "PNG"))
    command(*options)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((tmp_path / "of").iterdir())) == len(before) + 6


def test_names_are_short_and_shared_by_no_two_files() -> None:
    """A name holds the path and its suffix; a hash leads those that are too long or would be the same."""
    long = Path("/scans", *["department"] * 30, "\N{GREEK SMALL LETTER PI}" * 60 + ".png")
    files = [Path("a/b.png"), Path("a/b.jpg"), Path("x/a_b.png"), Path("x_a/b.png"), Path("../x/a_b.png"), long]
    names = list(names_for(files).values())
    assert names[:2] == ["a_b.png", "a_b.jpg"]
    assert len(set(names)) == len(names)
    assert [name.endswith("_x_a_b.png") for name in names[2:5]] == [True] * 3
    assert names[5].endswith("\N{GREEK SMALL LETTER PI}.png")
    assert len(os.fsencode(names[5])) < 200


def test_a_long_path_is_written_like_others(command: Command, tmp_path: Path) -> None:
    """A file deep below the folder has its overlay, its ALTO file and its copy."""
    deep = tmp_path / "scans" / "/".join(["register-of-births"] * 12)
    deep.mkdir(parents=True)
    (deep / "page.png").write_bytes(saved([draw_page(3, SMALL)], "PNG"))
    folders = [tmp_path / name for name in ("overlays", "alto", "sorted")]
    out = tmp_path / "results.jsonl"
    assert command("--out", out, "--overlay", folders[0], "--alto", folders[1], "--copy-to", folders[2]) == 0
    assert [len(list(folder.rglob("*register-of-births_page.png*"))) for folder in folders] == [1, 1, 1]


def test_a_file_that_cannot_be_copied_stops_no_other(command: Command, tmp_path: Path) -> None:
    """It has that as its error, the rest goes on, and the next run copies it when it can."""
    out, copies = tmp_path / "results.jsonl", tmp_path / "sorted"
    copies.mkdir()
    (copies / "handwritten").write_text("in the way")
    assert command("--out", out, "--copy-to", copies) == 1
    (row,) = (row for row in rows_of(out) if "error" in row)
    assert (Path(str(row["file"])).name, row["predicted_class"]) == ("c.png", "handwritten")
    assert "could not be copied" in str(row["error"])
    assert len(files_in(copies / "printed")) == 2
    (copies / "handwritten").unlink()
    assert command("--out", out, "--copy-to", copies) == 0
    assert len(files_in(copies / "handwritten")) == 1
    assert [page for page in pages_in(out) if page[2]] == []


@pytest.mark.parametrize("alto", [False, True])
def test_errors_are_tried_again(command: Command, tmp_path: Path, *, alto: bool) -> None:
    """A file that was mended and one with more pages than were allowed have the rows of a fresh run, and no others."""
    late, fresh = tmp_path / "late.jsonl", tmp_path / "fresh.jsonl"
    options = ["--alto", tmp_path / "alto"] if alto else []
    broken, pages = tmp_path / "scans" / "d.tif", [draw_page(4, SMALL), Image.new("1", (9000, 9000))]
    broken.write_bytes(as_tiff(pages))
    assert command("--out", late, "--max-pages", 2, *options) == 1
    assert [page for page in pages_in(late) if page[2]] == [("a.pdf", 1, True), ("d.tif", 2, True)]
    broken.write_bytes(as_tiff([pages[0], draw_page(5, SMALL), draw_page(6, SMALL)]))
    assert command("--out", late, *options) == 0
    assert command("--out", fresh) == 0
    assert sorted(late.read_text().splitlines()) == sorted(fresh.read_text().splitlines())


def test_errors_that_stay_have_one_row_each(command: Command, tmp_path: Path) -> None:
    """However often a run goes on, also after an interruption, its rows are those of one that was not interrupted."""
    (tmp_path / "scans" / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    out = tmp_path / "results.jsonl"
    assert command("--out", out) == 1
    whole = sorted(out.read_text().splitlines())
    for left in (len(whole), 3):
        out.write_text("".join(out.read_text().splitlines(keepends=True)[:left]))
        assert command("--out", out) == 1
        assert sorted(out.read_text().splitlines()) == whole


def test_outputs_that_are_wanted_too_late_are_told_of(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For pages that were answered before none are written, and one line says what to do; a plain resume is silent."""
    out = tmp_path / "results.jsonl"
    for _ in range(2):
        command("--out", out)
        assert "answered before" not in capsys.readouterr().err
    command("--out", out, "--overlay", tmp_path / "overlays")
    said = capsys.readouterr().err.splitlines()[0]
    assert said.startswith("5 of 5 pages were answered before and are left out;")
    assert said.endswith(f"delete {out} or name another --out")


@pytest.mark.parametrize(
    "content", ['{"file": "a.png", "label": "x"}', '{"name": "x"}', "[1]", '{"file": "a", "page": 1}']
)
def test_other_lines_of_json_are_left_alone(
    content: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that holds something else where the rows would go is named, and stays as it is."""
    other = tmp_path / "results.jsonl"
    other.write_text(content)
    assert command("--out", tmp_path / "results.csv") == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), str(other) in said, "another --out" in said) == (1, True, True)
    assert other.read_text() == content


def test_a_row_may_be_torn_within_a_character(command: Command, tmp_path: Path) -> None:
    """A crash may leave a part of the bytes of a letter; the run goes on nevertheless."""
    out = tmp_path / "results.jsonl"
    out.write_bytes('{"file": "caf\N{LATIN SMALL LETTER E WITH ACUTE}'.encode()[:-1])
    assert command("--out", out) == 0
    assert out.read_bytes().count(b'"page"') == 5


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("--out /proc/absent/results.csv", "/proc/absent"),
        ("--out folder.csv", "name another file"),
        ("--out file/results.csv", "name another"),
        ("--copy-to file", "name another"),
        ("--overlay file/below", "name another"),
        ("--out full.csv", "the same command goes on"),
    ],
)
def test_places_that_cannot_be_written_are_told(
    option: str, remedy: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line names what is wrong and says what to do, and the exit code is 2."""
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "full.csv").symlink_to("/dev/full")
    name, place = option.split()
    assert command("--out", tmp_path / "results.csv", name, tmp_path / place) == 2
    assert remedy in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_without_documents_has_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, no results are spoken of, and the exit code is 1, also where there are documents elsewhere."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "c.png").write_bytes(picture(DARK))
    out = tmp_path / "results.csv"
    options = ["--bundle", str(make_bundle(tmp_path / "bundle")), "--out", str(out)]
    assert main([str(tmp_path / "empty"), *options]) == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), f"no images were found in {tmp_path / 'empty'}" in said) == (1, True)
    assert not out.exists()
    assert main([str(tmp_path / "empty"), str(tmp_path / "c.png"), *options]) == 1
    assert pages_in(out.with_suffix(".jsonl")) == [("c.png", 1, False)]
