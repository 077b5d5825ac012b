"""Folders of documents on the command line: results, overlays, ALTO, copies, resuming, broken files, processes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app.inference.inference_onnx import main
from tests.bundles import DARK, make_bundle, picture
from tests.pages import as_pdf, draw_page, saved

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
    return [json.loads(line) for line in results.read_text().splitlines()]


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
    assert sorted(path.name[-10:] for path in folders[0].iterdir()) == ["a-0001.png", "a-0003.png", "b-0001.png"]
    assert sorted(path.name[-5:] for path in folders[1].iterdir()) == ["a.xml", "b.xml"]
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
