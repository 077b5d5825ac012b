"""Answers for image files without the service: `python -m app.inference.inference_onnx FILE|FOLDER... [--json]`.

Uses the bundle that ships with the project, or any other with `--bundle`. As in the service, the main task takes lines
and whole pages, of a file with several the first; other tasks take an image for what they recognise. Prints a table, or
with `--json` one JSON object a line. Folders are searched with all below them. A file that cannot be read is reported
and the others are answered; the exit code is then 1. Nothing is written to the prediction log. `--show-steps steps.png`
draws what the network sees, and how it comes to that. `--text` reads hand-printed text sign by sign, as
`/predict/text/` does.

    python -m app.inference.inference_onnx FOLDER --out results.csv --overlay DIR --alto DIR --copy-to DIR

With `--out`, documents are analysed page by page: images, TIFF and PDF files. The results are a table (`.csv`, or
`.parquet` where pyarrow is installed) or one JSON object a line (`.jsonl`); `--copy-to` sorts the files into folders by
their class. An interrupted run goes on where it was when it is started again. What lies where the command itself writes
is left out of the folders that are searched.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from tqdm import tqdm

from app.config import read_settings
from app.errors import BundleError, InputError
from app.inference.documents import ERROR, MIXED, Job, readers_of, run
from app.inference.options import read_options
from app.inference.paths import SUFFIXES, find_files, make_room
from app.inference.recogniser import Recogniser
from app.inference.results import ODD_NAMES, write_table
from app.pages import Page, PageLimits, first_page, recognise_anything
from app.preprocess import read_image, trace
from app.tasks import DEFAULT, OF_PLACES, OF_SIGNS, Prediction
from app.text import ReadSign, Text, box_around, read_text

Read = Callable[[bytes], tuple[Prediction | Text, Page | None]]
MOST_SHOWN, CELL, GAP = 50, (260, 132), 4  # of the picture of the steps: files, pixels of a cell and between cells
PDF = frozenset({".pdf"})
INTERRUPTED = 130  # the exit code that shells give what Ctrl+C ended


@dataclass(frozen=True)
class Result:
    """The answer for one file with the milliseconds for reading and recognising it, or the error."""

    file: str
    milliseconds: float
    answer: Prediction | Text | None = None
    page: Page | None = None
    error: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer for the files named on the command line; returns 0, 1 when a file failed, 2 without a bundle.

    It is 2, too, when something cannot be written, and 130 when it is interrupted.
    """
    options = read_options(arguments, __doc__)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=ODD_NAMES)
    try:
        return answer_all(options)
    except (BundleError, InputError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def answer_all(options: argparse.Namespace) -> int:
    """Answer for the files that the options name; returns 0, or 1 when a file failed or a folder held none."""
    settings = read_settings()
    bundle = options.bundle or settings.embedded / (OF_SIGNS if options.text else options.task)
    limits = PageLimits(options.max_pages, settings.max_pixels)
    recogniser = Recogniser.load(bundle, settings.inference_threads)
    recogniser.check_probes(bundle)  # warms up too, so that the first image's milliseconds are like the others'
    main_task = recogniser.description.task == DEFAULT
    if options.out and not main_task:
        message = f"--out analyses pages, which is for {DEFAULT}, not {recogniser.description.task}; leave it out"
        raise InputError(message)
    written = (options.overlay, options.alto, options.copy_to, options.show_steps)
    files, empty = find_files(options.paths, SUFFIXES | PDF if main_task else SUFFIXES, written)
    for folder in empty:
        sys.stderr.write(f"no images were found in {folder}, leaving out what this command writes; name another\n")
    if not files:
        return 1
    if options.out:
        failed = answer_documents(options, files, bundle, limits)
    else:
        failed = answer_images(options, files, recogniser, limits)
    return failed or int(bool(empty))


def answer_images(
    options: argparse.Namespace, files: Sequence[Path], recogniser: Recogniser, limits: PageLimits
) -> int:
    """Print the answer for each file, and draw the steps if wanted; returns 0, 1 when a file failed."""
    show = as_json if options.json else as_row
    failed = 0
    for result in answer(reading(recogniser, options, limits), files):
        failed += result.answer is None
        with tqdm.external_write_mode():
            sys.stdout.write(show(result) + "\n")
    if options.show_steps:
        try:
            draw_steps(recogniser, files, limits).save(options.show_steps)
        except OSError as error:
            message = f"{options.show_steps} cannot be written: {error}; name another file with --show-steps"
            raise InputError(message) from error
    if failed:
        sys.stderr.write(f"{failed} of {len(files)} files could not be answered\n")
    return 1 if failed else 0


def answer_documents(options: argparse.Namespace, files: Iterable[Path], bundle: Path, limits: PageLimits) -> int:
    """Analyse documents into the files that `--out` and its companions name; returns 0, 1 when a file failed.

    It is 2 when something could not be written.
    """
    results = options.out.with_suffix(".jsonl")
    page_bundle = read_settings().embedded / OF_PLACES
    job = Job(bundle, page_bundle, limits, results, options.overlay, options.alto, options.copy_to)
    make_room({options.out, results}, (job.overlays, job.alto, job.copies))
    once = list(dict.fromkeys(files))
    on = f"the same command goes on with what is not in {results} yet"
    try:
        counts = run(once, job, max(1, options.processes))
        if options.out != results:
            write_table(results, options.out)
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted; {on}\n")
        return INTERRUPTED
    except OSError as error:
        sys.stderr.write(f"{error}; mend that, then {on}\n")
        return 2
    summary = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    sys.stderr.write(f"{len(once)} files, pages by class: {summary}; see {options.out}\n")
    return 1 if counts[ERROR] else 0


def reading(recogniser: Recogniser, options: argparse.Namespace, limits: PageLimits) -> Read:
    """A function from the bytes of a file to its answer, and its page where it shows one."""
    if options.text:
        return lambda data: (read_text(read_image(data, limits.max_pixels), recogniser.predict), None)
    if recogniser.description.task != DEFAULT:
        return lambda data: (recogniser.predict([read_image(data, limits.max_pixels)])[0], None)
    settings = read_settings()
    readers = readers_of(recogniser, Recogniser.load(settings.embedded / OF_PLACES, settings.inference_threads))
    return lambda data: recognise_anything(first_page(data, limits), readers)


def answer(read: Read, files: Sequence[Path]) -> Iterator[Result]:
    """Answer file after file, with a progress bar on a terminal's standard error when there are several."""
    for file in tqdm(files, unit=" images", disable=None if len(files) > 1 else True):
        start = time.perf_counter()
        found, page, error = None, None, None
        try:
            found, page = read(file.read_bytes())
        except (InputError, OSError) as failure:
            error = str(failure)
        yield Result(str(file), round((time.perf_counter() - start) * 1000, 2), found, page, error)


def draw_steps(recogniser: Recogniser, files: Sequence[Path], limits: PageLimits) -> Image.Image:
    """A row for each of the first files that can be read: the image and what each step of preprocessing makes of it."""
    rows: list[list[Image.Image]] = []
    for file in files[:MOST_SHOWN]:
        with suppress(InputError, OSError):
            image = first_page(file.read_bytes(), limits)
            rows.append([Image.fromarray(pixels) for _, pixels in trace(image, recogniser.description.image)])
    width, height = CELL
    page = Image.new("RGB", (width * max(map(len, rows), default=1), height * max(1, len(rows))), "grey")
    for top, row in enumerate(rows):
        for left, stage in enumerate(row):
            page.paste(ImageOps.contain(stage, (width - GAP, height - GAP)), (left * width, top * height))
    return page


def as_row(result: Result) -> str:
    """A line of the table: answer, confidence, milliseconds, a mark when uncertain, the file; a text stands below."""
    found = result.answer
    if found is None:
        return f"{'ERROR':<14} {'':>8} {result.milliseconds:>9.2f} ms    {result.file}: {result.error}"
    said, below, uncertain = "text", "", False
    if isinstance(found, Text):
        below, uncertain = "".join(f"\n    {line}" for line in found.text.splitlines()), bool(found.reasons)
    else:
        said, uncertain = found.label, found.uncertain
        if result.page:
            said = MIXED if result.page.mixed else said
            below = f": a page, lines: {', '.join(f'{count} {name}' for name, count in result.page.counts.items())}"
    mark = "?" if uncertain else " "
    return f"{said:<14} {found.confidence:>8.4f} {result.milliseconds:>9.2f} ms  {mark} {result.file}{below}"


def as_json(result: Result) -> str:
    """A result as one line of JSON."""
    about = {"file": result.file, "milliseconds": result.milliseconds}
    if result.answer is None:
        return json.dumps(about | {"error": result.error}, ensure_ascii=False)
    fields = text_fields(result.answer) if isinstance(result.answer, Text) else asdict(result.answer)
    if page := result.page:
        fields |= {"mixed": page.mixed, "orientation": page.orientation, "lines": page.counts, "shares": page.shares}
    return json.dumps(about | fields, ensure_ascii=False)


def text_fields(text: Text) -> dict[str, Any]:
    """A text as the service answers it."""
    lines = [{"box": box_around(line), "characters": list(map(sign_fields, line))} for line in text.lines]
    about = {"text": text.text, "confidence": text.confidence, "uncertain": bool(text.reasons)}
    return about | {"reasons": text.reasons, "lines": lines}


def sign_fields(read: ReadSign) -> dict[str, Any]:
    """One sign of a text as the service answers it."""
    said = read.prediction
    sure = {"confidence": said.confidence, "uncertain": said.uncertain}
    return {"character": said.label, **sure, "box": read.sign.box}


if __name__ == "__main__":
    sys.exit(main())
