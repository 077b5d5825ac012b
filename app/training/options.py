"""The options of a training run: one frozen model that the command line, the notebooks and the registry all share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.preprocess import ImageSpec
from app.tasks import DEFAULT, TASKS
from app.training.augment import RECIPES
from app.training.model import ARCHITECTURES, BASELINE, PAGE_MAP


class Options(BaseModel):
    """What to train, on what, how, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Annotated[str, Field(description=f"what to recognise: {', '.join(TASKS)}")] = DEFAULT
    data: Annotated[tuple[str, ...], Field(min_length=1, description="data sets under --datasets, as name or "
        "name:weight; a weight of 0.3 draws three images in ten in every epoch")] = ("catmus", "corto")  # fmt: skip
    train_only: Annotated[tuple[str, ...], Field(description="data sets that are learnt from, but neither chosen nor "
        "judged by, such as rendered lines")] = ()  # fmt: skip
    strange: Annotated[tuple[str, ...], Field(description="data sets of images that are none of the task's labels, as "
        "name or name:weight, to learn what is unlike them")] = ()  # fmt: skip
    datasets: Annotated[Path | None, Field(description="folder of the data sets; default: app/data/datasets")] = None
    leave_out: Annotated[tuple[str, ...], Field(description="sources kept from training and validation, "
        "and judged as `unseen`")] = ()  # fmt: skip
    strategy: Annotated[Literal["transfer", "fine-tune"], Field(description="transfer: features frozen, a new linear "
        "head; fine-tune: train the last --blocks blocks, or all")] = "fine-tune"  # fmt: skip
    architecture: Annotated[str, Field(description=f"one of {', '.join(ARCHITECTURES)}")] = "mobilenet_v2"
    weights: Annotated[str, Field(description="imagenet (torchvision's download), none, or a .pth file: "
        "torchvision's, or the network.pth of an earlier run")] = "imagenet"  # fmt: skip
    blocks: Annotated[int | None, Field(ge=1, description="fine-tune the last BLOCKS blocks; default: all")] = None
    height: Annotated[int | None, Field(ge=16, description="input height in pixels; default: the task's")] = None
    width: Annotated[int | None, Field(ge=16, description="input width in pixels; default: the task's")] = None
    augment: Annotated[str | None, Field(description=f"recipe: {', '.join(RECIPES)}; default: the task's")] = None
    views: Annotated[int, Field(ge=1, description="transfer: altered views of every image")] = 3
    epochs: Annotated[int, Field(ge=1, description="at most this many passes over the data")] = 8
    minutes: Annotated[float | None, Field(gt=0, description="start no epoch after so many minutes")] = None
    batch: Annotated[int, Field(ge=1, description="images in a step")] = 32
    learning_rate: Annotated[float, Field(gt=0, description="of Adam, at the start")] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, description="of Adam, apart from its steps (AdamW)")] = 0.0
    balance: Annotated[float, Field(ge=0, le=1, description="how much more a rare class counts: 1 makes all classes "
        "count alike, 0 all images")] = 1.0  # fmt: skip
    patience: Annotated[int, Field(ge=1, description="stop after so many epochs without a better validation loss")] = 3
    plateau: Annotated[int, Field(ge=0, description="lower the learning rate after more than so many epochs whose "
        "validation loss is not a hundredth better")] = 0  # fmt: skip
    smoothing: Annotated[float, Field(ge=0, lt=1, description="label smoothing of the loss")] = 0.0
    quantise: Annotated[Literal["auto", "never"], Field(description="auto: ship a model in 8 bits where it serves "
        "better; never: do not make one")] = "auto"  # fmt: skip
    seed: Annotated[int, Field(ge=0, description="fixes order, alterations and the new head")] = 0
    workers: Annotated[int, Field(ge=0, description="processes that read images")] = 2
    judged: Annotated[int, Field(ge=1, description="images of the test split that altered copies are judged on")] = 600
    experiment: Annotated[str | None, Field(description="MLflow experiment; default: the task's name")] = None
    name: Annotated[str | None, Field(description="name of the run; default: strategy and architecture")] = None

    @model_validator(mode="after")
    def check_names(self) -> Self:
        """Refuse unknown tasks, architectures and recipes, and what does not go together."""
        known = {"task": TASKS, "architecture": ARCHITECTURES, "augment": RECIPES}
        for field, names in known.items():
            value = getattr(self, field)
            if value is not None and value not in names:
                message = f"{field} {value!r} is unknown; choose one of {', '.join(names)}"
                raise ValueError(message)
        if self.architecture == BASELINE and self.strategy != "transfer":
            message = f"{BASELINE} has nothing to fine-tune; use --strategy transfer"
            raise ValueError(message)
        if TASKS[self.task].places and (self.architecture, self.strategy) != (PAGE_MAP, "fine-tune"):
            message = f"{self.task} is learnt place by place; use --architecture {PAGE_MAP} --strategy fine-tune"
            raise ValueError(message)
        return self


def choose_spec(options: Options) -> ImageSpec:
    """The task's image spec, in the size of the options."""
    spec = TASKS[options.task].image
    return spec.model_copy(update={"height": options.height or spec.height, "width": options.width or spec.width})


def parse_options(arguments: Sequence[str] | None, description: str) -> tuple[Options, str | None]:
    """Read the command line: the options, and the run to `--resume` if any; exits with a message on bad values."""
    parser = argparse.ArgumentParser(description=description)
    for name, field in Options.model_fields.items():
        many = get_origin(field.annotation) is tuple
        default = "" if field.default in (None, ()) else f" (default: {shown(field.default)})"
        help_text = f"{field.description}{default}".replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", help=help_text, nargs="+" if many else None)
    parser.add_argument("--resume", metavar="RUN_ID", help="go on with an interrupted run, with its own options")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    resume = given.pop("resume", None)
    try:
        return Options.model_validate(given), resume
    except ValueError as error:
        parser.error(str(error))


def shown(value: object) -> str:
    """A default as it would be typed."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
