"""Answers for folders of documents: every page of every file, in several processes, resumed where it was interrupted.

Owns what is written: one JSON object a page in the results, overlays, ALTO files, copies sorted by class. A file's rows
are appended in one write once it is done, so a second run with the same results goes on with the files that are not
in it. `inference_onnx` is the command line.
"""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL.Image import Image
from tqdm import tqdm

from app.errors import InputError, NoTextError
from app.inference.recogniser import Recogniser
from app.pages import Page, PageLimits, pages_of, recognise_anything
from app.pages.alto import to_alto
from app.pages.overlay import overlay

Row = dict[str, Any]
MIXED, NO_TEXT, ERROR = "mixed", "no text", "error"


@dataclass(frozen=True)
class Job:
    """What to do with every file: `roots` are the paths that were named, folders are not written where None."""

    bundle: Path
    limits: PageLimits
    results: Path
    overlays: Path | None = None
    alto: Path | None = None
    copies: Path | None = None


def run(files: Sequence[Path], job: Job, processes: int) -> Counter[str]:
    """Answer for the files that are not in the results yet; returns how many of all pages have each class."""
    done = set(files_in(job.results))
    waiting = [file for file in files if str(file) not in done]
    job.results.parent.mkdir(parents=True, exist_ok=True)
    end_torn_row(job.results)
    with tqdm(total=len(files), initial=len(files) - len(waiting), unit=" files", disable=None) as bar:
        for rows in answers(waiting, job, processes):
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            with job.results.open("a", encoding="utf-8") as results:
                results.write(text)
            bar.update()
    return Counter(class_of(row) for row in rows_in(job.results))


def end_torn_row(results: Path) -> None:
    """Begin a new line where a crash cut the last row short."""
    if results.is_file() and results.stat().st_size and not results.read_bytes().endswith(b"\n"):
        with results.open("a", encoding="utf-8") as file:
            file.write("\n")


def answers(files: Sequence[Path], job: Job, processes: int) -> Iterator[list[Row]]:
    """The rows of each file, as soon as it is done."""
    if processes == 1:
        yield from (answer_file(file, job) for file in files)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(answer_file, file, job) for file in files]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def answer_file(file: Path, job: Job) -> list[Row]:
    """Answer for all pages of one file and write what belongs to it; a file that cannot be read has one row."""
    rows: list[Row] = []
    pages: list[Page] = []
    labels = recogniser_of(job.bundle).description.labels
    try:
        with closing(pages_of(file.read_bytes(), job.limits)) as images:
            for number, image in enumerate(images, start=1):
                row, page = answer_page(image, recogniser_of(job.bundle))
                rows.append({"file": str(file), "page": number, **row})
                if page:
                    pages.append(page)
                    draw(image, page, labels, job, f"{name_of(file)}-{number:04d}.png")
    except (InputError, OSError) as error:
        return [{"file": str(file), "page": None, "error": str(error)}]
    if job.alto and pages:
        job.alto.mkdir(parents=True, exist_ok=True)
        (job.alto / f"{name_of(file)}.xml").write_bytes(to_alto(pages, labels, file.name))
    if job.copies:
        copy(file, rows, job.copies)
    return rows


@cache
def recogniser_of(bundle: Path) -> Recogniser:
    """The recogniser of this process, loaded once; more processes, not threads, make it faster."""
    return Recogniser.load(bundle, threads=1)


def answer_page(image: Image, recogniser: Recogniser) -> tuple[Row, Page | None]:
    """The row of one page, and the page unless it is a single line or bears no text."""
    size = {"width": image.width, "height": image.height}
    labels = recogniser.description.labels
    try:
        prediction, page = recognise_anything(image, recogniser.predict, labels)
    except NoTextError:
        return {**size, "predicted_class": None, "confidence": 0.0}, None
    row: Row = {**size, "predicted_class": prediction.label, "confidence": round(prediction.confidence, 4)}
    row["uncertain"] = prediction.uncertain
    if page:
        row |= {"orientation": page.orientation, "skew": page.skew, "mixed": page.mixed}
        row |= {f"{label}_ratio": round(page.shares[label], 4) for label in labels}
        row |= {f"{label}_lines": page.counts[label] for label in labels}
    return row, page


def draw(image: Image, page: Page, labels: Sequence[str], job: Job, name: str) -> None:
    """Write the overlay of a page if overlays are wanted."""
    if job.overlays:
        job.overlays.mkdir(parents=True, exist_ok=True)
        overlay(image, page, labels).save(job.overlays / name, compress_level=3)


def copy(file: Path, rows: Sequence[Row], folder: Path) -> None:
    """Copy a file into the folder of its class; one whose pages differ is mixed."""
    classes = {class_of(row) for row in rows} - {NO_TEXT} or {NO_TEXT}
    target = folder / (classes.pop() if len(classes) == 1 else MIXED).replace(" ", "_")
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, target / f"{name_of(file)}{file.suffix}")


def class_of(row: Mapping[str, Any]) -> str:
    """The class of a page by its row."""
    if "error" in row:
        return ERROR
    return MIXED if row.get("mixed") else row["predicted_class"] or NO_TEXT


def name_of(file: Path) -> str:
    """A name for what is written for a file: its path without its suffix, so that no two files share one."""
    return "_".join(part for part in file.with_suffix("").parts if part not in {file.anchor, ".", ".."})


def rows_in(results: Path) -> Iterator[Row]:
    """The whole rows of the results; one that was cut short by a crash is left out."""
    if results.is_file():
        for line in results.read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def files_in(results: Path) -> Iterator[str]:
    """The files that have rows."""
    return (row["file"] for row in rows_in(results))


def write_table(results: Path, table: Path) -> None:
    """Write the results as CSV or Parquet, by the suffix; a column for every field that some row has.

    Parquet needs pyarrow, which PenPress does not install where it only serves.
    """
    rows = list(rows_in(results))
    names = list(dict.fromkeys(name for row in rows for name in row))
    if table.suffix == ".parquet":
        columns = {name: [row.get(name) for row in rows] for name in names}
        import_module("pyarrow.parquet").write_table(import_module("pyarrow").table(columns), table)
        return
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
