"""The rows that documents are answered with: appended as JSON lines while a run goes on, written as a table at its end.

Rows that belong together are appended in one write, so that an interrupted run leaves whole ones; a row that a crash
cut short is passed over. Knows nothing of what the rows say but their `file` and `page`. Also names what is written
beside them.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

Row = dict[str, Any]
ODD_NAMES = "backslashreplace"  # names of files may hold bytes that are no UTF-8; JSON reads them back from this


def rows_in(results: Path) -> Iterator[Row]:
    """The whole rows of the results, in the order in which they were written; none where there is no such file."""
    if results.is_file():
        with results.open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(json.JSONDecodeError):
                    yield json.loads(line)


def append(results: Path, rows: Sequence[Row]) -> None:
    """Add rows to the results."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with results.open("a", encoding="utf-8", errors=ODD_NAMES) as file:
        file.write(text)


def end_torn_row(results: Path) -> None:
    """Begin a new line where a crash cut the last row short."""
    if results.is_file() and results.stat().st_size:
        with results.open("rb+") as file:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")


def write_table(results: Path, table: Path) -> None:
    """Write the results by file and page as CSV or Parquet, by the suffix; a column for every field that some row has.

    Parquet needs pyarrow, which PenPress does not install where it only serves.
    """
    rows = sorted(rows_in(results), key=lambda row: (row["file"], row["page"] or 0))
    names = list(dict.fromkeys(name for row in rows for name in row))
    if table.suffix == ".parquet":
        for row in rows:
            row["file"] = row["file"].encode("utf-8", ODD_NAMES).decode("utf-8")
        columns = {name: [row.get(name) for row in rows] for name in names}
        import_module("pyarrow.parquet").write_table(import_module("pyarrow").table(columns), table)
        return
    with table.open("w", newline="", encoding="utf-8", errors=ODD_NAMES) as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def names_for(files: Iterable[Path]) -> dict[Path, str]:
    """A name for what is written for each file: its path without its suffix, or with it where another has that name."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for file in files:
        name = "_".join(part for part in file.with_suffix("").parts if part not in {file.anchor, ".", ".."})
        if name in taken:
            name += file.suffix.replace(".", "_")
        while name in taken:
            name += "_"
        names[file] = name
        taken.add(name)
    return names
