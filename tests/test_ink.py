"""Ink and paper: what a sheet lies on is no ink, shadows end no sheet, words of a broad marker stay."""

import cv2
import numpy as np
import pytest
from PIL import Image

from app.pages import analyse
from app.pages.ink import ink_of, level_of_sheet, sheets_of
from app.pages.orientation import direction_of
from tests.pages import READERS, draw_page


def on_a_desk(desk: int, degrees: float = 0.0) -> np.ndarray:
    """A page on a desk of one grey value with a weak pattern, as a grey image."""
    y, x = np.mgrid[0:1600, 0:1300]
    ground = (desk + 6 * np.sin(x / 17) * np.sin(y / 23)).astype(np.uint8)
    page = np.asarray(draw_page().convert("L"))
    matrix = cv2.getRotationMatrix2D((500, 650), degrees, 1)
    matrix[:, 2] += (150, 150)
    covered = cv2.warpAffine(np.ones_like(page), matrix, (1300, 1600))
    return np.where(covered > 0, cv2.warpAffine(page, matrix, (1300, 1600)), ground)


@pytest.mark.parametrize(("desk", "degrees"), [(40, 0.0), (120, 3.0), (170, 0.0)])
def test_what_a_sheet_lies_on_is_no_line(desk: int, degrees: float) -> None:
    """On a dark or a fairly bright desk the lines of the page are found, and nothing beside it or at its edges."""
    page = analyse(Image.fromarray(on_a_desk(desk, degrees)).convert("RGB"), READERS)
    assert len(page.lines) == 12
    assert all(line.box[0] > 150 and line.box[2] < 1150 for line in page.lines)


def test_a_soft_shadow_ends_no_sheet() -> None:
    """Where light falls off within some millimetres the sheet goes on; where it does at once, something else begins."""
    x = np.linspace(-1, 1, 160)[None, :]
    for sharpness, found in ((12, False), (400, True)):
        light = 200 - 90 / (1 + np.exp(-sharpness * (np.abs(x) - 0.5))) + np.zeros((200, 1))
        light[:20] = light[-20:] = 110 if found else light[20]
        assert (level_of_sheet(light.astype(np.uint8)) is not None) == found


def test_a_page_that_fills_the_image_is_one_sheet() -> None:
    """Without anything around it the whole image is paper."""
    grey = np.asarray(draw_page().convert("L"))
    assert sheets_of(np.full((325, 250), 230, np.uint8), grey).all()


def test_words_of_a_broad_marker_stay_ink() -> None:
    """A band of ink that is all there is on a page is no edge; beside text of the usual size it is."""
    grey = np.full((1200, 900), 235, np.uint8)
    cv2.putText(grey, "lulu", (60, 700), cv2.FONT_HERSHEY_SIMPLEX, 12, 20, 40)
    assert ink_of(grey).mask.mean() > 0.05
    page = np.asarray(draw_page().convert("L")).copy()
    page[20:60, :700] = 120
    assert ink_of(page).mask[20:60].sum() == 0


def test_a_page_stands_upright_unless_its_lines_say_otherwise() -> None:
    """Of a pattern that is as even both ways, nothing is turned."""
    mask = np.zeros((800, 800), np.uint8)
    mask[40::40, 40::40] = 1
    assert not direction_of(cv2.dilate(mask, np.ones((9, 9), np.uint8))).lies_down


def test_small_blurred_print_is_no_blot() -> None:
    """Letters that run into each other, small and out of focus, are found as lines all the same."""
    small = np.asarray(draw_page().resize((600, 780), Image.Resampling.BOX))
    blurred = Image.fromarray(cv2.GaussianBlur(small, (0, 0), 1.6))
    assert len(analyse(blurred, READERS).lines) == 12
