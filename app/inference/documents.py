"""Answers for folders of documents: every page of every file, in several processes, resumed where it was interrupted.

Owns what is written: a row a page, overlays, ALTO files, copies sorted by class. The work is done in pieces of some
pages of one file, whose rows are appended together, so that a second run with the same results goes on where it was.
Pages that could not be read are tried again then. What belongs to a whole file is written before its last rows.
`inference_onnx` is the command line.
"""

import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from PIL.Image import Image
from tqdm import tqdm

from app.errors import InputError, NoTextError, UnreadableImageError
from app.inference.paths import names_for
from app.inference.pool import in_processes
from app.inference.recogniser import Recogniser
from app.inference.results import Row, append, end_torn_row, keep, rows_in
from app.pages import Page, PageLimits, Readers, count_pages, pages_of, recognise_anything
from app.pages.alto import to_alto
from app.pages.overlay import overlay

MIXED, NO_TEXT, ERROR = "mixed", "no text", "error"
PIECE = 4  # pages of a long file that a process takes at a time, and loses when it is interrupted


@dataclass(frozen=True)
class Job:
    """What to do with every file, by which two models; the folders are there, or None where they are not wanted."""

    bundle: Path
    page_bundle: Path
    limits: PageLimits
    results: Path
    overlays: Path | None = None
    alto: Path | None = None
    copies: Path | None = None


@dataclass(frozen=True)
class Piece:
    """Some pages of a file, counted from 1; `name` is that of what is written for the file."""

    file: Path
    name: str
    pages: range


@dataclass(frozen=True)
class Answered:
    """A piece with its rows by page, and its pages where ALTO is wanted; those that are single lines count as empty."""

    piece: Piece
    rows: dict[int, Row]
    pages: dict[int, Page]


@dataclass
class Unfinished:
    """A file of which pages are missing: how many it has, and what there is of them that need not be answered again."""

    file: Path
    name: str
    count: int
    rows: dict[int, Row] = field(default_factory=dict)
    pages: dict[int, Page] = field(default_factory=dict)

    def pieces(self) -> Iterator[Piece]:
        """The pieces that hold a page that is missing."""
        for start in range(1, self.count + 1, PIECE):
            pages = range(start, min(start + PIECE, self.count + 1))
            if not self.rows.keys() >= set(pages):
                yield Piece(self.file, self.name, pages)

    def misses(self, number: int) -> bool:
        """Whether this page is still to be answered."""
        return number <= self.count and number not in self.rows


def run(files: Sequence[Path], job: Job, processes: int) -> Counter[str]:
    """Answer for the pages that are not in the results yet; returns how many of all pages have each class."""
    counts = {file: count_pages(file, job.limits) for file in files}
    waiting = unfinished(counts, job)
    keep(job.results, lambda row: not is_missing(row, waiting))
    end_torn_row(job.results)
    total, missing = sum(counts.values()), sum(each.count - len(each.rows) for each in waiting.values())
    if total > missing and (job.overlays or job.alto or job.copies):
        remedy = f"should overlays, ALTO or copies of them be missing, delete {job.results} or name another --out"
        sys.stderr.write(f"{total - missing} of {total} pages were answered before and are left out; {remedy}\n")
    pieces = (piece for each in list(waiting.values()) for piece in each.pieces())
    with (
        tqdm(total=total, initial=total - missing, unit=" pages", disable=None) as bar,
        closing(in_processes(partial(answer_piece, job=job), pieces, processes)) as found,
    ):
        for answered in found:
            bar.update(take(waiting, answered, job))
    return Counter(class_of(row) for row in rows_in(job.results))


def unfinished(counts: Mapping[Path, int], job: Job) -> dict[Path, Unfinished]:
    """The files of which pages are not in the results, or only with an error, with the rows that are.

    An ALTO file is of all pages, so where it is wanted a file that was begun is read from its first page again.
    """
    found = {str(file): Unfinished(file, name, counts[file]) for file, name in names_for(counts).items()}
    for row in rows_in(job.results):
        number = row["page"] or 1
        if ERROR not in row and (each := found.get(row["file"])) and number <= each.count:
            each.rows[number] = row
            if len(each.rows) == each.count:
                del found[row["file"]]
    if job.alto:
        for each in found.values():
            each.rows = {}
    return {each.file: each for each in found.values()}


def is_missing(row: Row, waiting: Mapping[Path, Unfinished]) -> bool:
    """Whether the page of a row is answered again, so that the row must go."""
    each = waiting.get(Path(row["file"]))
    return each is not None and each.misses(row["page"] or 1)


def take(waiting: dict[Path, Unfinished], answered: Answered, job: Job) -> int:
    """Write what was answered, with the last piece first what belongs to the whole file; returns how many rows."""
    each = waiting[answered.piece.file]
    rows = {number: row for number, row in answered.rows.items() if each.misses(number)}
    each.rows |= rows
    each.pages |= answered.pages
    if len(each.rows) == each.count and (failure := finish(waiting.pop(each.file), job)):
        rows[max(rows)].setdefault(ERROR, failure)
    append(job.results, rows.values())
    return len(rows)


def finish(whole: Unfinished, job: Job) -> str | None:
    """Write what belongs to a whole file: ALTO and a copy in the folder of its class; returns why there is no copy."""
    if job.alto and any(page.lines for page in whole.pages.values()):
        pages = [whole.pages[number] for number in sorted(whole.pages)]
        content = to_alto(pages, recogniser_of(job.bundle).description.labels, whole.file.name)
        (job.alto / f"{whole.name}.xml").write_bytes(content)
    return copy(whole, job.copies) if job.copies else None


def copy(whole: Unfinished, copies: Path) -> str | None:
    """Copy a file into the folder of its class; returns what went wrong, which must not end the run for all others."""
    target = copies / folder_of(whole.rows.values())
    try:
        if whole.file.is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(whole.file, target / whole.name)
    except OSError as error:
        return f"the file could not be copied: {error}; mend that and start the same command again"
    return None


def answer_piece(piece: Piece, job: Job) -> Answered:
    """Answer for each page of a piece; one that cannot be read has its error as its row."""
    answered = Answered(piece, {}, {})
    readers = readers_of(recogniser_of(job.bundle), recogniser_of(job.page_bundle))
    for number, image in read_pages(piece, job.limits):
        about: Row = {"file": str(piece.file), "page": number}
        if not isinstance(image, Image):
            answered.rows[number] = {**about, "error": str(image)}
            continue
        fields, page = answer_page(image, readers)
        answered.rows[number] = {**about, **fields}
        if page:
            draw(image, page, readers.labels, job, f"{piece.name}-{number:04d}.png")
        if job.alto:
            empty = Page(*image.size, 0, 0.0, (), None, 0.0, {}, mixed=False, shares={}, counts={})
            answered.pages[number] = page or empty  # which keeps its number among the pages of its file
    return answered


def read_pages(piece: Piece, limits: PageLimits) -> Iterator[tuple[int, Image | Exception]]:
    """The number of each page of a piece with its image, or with what is wrong with it."""
    number = piece.pages.start
    while number in piece.pages:
        try:
            with closing(pages_of(piece.file.read_bytes(), limits, number)) as images:
                for image in images:
                    yield number, image
                    number += 1
                    if number not in piece.pages:
                        return
            yield number, UnreadableImageError(f"the file has no page {number}; save it anew")
        except (InputError, OSError) as error:
            yield number, error
        number += 1


@cache
def recogniser_of(bundle: Path) -> Recogniser:
    """A recogniser of this process, loaded once; more processes, not threads, make it faster."""
    return Recogniser.load(bundle, threads=1)


def readers_of(lines: Recogniser, places: Recogniser) -> Readers:
    """What reads pages, of the recogniser of lines and that which tells where they are."""
    about = lines.description
    return Readers(lines.predict, places.places, about.labels, places.description.labels, about.uncertain_below)


def answer_page(image: Image, readers: Readers) -> tuple[Row, Page | None]:
    """The row of one page, and the page unless it is a single line or bears no text."""
    size = {"width": image.width, "height": image.height}
    try:
        prediction, page = recognise_anything(image, readers)
    except NoTextError:
        return {**size, "predicted_class": None, "confidence": 0.0}, None
    row: Row = {**size, "predicted_class": prediction.label, "confidence": round(prediction.confidence, 4)}
    row["uncertain"] = prediction.uncertain
    if page:
        row |= {"orientation": page.orientation, "skew": page.skew, "mixed": page.mixed}
        row |= {f"{label}_ratio": round(page.shares[label], 4) for label in readers.labels}
        row |= {f"{label}_lines": page.counts[label] for label in readers.labels}
    return row, page


def draw(image: Image, page: Page, labels: Sequence[str], job: Job, name: str) -> None:
    """Write the overlay of a page if overlays are wanted."""
    if job.overlays:
        overlay(image, page, labels).save(job.overlays / name, compress_level=3)


def folder_of(rows: Collection[Row]) -> str:
    """The folder that a file is copied into: that of its class; one whose pages differ is mixed.

    Pages that are empty or could not be read count only where there are no others.
    """
    found = {class_of(row) for row in rows}
    classes = found - {NO_TEXT, ERROR} or found - {NO_TEXT} or {NO_TEXT}
    return (classes.pop() if len(classes) == 1 else MIXED).replace(" ", "_")


def class_of(row: Row) -> str:
    """The class of a page by its row."""
    if "error" in row:
        return ERROR
    return MIXED if row.get("mixed") else row["predicted_class"] or NO_TEXT
