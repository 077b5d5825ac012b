"""Builds tiny real bundles for tests: an ONNX graph that judges an image by its mean brightness.

Answers are predictable that way. Owns the graph and the probe pictures; holds no tests. The labels, the image spec and
the description come from a task.
"""

import io
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

from app.inference.bundle import DESCRIPTION, MAPS, MODEL, Description, Origin, Probe, sha256_of, write_description
from app.inference.recogniser import Recogniser, open_session
from app.preprocess import ImageSpec
from app.tasks import DOCUMENT_TYPE, Task

DARK, MIDDLE, LIGHT = 40, 115, 220  # grey values that give the first label, no clear one, and the last label
SLOPE = 4.0


def picture(grey: int = LIGHT, size: tuple[int, int] = (64, 16), fmt: str = "PNG") -> bytes:
    """The bytes of an image of one grey value, for uploads and probes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(buffer, fmt)
    return buffer.getvalue()


def stroke(fmt: str = "PNG") -> bytes:
    """The bytes of an image with one stroke on it, for tasks whose steps refuse what is blank."""
    image, buffer = Image.new("RGB", (60, 80), "white"), io.BytesIO()
    ImageDraw.Draw(image).line([(30, 10), (28, 70)], "black", 5)
    image.save(buffer, fmt)
    return buffer.getvalue()


def huge_picture(side: int) -> bytes:
    """A PNG of a few bytes whose header promises *side* x *side* pixels."""
    small = picture(size=(8, 8))
    header = small[12:16] + side.to_bytes(4, "big") * 2 + small[24:29]
    return small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]


def make_bundle(directory: Path, task: Task = DOCUMENT_TYPE, bias: float = 0.0, **description: object) -> Path:
    """Write a whole bundle for *task* into *directory* (made if absent) and return it.

    Dark images get the task's first label, light ones its last, the middle grey an even chance. A *bias* of 20 makes
    every answer the last label, -20 the first. *description* overrides fields of `model.json`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    onnx.save(brightness_graph(task.image, len(task.labels), bias), directory / MODEL)
    values: dict[str, object] = {
        "task": task.name,
        "kind": task.kind,
        "labels": task.labels,
        "image": task.image,
        "temperature": 1.0,
        "uncertain_below": task.uncertain_below,
        "view_set": task.view_set,
        "figures": {"validation_accuracy": 0.99, "validation_ece": 0.01},
        "origin": origin(bias),
        "probes": [Probe(file="probe_0.png", probabilities=(0.0,) * len(task.labels))],
        "sha256": sha256_of(directory / MODEL),
    }
    draft = Description.model_validate(
        values | {name: value for name, value in description.items() if name != "probes"}
    )
    recorded = record_probes(directory, draft)
    write_description(directory, Description.model_validate(dict(draft) | {"probes": recorded} | description))
    return directory


def make_bundle_with_maps(directory: Path, task: Task = DOCUMENT_TYPE) -> Path:
    """The bundle of `make_bundle`, whose model also gives maps: the brightness of squares of 8 x 8 pixels, weighted."""
    make_bundle(directory, task)
    model = onnx.load(directory / MODEL)
    weights = np.linspace(-SLOPE, SLOPE, len(task.labels), dtype=np.float32).reshape(-1, 1, 1, 1)
    kernels = np.broadcast_to(weights / 64, (len(task.labels), task.image.channels, 8, 8)) / task.image.channels
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(kernels), "kernels"))
    model.graph.node.append(helper.make_node("Conv", ["image", "kernels"], [MAPS], strides=[8, 8]))
    shape = ["batch", len(task.labels), "rows", "columns"]
    model.graph.output.append(helper.make_tensor_value_info(MAPS, TensorProto.FLOAT, shape))
    onnx.save(model, directory / MODEL)
    described = Description.model_validate_json((directory / DESCRIPTION).read_bytes())
    write_description(directory, described.model_copy(update={"sha256": sha256_of(directory / MODEL)}))
    return directory


def record_probes(directory: Path, draft: Description) -> tuple[Probe, ...]:
    """Write a dark and a light probe image, or a stroke where blank ones are refused, and record the answers."""
    recogniser = Recogniser(draft, open_session(directory / MODEL, threads=1))
    probes = []
    images = [stroke()] if "find_ink" in draft.image.steps else [picture(DARK), picture(LIGHT)]
    for number, content in enumerate(images):
        file = f"probe_{number}.png"
        (directory / file).write_bytes(content)
        with Image.open(directory / file) as image:
            row = recogniser.probabilities([image.convert("RGB")])[0]
        probes.append(Probe(file=file, probabilities=tuple(map(float, row))))
    return tuple(probes)


def origin(bias: float) -> Origin:
    """A made-up origin that differs with the bias."""
    return Origin(
        run_id=None,
        architecture="brightness",
        strategy="none",
        trained_at="2026-01-01T00:00:00Z",
        git_commit="0" * 40,
        data_fingerprint="0" * 64,
        data=f"made by tests/bundles.py with a bias of {bias}",
        parameters=4,
    )


def brightness_graph(image: ImageSpec, labels: int, bias: float) -> onnx.ModelProto:
    """The model: the mean of the normalised image, then one Gemm to a logit for each label."""
    weights = np.linspace(-SLOPE, SLOPE, labels, dtype=np.float32).reshape(1, labels)
    offsets = np.linspace(-bias, bias, labels, dtype=np.float32)
    shape = ["batch", image.channels, image.height, image.width or "width"]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
            helper.make_node("Reshape", ["mean", "column"], ["feature"]),
            helper.make_node("Gemm", ["feature", "weights", "offsets"], ["logits"]),
        ],
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([-1, 1], np.int64), "column"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(offsets, "offsets"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
