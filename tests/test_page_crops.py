"""Crops of pages: image and map show the same places, whatever is altered, and a seed fixes all of it."""

import numpy as np
import pytest

from app.tasks import PLACE
from app.training.page_crops import CERTAIN, OTHER_WAYS, SIDE, View, alter_page, cut, draw_view, middle_views

Pixels = np.ndarray


def barred() -> tuple[Pixels, Pixels]:
    """A page of 900 x 700 pixels with a black bar, and its map: the bar is handwritten, all is known."""
    page = np.full((900, 700), 220, np.uint8)
    page[400:440, 120:560] = 20
    maps = np.zeros((450, 350, 3), np.uint8)
    maps[200:220, 60:280, 0] = maps[..., 2] = 255
    return page, maps


@pytest.mark.parametrize("start", [0, 100, 200])
def test_a_map_stays_on_its_image(start: int) -> None:
    """After any turn, scale and shift the map is set where the bar is, within half a place, and nowhere else."""
    page, maps = barred()
    seen = 0
    for seed in range(start, start + 20):
        view = draw_view(maps, np.random.default_rng(seed))
        grey, found = cut(page, maps, view, beside=220)
        assert (grey.shape, found.shape) == ((SIDE, SIDE), (SIDE // PLACE, SIDE // PLACE, 4))
        places = grey.reshape(SIDE // PLACE, PLACE, SIDE // PLACE, PLACE).mean(axis=(1, 3))
        ink = np.clip((220 - places) / 200, 0, 1)
        share = found[..., 0] / 255 / CERTAIN[view.quarters]
        assert np.abs(ink - share).max() < 0.75
        if ink.sum() > 80:
            seen += 1
            assert abs(ink.sum() - share.sum()) < 0.05 * ink.sum() + 8
            middles = [np.array(np.nonzero(plane > 0.5)).mean(axis=1) for plane in (ink, share)]
            assert np.abs(middles[0] - middles[1]).max() < 0.5
    assert seen > 10


def test_a_seed_fixes_the_crop() -> None:
    """The same generator draws the same view and alters in the same way; another one does not."""
    page, maps = barred()
    first, second, other = (np.random.default_rng(seed) for seed in (4, 4, 5))
    views = [draw_view(maps, random) for random in (first, second, other)]
    assert views[0] == views[1] != views[2]
    altered = [alter_page(page, random, lambda: page) for random in (first, second, other)]
    np.testing.assert_array_equal(altered[0], altered[1])
    assert (altered[0] != altered[2]).any()


def test_some_crops_lie_another_way_and_their_map_says_so() -> None:
    """Crops on a side and on their heads come as often as they shall; the map is less certain of text on a side.

    Text on its head, and no other, is on a plane of its own.
    """
    page, maps = barred()
    views = [draw_view(maps, np.random.default_rng(seed)) for seed in range(1000)]
    for quarters, share in OTHER_WAYS.items():
        assert abs(sum(view.quarters == quarters for view in views) / 1000 - share) < 0.03
    middle = (340.0, 420.0)
    upright, lying, over = (cut(page, maps, View(middle, turn=turn), beside=220)[1] for turn in (0, 90, 180))
    assert [found[..., 0].max() for found in (upright, lying, over)] == [255, round(255 * CERTAIN[1]), 255]
    assert not upright[..., 2].any()
    assert not lying[..., 2].any()
    np.testing.assert_array_equal(over[..., 2], over[..., 0])
    assert all((found[..., 3] == 255).all() for found in (upright, lying, over))


def test_a_class_of_little_text_is_seen_as_often() -> None:
    """A note on a page full of print is near the middle of two fifths of the crops."""
    maps = np.zeros((2000, 2000, 3), np.uint8)
    maps[:1000, :1000, 1], maps[1900:1905, 1900:1920, 0] = 255, 255
    random = np.random.default_rng(4)
    near = [
        np.hypot(view.middle[0] - 3820, view.middle[1] - 3805) < 600
        for view in (draw_view(maps, random) for _ in range(200))
    ]
    assert 60 < sum(near) < 110


@pytest.mark.parametrize("seed", range(12))
def test_alterations_move_nothing(seed: int) -> None:
    """The recipe gives a page of the same size, on which the bar is still darker than what is above it."""
    page, _ = barred()
    altered = alter_page(page, np.random.default_rng(seed), lambda: page)
    assert (altered.shape, altered.dtype) == (page.shape, np.uint8)
    assert altered[404:436, 130:550].mean() < altered[340:380, 130:550].mean() - 20
    assert altered[441:444, 130:550].mean() > altered[430:438, 130:550].mean()


def test_what_is_beside_the_page_is_known_to_be_blank() -> None:
    """Beyond the edges are one grey value and no line."""
    page, maps = barred()
    maps[..., 2] = 0
    grey, found = cut(page, maps, View((-200.0, 450.0)), beside=77)
    assert (grey[:, : SIDE // 2] == 77).all()
    assert (found[:, : SIDE // 2 // PLACE] == (0, 0, 0, 255)).all()
    assert (found[60:100, -20:, 3] == 0).all()


def test_middle_views_show_the_page_as_it_is() -> None:
    """Four crops meet in the middle of the page, as do their maps; the other four are the same upside down."""
    page = np.random.default_rng(1).integers(0, 256, (1200, 1104), np.uint8)
    maps = np.random.default_rng(2).integers(0, 256, (600, 552, 3), np.uint8)
    crops = [cut(page, maps, view, beside=0) for view in middle_views(page.shape)]
    whole = np.block([[crops[0][0], crops[1][0]], [crops[2][0], crops[3][0]]])
    np.testing.assert_array_equal(whole, page[88:-88, 40:-40])
    np.testing.assert_array_equal(np.hstack([crops[0][1], crops[1][1]])[..., [0, 1, 3]], maps[44:300, 20:-20])
    for upright, over in zip(crops[:4], crops[4:], strict=True):
        np.testing.assert_array_equal(over[0][1:, 1:], upright[0][::-1, ::-1][:-1, :-1])
