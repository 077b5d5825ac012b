"""Explanations: maps and occlusion find what decides, depend on what was learnt, and are drawn over the input."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from app.config import Settings
from app.data.synthetic import render_line
from app.errors import BundleError, UnknownLabelError
from app.inference.bundle import MODEL
from app.inference.heat import Heat, Method, draw, edges, explain, log_odds
from app.inference.recogniser import Recogniser, open_session
from app.preprocess import to_array
from app.tasks import DOCUMENT_TYPE
from tests.bundles import make_bundle, make_bundle_with_maps

BUNDLE = Settings().embedded / DOCUMENT_TYPE.name
LINES = 60
COVERED = 8  # random places


@pytest.fixture(scope="module")
def shipped() -> Recogniser:
    """The shipped model."""
    return Recogniser.load(BUNDLE, threads=1)


@pytest.fixture
def tiny(tmp_path: Path) -> Recogniser:
    """A model with maps that takes light places for the last label, dark ones for the first."""
    return Recogniser.load(make_bundle_with_maps(tmp_path / "tiny"), threads=1)


def half_dark() -> Image.Image:
    """An image whose left half is dark, and whose right half has only a thin line."""
    image = Image.new("RGB", (512, 64), "white")
    image.paste((40, 40, 40), (0, 8, 230, 56))
    image.paste((40, 40, 40), (230, 30, 512, 34))
    return image


def lines() -> list[tuple[Image.Image, str]]:
    """Rendered lines of both classes, always the same, with their label."""
    labels = [DOCUMENT_TYPE.labels[number % 2] for number in range(LINES)]
    return [(render_line(np.random.default_rng(3000 + number), label), label) for number, label in enumerate(labels)]


@pytest.mark.parametrize("method", Method)
def test_the_evidence_lies_where_it_is(tiny: Recogniser, method: Method) -> None:
    """What is dark speaks for the first label and what is light against it, for both methods."""
    heat = explain(tiny, half_dark(), tiny.description.labels[0], method)
    middle = heat.values.shape[1] // 2
    assert (heat.method, heat.seen.size) == (method, (512, 64))
    assert heat.values[:, : middle - 1].mean() > heat.values[:, middle + 1 :].mean()
    assert heat.values[:, : middle - 1].max() > 0


def test_the_two_labels_have_opposite_occlusions(tiny: Recogniser) -> None:
    """Of two labels, what one loses the other gains."""
    first, last = (explain(tiny, half_dark(), label, Method.OCCLUSION).values for label in tiny.description.labels)
    np.testing.assert_allclose(first, -last, atol=1e-5)


def test_without_maps_occlusion_stands_in(tmp_path: Path) -> None:
    """A model without maps is explained by occlusion, unless a map is asked for."""
    recogniser = Recogniser.load(make_bundle(tmp_path / "plain"), threads=1)
    label = recogniser.description.labels[0]
    assert explain(recogniser, half_dark(), label).method is Method.OCCLUSION
    with pytest.raises(BundleError, match="maps"):
        explain(recogniser, half_dark(), label, Method.MAP)


def test_with_maps_they_are_the_default(tiny: Recogniser) -> None:
    """The map costs one run of the network, so it is what is shown unless occlusion is asked for."""
    assert explain(tiny, half_dark(), tiny.description.labels[0]).method is Method.MAP


def test_an_unknown_label_is_refused(tiny: Recogniser) -> None:
    """There is no evidence for a label that the model does not have."""
    with pytest.raises(UnknownLabelError, match="nothing"):
        explain(tiny, half_dark(), "nothing")


def test_places_cover_the_whole_side() -> None:
    """The parts of a side follow each other from end to end, also where they do not divide it evenly."""
    assert edges(10, 4) == [0, 2, 5, 8, 10]


def test_covering_the_hottest_place_costs_more_than_covering_another(shipped: Recogniser) -> None:
    """Over rendered lines, the shipped model loses more log odds without its hottest place than without random ones."""
    hottest, others = [], []
    for number, (image, label) in enumerate(lines()):
        heat = explain(shipped, image, label)
        places = np.random.default_rng(number).choice(heat.values.size, COVERED)
        hottest.append(loss_without(shipped, image, heat, int(heat.values.argmax())))
        others.append(np.mean([loss_without(shipped, image, heat, int(place)) for place in places]))
    assert np.mean(hottest) > 2 * np.mean(others)
    assert np.mean(hottest) > 0


def loss_without(recogniser: Recogniser, image: Image.Image, heat: Heat, place: int) -> float:
    """What the label's log odds lose when a place, numbered row by row, is covered with paper."""
    array = to_array(image, recogniser.description.image)
    rows, columns = heat.values.shape
    row, column = divmod(place, columns)
    tops, lefts = edges(array.shape[1], rows), edges(array.shape[2], columns)
    covered = array.copy()
    covered[:, tops[row] : tops[row + 1], lefts[column] : lefts[column + 1]] = np.median(array)
    odds = log_odds(recogniser.look(np.stack([array, covered])), recogniser.description.labels.index(heat.label))
    return float(odds[0] - odds[1])


def test_random_weights_destroy_the_explanation(shipped: Recogniser, tmp_path: Path) -> None:
    """With the shipped model's weights shuffled, little is left of where it saw its evidence."""
    model = onnx.load(BUNDLE / MODEL)
    random = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim > 1:
            shuffled = random.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(shuffled, tensor.name))
    onnx.save(model, tmp_path / MODEL)
    unlearnt = Recogniser(shipped.description, open_session(tmp_path / MODEL, threads=1))
    alike = []
    for image, label in lines():
        learnt, random_map = (explain(each, image, label).values for each in (shipped, unlearnt))
        alike.append(np.corrcoef(learnt.ravel(), random_map.ravel())[0, 1])
    assert abs(np.mean(alike)) < 0.5


@pytest.mark.parametrize(
    ("size", "expected"), [((512, 64), (512, 136)), ((28, 28), (1016, 504)), ((600, 700), (1208, 700))]
)
def test_pictures_show_the_input_and_the_heat(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """A long input stands above its heat, any other beside it; small ones are enlarged by a whole number."""
    values = np.array([[1.0, -1.0]], np.float32)
    heat = Heat("printed", Method.MAP, values, Image.new("RGB", size, "white"))
    picture = draw(heat)
    assert picture.size == expected
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    warm, cool = heated_ends(picture)
    assert warm[0] > warm[2]
    assert cool[2] > cool[0]


def heated_ends(picture: Image.Image) -> list[tuple[int, ...]]:
    """The colours at the left and the right of the lower or right half."""
    below = picture.width > 2.5 * picture.height
    left, y = (0, picture.height - 1) if below else (picture.width // 2 + 5, 5)
    return [picture.getpixel(place) for place in ((left, y), (picture.width - 1, y))]


def test_no_evidence_at_all_is_drawn_plain() -> None:
    """Where all values are zero the picture has no colour, and no number fails."""
    heat = Heat("printed", Method.MAP, np.zeros((2, 16), np.float32), Image.new("RGB", (512, 64), "white"))
    assert draw(heat).getextrema() == ((255, 255),) * 3
