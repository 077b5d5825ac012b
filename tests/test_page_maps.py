"""Maps of pages: cores that are told or derived, what is unknown, and their import beside the pages."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.data.data_import_page_maps import main
from app.data.importing import Row, import_rows
from app.data.manifest import Sample, map_beside, read_manifest
from app.data.page_maps import PageLine, draw_map
from app.tasks import DOCUMENT_TYPE

Line = dict[str, object]
SIZE = (400, 600)


def written(boxes: list[tuple[int, int, int, int]], slope: float = 0.0) -> np.ndarray:
    """A light page with strokes as high as small letters in the middle of each box, and some twice as high."""
    page = np.full(SIZE, 230, np.uint8)
    for left, top, right, bottom in boxes:
        for number, x in enumerate(range(left + 4, right - 4, 6)):
            middle = (top + bottom) / 2 + slope * (x - (left + right) / 2)
            above = 15 if number % 5 == 0 else 7
            page[round(middle - above) : round(middle + 7), x : x + 3] = 30
    return page


def drawn(page: np.ndarray, lines: list[PageLine], *, complete: bool = True) -> np.ndarray:
    """Every other place of a map, so that four pixels of the page are from one to the next."""
    return draw_map(page, lines, 2, complete=complete)[::2, ::2]


def test_a_core_that_is_told_is_drawn() -> None:
    """The polygon is filled at half the size in the plane of its class, and all is known."""
    line = PageLine((100, 80, 300, 120), 1, [(100, 92), (300, 92), (300, 108), (100, 108)])
    assert draw_map(written([])[:-1], [line], 2, complete=True).shape == (200, 300, 3)
    maps = drawn(written([]), [line])
    assert (maps[24:27, 26:74, 1] == 255).all()
    assert not maps[[21, 29]][..., 1].any()
    assert not maps[..., 0].any()
    assert (maps[..., 2] == 255).all()


def test_a_core_is_derived_from_the_ink_in_its_box() -> None:
    """It lies where the small letters are, from end to end of the box, and not where only tall letters reach."""
    box = (60, 100, 540, 140)
    maps = drawn(written([box]), [PageLine(box, 0)])
    assert (maps[29:31, 16:134, 0] > 127).all()
    assert not maps[:27, :, 0].any()
    assert not maps[34:, :, 0].any()


def test_a_line_that_slopes_has_a_core_that_slopes() -> None:
    """In a box far over the usual height the core follows the ink of the only line in it, whose height is told."""
    usual = [(60, 20 + 40 * number, 540, 50 + 40 * number) for number in range(4)]
    box = (60, 210, 540, 300)
    page = np.minimum(written(usual), written([box], slope=0.12))
    maps = drawn(page, [PageLine(each, 0) for each in [*usual, box]])
    rows = [np.nonzero(maps[50:, column, 0] > 127)[0].mean() + 50 for column in (25, 75, 125)]
    assert rows == pytest.approx([255 / 4 - 6, 255 / 4, 255 / 4 + 6], abs=1.0)
    assert 3 < (maps[50:, 75, 0] > 127).sum() < 9


def test_large_letters_have_a_large_core() -> None:
    """A heading in a box far over the usual height, with no other box in it, is no reason for doubt."""
    usual = [(60, 20 + 40 * number, 540, 50 + 40 * number) for number in range(4)]
    page = written(usual)
    page[230:290, 60:540:16] = page[230:290, 61:540:16] = page[230:290, 62:540:16] = 30
    maps = drawn(page, [PageLine(each, 1) for each in [*usual, (60, 220, 540, 300)]])
    assert 8 < (maps[50:, 75, 1] > 127).sum() < 12
    assert (maps[..., 2] == 255).all()


def test_what_cannot_be_told_is_unknown() -> None:
    """A tall box with several lines in it, a tiny one and a line without a class are unknown, not blank."""
    usual = [(60, 20 + 40 * number, 540, 50 + 40 * number) for number in range(4)]
    several = [(60, 210, 540, 250), (60, 255, 540, 295)]
    lines = [PageLine(each, 0) for each in [*usual, (60, 210, 540, 300), (60, 200, 540, 290), (10, 10, 14, 14)]]
    lines.append(PageLine((200, 340, 300, 380), None))
    maps = drawn(written([*usual, *several]), lines)
    assert not maps[50:75, 15:135].any()
    assert not maps[3, 3].any()
    assert not maps[85:95, 50:75].any()
    assert maps[80, 20].tolist() == [0, 0, 255]
    assert maps[..., 2].mean() > 0.7 * 255


def test_lines_close_to_each_other_tell_how_high_they_are() -> None:
    """Where the boxes of sloping lines overlap, the way from line to line is what is usual."""
    boxes = [(20, 40 * number, 580, 40 * number + 110) for number in range(6)]
    page = np.min([written([box], slope=0.13) for box in boxes], axis=0)
    maps = drawn(page, [PageLine(box, 0) for box in boxes])
    assert not maps[20:60, 20:130].any()


def test_an_incomplete_page_is_unknown_outside_its_boxes() -> None:
    """What has no box may be a line or not, there; within boxes all is known."""
    box = (60, 100, 540, 140)
    maps = drawn(written([box]), [PageLine(box, 0)], complete=False)
    assert not maps[:25].any()
    assert not maps[35:].any()
    assert (maps[25:35, 15:135, 2] == 255).all()


def page(name: str, lines: list[Line], **changes: object) -> Line:
    """A page of a listing."""
    return {"file": name, "source": "archive", "document": name, "split": "train", "lines": lines, **changes}


def line(box: tuple[int, int, int, int], kind: str | None) -> Line:
    """A line of a listing."""
    return {"bbox": box, "writing_type": kind}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with a usable page, a large one, a broken one, one that is gone and one without a class."""
    folder, box = tmp_path / "pages", (60, 100, 540, 140)
    folder.mkdir()
    image = Image.fromarray(written([box, (60, 200, 300, 240)]))
    for name in ("good.png", "untyped.png"):
        image.convert("RGB").save(folder / name)
    image.resize((2400, 1600)).save(folder / "large.png")
    (folder / "broken.png").write_bytes((folder / "good.png").read_bytes()[:200])
    both = [line(box, "handwritten"), line((60, 200, 300, 240), "typewritten")]
    large: list[Line] = [{**line((240, 400, 2160, 560), "printed"), "core": [(240, 440), (2160, 440), (2160, 520)]}]
    pages = [page("good.png", both), page("large.png", large), page("broken.png", both), page("gone.png", both)]
    listing = [*pages, page("untyped.png", [line(box, None)])]
    (folder / "pages.jsonl").write_text("".join(json.dumps(each) + "\n" for each in listing), "utf-8")
    return folder


def imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[Sample], str]:
    """Import a folder, and give its samples by name and what was said."""
    options = ["--source", str(folder), "--name", "maps", "--datasets", str(folder.parent)]
    assert main(options) == 0
    return sorted(read_manifest(folder.parent / "maps"), key=lambda sample: sample.document), capsys.readouterr().out


def test_pages_are_imported_with_their_maps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its label and beside it a map of its size; pages that cannot be used are left out, with the reason."""
    samples, said = imported(folder, capsys)
    found = [(sample.document, sample.label, sample.split) for sample in samples]
    assert found == [("archive/good.png", "handwritten", "train"), ("archive/large.png", "printed", "train")]
    files = [folder.parent / "maps" / sample.path for sample in samples]
    with Image.open(files[0]) as image, Image.open(map_beside(files[0])) as maps:
        assert (image.mode, image.size) == ("L", (600, 400))
        assert (maps.mode, maps.size) == ("RGB", (300, 200))
        assert maps.getpixel((150, 58)) == (255, 0, 255)
        assert maps.getpixel((100, 110)) == (0, 255, 255)
    with Image.open(files[1]) as image, Image.open(map_beside(files[1])) as maps:
        assert (image.size, maps.size) == ((1600, 1067), (800, 534))
        assert maps.getpixel((600, 154)) == (0, 255, 255)
    assert "3 rows left out" in said
    for words in ("broken: ", "gone: ", "untyped: label '(no line has a class)' is none of handwritten, printed"):
        assert words in said


def test_lines_count_as_far_as_they_are_on_their_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines beyond an edge change neither the map nor the label; one that an edge cuts is drawn up to there."""
    beyond = [(60, -80, 540, -20), (60, 420, 540, 600), (-300, 100, -10, 140), (610, 100, 900, 140)]
    off = [line(box, "handwritten") for box in beyond]
    near, cut = line((60, 100, 540, 140), "printed"), line((-2000, 200, 300, 240), "handwritten")
    pages = [page("good.png", [near, cut]), page("untyped.png", [near, cut, *off]), page("large.png", off[:1])]
    (folder / "pages.jsonl").write_text("".join(json.dumps(each) + "\n" for each in pages), "utf-8")
    samples, said = imported(folder, capsys)
    assert [sample.label for sample in samples] == ["printed", "printed"]
    maps = [map_beside(folder.parent / "maps" / sample.path) for sample in samples]
    assert maps[0].read_bytes() == maps[1].read_bytes()
    with Image.open(maps[0]) as drawn_map:
        assert drawn_map.getpixel((100, 110)) == (255, 0, 255)
        assert drawn_map.getpixel((200, 110)) == (0, 0, 255)
    assert "large: label '(no line has a class)' is none of" in said


def test_an_import_goes_on_where_it_stopped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run writes nothing twice; a page whose image is not there yet is written again with its map."""
    samples, _ = imported(folder, capsys)
    good, large = (folder.parent / "maps" / sample.path for sample in samples)
    good.unlink()
    map_beside(good).write_bytes(b"half")
    before = large.stat().st_mtime_ns, map_beside(large).stat().st_mtime_ns
    assert imported(folder, capsys)[0] == samples
    assert (large.stat().st_mtime_ns, map_beside(large).stat().st_mtime_ns) == before
    with Image.open(map_beside(good)) as maps:
        assert maps.size == (300, 200)


def test_a_map_moves_with_its_page(folder: Path, tmp_path: Path) -> None:
    """Where a document is settled in one split, the maps of its pages lie there as well."""
    content = (folder / "good.png").read_bytes()
    rows = [
        Row(f"page {number}", "printed", content, split, "archive", "register", places=b"map")
        for number, split in enumerate(("train", "test", "test"))
    ]
    samples, _ = import_rows(rows, tmp_path / "settled", DOCUMENT_TYPE)
    for sample in samples:
        assert sample.split == "test"
        assert map_beside(tmp_path / "settled" / sample.path).read_bytes() == b"map"
    assert not list((tmp_path / "settled" / "train").rglob("*.png"))
