"""Makes a static 8-bit model of an exported one, compares both, and ships the one that serves better.

The 8-bit model ships when accuracy on validation falls by at most 0.1 point, the calibration error by at most 0.002, and
the network is at least 1.3 times as fast on this machine. What was measured stands in the bundle's figures.

Weights have 7 bits, by channel: with 8, processors without VNNI add up past the end of their 16-bit numbers, so a model
would answer otherwise there than here. The first convolution and the head stay as they are: they cost little time and
lose most.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copytree
from statistics import median

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL.Image import Image

from app.evaluate import Report, evaluate
from app.inference.bundle import MODEL, read_description, sha256_of, write_description
from app.inference.recogniser import BATCH, Recogniser
from app.preprocess import ImageSpec, to_batch
from app.stopwatch import measured
from app.training.dataset import Item
from app.training.export import record_probes
from app.training.judge import pick

CALIBRATED = 512  # training images whose activations set the ranges
COMPARED = 2000  # validation images
TIMED = 60
ACCURACY_LOSS = 0.001
ECE_GAIN = 0.002
SPEED_UP = 1.3
HEADS = {"Gemm", "MatMul"}


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


def quantise(bundle: Path, training: Sequence[Item], validation: Sequence[Item]) -> None:
    """Put the better of both models into the bundle, with the figures of the comparison and its precision."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(copytree(bundle, Path(folder) / "bundle"))
        if not write_int8(bundle / MODEL, other / MODEL, pick(training, CALIBRATED), read_description(bundle).image):
            return
        description = read_description_of_changed(other)
        figures = compare(bundle, other, pick(validation, COMPARED))
        if is_better(figures):
            (bundle / MODEL).write_bytes((other / MODEL).read_bytes())
            write_description(bundle, description)
    record_probes(bundle, figures={**read_description(bundle).figures, **figures})


def write_int8(source: Path, target: Path, images: Sequence[Item], spec: ImageSpec) -> bool:
    """Write the 8-bit model of *source* to *target*, calibrated on *images*; False when it has no convolutions."""
    prepared = target.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    if convolutions:
        heads = [node.name for node in graph.node if node.op_type in HEADS]
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
