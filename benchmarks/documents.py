"""Measures the command line on folders and long files: time, memory, and whether an interruption costs anything.

    python -m benchmarks.documents --processes 1 2
    python -m benchmarks.documents --paths scans/ --processes 2

Draws its own documents: a folder of rendered lines and pages, and a PDF. Each is answered in one go, and again with an
interruption (SIGINT) in the middle, after which the same command goes on. The memory is that of all processes together;
what several share counts once. The exit code is 1 when a row is missing or there twice.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import perf_counter

from PIL import Image

from app.data.documents import write_documents
from benchmarks.load import rendered
from benchmarks.started import family_of, megabytes_of

PAUSE, SECONDS = Event(), 0.05
INTERRUPTED = 130
HEAD = """| documents | pages | processes | seconds | of processors | pages/s | MB at most | interrupted | same rows |
|---|---:|---:|---:|---:|---:|---:|---|---|
"""


@dataclass
class Run:
    """What came of a run of the command line: its exit code, its time, that of processors, and its memory at most."""

    code: int
    seconds: float
    processor_seconds: float
    megabytes: float


def watched(command: Sequence[str], stop: Callable[[], bool] = lambda: False) -> Run:
    """Run a command and watch its memory; interrupt it and its children when *stop* says so."""
    start, most, before = perf_counter(), 0.0, processor_seconds()
    with subprocess.Popen(command, start_new_session=True) as process:  # noqa: S603 - our own
        while process.poll() is None:
            most = max(most, sum(map(megabytes_of, family_of(process.pid))))
            if stop():
                os.killpg(process.pid, signal.SIGINT)
                process.wait()
            PAUSE.wait(SECONDS)
    return Run(process.returncode, perf_counter() - start, processor_seconds() - before, most)


def processor_seconds() -> float:
    """What all processes that this one started and saw end have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def draw(folder: Path, lines: int, pages: int, pdf: int) -> list[Path]:
    """A folder of *lines* lines and *pages* pages, and a PDF of *pdf* pages; what is of no pages is left out."""
    images, scans = folder / "images", folder / "scans"
    images.mkdir()
    for number, content in enumerate(rendered(lines)):
        (images / f"line-{number:05d}.jpg").write_bytes(content)
    if pages:
        write_documents(images, pages)
    if pdf:
        write_documents(scans, pdf, seed=1)
        for number, file in enumerate(sorted(scans.glob("*.jpg"))):  # one by one, since together they are a gigabyte
            with Image.open(file) as image:
                image.save(folder / "scans.pdf", append=number > 0, resolution=200)
    return [*([images] if lines + pages else []), *([folder / "scans.pdf"] if pdf else [])]


def measure(path: Path, processes: int, folder: Path) -> tuple[str, bool]:
    """A line of the table for a folder or file, and whether all went well."""
    out, again = folder / f"{path.name}-{processes}.jsonl", folder / f"{path.name}-{processes}-again.jsonl"
    command = [sys.executable, "-m", "app.inference.inference_onnx", str(path), "--processes", str(processes), "--out"]
    whole = watched([*command, str(out)])
    rows = rows_of(out)
    stopped = watched([*command, str(again)], lambda: again.is_file() and 2 * rows_of(again).total() >= rows.total())
    left = rows_of(again).total()
    resumed = watched([*command, str(again)])
    ended_well = stopped.code in {whole.code, INTERRUPTED}
    if left == rows.total():  # it was done already, and the interpreter about to end, where a signal kills it
        ended_well = ended_well or stopped.code == -signal.SIGINT
    same = ended_well and rows_of(again) == rows
    cells = (
        path.name,
        rows.total(),
        processes,
        f"{whole.seconds:.1f}",
        f"{whole.processor_seconds:.1f}",
        f"{rows.total() / whole.seconds:.2f}",
        f"{whole.megabytes:.0f}",
        f"{left} in {stopped.seconds:.1f} s, the rest in {resumed.seconds:.1f} s",
        "yes" if same else "NO",
    )
    return f"| {' | '.join(map(str, cells))} |", same


def rows_of(results: Path) -> Counter[str]:
    """The rows of results, each with how often it is there."""
    return Counter(results.read_text(encoding="utf-8").splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", nargs="+", type=Path, help="folders and files to answer, instead of drawn ones")
    parser.add_argument("--lines", type=int, default=950, help="drawn lines in the folder (default: %(default)s)")
    parser.add_argument("--pages", type=int, default=50, help="drawn pages in the folder (default: %(default)s)")
    parser.add_argument("--pdf", type=int, default=200, help="pages of the PDF (default: %(default)s)")
    parser.add_argument("--processes", nargs="+", type=int, default=[1], help="how many at once (default: 1)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command would ignore it
    well = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = options.paths or draw(folder, options.lines, options.pages, options.pdf)
        sys.stdout.write(HEAD)
        for path in paths:
            for processes in options.processes:
                line, same = measure(path, processes, folder)
                well = well and same
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
