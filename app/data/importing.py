"""From rows of any source to a data set on disk: images in `<split>/<class>/`, the manifest, what was left out.

Owns the writing, the choice of rows, the rule that keeps a document in one split, and the command line options that
all import scripts share. Knows no source: the scripts (`python -m app.data.data_import_...`) bring the rows.

The split of a document: rows keep the split that their source gives them; where a source spreads one document over
several splits, all of it moves to the split that has most of its rows (of equals, the first of train, validation,
test). Rows without a split get that of a stable hash of their document.
"""

import argparse
import csv
import hashlib
import io
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from app.config import read_settings
from app.data.manifest import SPLITS, Sample, folder_of, map_beside, split_of, stable_share, summary, write_manifest
from app.errors import DataError, InputError, PenPressError
from app.preprocess import read_image
from app.tasks import DEFAULT, TASKS, Task

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}


@dataclass(frozen=True)
class Row:
    """One labelled image of a source; `key` names it within the data set, `split` None leaves the choice to a hash.

    `places` is the PNG file of a map, which is laid beside the image.
    """

    key: str
    label: str
    image: bytes
    split: str | None
    source: str
    document: str
    language: str = ""
    years: str = ""
    places: bytes = b""

    @cached_property
    def stem(self) -> str:
        """The name of its file, less the suffix."""
        # The digest in the name: another source imported under the same name never takes an old file for its own.
        digest = hashlib.sha256(self.key.encode() + self.image + self.places).hexdigest()[:12]
        return f"{re.sub(r'[^0-9A-Za-z_-]+', '_', self.key)[:80]}-{digest}"


@dataclass(frozen=True)
class LeftOut:
    """A row that could not be used, and why."""

    key: str
    source: str
    reason: str


@dataclass
class Selection:
    """Which rows an import takes; it counts as it goes, so use a fresh one for every import.

    `subset` keeps the rows whose key hashes below it, plus the first row of every source in every split, so that no
    source vanishes; `max_per_source` counts per source and split.
    """

    splits: tuple[str, ...] = SPLITS
    subset: float = 1.0
    max_per_source: int | None = None
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)

    def takes(self, row: Row, split: str) -> bool:
        """Whether the import takes *row*, which belongs to *split*."""
        group = (row.source, split)
        if split not in self.splits or (self.max_per_source is not None and self.taken[group] >= self.max_per_source):
            return False
        if self.taken[group] and stable_share(row.key) >= self.subset:
            return False
        self.taken[group] += 1
        return True


def import_rows(
    rows: Iterable[Row], directory: Path, task: Task, selection: Selection | None = None
) -> tuple[list[Sample], list[LeftOut]]:
    """Write *rows* as a data set for *task* and return its samples and the rows left out.

    Can be interrupted at any row and run again: images that are on disk are not written twice, and the manifest, which
    is written last, lists exactly what this run selected.
    """
    selection = selection or Selection()
    present = {file.stem: file for file in directory.glob("*/*/*") if not file.name.startswith(".")}
    samples, left_out = [], []
    stems: set[str] = set()
    for row in rows:
        split = row.split or split_of(row.document)
        if not selection.takes(row, split):
            continue
        if row.stem in stems:
            reason = f"it has the key and the image of an earlier row, {row.key!r}"
            left_out.append(LeftOut(row.key, row.source, reason))
            continue
        try:
            samples.append(_write_row(row, split, directory, task, present))
            stems.add(row.stem)
        except (DataError, InputError) as error:
            left_out.append(LeftOut(row.key, row.source, str(error)))
    if not samples:
        why = f"; the first of {len(left_out)} left out: {left_out[0]}" if left_out else ""
        message = f"no row could be used, so {directory} stays as it is; check the columns and the selection{why}"
        raise DataError(message)
    samples = _settle_documents(samples, directory)
    write_manifest(directory, samples)
    _write_left_out(directory, left_out)
    return samples, left_out


def _write_row(row: Row, split: str, directory: Path, task: Task, present: dict[str, Path]) -> Sample:
    """Put one row on disk, unless it is there, and describe it; raises DataError or InputError for a bad one."""
    label = task.same_as.get(row.label, row.label)
    if label not in task.labels:
        message = f"label {row.label!r} is none of {', '.join(task.labels)}"
        raise DataError(message)
    if not row.image:
        message = "its image is missing or empty"
        raise DataError(message)
    folder = directory / split / folder_of(label)
    file = present.get(row.stem)
    if file is None or file.parent.name != folder.name:
        content, suffix = _encoded(row.image)
        file = folder / f"{row.stem}{suffix}"
        if row.places:  # before the image, which then stands for both
            _write_bytes(map_beside(file), row.places)
        _write_bytes(file, content)
        present[row.stem] = file
    elif file.parent != folder:
        file = _move(file, folder)
        present[row.stem] = file
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    path = file.relative_to(directory).as_posix()
    return Sample(path, label, split, row.source, row.document, row.language, row.years, digest)


def _encoded(image: bytes) -> tuple[bytes, str]:
    """The bytes to store and their suffix: the original ones of a whole JPEG or PNG file, else a PNG of the image."""
    decoded = read_image(image)
    with Image.open(io.BytesIO(image)) as opened:
        suffix = SUFFIXES.get(opened.format or "")
    if suffix:
        return image, suffix
    buffer = io.BytesIO()
    decoded.save(buffer, "PNG")
    return buffer.getvalue(), ".png"


def _write_bytes(file: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}")
    temporary.write_bytes(content)
    temporary.replace(file)


def _move(file: Path, folder: Path) -> Path:
    """Move an image, and the map beside it, into another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if (beside := map_beside(file)).is_file():
        beside.replace(folder / beside.name)
    return file.replace(folder / file.name)


def _settle_documents(samples: list[Sample], directory: Path) -> list[Sample]:
    """Give every document one split, the one that has most of its samples, and move the files of the others there."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        counts[sample.document][sample.split] += 1
    settled = []
    for sample in samples:
        count = counts[sample.document]
        split = max(SPLITS, key=count.__getitem__)
        path = sample.path
        if split != sample.split:
            file = _move(directory / sample.path, directory / split / folder_of(sample.label))
            path = file.relative_to(directory).as_posix()
        settled.append(replace(sample, split=split, path=path))
    return settled


def _write_left_out(directory: Path, left_out: Iterable[LeftOut]) -> None:
    """List the rows left out in `left_out.csv`, beside the manifest."""
    with (directory / "left_out.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["key", "source", "reason"])
        writer.writerows([row.key, row.source, row.reason] for row in left_out)


def make_parser(description: str, name: str | None, task: str = DEFAULT) -> argparse.ArgumentParser:
    """Build a parser with the options that all import scripts share; *name* and *task* are the script's defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--name", default=name, required=name is None, help="name of the data set that is made")
    parser.add_argument("--datasets", type=Path, default=None, help="folder of the data sets (default: the setting)")
    parser.add_argument("--task", default=task, choices=sorted(TASKS), help="the task whose labels are used")
    parser.add_argument("--splits", nargs="+", default=list(SPLITS), choices=SPLITS, help="splits to import")
    parser.add_argument("--subset", type=_share, default=1.0, help="share of rows to keep, chosen by a stable hash")
    parser.add_argument("--max-per-source", type=int, default=None, help="at most so many rows per source and split")
    return parser


def _share(text: str) -> float:
    """Parse a share in (0, 1]."""
    value = float(text)
    if not 0 < value <= 1:
        message = f"{text} is not a share; give a number above 0 and at most 1, such as 0.1"
        raise argparse.ArgumentTypeError(message)
    return value


def run_import(arguments: argparse.Namespace, rows: Callable[[argparse.Namespace], Generator[Row]]) -> int:
    """Import what *rows* yields as the parsed *arguments* say, print the summary, and return the exit status."""
    directory = (arguments.datasets or read_settings().datasets) / arguments.name
    selection = Selection(tuple(arguments.splits), arguments.subset, arguments.max_per_source)
    try:
        with closing(rows(arguments)) as source:  # an open stream of a data set aborts Python when it ends
            bar = tqdm(source, desc=arguments.name, unit=" rows")
            samples, left_out = import_rows(bar, directory, TASKS[arguments.task], selection)
    except PenPressError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the same command goes on where it stopped\n")
        return 130
    sys.stdout.write(f"{summary(samples)}\n{len(samples)} samples in {directory}\n")
    reasons = "".join(f"\n  {row.key}: {row.reason}" for row in left_out[:10])
    sys.stdout.write(f"{len(left_out)} rows left out{', listed in left_out.csv:' * bool(left_out)}{reasons}\n")
    return 0
