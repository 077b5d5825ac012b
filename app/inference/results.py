"""The rows that documents are answered with: appended as JSON lines while a run goes on, written as a table at its end.

Rows that belong together are appended in one write, so that an interrupted run leaves whole ones; a row that a crash
cut short is passed over. Knows nothing of what the rows say but their `file` and `page`.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from app.errors import InputError

Row = dict[str, Any]
ODD_NAMES = "backslashreplace"  # names of files may hold bytes that are no UTF-8; JSON reads them back from this


def rows_in(results: Path) -> Iterator[Row]:
    """The whole rows of the results, in the order in which they were written; none where there is no such file.

    Raises InputError for a file that holds something else.
    """
    if results.is_file():
        with results.open(encoding="utf-8", errors="replace") as lines:  # a crash may cut through a character, too
            for line in lines:
                with suppress(json.JSONDecodeError):
                    row: Row = json.loads(line)
                    if not is_row(row):
                        message = f"{results} holds what is no row of results; put it elsewhere, or name another --out"
                        raise InputError(message)
                    yield row


def is_row(found: object) -> bool:
    """Whether a line of JSON is what is appended here: a page's class or what is wrong with it."""
    match found:
        case {"file": str(), "page": int() | None, **about}:
            return not about.keys().isdisjoint({"predicted_class", "error"})
    return False


def append(results: Path, rows: Iterable[Row]) -> None:
    """Add rows to the results."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with results.open("a", encoding="utf-8", errors=ODD_NAMES) as file:
        file.write(text)


def keep(results: Path, is_kept: Callable[[Row], bool]) -> None:
    """Take rows out of the results; a crash meanwhile leaves all of them in, or none."""
    if all(map(is_kept, rows_in(results))):
        return
    fewer = results.with_name(f"{results.name}.new")
    fewer.unlink(missing_ok=True)
    append(fewer, filter(is_kept, rows_in(results)))
    fewer.replace(results)


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
