"""Shows where in an image a network sees its evidence: Grad-CAM for each class, and occlusion, drawn over the image.

    python -m app.training.explain scan.png other.png --checkpoint app/training/checkpoints/RUN_ID/network.pth
    python -m app.training.explain scans/*.png --checkpoint network.pth --uncertain-only --out page.png

Both methods (by Captum) explain the log odds of a class against the others: unlike the probability they do not
saturate where the network is sure. Owns no training and no answer: the confidence shown is that of the bundle beside
the checkpoint, as the service would give it; without a bundle, the network's own, which is not calibrated.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from captum.attr import LayerAttribution, LayerGradCam, Occlusion
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from app.errors import DataError, PenPressError
from app.inference.heat import overlay
from app.inference.recogniser import Recogniser
from app.preprocess import ImageSpec, read_image, to_batch, trace
from app.tasks import DEFAULT, TASKS, Prediction
from app.training.model import Checkpoint, load_checkpoint

Heat = NDArray[np.float32]
EXPLAINED = 5  # labels at most, the most probable ones
TOGETHER = 8  # occluded copies in one forward pass: on one core more are slower, they leave the processor's cache
CELL_WIDTH, CELL_HEIGHT, GAP, TEXT = 420, 160, 10, 15  # of a page of explanations, in pixels


@dataclass(frozen=True)
class Explanation:
    """An image as the network sees it, what was predicted, and where the evidence lies: maps of the image's size.

    `evidence` is Grad-CAM for the most probable labels, from 0 to 1 on one scale for all, so that they can be compared.
    `occlusion` is for the predicted label, from -1 (covering it would make the network surer) to 1 (less sure).
    """

    image: Image.Image
    prediction: Prediction
    evidence: Mapping[str, Heat]
    occlusion: Heat


class LogOdds(nn.Module):
    """The log odds of every class against all others, of shape (n, labels), from a network that gives logits."""

    def __init__(self, network: nn.Module, labels: int | None = None) -> None:
        """Wrap a network, of whose outputs the first so many are of labels (None: all)."""
        super().__init__()
        self.network, self.labels = network, labels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logit minus the logarithm of the others' summed exponentials."""
        logits: torch.Tensor = self.network(images)[:, : self.labels]
        itself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
        return logits - logits.unsqueeze(1).masked_fill(itself, -torch.inf).logsumexp(2)


def explain_image(
    network: nn.Module,
    spec: ImageSpec,
    image: Image.Image,
    labels: Sequence[str],
    prediction: Prediction | None = None,
) -> Explanation:
    """Explain the answer for one RGB image by a *network* whose first logits are those of *labels*, in order.

    *prediction* is the served answer; without it the network's own is taken. The network is put in evaluation mode.
    Raises DataError when the network has no convolutional layer.
    """
    odds = LogOdds(network, len(labels)).eval()
    batch = torch.from_numpy(to_batch([image], spec)).to(device_of(network))
    prediction = prediction or predict_with(network, batch, labels)
    order = sorted(labels, key=lambda label: -prediction.probabilities[label])[:EXPLAINED]
    shown = {label: number for number, label in enumerate(labels) if label in order}
    seen = as_seen(image, spec)
    maps = [undo_fit(heat, seen.size, spec) for heat in grad_cam(odds, batch, shown.values())]
    occlusion = undo_fit(occlude(odds, batch, list(labels).index(prediction.label)), seen.size, spec)
    return Explanation(seen, prediction, dict(zip(shown, to_unit(np.stack(maps)), strict=True)), to_unit(occlusion))


def explain_uncertain(
    network: nn.Module, spec: ImageSpec, images: Sequence[Image.Image], predictions: Sequence[Prediction]
) -> list[Explanation]:
    """Explain those answers that are flagged as uncertain; their probabilities name the labels, in order."""
    return [
        explain_image(network, spec, image, list(prediction.probabilities), prediction)
        for image, prediction in zip(images, predictions, strict=True)
        if prediction.uncertain
    ]


def predict_with(network: nn.Module, batch: torch.Tensor, labels: Sequence[str]) -> Prediction:
    """The network's own answer for a batch of one image, not calibrated and never flagged."""
    with torch.no_grad():
        row = [float(share) for share in network(batch)[0, : len(labels)].softmax(0)]
    best = int(np.argmax(row))
    return Prediction(labels[best], row[best], dict(zip(labels, row, strict=True)), uncertain=False)


def device_of(network: nn.Module) -> torch.device:
    """Where the weights of a network lie."""
    return next((weight.device for weight in network.parameters()), torch.device("cpu"))


def last_convolution(network: nn.Module) -> nn.Conv2d:
    """The last convolutional layer in the order of the modules; raises DataError when there is none."""
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if not layers:
        message = f"{type(network).__name__} has no convolutional layer for Grad-CAM; explain another architecture"
        raise DataError(message)
    return layers[-1]


def grad_cam(odds: LogOdds, batch: torch.Tensor, labels: Iterable[int]) -> list[Heat]:
    """Grad-CAM (Selvaraju et al., 2017) on the last convolution for each of *labels*, in pixels of the input."""
    method = LayerGradCam(odds, last_convolution(odds))
    maps = []
    for label in labels:
        coarse = method.attribute(batch, target=label, relu_attributions=True)
        fine = LayerAttribution.interpolate(coarse, tuple(batch.shape[2:]), "bilinear")
        maps.append(fine[0, 0].detach().cpu().numpy())
    return maps


def occlude(odds: LogOdds, batch: torch.Tensor, label: int) -> Heat:
    """How much the log odds of *label* fall when a square of half the input's height is covered with paper.

    The squares stand in two rows and overlap by half along the line: 62 copies of an input of 64 x 512 pixels.
    """
    _, channels, height, width = batch.shape
    side = min(height, width) // 2
    paper = batch.flatten(2).median(dim=2).values[:, :, None, None].expand_as(batch)
    with torch.no_grad():
        drops = Occlusion(odds).attribute(
            batch,
            target=label,
            sliding_window_shapes=(channels, side, side),
            strides=(channels, side, side // 2),
            baselines=paper,
            perturbations_per_eval=TOGETHER,
        )
    heat: Heat = drops[0].mean(0).cpu().numpy().astype(np.float32)
    return heat


def as_seen(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """The image after the steps of *spec*, before it is scaled: steps may turn and cut it, and maps lie over that."""
    if not spec.steps:
        return image
    *_, (_, pixels), _ = trace(image, spec)
    return Image.fromarray(pixels).convert("RGB")


def to_unit(heat: Heat) -> Heat:
    """Scale so that the largest absolute value is 1; all zeros stay."""
    peak = np.abs(heat).max()
    return np.asarray(heat / peak if peak > 0 else heat, np.float32)


def undo_fit(heat: Heat, size: tuple[int, int], spec: ImageSpec) -> Heat:
    """Bring a map from the network's input back to an image of *size* (width, height): cut the padding, scale."""
    if spec.fit == "pad":
        scale = min(heat.shape[0] / size[1], heat.shape[1] / size[0])
        height, width = max(1, round(size[1] * scale)), max(1, round(size[0] * scale))
        top = (heat.shape[0] - height) // 2
        heat = heat[top : top + height, :width]
    return np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))


def explain_page(explanations: Sequence[Explanation]) -> Image.Image:
    """Put explanations under each other: the image, Grad-CAM for each class and occlusion side by side, captions above.

    Raises DataError when there is nothing to explain.
    """
    if not explanations:
        message = "there is nothing to explain: no prediction was given, or none is uncertain"
        raise DataError(message)
    rows = [draw_row(explanation) for explanation in explanations]
    page = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        page.paste(row, (0, top))
        top += row.height
    return page


def draw_row(explanation: Explanation) -> Image.Image:
    """Draw one explanation."""
    said, grey = explanation.prediction, explanation.image.convert("L").convert("RGB")
    cells = {f"{said.label}, confidence {said.confidence:.3f}{' (uncertain)' * said.uncertain}": explanation.image}
    for label, heat in explanation.evidence.items():
        cells[f"Grad-CAM: {label} ({said.probabilities[label]:.3f})"] = overlay(grey, heat)
    cells[f"occlusion: {said.label}"] = overlay(grey, explanation.occlusion)
    scale = min(CELL_WIDTH / explanation.image.width, CELL_HEIGHT / explanation.image.height)
    width, height = (max(1, round(length * scale)) for length in explanation.image.size)
    row = Image.new("RGB", (GAP + len(cells) * (CELL_WIDTH + GAP), height + TEXT + 3 * GAP), "white")
    pencil, font = ImageDraw.Draw(row), ImageFont.load_default(TEXT)
    for number, (caption, picture) in enumerate(cells.items()):
        left = GAP + number * (CELL_WIDTH + GAP)
        pencil.text((left, GAP // 2), caption, fill="black", font=font)
        row.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, TEXT + 2 * GAP))
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """Explain images from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files")
    parser.add_argument("--checkpoint", type=Path, required=True, help="network.pth of a training run")
    parser.add_argument("--bundle", type=Path, help="bundle that gives the answers; default: beside the checkpoint")
    parser.add_argument("--task", choices=TASKS, default=DEFAULT, help="default: %(default)s")
    parser.add_argument("--uncertain-only", action="store_true", help="leave out what is above the threshold")
    parser.add_argument("--out", type=Path, default=Path("explanation.png"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        checkpoint = load_checkpoint(options.checkpoint, TASKS[options.task])
        images = [read_image(path.read_bytes()) for path in options.images]
        beside = options.checkpoint.parent / "bundle"
        bundle = options.bundle or (beside if options.uncertain_only or beside.is_dir() else None)
        explanations = explain_all(checkpoint, images, bundle, uncertain_only=options.uncertain_only)
        explain_page(explanations).save(options.out)
    except (PenPressError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{options.out}: {len(explanations)} of {len(images)} images explained\n")
    return 0


def explain_all(
    checkpoint: Checkpoint, images: Sequence[Image.Image], bundle: Path | None, *, uncertain_only: bool
) -> list[Explanation]:
    """Explain the answers of the bundle, all or the uncertain ones; without a bundle, those of the network."""
    network, spec = checkpoint.network, checkpoint.spec
    if bundle is None:
        return [explain_image(network, spec, image, checkpoint.labels) for image in images]
    predictions = Recogniser.load(bundle).predict(images)
    answered = [pair for pair in zip(images, predictions, strict=True) if pair[1].uncertain or not uncertain_only]
    return [explain_image(network, spec, image, checkpoint.labels, prediction) for image, prediction in answered]


if __name__ == "__main__":
    sys.exit(main())
