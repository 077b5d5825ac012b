"""Opens data sets in parquet files: streamed from a hub, or from a local folder with files of each split.

Owns the names that splits go by elsewhere. Which columns are needed, and what they mean, the import scripts know.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from app.errors import DataError

SPLIT_NAMES = {"train": "train", **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"), "test": "test"}


def find_split_files(source: Path) -> dict[str, list[str]]:
    """Find the parquet files of each split under *source*: `train*.parquet`, `data/train*.parquet`, `x-train.parquet`.

    `valid`, `val`, `dev` and `validation` are one split; raises DataError when there is none at all.
    """
    found: dict[str, list[str]] = {}
    for file in sorted([*source.glob("*.parquet"), *source.glob("data/*.parquet")]):
        for word in re.split(r"[-_.]", file.stem):
            if word in SPLIT_NAMES:
                found.setdefault(SPLIT_NAMES[word], []).append(str(file))
                break
    if not found:
        message = f"no parquet file of a split in {source}; expected for instance {source / 'train.parquet'}"
        raise DataError(message)
    return found


def open_splits(
    datasets: ModuleType, hub: str, source: Path | None, columns: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the name and the stream of every split, from the parquet files in *source* or from the *hub*.

    *datasets* is the library of that name, which only the scripts import; raises DataError with the remedy, before any
    row is read, also when a split lacks one of the *columns*.
    """
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # it would tell its makers of every read, also of local files
    try:
        if source is not None:
            opened = datasets.load_dataset("parquet", data_files=find_split_files(source), streaming=True)
        else:
            opened = datasets.load_dataset(hub, streaming=True)
    except (OSError, ValueError, RuntimeError) as error:
        message = f"{hub} cannot be opened ({error}); give a folder with its parquet files: --source DIR"
        raise DataError(message) from error
    for name, stream in opened.items():
        if name not in SPLIT_NAMES:
            message = f"{hub} has the split {name!r}; known are {', '.join(SPLIT_NAMES)}"
            raise DataError(message)
        check_columns(f"the split {name!r} of {source or hub}", columns, stream.column_names or next(iter(stream), ()))
    for name, stream in opened.items():
        yield SPLIT_NAMES[name], stream


def check_columns(where: str, needed: Collection[str], present: Iterable[str]) -> None:
    """Raise DataError with both lists when a source lacks a needed column."""
    present = list(present)
    if missing := [column for column in needed if column not in present]:
        message = (
            f"{where} has no column {', '.join(missing)}; it has {', '.join(present) or 'none'}: rename what holds it, "
            "or import from another source"
        )
        raise DataError(message)


def image_bytes(value: Mapping[str, Any] | bytes | None) -> bytes:
    """The encoded image in a cell of the `datasets` library, read undecoded; empty when there is none."""
    content = value.get("bytes") if isinstance(value, Mapping) else value
    return content or b""
