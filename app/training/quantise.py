"""Makes a static 8-bit model of an exported one, compares both, and ships the one that serves better.

The 8-bit model ships when accuracy on validation falls by at most 0.1 point, the calibration error rises by at most
0.002, and the network is at least 1.3 times as fast on this machine. What was measured stands in the bundle's figures.
Of a task that says where on a page labels are, accuracy is that of the map.

Weights have 7 bits, by channel: with 8, processors without VNNI add up past the end of their 16-bit numbers, so a model
would answer otherwise there than here. The first convolution (of the first network, where two stand side by side) and
the head keep their weights: they cost little time and lose most.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copy, copytree
from statistics import median
from time import thread_time

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from app.evaluate import PlacesReport, Report, evaluate, evaluate_places
from app.inference.bundle import MODEL, read_description, sha256_of, write_description
from app.inference.recogniser import BATCH, Recogniser, open_session
from app.preprocess import ImageSpec, to_batch
from app.training import evidence
from app.training.dataset import Item
from app.training.export import record_probes
from app.training.judge import pick

CALIBRATED = 512  # training images whose activations set the ranges
COMPARED = 2000  # validation images
TIMED = 60
ACCURACY_LOSS = 0.001
ECE_GAIN = 0.002
SPEED_UP = 1.3
ROUNDING = 1e-9  # of sums of fractions
HEADS = {"Gemm", "MatMul"}
NAMES = ("fp32", "int8")


class _Batches(CalibrationDataReader):  # type: ignore[misc] # onnxruntime ships no types
    """Training images as network input, in the form that onnxruntime asks for."""

    def __init__(self, name: str, items: Sequence[Item], spec: ImageSpec) -> None:
        starts = range(0, len(items), BATCH)
        self._batches: Iterator[dict[str, object]] = (
            {name: to_batch([item.read() for item in items[start : start + BATCH]], spec)} for start in starts
        )

    def get_next(self) -> dict[str, object] | None:
        """The next batch, or None at the end."""
        return next(self._batches, None)


def quantise(bundle: Path, training: Sequence[Item], validation: Sequence[Item], *, places: bool = False) -> bool:
    """Put the better of both models into the calibrated *bundle*, and the figures of both; tells if the 8-bit one won.

    With *places*, what counts is where labels are on whole pages. A network without convolutions is left as it is,
    without figures. A bundle that now has another model wants to be
    calibrated anew.
    """
    before = read_description(bundle)
    with tempfile.TemporaryDirectory() as folder:
        other = Path(copytree(bundle, Path(folder) / "bundle"))
        if not write_int8(bundle / MODEL, other / MODEL, pick(training, CALIBRATED), before.image):
            return False
        smaller = before.model_copy(update={"sha256": sha256_of(other / MODEL), "precision": "int8"})
        write_description(other, smaller)
        figures = before.figures | compare(bundle, other, pick(validation, COMPARED), places=places)
        better = is_better(figures)
        if better:
            copy(other / MODEL, bundle / MODEL)
    write_description(bundle, (smaller if better else before).model_copy(update={"figures": figures}))
    record_probes(bundle)
    return better


def write_int8(source: Path, target: Path, images: Sequence[Item], spec: ImageSpec) -> bool:
    """Write the 8-bit model of *source* to *target*, calibrated on *images*; False when it has no convolutions."""
    prepared = target.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    if convolutions:
        heads = [node.name for node in graph.node if node.op_type in HEADS or node.name.startswith(evidence.NODE)]
        quantize_static(
            str(prepared),
            str(target),
            _Batches(graph.input[0].name, images, spec),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[convolutions[0], *heads],
        )
    prepared.unlink()
    return bool(convolutions)


def compare(bundle: Path, other: Path, validation: Sequence[Item], *, places: bool = False) -> dict[str, float]:
    """Accuracy and calibration of both bundles on validation, under the same temperature, and how they run."""
    figures: dict[str, float] = {}
    recognisers = {"fp32": Recogniser.load(bundle, threads=1), "int8": Recogniser.load(other, threads=1)}
    for name, recogniser in recognisers.items():
        report = (on_places if places else on_images)(recogniser, validation, f"compare, {name}")
        figures |= {f"{name}_accuracy": report.accuracy, f"{name}_ece": report.ece}
    spec = read_description(bundle).image
    batches = [to_batch([item.read()], spec) for item in validation[:TIMED]]
    return figures | {"int8_speed_up": speed_up(bundle / MODEL, other / MODEL, batches)}


def on_images(recogniser: Recogniser, items: Sequence[Item], progress: str) -> Report:
    """The answers for whole images."""
    cases = [item.case() for item in items]
    return evaluate(recogniser.predict, cases, recogniser.description.labels, progress=progress)


def on_places(recogniser: Recogniser, items: Sequence[Item], progress: str) -> PlacesReport:
    """The answers for places of pages."""
    return evaluate_places(recogniser.places, [item.read_places for item in items], progress)


def speed_up(slow: Path, fast: Path, batches: Sequence[NDArray[np.float32]]) -> float:
    """How many times as fast the second model is, on one thread: medians over batches, run in turn.

    It is the processor's time that counts, which other programs on this machine hardly change.
    """
    sessions = [open_session(path, threads=1) for path in (slow, fast)]
    seconds: list[list[float]] = [[], []]
    for batch in batches:
        for session, taken in zip(sessions, seconds, strict=True):
            start = thread_time()
            session.run(None, {session.get_inputs()[0].name: batch})
            taken.append(thread_time() - start)
    return median(seconds[0]) / median(seconds[1])


def is_better(figures: Mapping[str, float]) -> bool:
    """Whether the 8-bit model shall ship."""
    return not reasons(figures)


def reasons(figures: Mapping[str, float]) -> list[str]:
    """Why the 8-bit model shall not ship; empty when it shall."""
    loss = figures["fp32_accuracy"] - figures["int8_accuracy"]
    gain = figures["int8_ece"] - figures["fp32_ece"]
    speed = figures["int8_speed_up"]
    checks = {
        f"its accuracy is lower by {loss:.4f}, over {ACCURACY_LOSS}": loss > ACCURACY_LOSS + ROUNDING,
        f"its calibration error is higher by {gain:.4f}, over {ECE_GAIN}": gain > ECE_GAIN + ROUNDING,
        f"it is {speed:.2f} times as fast, under {SPEED_UP}": speed < SPEED_UP,
    }
    return [reason for reason, applies in checks.items() if applies]


def describe_choice(figures: Mapping[str, float], *, tried: bool) -> str:
    """A paragraph for the card: which model shipped and why; *tried* says whether one of 8 bits was asked for."""
    if "int8_speed_up" not in figures:
        why = "it has no convolutions, which alone would get 8" if tried else "8 were not tried, by `--quantise never`"
        return f"The network is stored in 32 bits (fp32): {why}."
    against = reasons(figures)
    choice = f"The 32-bit model ships: of the 8-bit one, {'; '.join(against)}." if against else "The 8-bit model ships."
    rows = "\n".join(f"| {name} | {figures[f'{name}_accuracy']:.4f} | {figures[f'{name}_ece']:.4f} |" for name in NAMES)
    table = f"| model | accuracy on validation | ECE |\n|---|---:|---:|\n{rows}"
    return f"{choice} The 8-bit network is {figures['int8_speed_up']:.2f} times as fast as with 32 bits.\n\n{table}"
