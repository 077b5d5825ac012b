"""Backbones of our own for small images, such as those of characters, where torchvision's are too coarse or too large.

Each is a function from an image spec to a module that gives vectors; weights are drawn anew.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torchvision
from torch import nn

from app.preprocess import ImageSpec

HIDDEN = 128
DROPPED = 0.3  # share of the features that an image is learnt without


def perceptron(spec: ImageSpec) -> nn.Module:
    """All pixels into one hidden layer: the common baseline."""
    pixels = spec.channels * spec.height * (spec.width or 4 * spec.height)
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, HIDDEN), nn.ReLU())


def plain(spec: ImageSpec, widths: Sequence[int] = (32, 64, 128, 256)) -> nn.Module:
    """Four blocks of convolution, norm and pooling: the plain network that others are compared with."""
    sizes = [spec.channels, *widths]
    blocks = [
        nn.Sequential(convolution(before, after), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
        for before, after in zip(sizes, widths, strict=False)
    ]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def strided(spec: ImageSpec, widths: Sequence[int] = (32, 64), hidden: int = 128) -> nn.Module:
    """Threes of convolutions, the third with a stride, then a layer that sees every place: made for digits.

    After C. Deotte, 25 million images! [0.99757] MNIST, 2018.
    """
    stages: list[nn.Module] = []
    before: int = spec.channels
    for width in widths:
        stages += [convolution(before, width), nn.ReLU(), convolution(width, width), nn.ReLU()]
        stages += [convolution(width, width, stride=2, size=5), nn.ReLU(), nn.Dropout(DROPPED)]
        before = width
    height, width = (-(-side // 2 ** len(widths)) for side in (spec.height, spec.width or 4 * spec.height))
    dense = [nn.Linear(before * height * width, hidden), nn.LayerNorm(hidden), nn.ReLU()]
    return nn.Sequential(*stages, nn.Flatten(), *dense, nn.Dropout(DROPPED))


def residual(spec: ImageSpec, widths: Sequence[int], blocks: int) -> nn.Module:
    """A compact residual network: a stage of *blocks* for each width, each but the first at half the size."""
    stages: list[nn.Module] = [nn.Sequential(convolution(spec.channels, widths[0]), nn.ReLU())]
    before = widths[0]
    for number, after in enumerate(widths):
        for block in range(blocks):
            stages.append(Residual(before, after, stride=2 if number and not block else 1))
            before = after
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(DROPPED))


def resnet18_small(spec: ImageSpec) -> nn.Module:
    """Torchvision's ResNet-18 with a 3 x 3 stem without stride or pooling, for the channels of the spec."""
    network: nn.Module = torchvision.models.resnet18(weights=None)
    network.conv1 = nn.Conv2d(spec.channels, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    network.fc = nn.Identity()
    return network


def convolution(before: int, after: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """A convolution that keeps the size up to its stride, and its norm."""
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(after),
    )


class Residual(nn.Module):
    """Two convolutions beside a shortcut (K. He and others, Deep residual learning, 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        """Take the channels before and after; the shortcut is a convolution where they or the size differ."""
        super().__init__()
        same = before == after and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else convolution(before, after, stride, size=1)
        self.body = nn.Sequential(convolution(before, after, stride), nn.ReLU(), convolution(after, after))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The sum of both, rectified."""
        total: torch.Tensor = self.body(images) + self.shortcut(images)
        return total.relu()


class SideBySide(nn.Module):
    """Backbones that see nothing of each other, and the features of one after those of the other."""

    def __init__(self, *backbones: nn.Module) -> None:
        """Take what gives vectors; explanations look into the last."""
        super().__init__()
        self.parts = nn.ModuleList(backbones)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The vectors of all, put together."""
        return torch.cat([part(images) for part in self.parts], 1)


def strided_residual(spec: ImageSpec) -> nn.Module:
    """`strided` and `residual_wide` side by side; the second shows where its evidence lies."""
    return SideBySide(strided(spec), SMALL["residual_wide"](spec))


SMALL: dict[str, Callable[[ImageSpec], nn.Module]] = {
    "perceptron": perceptron,
    "plain": plain,
    "strided": strided,
    "residual": partial(residual, widths=(32, 64, 128), blocks=1),
    "residual_wide": partial(residual, widths=(48, 96, 192), blocks=1),
    "strided_residual": strided_residual,
    "resnet18_small": resnet18_small,
}
