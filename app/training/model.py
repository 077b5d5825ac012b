"""Networks: a backbone that turns images into features, and a linear head. Torchvision's, small ones, a baseline.

Owns weights and checkpoints (state dicts, read with `weights_only=True`: never a pickle of code).
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from app.errors import DataError
from app.preprocess import ImageSpec
from app.tasks import Task
from app.training.page_network import page_map
from app.training.small_networks import SMALL

BASELINE = "gradient_histogram"
TORCHVISION = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "resnet18", "efficientnet_b0")
PAGE_MAP = "page_map"
OWN = {**SMALL, PAGE_MAP: page_map}
ARCHITECTURES = (*TORCHVISION, BASELINE, *OWN)


class Network(nn.Module):
    """Logits of shape (n, outputs) from images of shape (n, channels, height, width); see `Task.outputs`."""

    def __init__(self, backbone: nn.Module, features: int, outputs: int) -> None:
        """Put a new linear head on a *backbone* that gives vectors of length *features*."""
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(features, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Head over backbone."""
        logits: torch.Tensor = self.head(self.backbone(images))
        return logits

    def places(self, images: torch.Tensor) -> torch.Tensor:
        """Logits place by place, of shape (n, outputs, rows, columns): the head before the backbone takes the mean."""
        features = self.backbone.get_submodule("features")(images)
        logits: torch.Tensor = self.head(features.movedim(1, -1)).movedim(-1, 1)
        return logits


class GradientHistogram(nn.Module):
    """Statistics of oriented gradients (after Dalal and Triggs, 2005): the classical baseline, nothing in it is learnt.

    Images of shape (n, channels, height, width) become vectors of 3 scales x 4 statistics x *orientations* values: how
    strong each direction is, how unevenly, and its share in neighbourhoods of 8 pixels, on average and in spread.
    """

    def __init__(self, orientations: int = 9) -> None:
        """Fix the directions into which gradients are sorted."""
        super().__init__()
        angles = torch.arange(orientations) * torch.pi / orientations
        self.register_buffer("directions", torch.stack([angles.cos(), angles.sin()], 1)[:, :, None, None])
        sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
        self.register_buffer("sobel", torch.stack([sobel, sobel.T])[:, None])
        self.directions: torch.Tensor
        self.sobel: torch.Tensor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The statistics of the image as it is, halved, and halved again."""
        grey = images.mean(1, keepdim=True)
        scales = [grey, nn.functional.avg_pool2d(grey, 2), nn.functional.avg_pool2d(grey, 4)]
        return torch.cat([self.describe(scale) for scale in scales], 1)

    def describe(self, grey: torch.Tensor) -> torch.Tensor:
        """The four statistics of one scale."""
        gradients = nn.functional.conv2d(grey, self.sobel, padding=1)
        strength = nn.functional.conv2d(gradients, self.directions).abs()
        mean = strength.mean((2, 3)) + 1e-6
        evenness = (strength**2).mean((2, 3)).sqrt() / mean
        cells = nn.functional.avg_pool2d(strength, (min(8, grey.shape[2]), min(8, grey.shape[3])))
        shares = cells / (cells.sum(1, keepdim=True) + 0.05)
        spread = (shares.var((2, 3), correction=0) + 1e-8).sqrt()
        return torch.cat([mean / mean.sum(1, keepdim=True), evenness, shares.mean((2, 3)), spread], 1)


def build_network(architecture: str, task: Task, spec: ImageSpec, weights: str = "imagenet") -> Network:
    """Build a network with *weights*: `imagenet` (torchvision's download), `none`, or a path.

    A path to torchvision's weights gives the backbone, with a new head; one to a checkpoint gives the whole network.
    """
    saved = read_state(Path(weights)) if weights not in ("imagenet", "none") else {}
    if architecture == BASELINE:
        backbone: nn.Module = GradientHistogram()
    elif architecture in OWN:
        backbone = OWN[architecture](spec)
    elif architecture in TORCHVISION:
        backbone = load_backbone(architecture, weights == "imagenet", {} if "state" in saved else saved)
        remove_head(backbone)
        if spec.channels == 1:
            read_grey(backbone)
    else:
        message = f"unknown architecture {architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
        raise DataError(message)
    network = Network(backbone, count_features(backbone, spec), task.outputs)
    if "state" in saved:
        fill(network, dict(saved["state"]), architecture)
    return network


def load_backbone(architecture: str, imagenet: bool, state: dict[str, torch.Tensor]) -> nn.Module:  # noqa: FBT001
    """A torchvision model with its ImageNet head: downloaded weights, those of *state*, or none."""
    network: nn.Module = torchvision.models.get_model(architecture, weights="DEFAULT" if imagenet else None)
    if state:
        fill(network, state, architecture)
    return network


def fill(network: nn.Module, state: dict[str, torch.Tensor], architecture: str) -> None:
    """Load a state dict; raises DataError when it belongs to another network."""
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:  # other names or shapes, or no tensors at all
        message = (
            f"the weights do not fit {architecture}, input and labels of this run; give --weights imagenet, none, "
            f"torchvision's .pth file of {architecture}, or the network.pth of a run of the same kind"
        )
        raise DataError(message) from error


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict without running any code in it; raises DataError."""
    try:
        state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        message = f"{path} is not a readable state dict ({error}); give --weights imagenet, none or a .pth file"
        raise DataError(message) from error
    return state


def remove_head(backbone: nn.Module) -> None:
    """Replace the last linear layer of a torchvision model, its ImageNet head, by nothing."""
    name = [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear)][-1]
    parent, _, attribute = name.rpartition(".")
    setattr(backbone.get_submodule(parent), attribute, nn.Identity())


def read_grey(backbone: nn.Module) -> None:
    """Let the first convolution take one grey channel: its weights over red, green and blue are added up."""
    name, first = next((name, module) for name, module in backbone.named_modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        first.weight = nn.Parameter(first.weight.sum(1, keepdim=True))
    first.in_channels = 1
    parent, _, attribute = name.rpartition(".")
    setattr(backbone.get_submodule(parent), attribute, first)


def count_features(backbone: nn.Module, spec: ImageSpec) -> int:
    """The length of the vectors that a backbone gives for images of a spec."""
    with torch.no_grad():
        shape = (1, spec.channels, spec.height, spec.width or 4 * spec.height)
        return int(backbone.eval()(torch.zeros(shape)).shape[1])


def fold_scaling(scaled: Network) -> nn.Linear:
    """The head of a network whose backbone is a batch norm without weights, as one linear layer for plain features."""
    norm, head = scaled.backbone, scaled.head
    if not isinstance(norm, nn.BatchNorm1d) or norm.running_mean is None or norm.running_var is None:
        message = f"only a BatchNorm1d can be folded into the head, not {type(norm).__name__}"
        raise TypeError(message)
    folded = nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        folded.weight.copy_(head.weight / (norm.running_var + norm.eps).sqrt())
        folded.bias.copy_(head.bias - folded.weight @ norm.running_mean)
    return folded


def blocks_of(network: Network) -> list[nn.Module]:
    """The backbone's blocks from input to output: the parts of `features` where there is one, else the children."""
    inner = getattr(network.backbone, "features", network.backbone)
    return [block for block in inner.children() if any(True for _ in block.parameters())]


def has_maps(network: Network) -> bool:
    """Say whether a network has learnt feature maps, in which explanations can show where its evidence lies."""
    return any(isinstance(module, nn.Conv2d) for module in network.backbone.modules())


def freeze(network: Network, trained_blocks: int | None) -> None:
    """Train the last *trained_blocks* blocks (None: all) and what follows them; frozen ones keep their statistics."""
    blocks = blocks_of(network)
    network.requires_grad_()
    for block in [] if trained_blocks is None else blocks[: max(0, len(blocks) - trained_blocks)]:
        block.requires_grad_(requires_grad=False)


def set_training(network: Network) -> None:
    """Training mode, except for blocks that are frozen: their batch norms must not follow the new images."""
    network.train()
    for block in blocks_of(network):
        if not any(parameter.requires_grad for parameter in block.parameters()):
            block.eval()


@dataclass(frozen=True)
class Checkpoint:
    """A trained network as the notebooks and the explanations take it up again."""

    network: Network
    spec: ImageSpec
    labels: tuple[str, ...]


def save_checkpoint(path: Path, network: Network, architecture: str, task: Task, spec: ImageSpec) -> None:
    """Write weights and what is needed to build the network again; only tensors and plain values."""
    state = {
        "architecture": architecture,
        "task": task.name,
        "labels": list(task.labels),
        "spec": spec.model_dump_json(),
        "state": network.state_dict(),
    }
    torch.save(state, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote; raises DataError for another file."""
    saved = dict(read_state(path))
    if missing := {"architecture", "task", "labels", "spec", "state"} - saved.keys():
        message = f"{path} has no {', '.join(sorted(missing))}; name the network.pth that a finished run left"
        raise DataError(message)
    return saved


def load_checkpoint(path: Path, task: Task) -> Checkpoint:
    """Build the network of a checkpoint in evaluation mode; raises DataError when it is none, or of another task."""
    saved = read_checkpoint(path)
    if tuple(saved["labels"]) != task.labels:
        message = f"{path} has the labels {saved['labels']}, the task {task.name} has {list(task.labels)}"
        raise DataError(message)
    spec = ImageSpec.model_validate_json(str(saved["spec"]))
    network = build_network(str(saved["architecture"]), task, spec, weights="none")
    fill(network, dict(saved["state"]), str(saved["architecture"]))
    return Checkpoint(network.eval(), spec, task.labels)


def count_parameters(network: nn.Module) -> int:
    """The number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())
