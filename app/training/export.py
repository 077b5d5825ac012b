"""From a trained network to a bundle: ONNX export with a parity check that raises, temperature, probes, description.

Everything after the export runs the ONNX file through the serving recogniser: what is judged is what is served.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.errors import ExportParityError
from app.inference.bundle import MODEL, Description, Origin, Probe, sha256_of, write_description
from app.inference.recogniser import Recogniser, open_session, softmax
from app.preprocess import ImageSpec, to_batch
from app.tasks import Task
from app.training.evidence import add_maps
from app.training.model import Network
from app.training.page_network import STRIDE

TOLERANCE = 1e-3  # of a logit
OPSET = 18
PROBES = 4
Logits = NDArray[np.float32]


def export_network(
    network: Network, spec: ImageSpec, images: Sequence[Image.Image], path: Path, *, any_size: bool = False
) -> None:
    """Write the network as ONNX with a free batch size, and compare both on *images*; raises ExportParityError.

    Of *any_size*, height and width of the input are free as well: multiples of 32.
    """
    batch = torch.from_numpy(to_batch([*images, *images[-1:]], spec))  # of one image, its size would become a constant
    network.to(memory_format=torch.contiguous_format)  # as training leaves it, the graph would shuffle the features
    torch.onnx.export(
        network.eval(),
        (batch,),
        str(path),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=(free_sizes(any_size=any_size),),
        opset_version=OPSET,
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    strip_traces(path)
    add_maps(path)
    check_parity(network, batch, path)
    if any_size:
        check_parity(network, batch[..., STRIDE:, : -2 * STRIDE], path)


def free_sizes(*, any_size: bool) -> dict[int, Any]:
    """Which axes of the input are free, as torch wants to be told: the batch, and of *any_size* height and width."""
    free: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=4096)}
    if any_size:
        free[2], free[3] = (STRIDE * torch.export.Dim(f"{name}_parts", min=1, max=128) for name in ("height", "width"))
    return free


def strip_traces(path: Path) -> None:
    """Take the stack traces out of an exported model: they name folders of the machine that it was made on."""
    model = onnx.load(path)
    graph = model.graph
    described = (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in described:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def check_parity(network: Network, batch: torch.Tensor, path: Path) -> None:
    """Raise ExportParityError when the file's logits differ from the network's, for the batch or its first image."""
    session = open_session(path)
    with torch.inference_mode():
        expected = network(batch).numpy()
    for rows in (slice(None), slice(0, 1)):
        found = np.asarray(session.run(None, {"images": batch[rows].numpy()})[0])
        worst = float(np.abs(found - expected[rows]).max())
        if not worst <= TOLERANCE:
            message = f"{path} differs from the trained network by {worst:.2g} in a logit (allowed: {TOLERANCE})"
            raise ExportParityError(message)


def draw_probe(number: int) -> Image.Image:
    """Draw strokes on paper, always the same for a number: probes travel with a model, so they show nobody's papers."""
    random = np.random.default_rng(number)
    width, height = int(random.integers(120, 700)), int(random.integers(30, 90))
    paper, ink = random.integers(190, 256), random.integers(0, 110)
    image = Image.new("RGB", (width, height), (int(paper),) * 3)
    pen = ImageDraw.Draw(image)
    for left in range(0, width, height // 2):
        points = random.uniform((left, 0.15 * height), (left + 0.6 * height, 0.85 * height), (4, 2))
        pen.line([(float(x), float(y)) for x, y in points], (int(ink),) * 3, int(random.integers(2, 5)), joint="curve")
    return image


def draft_bundle(directory: Path, task: Task, spec: ImageSpec, origin: Origin) -> None:
    """Describe an exported model that is not calibrated yet (temperature 1), with drawn probes beside it."""
    names = [f"probe_{number}.png" for number in range(PROBES)]
    for number, name in enumerate(names):
        draw_probe(number).save(directory / name)
    unknown = (1 / len(task.labels),) * len(task.labels)
    description = Description(
        task=task.name,
        kind=task.kind,
        labels=task.labels,
        image=spec,
        temperature=1.0,
        uncertain_below=task.uncertain_below,
        blank_below=task.blank_below,
        views=task.views,
        view_set=task.view_set,
        figures={},
        origin=origin,
        probes=tuple(Probe(file=name, probabilities=unknown) for name in names),
        sha256=sha256_of(directory / MODEL),
    )
    write_description(directory, description)
    record_probes(directory)


def record_probes(directory: Path, **changes: object) -> Description:
    """Rewrite the description with *changes* (temperature, figures) and the probes' probabilities under them."""
    recogniser = Recogniser.load(directory)
    changed = recogniser.description.model_copy(update=changes)
    logits = recogniser.logits([Image.open(directory / probe.file).convert("RGB") for probe in changed.probes])
    rows = softmax(logits / np.float32(changed.temperature))
    probes = tuple(
        Probe(file=probe.file, probabilities=tuple(map(float, row)))
        for probe, row in zip(changed.probes, rows, strict=True)
    )
    final = Description.model_validate(changed.model_copy(update={"probes": probes}).model_dump())
    write_description(directory, final)
    return final


def fit_temperature(logits: Logits, truths: NDArray[np.int64]) -> float:
    """The temperature between 0.2 and 10 that makes the likelihood of the truths greatest (Guo et al., 2017).

    *logits* have the shape (n, labels), *truths* (n,) the positions of the right labels.
    """
    candidates = np.geomspace(0.2, 10, 400)
    rows = np.arange(len(truths))
    losses = [-np.log(softmax(logits / np.float32(t))[rows, truths].clip(1e-12)).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])
