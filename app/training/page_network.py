"""The backbone that sees where on a page lines are: a small U-Net whose feature maps are half the image's size.

After O. Ronneberger and others, U-Net: Convolutional Networks for Biomedical Image Segmentation, 2015. Weights are
drawn anew.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from app.errors import DataError
from app.preprocess import ImageSpec

STRIDE = 32  # sides of images are multiples of it
WIDTHS = (16, 24, 48, 64, 96)


def page_map(spec: ImageSpec) -> nn.Module:
    """The mean over all places of the U-Net's features, for the sizes and channels of *spec*; raises DataError."""
    if spec.height % STRIDE or (spec.width or STRIDE) % STRIDE:
        message = f"page_map reads images whose sides are multiples of {STRIDE}, not {spec.height} x {spec.width}"
        raise DataError(message)
    parts = {"features": PageFeatures(spec.channels), "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return nn.Sequential(OrderedDict(parts))


class PageFeatures(nn.Module):
    """Features of shape (n, 17, height / 2, width / 2) of images of shape (n, channels, height, width).

    The last is for which way up text stands, told by what is seen of it at an eighth of the size.
    """

    def __init__(self, channels: int, widths: Sequence[int] = WIDTHS) -> None:
        """Five levels down, each at half the size of the one before, and four up again."""
        super().__init__()
        stem, first, second, third, fourth = widths
        self.stem = nn.Sequential(block(channels, stem, 2), block(stem, first, 2))
        self.first = block(first, first)
        self.second = nn.Sequential(block(first, second, 2), block(second, second))
        self.third = nn.Sequential(block(second, third, 2), block(third, third))
        self.fourth = nn.Sequential(
            block(third, fourth, 2),
            block(fourth, fourth, dilation=2),
            block(fourth, fourth, dilation=3),
        )
        self.up_third = Up(fourth, third)
        self.up_second = Up(third, second)
        self.up_first = Up(second, first)
        self.way_up = nn.Sequential(block(second, second), nn.Conv2d(second, 1, 1))
        self.up_stem = Up(first, stem, apart(stem))  # comes last: its convolution is what Grad-CAM looks at

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Down, and up again beside the levels of the way down."""
        fine = self.stem[0](images)
        first = self.first(self.stem[1](fine))
        second = self.second(first)
        third = self.third(second)
        middle = self.up_second(self.up_third(self.fourth(third), third), second)
        features = self.up_stem(self.up_first(middle, first), fine)
        way_up = nn.functional.interpolate(self.way_up(middle), scale_factor=4, mode="bilinear", align_corners=False)
        return torch.cat([features, way_up], 1)


class Up(nn.Module):
    """Brings a level to the size of the one above and adds both."""

    def __init__(self, before: int, after: int, last: nn.Module | None = None) -> None:
        """Take the channels of the deeper level and of the one above, and the *last* layers, by default a block."""
        super().__init__()
        self.lateral = nn.Conv2d(before, after, 1)
        self.block = last or block(after, after)

    def forward(self, deep: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        """Features of the size of *beside*, which is twice that of *deep*."""
        larger = nn.functional.interpolate(self.lateral(deep), scale_factor=2, mode="bilinear", align_corners=False)
        features: torch.Tensor = self.block(larger + beside)
        return features


def block(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A convolution of 3 x 3 that keeps the size up to its stride, its norm, and what is positive of it."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def apart(channels: int) -> nn.Module:
    """A block whose convolution takes every channel by itself, then every place: little work for many places."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
