"""Tests of the evaluation: metrics against scikit-learn, calibration against a plain loop, reports, altered copies."""

import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sklearn import metrics as reference

from app.errors import DataError
from app.evaluate import ALTERATIONS, Case, altered, evaluate, report_of
from app.evaluate.metrics import (
    brier_score,
    confusion_matrix,
    expected_calibration_error,
    log_loss,
    precision_recall_f1,
    roc_auc,
    roc_curve,
)
from app.preprocess import outside_mask
from app.tasks import Prediction

LABELS = ("handwritten", "printed")
PAPER, INK = (236, 226, 205), (40, 35, 60)
quick = settings(deadline=None, max_examples=60)


@st.composite
def answers(draw: st.DrawFn, least_labels: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Truths of shape (n,) and probabilities of shape (n, labels), coarse enough that many scores are equal."""
    labels, count = draw(st.integers(least_labels, 5)), draw(st.integers(1, 40))
    truths = draw(st.lists(st.integers(0, labels - 1), min_size=count, max_size=count))
    row = st.lists(st.integers(1, 6), min_size=labels, max_size=labels)
    scores = np.array(draw(st.lists(row, min_size=count, max_size=count)), float)
    return np.array(truths), scores / scores.sum(axis=1, keepdims=True)


@quick
@given(answers())
def test_counts_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Accuracy, confusion, precision, recall and F1 are those of scikit-learn, for labels that never occur too."""
    truths, probabilities = case
    predicted, labels = probabilities.argmax(axis=1), range(probabilities.shape[1])
    report = report_of([str(label) for label in labels], truths, probabilities, {})
    expected = reference.precision_recall_fscore_support(truths, predicted, labels=labels, zero_division=0)
    assert np.array_equal(report.confusion, reference.confusion_matrix(truths, predicted, labels=labels))
    assert report.accuracy == pytest.approx(reference.accuracy_score(truths, predicted))
    assert (report.precision, report.recall, report.f1) == pytest.approx([values.mean() for values in expected[:3]])
    for figures, *values in zip(report.per_class.values(), *expected, strict=True):
        assert (figures.precision, figures.recall, figures.f1, figures.support) == pytest.approx(values)


@quick
@given(answers())
def test_roc_auc_agrees_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    """The area under the ROC curve, with ties, is the mean of scikit-learn's over the labels that have one."""
    truths, probabilities = case
    width = probabilities.shape[1]
    columns = [column for column in ([1] if width == 2 else range(width)) if 0 < sum(truths == column) < len(truths)]
    expected = [reference.roc_auc_score(truths == column, probabilities[:, column]) for column in columns]
    assert roc_auc(truths, probabilities) == pytest.approx(np.mean(expected) if expected else np.nan, nan_ok=True)


@quick
@given(answers())
def test_roc_curves_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    """The points of the curve are those of scikit-learn, equal scores being one step."""
    positive, scores = case[0] == 1, case[1][:, 1]
    if 0 < positive.sum() < len(positive):
        false_rate, true_rate, _ = reference.roc_curve(positive, scores, drop_intermediate=False)
        found = roc_curve(positive, scores)
        assert np.allclose(found[0], false_rate)
        assert np.allclose(found[1], true_rate)


@quick
@given(answers())
def test_scores_of_probabilities_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Brier score and log loss are those of scikit-learn."""
    truths, probabilities = case
    labels = range(probabilities.shape[1])
    brier = reference.brier_score_loss(truths, probabilities, labels=labels)
    assert brier_score(truths, probabilities) == pytest.approx(brier)
    assert log_loss(truths, probabilities) == pytest.approx(reference.log_loss(truths, probabilities, labels=labels))


def calibration_by_hand(correct: Sequence[bool], confidence: Sequence[float]) -> float:
    """The expected calibration error, written as its definition reads: 15 bins, each open below and closed above."""
    total = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = [at for at, sure in enumerate(confidence) if low < sure <= high or (sure == 0 and number == 0)]
        if inside:
            right = sum(correct[at] for at in inside) / len(inside)
            sure = sum(confidence[at] for at in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(right - sure)
    return total


@quick
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60))
def test_calibration_error_agrees_with_its_definition(rows: list[tuple[bool, float]]) -> None:
    """The expected calibration error is that of an independent plain loop, at the edges of the bins too."""
    correct, confidence = [list(column) for column in zip(*rows, strict=True)]
    found = expected_calibration_error(np.array(correct), np.array(confidence))
    assert found == pytest.approx(calibration_by_hand(correct, confidence), abs=1e-12)


@pytest.mark.parametrize("edge", [number / 15 for number in range(16)])
def test_edges_of_bins_belong_to_the_bin_below(edge: float) -> None:
    """A confidence on the edge of two bins is counted in the lower one, however it is rounded."""
    confidence = [edge, min(1.0, edge + 0.03)]
    found = expected_calibration_error(np.array([True, False]), np.array(confidence))
    assert found == pytest.approx(calibration_by_hand([True, False], confidence))


def test_perfect_and_useless_answers_have_the_known_figures() -> None:
    """Sure and right gives 1 and 0; always one half gives an area of one half and the loss of a coin."""
    truths = np.array([0, 1, 1, 0])
    perfect = report_of(LABELS, truths, np.eye(2)[truths], {})
    assert (perfect.accuracy, perfect.f1, perfect.roc_auc) == (1, 1, 1)
    assert (perfect.ece, perfect.brier) == (0, 0)
    assert perfect.log_loss == pytest.approx(0, abs=1e-9)
    coin = report_of(LABELS, truths, np.full((4, 2), 0.5), {})
    assert (coin.roc_auc, coin.brier, coin.log_loss) == pytest.approx((0.5, 0.25, np.log(2)))


def test_precision_of_a_label_never_predicted_is_zero() -> None:
    """An empty row or column of the confusion matrix gives 0 instead of a division by zero."""
    precision, recall, f1 = precision_recall_f1(confusion_matrix(np.array([0, 0]), np.array([0, 0]), 2))
    assert [list(values) for values in (precision, recall, f1)] == [[1, 0], [1, 0], [1, 0]]


# Reports


ROWS = np.array([[0.97, 0.03], [0.92, 0.08], [0.40, 0.60], [0.30, 0.70], [0.01, 0.99]])
TRUTHS = np.array([0, 1, 1, 0, 0])
SOURCES = ["a", "b", "a", "a", "b"]


def test_slices_are_judged_one_by_one() -> None:
    """Each value of a slice has its own count, accuracy and mean confidence; the largest comes first."""
    slices = report_of(LABELS, TRUTHS, ROWS, {"source": SOURCES}).slices["source"]
    assert list(slices) == ["a", "b"]
    assert (slices["a"].count, slices["b"].count) == (3, 2)
    assert (slices["a"].accuracy, slices["b"].accuracy) == pytest.approx((2 / 3, 0))
    assert slices["b"].confidence == pytest.approx((0.92 + 0.99) / 2)
    assert slices["b"].ece == pytest.approx((0.92 + 0.99) / 2)


def test_coverage_falls_as_the_threshold_rises() -> None:
    """The table says what share of answers a threshold keeps, and how many of these are wrong."""
    kept = {row.threshold: (row.coverage, row.error) for row in report_of(LABELS, TRUTHS, ROWS, {}).kept}
    assert list(kept) == [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99]
    assert kept[0.5] == pytest.approx((1.0, 3 / 5))
    assert kept[0.7] == pytest.approx((4 / 5, 3 / 4))
    assert kept[0.95] == pytest.approx((2 / 5, 1 / 2))
    assert kept[0.99] == pytest.approx((1 / 5, 1))


def test_the_worst_are_the_most_confident_errors() -> None:
    """Positions of errors come by falling confidence, right answers never."""
    report = report_of(LABELS, TRUTHS, ROWS, {})
    assert report.worst(2) == [4, 1]
    assert report.worst(9) == [4, 1, 3]
    assert report_of(LABELS, ROWS.argmax(axis=1), ROWS, {}).worst(9) == []


def test_reliability_bins_hold_every_answer() -> None:
    """The bins' counts add up to all, and their weighted accuracy is the accuracy."""
    report = report_of(LABELS, TRUTHS, ROWS, {})
    assert sum(count for _, _, count in report.reliability) == report.count
    assert sum(right * count for _, right, count in report.reliability) / report.count == pytest.approx(report.accuracy)


def test_figures_have_the_promised_names() -> None:
    """The flat figures carry the prefix, and the log loss is called loss."""
    report = report_of(LABELS, TRUTHS, ROWS, {})
    names = ("accuracy", "precision", "recall", "f1", "roc_auc", "ece", "brier", "loss")
    assert set(report.figures("validation")) == {f"validation_{name}" for name in names}
    assert report.figures("test")["test_loss"] == report.log_loss


def test_figures_leave_out_what_is_not_a_number() -> None:
    """Where all truths are alike there is no ROC curve, so no such figure; the JSON has null in its place."""
    report = report_of(LABELS, np.zeros(5, int), ROWS, {})
    assert "test_roc_auc" not in report.figures("test")
    assert json.loads(report.model_dump_json())["roc_auc"] is None


def test_a_report_is_plain_json() -> None:
    """The JSON has every figure, and neither the truths nor the probabilities of single images."""
    report = report_of(LABELS, TRUTHS, ROWS, {"source": SOURCES})
    data = json.loads(report.model_dump_json())
    assert data["confusion"] == [[1, 2], [1, 1]]
    assert data["slices"]["source"]["a"]["count"] == 3
    assert not {"truths", "probabilities"} & set(data)


@pytest.mark.parametrize(
    ("truths", "rows", "message"),
    [
        ([], np.empty((0, 2)), "nothing to evaluate"),
        ([0, 1], [[0.5, 0.5]], "2 cases with 2 labels"),
        ([0], [[0.2, 0.3, 0.5]], r"shape \(1, 3\)"),
        ([0], [[np.nan, np.nan]], "diverged"),
    ],
)
def test_answers_that_cannot_be_judged_are_refused(truths: list[int], rows: object, message: str) -> None:
    """Nothing, a wrong shape, or not a number is an error that says so."""
    with pytest.raises(DataError, match=message):
        report_of(LABELS, np.array(truths, int), np.array(rows), {})


# Evaluation


def make_case(label: str, grey: int, **slices: str) -> Case:
    """A case whose picture is of one grey value."""
    return Case(label, lambda: Image.new("RGB", (40, 10), (grey, grey, grey)), slices)


def predict_by_brightness(images: Iterable[Image.Image]) -> list[Prediction]:
    """A fake recogniser: the lighter the picture, the more printed."""
    predictions = []
    for image in images:
        share = float(np.asarray(image).mean() / 255)
        probabilities = {"printed": share, "handwritten": 1 - share}
        label = max(probabilities, key=lambda name: probabilities[name])
        confidence = probabilities[label]
        predictions.append(Prediction(label, confidence, probabilities, uncertain=confidence < 0.7))
    return predictions


def test_evaluation_asks_the_recogniser_only() -> None:
    """Truths and probabilities come in the order of the cases and of the labels; flagged answers are counted."""
    cases = [make_case("printed", 250), make_case("handwritten", 30), make_case("printed", 100)]
    report = evaluate(predict_by_brightness, cases, LABELS)
    assert report.truths.tolist() == [1, 0, 1]
    assert report.probabilities[:, 1] == pytest.approx([250 / 255, 30 / 255, 100 / 255])
    assert report.confusion == ((1, 0), (1, 1))
    assert report.uncertain == pytest.approx(1 / 3)


def test_evaluation_holds_one_batch_in_memory() -> None:
    """No more images are read than one batch takes, and all are predicted."""
    sizes: list[int] = []

    def predict(images: Sequence[Image.Image]) -> list[Prediction]:
        sizes.append(len(images))
        assert reads == sum(sizes)
        return predict_by_brightness(images)

    reads = 0

    def read() -> Image.Image:
        nonlocal reads
        reads += 1
        return Image.new("RGB", (40, 10))

    report = evaluate(predict, [Case("handwritten", read, {})] * 10, LABELS, batch=4)
    assert sizes == [4, 4, 2]
    assert report.count == 10


def test_cases_without_a_slice_count_as_unknown() -> None:
    """A slice that only some cases name has a value for the others."""
    cases = [make_case("printed", 250, source="a"), make_case("printed", 240)]
    report = evaluate(predict_by_brightness, cases, LABELS)
    assert {name: figures.count for name, figures in report.slices["source"].items()} == {"a": 1, "unknown": 1}


def test_progress_is_shown_when_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    """The title of the progress bar is written to the terminal, and without one nothing is."""
    evaluate(predict_by_brightness, [make_case("printed", 250)], LABELS)
    assert capsys.readouterr().err == ""
    evaluate(predict_by_brightness, [make_case("printed", 250)], LABELS, progress="judge, test")
    assert "judge, test" in capsys.readouterr().err


def test_unknown_labels_are_refused_before_any_image_is_read() -> None:
    """A label that the model does not know is an error that names it and those it knows."""

    def read() -> Image.Image:
        raise AssertionError

    with pytest.raises(DataError, match="'typewritten', but the model knows handwritten, printed"):
        evaluate(predict_by_brightness, [Case("typewritten", read, {})], LABELS)


def test_no_case_is_refused() -> None:
    """An empty split is an error that says what to do."""
    with pytest.raises(DataError, match="import data with this split"):
        evaluate(predict_by_brightness, [], LABELS)


def test_a_recogniser_that_loses_images_is_refused() -> None:
    """Fewer predictions than images are never matched up with the wrong truths."""
    cases = [make_case("printed", 250), make_case("handwritten", 30)]
    with pytest.raises(DataError, match="2 cases"):
        evaluate(lambda images: predict_by_brightness(images[:1]), cases, LABELS)


# Altered copies


def draw_line(*, polygon: bool = False) -> Image.Image:
    """A line of writing on tinted paper; *polygon* leaves a ragged black outside above and below."""
    image = Image.new("RGB", (300, 48), PAPER)
    pencil = ImageDraw.Draw(image)
    for left in range(12, 280, 24):
        pencil.line([(left, 34), (left + 8, 14), (left + 16, 34)], fill=INK, width=3)
    if polygon:
        pencil.polygon([(0, 0), (300, 0), (300, 9), (150, 4), (0, 8)], fill="black")
        pencil.polygon([(0, 48), (300, 48), (300, 40), (150, 44), (0, 41)], fill="black")
    return image


def alter(name: str, image: Image.Image) -> np.ndarray:
    """The pixels of one altered copy, got as the evaluation gets them."""
    (case,) = altered([Case("printed", lambda: image, {"source": "a"})], name)
    assert (case.label, case.slices) == ("printed", {"source": "a"})
    copy = case.read()
    assert copy.mode == "RGB"
    return np.asarray(copy).astype(int)


@pytest.mark.parametrize("name", ALTERATIONS)
@pytest.mark.parametrize("draw", [draw_line, lambda: draw_line(polygon=True), lambda: Image.new("RGB", (1, 1))])
def test_alterations_are_the_same_every_time(name: str, draw: Callable[[], Image.Image]) -> None:
    """Two readings of an altered copy are equal, and the image itself stays as it was; any size goes."""
    image = draw()
    before = image.tobytes()
    assert np.array_equal(alter(name, image), alter(name, image))
    assert image.tobytes() == before


@pytest.mark.parametrize("name", sorted(set(ALTERATIONS) - {"rectangle"}))
def test_alterations_alter(name: str) -> None:
    """Every alteration changes a line of writing."""
    assert not np.array_equal(alter(name, draw_line()), np.asarray(draw_line()))


def test_grey_has_no_colour() -> None:
    """The three channels of a grey copy are equal."""
    pixels = alter("grey", draw_line())
    assert (pixels == pixels[..., :1]).all()


def test_inverted_twice_is_the_original() -> None:
    """Turning the polarity over maps white to black and back."""
    assert np.array_equal(255 - alter("inverted", draw_line()), np.asarray(draw_line()))


@pytest.mark.parametrize("degrees", [3, 10])
@pytest.mark.parametrize(("side", "sense"), [("left", 1), ("right", -1)])
def test_rotation_turns_on_paper_and_loses_nothing(degrees: int, side: str, sense: int) -> None:
    """The picture grows, new corners have the paper's colour, the ink stays, and left is counter-clockwise."""
    pixels, before = alter(f"rotated_{degrees}_{side}", draw_line()), np.asarray(draw_line())
    assert pixels.shape[0] > before.shape[0]
    assert all(tuple(pixels[y, x]) == PAPER for y in (0, -1) for x in (0, -1))
    ink = np.argwhere(pixels.mean(axis=2) < 130)
    assert len(ink) == pytest.approx((before.mean(axis=2) < 130).sum(), rel=0.1)
    ends = [ink[ink[:, 1] < 60][:, 0].mean(), ink[ink[:, 1] > 240][:, 0].mean()]
    assert (ends[0] - ends[1]) * sense > 5


def test_rotation_takes_the_paper_of_the_inside() -> None:
    """The black outside of a polygon crop is not mistaken for the paper's colour, even where it is the larger part."""
    image = Image.new("RGB", (300, 90))
    image.paste(draw_line(polygon=True), (0, 20))
    assert tuple(alter("rotated_10_left", image)[0, 0]) == PAPER


def test_half_size_halves() -> None:
    """Width and height are halved, and never vanish."""
    assert alter("half_size", draw_line()).shape == (24, 150, 3)
    assert alter("half_size", Image.new("RGB", (1, 1))).shape == (1, 1, 3)


def test_jpeg_leaves_traces_and_the_content() -> None:
    """Compression changes pixels a little, and the mean hardly."""
    pixels, before = alter("jpeg_30", draw_line()), np.asarray(draw_line()).astype(int)
    assert 0.5 < np.abs(pixels - before).mean() < 12


def test_rectangles_have_no_black_outside() -> None:
    """The outside of a polygon crop becomes grainy paper, the inside stays as it was to the pixel."""
    image = draw_line(polygon=True)
    before, mask = np.asarray(image), outside_mask(np.asarray(image.convert("L")))
    pixels = alter("rectangle", image)
    assert mask.any()
    assert np.array_equal(pixels[~mask], before[~mask])
    assert np.abs(pixels[mask] - PAPER).mean() < 6
    assert pixels[mask].std(axis=0).min() > 1
    assert np.array_equal(alter("rectangle", draw_line()), np.asarray(draw_line()))
