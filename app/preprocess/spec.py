"""The image spec: how an image becomes network input, as a value that travels in a bundle."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

StepName = Literal[
    "dark_on_light",
    "fill_outside",
    "level",
    "stretch_contrast",
    "even_light",
    "set_paper",
    "find_ink",
    "keep_strokes",
    "deskew",
    "centre_mass",
    "fill_cell",
]


class ImageSpec(BaseModel):
    """How an image becomes network input; the same value in `Task` and in `model.json`.

    `height` and `width` are in pixels; `width` is None only for `fit="height"`. `fit`: *pad* keeps the proportions and
    fills the rest with paper, *stretch* ignores them, *height* scales to the height and keeps the width free. `mean`
    and `std` (one value a channel, of pixels in 0..1) normalise. `steps` run before it is scaled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Annotated[int, Field(ge=8, le=4096)]
    width: Annotated[int, Field(ge=8, le=8192)] | None
    fit: Literal["pad", "stretch", "height"] = "pad"
    channels: Literal[1, 3] = 1
    mean: tuple[float, ...] = (0.449,)
    std: tuple[float, ...] = (0.226,)
    steps: tuple[StepName, ...] = ()

    @model_validator(mode="after")
    def check_numbers(self) -> Self:
        """One mean and one positive deviation, or one a channel; a width, unless only the height is fitted."""
        if not {len(self.mean), len(self.std)} <= {1, self.channels} or min(self.std) <= 0:
            message = f"mean {self.mean} and std {self.std} must have 1 or {self.channels} values, std above 0"
            raise ValueError(message)
        if self.width is None and self.fit != "height":
            message = f"fit={self.fit!r} needs a width"
            raise ValueError(message)
        return self
