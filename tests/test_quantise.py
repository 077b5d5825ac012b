"""8-bit models: made of convolutions, compared with the 32-bit ones, shipped only when they serve better."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.inference.bundle import MODEL, Description, read_description, sha256_of, write_description
from app.inference.recogniser import Recogniser
from app.preprocess import ImageSpec, to_batch
from app.tasks import DOCUMENT_TYPE
from app.training.dataset import Item, load_items
from app.training.export import record_probes
from app.training.pipeline import run_pipeline
from app.training.quantise import describe_choice, is_better, quantise, speed_up, write_int8
from tests.bundles import make_bundle
from tests.trainings import tiny_options, training_settings, write_tiny

FIGURES = {"fp32_accuracy": 0.99, "fp32_ece": 0.01, "int8_accuracy": 0.989, "int8_ece": 0.012, "int8_speed_up": 1.3}


@pytest.fixture(name="items")
def _items(tmp_path: Path) -> list[Item]:
    write_tiny(tmp_path / "datasets" / "tiny")
    return load_items(tmp_path / "datasets", DOCUMENT_TYPE, ["tiny"])


def convolutions(image: ImageSpec, labels: int) -> onnx.ModelProto:
    """Three convolutions, the mean of every map, and a linear head, with weights drawn at random."""
    random = np.random.default_rng(0)
    sizes = {"first": (8, image.channels, 3, 3), "second": (16, 8, 3, 3), "third": (16, 16, 3, 3), "head": (16, labels)}
    weights = [
        numpy_helper.from_array(random.normal(0, 0.3, size).astype(np.float32), name) for name, size in sizes.items()
    ]
    nodes, last = [], "image"
    for name in ("first", "second", "third"):
        nodes += [
            helper.make_node("Conv", [last, name], [f"{name}_sums"], name=name, strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"{name}_sums"], [f"{name}_maps"]),
        ]
        last = f"{name}_maps"
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["means"]),
        helper.make_node("Flatten", ["means"], ["features"]),
        helper.make_node("MatMul", ["features", "head"], ["logits"], name="head_product"),
    ]
    shape = ["batch", image.channels, image.height, image.width]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Path:
    directory = make_bundle(tmp_path / "bundle")
    description = read_description(directory)
    onnx.save(convolutions(description.image, len(description.labels)), directory / MODEL)
    write_description(directory, description.model_copy(update={"sha256": sha256_of(directory / MODEL)}))
    record_probes(directory)
    return directory


def test_an_8_bit_model_answers_nearly_the_same(bundle: Path, items: list[Item], tmp_path: Path) -> None:
    """Inner convolutions get 8 bits, the first and the head keep 32, and probabilities move by little."""
    description, images = read_description(bundle), [item.read() for item in items[:8]]
    expected = Recogniser.load(bundle).probabilities(images)
    target = tmp_path / "int8.onnx"
    assert write_int8(bundle / MODEL, target, items[:32], description.image)
    graph = onnx.load(target).graph
    weights = {node.name: node.input[1] for node in graph.node if node.op_type in {"Conv", "MatMul"}}
    assert [name for name, source in weights.items() if "DequantizeLinear" in source] == ["second", "third"]
    assert len(graph.node) > len(onnx.load(bundle / MODEL).graph.node)
    (bundle / MODEL).write_bytes(target.read_bytes())
    write_description(bundle, description.model_copy(update={"sha256": sha256_of(target)}))
    assert np.abs(Recogniser.load(bundle).probabilities(images) - expected).max() < 0.15


def test_the_bundle_holds_the_better_model_and_both_figures(bundle: Path, items: list[Item]) -> None:
    """Whichever ships, the bundle is whole, says its precision, and its probes are those of the model in it."""
    before = read_description(bundle)
    shipped = quantise(bundle, items[:32], items[:16])
    after = read_description(bundle)
    assert shipped == is_better(after.figures) == (after.precision == "int8") == (after.sha256 != before.sha256)
    assert set(FIGURES) | set(before.figures) == set(after.figures)
    Recogniser.load(bundle).check_probes(bundle)


def test_a_model_without_convolutions_stays_as_it_is(tmp_path: Path, items: list[Item]) -> None:
    """Nothing in the bundle changes."""
    bundle = make_bundle(tmp_path / "plain")
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert not quantise(bundle, items, items)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_model_is_about_as_fast_as_itself(bundle: Path, items: list[Item]) -> None:
    """The comparison favours neither side."""
    batches = [to_batch([item.read()], read_description(bundle).image) for item in items[:20]]
    assert 0.2 < speed_up(bundle / MODEL, bundle / MODEL, batches) < 5


@pytest.mark.parametrize(
    ("figure", "value", "said"),
    [
        ("int8_accuracy", 0.9889, "its accuracy is lower by 0.0011, over 0.001"),
        ("int8_ece", 0.0121, "its calibration error is higher by 0.0021, over 0.002"),
        ("int8_speed_up", 1.29, "it is 1.29 times as fast, under 1.3"),
    ],
)
def test_each_figure_alone_keeps_the_8_bit_model_back(figure: str, value: float, said: str) -> None:
    """Figures at the limits ship it, one that is beyond does not, and the card says which."""
    assert is_better(FIGURES)
    assert "The 8-bit model ships." in describe_choice(FIGURES, tried=True)
    worse = FIGURES | {figure: value}
    assert not is_better(worse)
    assert f"The 32-bit model ships: of the 8-bit one, {said}." in describe_choice(worse, tried=True)


@pytest.mark.parametrize(
    ("tried", "why"), [(True, "it has no convolutions, which alone would get 8"), (False, "by `--quantise never`")]
)
def test_without_a_comparison_the_card_says_why(tried: bool, why: str) -> None:  # noqa: FBT001 - a parameter of a test
    """Where no 8-bit model was made, one sentence says that the network is stored in fp32, and why."""
    said = describe_choice({"validation_accuracy": 0.9}, tried=tried)
    assert said.startswith("The network is stored in 32 bits (fp32): ")
    assert why in said


def test_bundles_of_before_are_those_of_32_bits(bundle: Path) -> None:
    """A description without a precision can still be read."""
    text = (bundle / "model.json").read_text("utf-8").replace('  "precision": "fp32",\n', "")
    assert Description.model_validate_json(text).precision == "fp32"


def test_a_training_compares_both_and_its_card_says_which_shipped(tmp_path: Path) -> None:
    """A tiny training with convolutions ends with the figures of both models in its bundle and on its card."""
    outcome = run_pipeline(tiny_options(quantise="auto"), training_settings(tmp_path))
    figures = outcome.description.figures
    assert set(FIGURES) <= set(figures)
    assert (outcome.description.precision == "int8") == is_better(figures)
    assert describe_choice(figures, tried=True) in (outcome.bundle / "README.md").read_text("utf-8")
    Recogniser.load(outcome.bundle).check_probes(outcome.bundle)
