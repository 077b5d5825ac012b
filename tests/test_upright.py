"""Pages whose ink tells a wrong direction, since what they lie on is rougher than their writing."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image, ImageFont, ImageOps

from app.data.documents import draw_document
from app.evaluate.alterations import half_size
from app.pages.ink import lightness_of_strokes
from app.pages.looks import Looks
from app.pages.upright import LIGHT, SUSPECT, found_on, letters_of_lines, put_right
from tests.pages import FONT, HEIGHT, draw_page, locate

HEBREW = "ציוני דרך חשובים השפיעו על התפתחות האות העברית המודרנית"
MANY_SCRIPTS = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


def on_a_desk(page: Image.Image, roughness: float) -> Image.Image:
    """A photograph in poor light of a page, faint as a receipt, in the middle of a dark desk with a coarse grain."""
    random = np.random.default_rng(1)
    coarse = random.normal(60, roughness, (70, 53)).clip(0, 255).astype(np.uint8)
    desk = Image.fromarray(coarse).resize((1200, 1600), Image.Resampling.BICUBIC)
    faint = Image.blend(page.convert("L"), Image.new("L", page.size, 220), 0.75)
    desk.paste(faint.resize((700, 910)), (250, 345))
    photo = 0.3 * np.asarray(desk) + np.random.default_rng(2).normal(0, 8, (1600, 1200))
    return Image.fromarray(photo.clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("layout", [None, ImageFont.Layout.BASIC], ids=["usual", "basic"])
@pytest.mark.parametrize(
    ("turn", "orientation"),
    [
        (None, 0),
        (Image.Transpose.ROTATE_90, 270),
        (Image.Transpose.ROTATE_180, 180),
        (Image.Transpose.ROTATE_270, 90),
    ],
)
def test_a_rough_desk_does_not_hide_a_faint_page(
    turn: Image.Transpose | None, orientation: int, layout: ImageFont.Layout | None
) -> None:
    """The ink is that of the desk; the page is put right by its map, and ink sought where text is.

    How close the letters stand decides what slope and size the desk tells, and depends on the machine.
    """
    face = ImageFont.truetype(FONT, HEIGHT, layout_engine=layout)
    photo = on_a_desk(draw_page(12, face=face), roughness=18)
    upright = put_right(photo if turn is None else photo.transpose(turn), locate)
    assert len(upright.found.lines) in {12, 13}
    assert upright.orientation == orientation


@pytest.mark.parametrize("roughness", [8, 18, 25, 35])
def test_a_blank_sheet_on_a_rough_desk_has_no_lines(roughness: float) -> None:
    """The second look finds nothing where nothing is written."""
    assert not put_right(on_a_desk(Image.new("RGB", (1000, 1300), (238, 230, 214)), roughness), locate).found.lines


def test_a_large_title_does_not_hide_the_small_lines_below() -> None:
    """A page is not shrunk to the size of its largest writing when more text is found on it as it is."""
    invoice, _, lines = draw_document(np.random.default_rng([77, 13]), "invoice", "train", photo=True)
    assert len(put_right(invoice, locate).found.lines) > 0.4 * len(lines)


@pytest.mark.parametrize(("kind", "seed"), [("table", 1), ("table", 2), ("typescript", 1)])
def test_small_marks_are_found_on_a_page_of_few_pixels(kind: str, seed: int) -> None:
    """It is enlarged, though its other writing is large enough, and further where that shows more letters."""
    page, _, _ = draw_document(np.random.default_rng(seed), kind, "test", photo=False)
    whole, half = (letters_of_lines(put_right(image, locate).found) for image in (page, half_size(page)))
    assert half > 0.9 * whole


@pytest.mark.parametrize("seed", [3, 4])
def test_a_column_of_prices_is_not_read_as_one_line(seed: int) -> None:
    """A faint receipt on a rough desk is turned by the letters that the map shows: on its side a column has few."""
    receipt, _, lines = draw_document(np.random.default_rng([5, seed]), "receipt", "train", photo=True)
    upright = put_right(receipt, locate)
    assert upright.orientation == 0
    assert len(upright.found.lines) > 0.7 * len(lines)


def test_a_page_that_shows_text_at_once_is_looked_at_once() -> None:
    """The second look costs as much as the first, so an ordinary page does not pay for it."""
    looks = []

    def counted(page: np.ndarray) -> np.ndarray:
        looks.append(page.shape)
        return locate(page)

    put_right(draw_page(12), counted)
    assert len(looks) == 1


def test_letters_of_another_script_do_not_turn_a_page_over() -> None:
    """More of Hebrew reaches below the line than above, as in Latin on its head; the map knows better."""
    page = draw_page(14, text=HEBREW, face=ImageFont.truetype(MANY_SCRIPTS, HEIGHT))
    assert put_right(page, locate).orientation == 0


@pytest.mark.parametrize(
    ("first", "second", "rest", "orientation"),
    [(0.3, 0.0, 1.0, 0), (0.5, 0.6, 1.0, 0), (0.5, 0.1, 1.0, 180), (0.9, 0.1, 1.0, 180), (0.5, 0.0, 0.0, 0)],
)
def test_a_page_that_may_stand_on_its_head_is_looked_at_both_ways(
    first: float, second: float, rest: float, orientation: int
) -> None:
    """It is turned over where less seems to stand on its head then, unless most of its text would be lost."""
    looks: list[np.ndarray] = []

    def said(page: np.ndarray) -> np.ndarray:
        places = locate(page)
        places[-1] = second if looks else first
        places[:-1] *= rest if looks else 1.0
        looks.append(page)
        return places

    assert put_right(draw_page(12), said).orientation == orientation
    assert len(looks) == 1 + (first > SUSPECT)


def test_latin_on_its_head_is_turned_over() -> None:
    """Of nearly all of its text the map says that it stands on its head."""
    assert put_right(draw_page(12).transpose(Image.Transpose.ROTATE_180), locate).orientation == 180


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page,
        lambda page: page.transpose(Image.Transpose.ROTATE_90),
        lambda page: page.transpose(Image.Transpose.ROTATE_180),
        ImageOps.invert,
    ],
)
def test_lines_of_a_large_upload_are_cut_out_in_full(change: Callable[[Image.Image], Image.Image]) -> None:
    """A low line has as many pixels as in the upload, upright, and shows what it shows on the page as it is read."""
    upright = put_right(change(draw_page(12).resize((3000, 3900), Image.Resampling.BICUBIC)), locate)
    left, top, right, bottom = box = upright.found.lines[0].box
    crop = upright.cut(box)
    scale = 3900 / 1600
    assert crop.shape[:2] == pytest.approx((scale * (bottom - top), scale * (right - left)), abs=1)
    small = np.asarray(Image.fromarray(crop).resize((right - left, bottom - top), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - upright.pixels[top:bottom, left:right]).mean() < 12
    assert upright.cut((0, 0, 400, 200)).shape == (200, 400, 3)


@pytest.mark.parametrize("turn", [None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180])
def test_a_negative_is_read_as_the_page_itself(turn: Image.Transpose | None) -> None:
    """Microfilms are often negatives, blackboards and dark screens light on dark: the lines are the same."""
    page = draw_page(12)
    page = page if turn is None else page.transpose(turn)
    upright, negative = put_right(page, locate), put_right(ImageOps.invert(page), locate)
    assert len(negative.found.lines) == len(upright.found.lines) > 10
    assert negative.orientation == upright.orientation
    assert np.array_equal(negative.pixels, upright.pixels)


@pytest.mark.parametrize(("kind", "seed", "rounding"), [("note", 2, 0), ("sticky", 17, 1), ("typescript", 8, 0)])
def test_a_negative_that_shows_more_letters_as_it_is_is_read_as_the_page_itself(
    kind: str, seed: int, rounding: int
) -> None:
    """Of light writing the map sees much as well, but torn to pieces; where all strokes are light, it is a negative.

    A sticky note has few pixels; to enlarge it rounds.
    """
    page, _, _ = draw_document(np.random.default_rng(seed), kind, "test", photo=False)
    inverted = ImageOps.invert(page)
    upright, negative = put_right(page, locate), put_right(inverted, locate)
    as_it_is = found_on(Looks(np.asarray(inverted), locate))
    assert letters_of_lines(as_it_is.found) > letters_of_lines(upright.found)
    assert negative.negative
    assert np.abs(negative.pixels.astype(int) - upright.pixels).max() <= rounding


def test_a_faint_negative_is_tried_when_nothing_else_is_found() -> None:
    """A rough desk may hide which of the two is lighter; the page is looked at both ways before it is called empty."""
    photo = ImageOps.invert(on_a_desk(draw_page(12), roughness=25))
    assert lightness_of_strokes(np.asarray(photo.convert("L"))) < LIGHT
    assert len(put_right(photo, locate).found.lines) in {12, 13}


def test_a_blank_page_has_no_lines_either_way() -> None:
    """Neither a white nor a black one."""
    for grey in (0, 30, 230, 255):
        assert not put_right(Image.new("RGB", (1000, 1300), (grey, grey, grey)), locate).found.lines


@pytest.mark.parametrize("size", [(2, 1700), (1700, 2), (4000, 4), (1, 1), (30000, 10)])
def test_very_thin_images_have_no_lines(size: tuple[int, int]) -> None:
    """However thin an image is, some pixels of it are left to look at."""
    assert not put_right(Image.new("RGB", size, "white"), locate).found.lines
