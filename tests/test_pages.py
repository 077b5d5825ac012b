"""Whole pages: lines where they are drawn, pages put right, the class of a page, files of several pages, formats."""

import json
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from app.errors import (
    DataError,
    EncryptedFileError,
    ImageTooLargeError,
    ImageTooSmallError,
    NoTextError,
    TooManyPagesError,
    UnreadableImageError,
)
from app.pages import Page, PageLimits, analyse, first_page, pages_of, prediction_of, recognise_anything
from app.pages.alto import NAMESPACE as ALTO
from app.pages.alto import to_alto
from app.pages.analyse import PageLine, is_real
from app.pages.anything import rows_of
from app.pages.overlay import overlay
from app.pages.page_xml import NAMESPACE as PAGE
from app.pages.page_xml import to_page_xml
from app.pages.segment import Found, Line, without_pale
from app.pages.upright import put_right
from app.tasks import Prediction
from benchmarks.judged_pages import class_of, judge, match, read_samples
from tests.pages import LABELS, READERS, as_form, as_pdf, as_tiff, draw_page, locate, reading_by, saved

LIMITS = PageLimits(max_pages=3, max_pixels=8_000_000)
ENCRYPTED = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"3 0 obj<</Filter/Standard/V 1/R 2/P -4/O<" + b"ab" * 32 + b">/U<" + b"cd" * 32 + b">>>endobj\n"
    b"trailer<</Root 1 0 R/Encrypt 3 0 R/ID[<" + b"12" * 16 + b"><" + b"12" * 16 + b">]/Size 4>>\n%%EOF\n"
)


def test_every_line_is_found_in_reading_order() -> None:
    """As many lines are found as were drawn, from top to bottom, each around its place."""
    page = analyse(draw_page(), READERS)
    assert len(page.lines) == 12
    for number, line in enumerate(page.lines):
        left, top, right, bottom = line.box
        assert 90 < left < 115
        assert 110 + number * 70 < top < bottom < 165 + number * 70
        assert right > 600
    assert (page.width, page.height, page.orientation, page.skew) == (1000, 1300, 0, 0.0)


def test_polygons_lie_within_their_boxes() -> None:
    """A polygon has corners, and none is outside of the box of its line."""
    for line in analyse(draw_page(), READERS).lines:
        x, y = np.array(line.polygon).T
        assert len(x) >= 4
        assert (line.box[0] <= x).all()
        assert (x <= line.box[2]).all()
        assert (line.box[1] <= y).all()
        assert (y <= line.box[3]).all()


def test_a_gutter_parts_columns() -> None:
    """Two columns of text are not joined to lines across both, and the left one is read first."""
    page = Image.new("RGB", (1600, 1300), (238, 230, 214))
    column = draw_page(size=(800, 1300)).crop((90, 0, 600, 1300))
    page.paste(column, (100, 0))
    page.paste(column, (720, 0))
    lines = analyse(page, READERS).lines
    assert len(lines) == 24
    assert [line.box[0] < 600 for line in lines] == [True] * 12 + [False] * 12
    assert max(line.box[2] - line.box[0] for line in lines) < 600


@pytest.mark.parametrize(("turn", "degrees"), [(None, 0), (4, 90), (3, 180), (2, 270)])
def test_turned_pages_are_put_right(turn: int | None, degrees: int) -> None:
    """The turn is told, every line is found, and boxes are where the lines are in the image that was sent."""
    upright = draw_page(red=range(12))
    image = upright if turn is None else upright.transpose(Image.Transpose(turn))
    page = analyse(image, READERS)
    assert (page.orientation, len(page.lines), page.label) == (degrees, 12, "handwritten")
    for line in page.lines:
        pixels = np.asarray(image.crop(line.box)).astype(int)
        assert (pixels[..., 0] - pixels[..., 1] > 60).any()
        assert (line.box[2] - line.box[0] > line.box[3] - line.box[1]) == (degrees in {0, 180})


@pytest.mark.parametrize("degrees", [-13.0, -4.0, -1.2, 1.2, 6.0, 14.0])
def test_skew_is_put_right(degrees: float) -> None:
    """The skew is told to half a degree, and every line is found once."""
    image = draw_page().rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(238, 230, 214))
    page = analyse(image, READERS)
    assert page.skew == pytest.approx(-degrees, abs=0.5)
    assert len(page.lines) == 12


@pytest.mark.parametrize(
    ("red", "label", "mixed"),
    [((), "printed", False), (range(12), "handwritten", False), (range(3), "printed", True), ([11], "printed", True)],
)
def test_lines_make_the_class_of_a_page(red: range, label: str, mixed: bool) -> None:  # noqa: FBT001 - a parameter
    """The page has the class of most of its writing, is mixed when both kinds have a real share, and counts lines."""
    page = analyse(draw_page(red=red), READERS)
    assert (page.label, page.mixed) == (label, mixed)
    assert page.counts == {"handwritten": len(red), "printed": 12 - len(red)}
    assert sum(page.shares.values()) == pytest.approx(1)
    assert class_of(page) == ("mixed" if mixed else label)


@pytest.mark.parametrize(("darkness", "text", "kept"), [(40, 0.7, False), (40, 0.88, True), (80, 0.7, True)])
def test_pencil_is_told_from_writing_that_shows_through(darkness: float, text: float, kept: bool) -> None:  # noqa: FBT001
    """What is much paler than the rest is left out, unless the map is certain that it is text."""
    usual = [Line((0, top, 400, top + 30), 10.0, 3000, 100.0, top) for top in (0, 40, 80)]
    pale = Line((0, 200, 200, 230), 10.0, 900, darkness, 200, text=text)
    assert without_pale([*usual, pale]) == (usual + [pale] * kept)


@pytest.mark.parametrize(
    ("text", "confidences", "box", "clear"),
    [
        (0.8, [0.99], (0, 0, 90, 30), True),
        (0.6, [0.99], (0, 0, 90, 30), False),
        (0.8, [0.96], (0, 0, 90, 30), False),
        (0.8, [0.85, 0.85], (0, 0, 90, 30), True),
        (0.6, [0.85, 0.85], (0, 0, 90, 30), False),
        (0.8, [0.75, 0.75], (0, 0, 90, 30), False),
        (0.8, [0.65] * 9, (0, 0, 90, 30), False),
        (0.8, [0.99], (0, 0, 40, 30), False),
        (0.8, [0.99], (0, 0, 30, 90), True),
        (0.8, [], (0, 0, 90, 30), False),
    ],
)
def test_few_clear_lines_are_text_and_long_and_together_sure(
    text: float,
    confidences: list[float],
    box: tuple[int, int, int, int],
    clear: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Neither a picture that the map hardly takes for text, nor unsure lines, nor a letter makes a page mixed."""
    lines = [
        PageLine(box, (), Prediction("handwritten", confidence, {}, uncertain=False), weight=1.0, text=text)
        for confidence in confidences
    ]
    assert is_real(lines, total=100.0) is clear


def test_lines_know_how_sure_the_map_is_of_them() -> None:
    """Every line of a plain page has the map's mean probability of text, which is high."""
    lines = put_right(draw_page(), locate).found.lines
    assert all(0.65 < line.text <= 1 for line in lines)


def test_half_and_half_is_no_certain_answer() -> None:
    """The confidence of a page is the share of its class; one of both kinds is flagged as mixed, not as uncertain."""
    page = analyse(draw_page(red=range(5)), READERS)
    assert page.confidence == pytest.approx(page.shares["printed"], abs=0.03)
    assert not prediction_of(page).uncertain


def test_light_and_shadow_do_not_matter() -> None:
    """A shadow across the page changes no line."""
    light = np.linspace(1, 0.45, 1000)[None, :, None]
    shaded = Image.fromarray((np.asarray(draw_page()) * light).astype(np.uint8))
    assert len(analyse(shaded, READERS).lines) == 12


def test_rules_are_no_lines() -> None:
    """The rules of a table are neither lines of text nor join any."""
    page = np.asarray(draw_page()).copy()
    page[100:1000:70, 60:950] = 30
    page[100:960, 60:64] = page[100:960, 946:950] = 30
    assert len(analyse(Image.fromarray(page), READERS).lines) == 12


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 40), (700, 700)])
def test_blank_images_of_any_size_have_no_line(size: tuple[int, int]) -> None:
    """An image without writing is a page without lines, without class and with confidence 0."""
    page = analyse(Image.new("RGB", size, "white"), READERS)
    assert (page.lines, page.label, page.confidence, page.mixed) == ((), None, 0.0, False)


def test_a_page_is_analysed_and_a_line_is_not() -> None:
    """An image of one line goes to the recogniser whole, one of many lines is analysed."""
    image = draw_page()
    prediction, page = recognise_anything(image, READERS)
    assert page is not None
    assert (prediction.label, len(page.lines)) == ("printed", 12)
    for line in (image.crop((90, 110, 980, 165)), image.crop((95, 115, 380, 160))):
        assert recognise_anything(line, READERS)[1] is None


def test_an_empty_page_is_refused() -> None:
    """A large image without text is an error that says so; a small one goes to the recogniser."""
    with pytest.raises(NoTextError, match="no text found"):
        recognise_anything(Image.new("RGB", (800, 1000), "white"), READERS)
    assert recognise_anything(Image.new("RGB", (300, 200), "white"), READERS)[1] is None


@pytest.mark.parametrize(("save", "width"), [(as_pdf, 2000), (as_tiff, 1000)])
def test_files_give_their_pages_in_order(save: object, width: int) -> None:
    """A PDF and a TIFF give all pages, the PDF at 200 dpi, each with the lines that were drawn on it."""
    data = save([draw_page(lines=count) for count in (4, 6)])
    pages = list(pages_of(data, LIMITS))
    assert [len(analyse(page, READERS).lines) for page in pages] == [4, 6]
    assert pages[0].width == width
    assert first_page(data, LIMITS).mode == "RGB"


def test_a_large_page_of_a_pdf_is_drawn_smaller() -> None:
    """A page of a PDF never has more pixels than the limit."""
    (page,) = pages_of(as_pdf([draw_page()]), PageLimits(max_pages=1, max_pixels=500_000))
    assert 450_000 < page.width * page.height <= 500_000


def test_what_a_form_was_filled_in_with_is_on_its_page() -> None:
    """A PDF keeps it apart from the page; whoever looks at the form sees it."""
    filled, empty = (next(pages_of(as_form(entry), LIMITS)) for entry in ("Jane Doe of Elmstreet", ""))
    dark = [(np.asarray(page.convert("L")) < 128).sum() for page in (filled, empty)]
    assert dark[1] == 0 < dark[0]


def test_the_sides_of_a_page_of_a_pdf_have_limits() -> None:
    """A long strip is drawn so that no side has more than 30,000 pixels, and a page of nearly no size is refused."""
    (page,) = pages_of(as_pdf([Image.new("RGB", (40, 20_000))]), PageLimits(max_pages=1, max_pixels=50_000_000))
    assert 29_000 < page.height <= 30_000
    with pytest.raises(ImageTooSmallError, match="1 pixels"):
        next(pages_of(saved([Image.new("RGB", (1, 1))], "PDF", resolution=500), LIMITS))


@pytest.mark.parametrize("save", [as_pdf, as_tiff])
def test_a_file_has_one_page_in_memory_at_a_time(save: object) -> None:
    """However many pages there are: once the next one is asked for, the last one is gone."""
    given: list[weakref.ref[Image.Image]] = []
    for page in pages_of(save([draw_page(1, (300, 300))] * 6), PageLimits(max_pages=6, max_pixels=8_000_000)):
        assert [last() for last in given] == [None] * len(given)
        given.append(weakref.ref(page))
        del page
    assert len(given) == 6


@pytest.mark.parametrize("save", [as_pdf, as_tiff])
def test_too_many_pages_are_refused(save: object) -> None:
    """A file with more pages than allowed is refused with the count and the limit, before any page is given."""
    with pytest.raises(TooManyPagesError, match="4 pages, over the limit max_pages of 3"):
        next(pages_of(save([draw_page(1, (200, 200))] * 4), LIMITS))


def test_a_page_of_a_tiff_may_be_too_large() -> None:
    """Each page of a TIFF is measured before it is decoded."""
    pages = pages_of(as_tiff([draw_page(1, (100, 100)), draw_page(1, (300, 300))]), PageLimits(3, 50_000))
    assert next(pages).size == (100, 100)
    with pytest.raises(ImageTooLargeError, match="over the limit of 50000"):
        next(pages)


@pytest.mark.parametrize(
    "data",
    [b"%PDF-1.7 and nothing", as_tiff([draw_page()])[:90_000], b"hello", b""],
    ids=["pdf", "tiff", "text", "empty"],
)
def test_broken_files_are_refused(data: bytes) -> None:
    """What begins like a PDF or TIFF but is none is an unreadable image."""
    with pytest.raises(UnreadableImageError):
        next(pages_of(data, LIMITS))


def test_an_encrypted_pdf_is_refused() -> None:
    """A PDF with a password is refused, and the message says what to do."""
    with pytest.raises(EncryptedFileError, match="password"):
        next(pages_of(ENCRYPTED, LIMITS))


def test_alto_has_every_line_with_its_tag() -> None:
    """ALTO has the pages, and for every line its box, its polygon and a tag that is declared."""
    page = analyse(draw_page(red=range(3)), READERS)
    root = ET.fromstring(to_alto([page, page], LABELS, "a.pdf"))  # noqa: S314 - our own
    names = {"a": ALTO}
    lines = root.findall(".//a:TextLine", names)
    tags = {tag.get("ID"): tag.get("LABEL") for tag in root.findall("a:Tags/a:OtherTag", names)}
    assert len(root.findall(".//a:Page", names)) == 2
    assert [tags[line.get("TAGREFS")] for line in lines[:12]] == ["handwritten"] * 3 + ["printed"] * 9
    assert int(lines[0].get("HPOS")) == page.lines[0].box[0]
    assert len({line.get("ID") for line in lines}) == 24
    assert lines[0].find("a:Shape/a:Polygon", names).get("POINTS").split()[0] == str(page.lines[0].polygon[0][0])


def test_page_xml_has_every_line_with_its_production() -> None:
    """PAGE XML has for every line its polygon and its writing type as `production`."""
    page = analyse(draw_page(red=[0]), READERS)
    root = ET.fromstring(to_page_xml(page, "a.jpg"))  # noqa: S314 - our own
    lines = root.findall(f".//{{{PAGE}}}TextLine")
    assert [line.get("production") for line in lines] == ["handwritten-cursive"] + ["printed"] * 11
    assert root.find(f"{{{PAGE}}}Page").get("imageWidth") == "1000"
    first = page.lines[0].polygon[0]
    assert lines[0].find(f"{{{PAGE}}}Coords").get("points").startswith(f"{first[0]},{first[1]} ")


@pytest.mark.parametrize("write", [lambda page, name: to_alto([page], LABELS, name), to_page_xml], ids=["alto", "page"])
def test_odd_names_of_files_leave_the_xml_whole(write: Callable[[Page, str], bytes]) -> None:
    """What XML does not allow, such as bytes that are no UTF-8, is replaced; what it writes in its own way is kept."""
    page = analyse(draw_page(1), READERS)
    root = ET.fromstring(write(page, "caf\udce9 \x0b\uffff <é>.png"))  # noqa: S314 - our own
    mark = "\N{REPLACEMENT CHARACTER}"
    names = [element.text or element.get("imageFilename") for element in root.iter()]
    assert f"caf{mark} {mark}{mark} <é>.png" in names


def test_overlays_colour_the_lines() -> None:
    """Within a line's box the picture changes, beside it nothing does."""
    image = draw_page(red=[0])
    page = analyse(image, READERS)
    changed = (np.asarray(overlay(image, page, LABELS)) != np.asarray(image)).any(axis=2)
    left, top, right, bottom = page.lines[0].box
    assert changed[top:bottom, left:right].mean() > 0.5
    assert not changed[:90].any()


def test_boxes_match_by_overlap_or_by_ink() -> None:
    """Boxes match at half their union, or when they hold the same ink, and each only once."""
    ink = np.zeros((101, 201), np.int64)
    ink[51:, :] = np.arange(201)  # one row of ink, from the left to the right
    boxes = [(0, 0, 200, 100), (0, 45, 200, 55)]
    assert match([boxes[0]], [boxes[1]], ink) == [(0, 0)]
    assert match([(0, 0, 100, 60)], [(0, 40, 200, 60)], ink) == []
    assert sorted(match(boxes, boxes, ink)) == [(0, 0), (1, 1)]


def test_a_page_is_judged(tmp_path: Path) -> None:
    """Of three known lines two are found, one with the wrong class; lines without a type do not count."""
    image = draw_page(lines=3, red=[0])
    image.save(tmp_path / "a.png")
    page = analyse(image, READERS)
    rows = [
        {"bbox": line.box, "writing_type": kind}
        for line, kind in zip(page.lines, ("typewritten", None, "printed"), strict=True)
    ]
    rows.append({"bbox": [0, 900, 50, 950], "writing_type": "printed"})
    row = {"file": "a.png", "source": "a", "document": "a", "page_label": "mixed", "split": "test", "lines": rows}
    (tmp_path / "pages.jsonl").write_text(json.dumps(row))
    (sample,) = read_samples(tmp_path, "test", {"typewritten": "printed"})
    figures = judge(sample, sample.read(), page)
    assert (figures.true_lines, figures.found_lines, figures.matched_lines, figures.right_lines) == (3, 2, 2, 1)
    assert figures.right_pages == 1
    assert figures.line_f1 == pytest.approx(2 / 5)
    assert read_samples(tmp_path, "train", {}) == []
    del row["page_label"]
    (tmp_path / "pages.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match=r"a\.png has no page_label"):
        read_samples(tmp_path, "test", {})


def test_a_line_with_its_neighbours_is_a_line() -> None:
    """A crop that shows the lines above and below goes to the recogniser whole, whatever the size of its pixels."""
    crop = draw_page().crop((90, 180, 900, 380))
    for image in (crop, crop.resize((2025, 500))):
        assert recognise_anything(image, READERS)[1] is None


def test_a_doubtful_page_of_few_rows_is_a_line() -> None:
    """Where few lines far apart are not of one mind, the recogniser has the whole image."""
    image = draw_page(lines=3, size=(1000, 900))

    def unsure(images: Sequence[Image.Image]) -> list[Prediction]:
        return [Prediction("handwritten", 0.7, {"handwritten": 0.7, "printed": 0.3}, uncertain=True) for _ in images]

    assert recognise_anything(image, reading_by(unsure))[1] is None
    assert recognise_anything(image, READERS)[1] is not None


def test_a_large_title_does_not_hide_the_rows_of_a_page() -> None:
    """Rows are counted by the usual height of writing: twenty lines under a title that is five times as high."""
    boxes = [(10, 10, 500, 90), *((10, 100 + 30 * row, 500, 122 + 30 * row) for row in range(20))]
    lines = tuple(
        Line(box, core=(box[3] - box[1]) / 2, ink=100, darkness=200.0, number=number)
        for number, box in enumerate(boxes, start=1)
    )
    assert rows_of(Found(lines, np.zeros((720, 510), np.int32))) == 21


def test_a_strip_is_a_slip_on_its_side_only_when_its_writing_could_be_read() -> None:
    """The letters of a single line may look like the rows of a slip that lies on its side; size tells them apart."""
    slip = draw_page().crop((90, 100, 430, 980)).transpose(Image.Transpose.ROTATE_90)
    assert recognise_anything(slip, READERS)[1] is None
    page = recognise_anything(slip.resize((1760, 680)), READERS)[1]
    assert page is not None
    assert page.orientation in {90, 270}
