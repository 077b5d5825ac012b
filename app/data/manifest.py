"""The manifest of a data set: which images it holds, with label, split, source and document.

Owns the format (`manifest.csv` beside the images, one line per image), its checks, its fingerprint and the stable
split. Does not make data sets: that is `importing` and `synthetic`.
"""

import csv
import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from app.errors import DataError
from app.preprocess import read_image
from app.tasks import PLACE

FILE_NAME = "manifest.csv"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Sample:
    """One image of a data set.

    `path` is relative to the data set's folder; `document` is what is never in two splits; `years` is like
    `1700-1799`, or empty; `sha256` is that of the file.
    """

    path: str
    label: str
    split: str
    source: str
    document: str
    language: str
    years: str
    sha256: str


def read_manifest(directory: Path) -> list[Sample]:
    """Read and check the manifest of the data set in *directory*; raises DataError."""
    file = directory / FILE_NAME
    if not file.is_file():
        message = f"no data set in {directory}: {FILE_NAME} is missing; make it with an import script of app/data"
        raise DataError(message)
    names = [field.name for field in fields(Sample)]
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != names:
            message = f"{file} has the columns {reader.fieldnames}, expected {names}; import the data set again"
            raise DataError(message)
        lines = list(reader)
    samples = [Sample(**line) for line in lines if None not in line.values() and None not in line]
    if len(samples) != len(lines):
        message = f"{file} has {len(lines) - len(samples)} lines with missing or surplus columns; import it again"
        raise DataError(message)
    check_samples(samples)
    return samples


def read_listed(file: Path) -> Image:
    """Read an image that a manifest lists, as the service reads an upload; raises DataError, UnreadableImageError."""
    try:
        return read_image(file.read_bytes())
    except OSError as error:
        message = f"{file} is in the manifest but cannot be read ({error}); import the data set again"
        raise DataError(message) from error


def map_beside(file: Path) -> Path:
    """Where the map of an image lies, which says where on it the labels are: `x.map.png` beside `x.jpg`."""
    return file.with_suffix(".map.png")


def read_places(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read an image in grey, and the map beside it; raises DataError when they do not belong together."""
    page, maps = np.asarray(read_listed(file).convert("L")), np.asarray(read_listed(map_beside(file)))
    if maps.shape[:2] != tuple(-(-length // PLACE) for length in page.shape):
        message = f"{file} has a map of {maps.shape} for its {page.shape} pixels; import the data set again"
        raise DataError(message)
    return page, maps


def write_manifest(directory: Path, samples: Iterable[Sample]) -> None:
    """Check *samples* and write them, sorted by path, as the manifest of *directory*, at once or not at all."""
    ordered = sorted(samples, key=lambda sample: sample.path)
    check_samples(ordered)
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{FILE_NAME}.{os.getpid()}"
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Sample)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(sample) for sample in ordered)
    temporary.replace(directory / FILE_NAME)


def check_samples(samples: Sequence[Sample]) -> None:
    """Raise DataError for an unknown split, a path that occurs twice, or a document in two splits."""
    unknown = sorted({sample.split for sample in samples} - set(SPLITS))
    if unknown:
        message = f"unknown split {', '.join(map(repr, unknown))}; known are {', '.join(SPLITS)}"
        raise DataError(message)
    twice = [path for path, count in Counter(sample.path for sample in samples).items() if count > 1]
    if twice:
        message = f"{len(twice)} paths occur more than once, the first is {twice[0]!r}; give every sample its own file"
        raise DataError(message)
    split: dict[str, str] = {}
    for sample in samples:
        if split.setdefault(sample.document, sample.split) != sample.split:
            message = (
                f"the document {sample.document!r} is in {split[sample.document]} and in {sample.split}, so the test "
                "would be on known documents; give it one split"
            )
            raise DataError(message)


def fingerprint(samples: Iterable[Sample]) -> str:
    """Hash the content, label and split of every sample, in any order, to 16 hexadecimal digits."""
    content = sorted(f"{sample.sha256} {sample.label} {sample.split}" for sample in samples)
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]


def stable_share(text: str) -> float:
    """Hash *text* to a number in [0, 1) that is the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def split_of(document: str, shares: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> str:
    """Choose the split of *document* by a stable hash; *shares* are those of train, validation and test."""
    if min(shares) < 0 or not math.isclose(sum(shares), 1):
        message = f"the shares {shares} must be positive and add up to 1"
        raise DataError(message)
    place = stable_share(document)
    if place < shares[0]:
        return "train"
    return "validation" if place < shares[0] + shares[1] else "test"


def folder_of(label: str) -> str:
    """The name of a label's folder: the label, or its code points where that is no safe name: `A` is 0041, `/` 002f.

    Capitals count as unsafe, since some systems take `A` and `a` for one folder.
    """
    if re.fullmatch(r"[0-9a-z][0-9a-z_ -]*", label):
        return label
    return "-".join(f"{ord(letter):04x}" for letter in label)


def summary(samples: Iterable[Sample]) -> str:
    """Lay out how many samples each source has per label and split, with totals per label and of all."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for sample in samples:
        counts[sample.source, sample.label, sample.split] += 1
        counts["all", sample.label, sample.split] += 1
        counts["all", "all", sample.split] += 1
    groups = sorted({key[:2] for key in counts}, key=lambda group: (group[0] == "all", group[1] == "all", group))
    width = max([len(source) for source, _ in groups] + [6])
    lines = [f"{'source':{width}}  {'label':12} {'train':>7} {'validation':>11} {'test':>7} {'total':>7}"]
    for source, label in groups:
        train, validation, test = (counts[source, label, split] for split in SPLITS)
        total = train + validation + test
        lines.append(f"{source:{width}}  {label:12} {train:7} {validation:11} {test:7} {total:7}")
    return "\n".join(lines)
