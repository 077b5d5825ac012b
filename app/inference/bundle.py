"""The bundle: a directory with `model.onnx`, `model.json` and probe images, all that training hands to serving.

Owns the description's schema and its checks. Does not run the model: that is `recogniser.py`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.errors import BundleError
from app.preprocess import ImageSpec, ViewSet
from app.tasks import Kind, Views

MODEL = "model.onnx"
MAPS = "maps"  # the name of the model's second output, if it has one: evidence for every label, place by place
DESCRIPTION = "model.json"
CARD = "README.md"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Probe(_Frozen):
    """A small image in the bundle and the calibrated probabilities (label order) that the model gave for it."""

    file: str
    probabilities: tuple[float, ...]


class Origin(_Frozen):
    """Where a model comes from."""

    run_id: str | None = None
    architecture: str
    strategy: str
    trained_at: str
    git_commit: str
    data_fingerprint: str
    data: str
    parameters: int = Field(ge=0)


class Description(_Frozen):
    """`model.json`: everything that serving needs to know about the model, and nothing that it must not trust."""

    schema_version: Literal[1] = 1
    task: str
    kind: Kind
    labels: tuple[str, ...] = Field(min_length=2)
    image: ImageSpec
    temperature: float = Field(gt=0)
    uncertain_below: float = Field(ge=0, le=1)
    blank_below: int = Field(0, ge=0, le=255)  # contrast in grey values under which an image counts as blank
    strange_below: float | None = None  # how far the best logit must stand out from all, for an input like those learnt
    views: Views = "off"
    view_set: ViewSet = "sign"
    precision: Literal["fp32", "int8"] = "fp32"
    figures: dict[str, float]
    origin: Origin
    probes: tuple[Probe, ...] = Field(min_length=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def check_lengths(self) -> Self:
        """Labels are distinct, and every probe has one probability a label."""
        if len(set(self.labels)) != len(self.labels):
            message = f"labels {self.labels} repeat"
            raise ValueError(message)
        if any(len(probe.probabilities) != len(self.labels) for probe in self.probes):
            message = f"every probe must have {len(self.labels)} probabilities, one a label"
            raise ValueError(message)
        return self


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_description(directory: Path, description: Description) -> None:
    """Write `model.json` into a bundle directory."""
    (directory / DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_description(directory: Path) -> Description:
    """Read and check `model.json`, the model's sha256 and the presence of the probes; raises BundleError."""
    path = directory / DESCRIPTION
    try:
        description = Description.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        message = f"{path} is missing or not a valid bundle description: {error}"
        raise BundleError(message) from error
    check_files(directory, description)
    return description


def check_files(directory: Path, description: Description) -> None:
    """Raise BundleError unless the model has the recorded sha256 and every probe image is there."""
    model = directory / MODEL
    if not model.is_file():
        message = f"{model} is missing; copy the whole bundle directory"
        raise BundleError(message)
    found = sha256_of(model)
    if found != description.sha256:
        message = f"{model} has sha256 {found}, but {DESCRIPTION} records {description.sha256}; copy the bundle anew"
        raise BundleError(message)
    for probe in description.probes:
        if Path(probe.file).name != probe.file or not (directory / probe.file).is_file():
            message = f"the probe image {probe.file!r} is not a file in {directory}; copy the bundle anew"
            raise BundleError(message)


def check_labels(description: Description, expected: Sequence[str]) -> None:
    """Raise BundleError when a bundle's labels are not those expected, in the same order."""
    if tuple(description.labels) != tuple(expected):
        message = f"the bundle's labels {list(description.labels)} are not {list(expected)} in this order"
        raise BundleError(message)
