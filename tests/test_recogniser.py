"""The recogniser: order, calibration, uncertainty, probes, models that do not fit, and threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from app.errors import BundleError
from app.inference.bundle import DESCRIPTION, MODEL, Probe, sha256_of
from app.inference.recogniser import BATCH, Recogniser, open_session, prominence, softmax
from app.preprocess import read_image, to_array, views_of
from app.tasks import DOCUMENT_TYPE
from tests.bundles import DARK, LIGHT, MIDDLE, make_bundle, picture


def load(folder: Path, **arguments: object) -> Recogniser:
    """The recogniser of a tiny bundle."""
    return Recogniser.load(make_bundle(folder, **arguments), threads=1)


def grey(value: int) -> Image.Image:
    """An image of one grey value."""
    return read_image(picture(value))


def test_answers_come_in_the_order_of_the_images(tmp_path: Path) -> None:
    """More images than one batch holds are all answered, each at its place."""
    values = [DARK, LIGHT, LIGHT] * BATCH
    answers = load(tmp_path).predict([grey(value) for value in values])
    assert [answer.label for answer in answers] == ["handwritten", "printed", "printed"] * BATCH


def test_no_image_gives_no_answer(tmp_path: Path) -> None:
    """An empty list is answered with an empty list."""
    assert load(tmp_path).predict([]) == []


def test_an_answer_is_the_same_alone_and_in_a_batch(tmp_path: Path) -> None:
    """The neighbours in a batch do not matter."""
    recogniser = load(tmp_path)
    images = [grey(value) for value in range(30, 230, 25)]
    together = recogniser.probabilities(images)
    alone = np.concatenate([recogniser.probabilities([image]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_probabilities_are_named_and_sum_to_one(tmp_path: Path) -> None:
    """Every label has its probability, and the confidence is the largest of them."""
    task = replace(DOCUMENT_TYPE, labels=("a", "b", "c"))
    (answer,) = load(tmp_path, task=task).predict([grey(LIGHT)])
    assert list(answer.probabilities) == ["a", "b", "c"]
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert answer.confidence == max(answer.probabilities.values()) == answer.probabilities[answer.label]


def test_temperature_softens_but_keeps_the_label(tmp_path: Path) -> None:
    """A higher temperature lowers the confidence of the same answer."""
    sharp, soft = load(tmp_path / "1"), load(tmp_path / "2", temperature=20.0)
    (first,), (second,) = sharp.predict([grey(LIGHT)]), soft.predict([grey(LIGHT)])
    assert first.label == second.label
    assert first.confidence > second.confidence > 0.5


def test_low_confidence_is_uncertain_with_a_reason(tmp_path: Path) -> None:
    """Below the bundle's threshold the label is kept, flagged, and the reason names both figures."""
    recogniser = load(tmp_path, uncertain_below=0.9)
    sure, unsure = recogniser.predict([grey(LIGHT), grey(MIDDLE)])
    assert (sure.uncertain, sure.reasons) == (False, ())
    assert unsure.uncertain
    assert unsure.label in DOCUMENT_TYPE.labels
    assert f"{unsure.confidence:.3f} is below the threshold 0.900" in unsure.reasons[0]


def test_probes_are_checked(tmp_path: Path) -> None:
    """The recorded outputs of the probes must come out again."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    load(good).check_probes(good)
    wrong = load(bad, probes=[Probe(file="probe_0.png", probabilities=(0.5, 0.5))])
    with pytest.raises(BundleError, match=r"probe_0\.png"):
        wrong.check_probes(bad)


def test_a_model_that_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    """Bytes that onnxruntime cannot open are an error with the path, even when their hash is right."""
    bundle = make_bundle(tmp_path)
    before = sha256_of(bundle / MODEL)
    (bundle / MODEL).write_bytes(b"no model")
    text = (bundle / DESCRIPTION).read_text("utf-8").replace(before, sha256_of(bundle / MODEL))
    (bundle / DESCRIPTION).write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        Recogniser.load(bundle)


def test_a_model_with_another_input_is_refused(tmp_path: Path) -> None:
    """A spec whose size the model does not take gives an error that names the shape."""
    recogniser = load(tmp_path)
    spec = recogniser.description.image.model_copy(update={"width": 256})
    other = Recogniser(
        recogniser.description.model_copy(update={"image": spec}), open_session(tmp_path / MODEL, threads=1)
    )
    with pytest.raises(BundleError, match="256"):
        other.predict([grey(LIGHT)])


def test_images_that_cannot_be_stacked_are_refused(tmp_path: Path) -> None:
    """A spec that leaves the width free makes no batch of images of two widths, and the error names the spec."""
    recogniser = load(tmp_path)
    spec = recogniser.description.image.model_copy(update={"width": None, "fit": "height"})
    free = Recogniser(recogniser.description.model_copy(update={"image": spec}), open_session(tmp_path / MODEL))
    with pytest.raises(BundleError, match=r"fit='height'.*same shape"):
        free.predict([read_image(picture(size=(40, 16))), read_image(picture(size=(80, 16)))])


def graph_of(inputs: int, operator: str) -> onnx.ModelProto:
    """A model with so many inputs, of which the first goes through one operator."""
    names = [f"image{number}" for number in range(inputs)]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names]
    output = onnx.helper.make_empty_tensor_value_info("logits")
    if operator == "SequenceConstruct":
        output = onnx.helper.make_tensor_sequence_value_info("logits", onnx.TensorProto.FLOAT, None)
    nodes = [onnx.helper.make_node(operator, names[:1], ["logits"])]
    graph = onnx.helper.make_graph(nodes, "foreign", values, [output])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize(
    ("inputs", "operator", "words"),
    [(2, "Identity", "2 inputs"), (1, "SequenceConstruct", "outputs"), (1, "Shape", "outputs")],
)
def test_a_foreign_model_is_refused(tmp_path: Path, inputs: int, operator: str, words: str) -> None:
    """A model with a second input, or with outputs that are no logits, is a broken bundle and no crash."""
    bundle = make_bundle(tmp_path)
    before = sha256_of(bundle / MODEL)
    onnx.save(graph_of(inputs, operator), bundle / MODEL)
    text = (bundle / DESCRIPTION).read_text("utf-8").replace(before, sha256_of(bundle / MODEL))
    (bundle / DESCRIPTION).write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=words):
        Recogniser.load(bundle).predict([grey(LIGHT)])


def test_a_model_with_another_number_of_outputs_is_refused(tmp_path: Path) -> None:
    """Labels that the model has no outputs for are noticed at the first image."""
    recogniser = load(tmp_path)
    labels = recogniser.description.model_copy(update={"labels": ("a", "b", "c")})
    with pytest.raises(BundleError, match="outputs"):
        Recogniser(labels, open_session(tmp_path / MODEL, threads=1)).predict([grey(LIGHT)])


def test_threads_may_share_a_recogniser(tmp_path: Path) -> None:
    """Answers of many threads at once are those of one thread."""
    recogniser = load(tmp_path)
    values = [DARK, LIGHT] * 20
    with ThreadPoolExecutor(4) as pool:
        labels = list(pool.map(lambda value: recogniser.predict([grey(value)])[0].label, values))
    assert labels == ["handwritten", "printed"] * 20


def test_softmax_withstands_large_logits() -> None:
    """Very large and very small logits give probabilities, not overflow."""
    rows = softmax(np.array([[1e4, -1e4], [0, 0]], np.float32))
    np.testing.assert_allclose(rows, [[1, 0], [0.5, 0.5]])


def test_onnxruntime_tells_nobody(tmp_path: Path) -> None:
    """A process that recognises leaves nothing in the home folder: onnxruntime would collect there what it sends."""
    command = [sys.executable, "-c", "import app.inference.recogniser"]
    subprocess.run(command, env=os.environ | {"HOME": str(tmp_path)}, check=True)  # noqa: S603 - our own code
    assert list(tmp_path.rglob("*")) == []


def test_what_stands_out_too_little_is_unlike_what_was_learnt(tmp_path: Path) -> None:
    """Where the bundle has such a threshold, an answer whose best label hardly stands out is flagged and says so."""
    plain, strict = load(tmp_path / "1", uncertain_below=0.0), load(tmp_path / "2", uncertain_below=0, strange_below=1)
    assert not plain.predict([grey(MIDDLE)])[0].uncertain
    unlike, known = strict.predict([grey(MIDDLE), grey(DARK)])
    assert "unlike what was learnt" in unlike.reasons[0]
    assert not known.uncertain


def test_prominence_does_not_depend_on_a_shift() -> None:
    """How far the best logit stands out from the mean of all is the same when all are raised."""
    logits = np.array([[1.0, 2.0, 6.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(prominence(logits), [3, 0])
    np.testing.assert_allclose(prominence(logits + 7), [3, 0], atol=1e-6)


def half_dark() -> Image.Image:
    """An image that is dark at its left side, so that moving it by a pixel changes its mean."""
    pixels = np.full((64, 512, 3), LIGHT, np.uint8)
    pixels[:, :200] = DARK
    return Image.fromarray(pixels)


def test_views_are_averaged(tmp_path: Path) -> None:
    """With views on, the logits are the means over the views of the input."""
    task = replace(DOCUMENT_TYPE, image=DOCUMENT_TYPE.image.model_copy(update={"steps": ()}))
    off, on = (load(tmp_path / views, task=task, views=views) for views in ("off", "on"))
    array = to_array(half_dark(), task.image)
    session = open_session(tmp_path / "on" / MODEL)
    (seen,) = session.run(None, {session.get_inputs()[0].name: views_of(array, task.view_set)})
    np.testing.assert_allclose(on.logits([half_dark()])[0], seen.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(off.logits([half_dark()])[0], seen[0], rtol=1e-4)
    assert np.abs(on.logits([half_dark()]) - off.logits([half_dark()])).max() > 1e-5


def test_only_uncertain_answers_take_further_views(tmp_path: Path) -> None:
    """With views where uncertain, a sure answer is that of one view, an unsure one that of all."""
    task = replace(DOCUMENT_TYPE, image=DOCUMENT_TYPE.image.model_copy(update={"steps": ()}))
    off, on = (load(tmp_path / views, task=task, views=views) for views in ("off", "on"))
    never = load(tmp_path / "never", task=task, views="uncertain", uncertain_below=0.0)
    always = load(tmp_path / "always", task=task, views="uncertain", uncertain_below=1.0)
    images = [half_dark(), half_dark().rotate(180)]
    np.testing.assert_array_equal(never.logits(images), off.logits(images))
    np.testing.assert_array_equal(always.logits(images), on.logits(images))
