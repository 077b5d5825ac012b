"""Measures the service on this machine and prints a table of ratios, each from one run, side by side.

    python -m benchmarks.serving
    python -m benchmarks.serving --requests 64 --rounds 3 --workers 4
    python -m benchmarks.serving --python ../as-installed/.venv/bin/python

Starts the service itself, once with threads and once with processes that recognise, and the straightforward one of
`baseline.py`, on free ports of 127.0.0.1 with the shipped model, and sends rendered lines and a drawn photograph. Needs
no data, takes a few minutes, wants a machine that does nothing else.
"""

import argparse
import io
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from http import HTTPStatus
from time import perf_counter, process_time

import numpy as np
from PIL import Image
from tqdm import tqdm

from app.config import APP
from app.data.documents import draw_document
from app.inference.recogniser import Recogniser
from app.preprocess import read_image
from app.tasks import DOCUMENT_TYPE
from app.webservice.workers import processors
from benchmarks.load import connect, exchange, rendered, request_of, send_all
from benchmarks.started import PAUSE, Started, baseline, service, settle

LINES = 64
PHONE = (4284, 5712)  # pixels of a camera of 24 megapixels
GRAIN, GRAIN_SHARE = 10.0, 0.2  # deviation of its grey values, and how much of it is blended in
A4 = (1654, 2339)  # pixels at 200 dpi
REDUCED = (1071, 1428)  # a quarter of its sides: what a decoder may give for a network that sees 64 x 512 pixels
BUNDLE = APP / "inference" / "embedded" / DOCUMENT_TYPE.name
REST_SECONDS = 10.0  # after which a service has given back what its start took
_loaded: list[Recogniser] = []


def recognise(images: Sequence[bytes]) -> int:
    """Read and recognise images one by one in this process, as the service does; the model is loaded only once."""
    if not _loaded:
        _loaded.append(Recogniser.load(BUNDLE, threads=1))
    for image in images:
        _loaded[0].predict([read_image(image)])
    return len(images)


def raw_throughput(pool: ProcessPoolExecutor, images: Sequence[bytes], count: int) -> float:
    """Images in a second of a bare loop in one process for each processor: nothing in Python is faster."""
    share = [images[number % len(images)] for number in range(count // processors())]
    start = perf_counter()
    done = sum(pool.map(recognise, [share] * processors()))
    return done / (perf_counter() - start)


def throughputs(services: Sequence[Started], images: Sequence[bytes], options: argparse.Namespace) -> list[float]:
    """What the services reach, which are ours with threads, ours with processes, and the straightforward one.

    These are: the share of the raw limit with threads and with processes, the multiple of the straightforward service
    with threads, that of threads with processes, and the callers' share of the time. Medians over interleaved rounds:
    many short ones, since other work on the machine comes and goes. The callers compute on the same processors, which
    the raw limit has for itself.
    """
    requests, found = [request_of(image) for image in images], []
    with ProcessPoolExecutor(processors()) as pool:
        raw_throughput(pool, images, LINES)
        for _ in range(options.rounds):
            raw = raw_throughput(pool, images, options.requests)
            start = process_time()
            loads = [send_all(each.address, requests, options.requests, 4 * processors()) for each in services]
            callers = (process_time() - start) / (sum(load.seconds for load in loads) * processors())
            threads, processes, naive = (load.throughput for load in loads)
            found.append((threads / raw, processes / raw, threads / naive, processes / threads, callers))
    return [statistics.median(values) for values in zip(*found, strict=True)]


def one_caller(ours: Started, images: Sequence[bytes], count: int) -> tuple[float, float]:
    """Median milliseconds of an answer, and of the recogniser alone for the same images in turn."""
    answers, alone = [], []
    with connect(ours.address) as connection:
        for number in tqdm(range(count), desc="one caller", mininterval=1):
            image = images[number % len(images)]
            request = request_of(image)
            answers.append(milliseconds(lambda request=request: exchange(connection, request)))
            alone.append(milliseconds(lambda image=image: recognise([image])))
    return statistics.median(answers), statistics.median(alone)


def phone_picture() -> bytes:
    """A photograph of 24 megapixels of a handwritten note, with its grain, as a phone would send it."""
    note, _, _ = draw_document(np.random.default_rng(5), "note", "test", photo=True)
    sharp = note.resize(PHONE, Image.Resampling.BICUBIC)
    grain = Image.effect_noise(PHONE, GRAIN).convert("RGB")
    buffer = io.BytesIO()
    Image.blend(sharp, grain, GRAIN_SHARE).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def office_page() -> bytes:
    """A letter on A4, scanned at 200 dpi."""
    letter, _, _ = draw_document(np.random.default_rng(5), "letter", "test", photo=False)
    buffer = io.BytesIO()
    letter.resize(A4, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def reduced(data: bytes) -> None:
    """Decode a JPEG at reduced size, which is the least that an answer can take."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", REDUCED)
        image.load()


def beside(ours: Started, picture: bytes, decode: Callable[[bytes], object]) -> tuple[float, float]:
    """Median milliseconds of an answer for a picture, and how many times its decoding that is; nine of each in turn."""
    request, answers, decodes = request_of(picture), [], []
    with connect(ours.address) as connection:
        status, body = exchange(connection, request)
        if status != HTTPStatus.OK:
            message = f"a picture of {len(picture)} bytes got {status}: {body.decode()}"
            raise RuntimeError(message)
        for _ in range(9):
            answers.append(milliseconds(lambda: exchange(connection, request)))
            decodes.append(milliseconds(lambda: decode(picture)))
    return statistics.median(answers), statistics.median(answers) / statistics.median(decodes)


def overload(images: Sequence[bytes], count: int) -> float:
    """How much longer accepted requests take, at the 95th percentile, when four times as many come as the queue takes.

    The others are refused, and come back a tenth of a second later.
    """
    requests, limit = [request_of(image) for image in images], 2 * processors()
    with service(PENPRESS_MAX_PENDING_REQUESTS=str(limit)) as ours:
        settle(ours)
        within = send_all(ours.address, requests, count, limit, "as many as fit")
        beyond = send_all(ours.address, requests, 4 * count, 4 * limit, "four times as many")
    return float(np.percentile(beyond.accepted, 95) / np.percentile(within.accepted, 95))


def milliseconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    start = perf_counter()
    work()
    return (perf_counter() - start) * 1000


def measure(options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """All rows of the table: what, the figure, the goal."""
    images = rendered(LINES)
    with service(options.python) as ours:
        settle(ours)
        PAUSE.wait(REST_SECONDS)
        rest = ours.megabytes()  # before others are there, with whom it would share what it has of libraries
        with service(options.python, PENPRESS_WORKERS=str(options.workers)) as processes, baseline() as theirs:
            settle(processes)
            share, other_share, multiple, gain, callers = throughputs((ours, processes, theirs), images, options)
            _, big = beside(ours, phone_picture(), reduced)
            page, page_multiple = beside(ours, office_page(), read_image)
            alike = [("", ours), (f", {options.workers} processes", processes)]
            rows = [row for about, each in alike for row in compared(about, each, images, options)]
    kept = overload(images, options.requests)
    return [
        ("throughput over HTTP, as share of the raw limit", f"{share:.0%}", "at least 85 %"),
        (f"the same, {options.workers} processes", f"{other_share:.0%}", "at least 85 %"),
        ("throughput with processes, as multiple of that with threads", f"{gain:.2f}", ""),
        ("the callers' share of the processors meanwhile", f"{callers:.0%}", ""),
        ("throughput, as multiple of a straightforward service", f"{multiple:.2f}", "at least 2.5"),
        ("24-megapixel JPEG, as multiple of its reduced-size decode", f"{big:.2f}", "at most 3"),
        ("A4 page at 200 dpi, in seconds", f"{page / 1000:.2f}", "at most 0.5"),
        ("the same, as multiple of its decoding", f"{page_multiple:.1f}", ""),
        ("overload: p95 of accepted requests, as multiple of that at the limit of the queue", f"{kept:.2f}", "about 1"),
        ("memory at rest, in MB", f"{rest:.0f}", "at most 250"),
        *rows,
    ]


def compared(
    about: str, ours: Started, images: Sequence[bytes], options: argparse.Namespace
) -> list[tuple[str, str, str]]:
    """The rows that there are for threads and for processes alike."""
    answer, alone = one_caller(ours, images, options.requests)
    crowd = send_all(ours.address, list(map(request_of, images)), options.requests, 2 * processors(), "crowd")
    slow = crowd.percentile(95) / answer
    return [
        (f"one caller: milliseconds above the recogniser's own{about}", f"{answer - alone:.2f}", "at most 2"),
        (f"callers at twice the processors: p95 over one caller's median{about}", f"{slow:.2f}", "at most 3"),
        (f"start to ready, in seconds{about}", f"{ours.seconds:.2f}", "at most 3"),
        (f"memory after all this, in MB{about}", f"{ours.megabytes():.0f}", ""),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="in each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="of the throughputs (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=processors(), help="processes to compare with (default: %(default)s)"
    )
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="interpreter that runs the service, such as that of a copy in which only ./run_service.sh was run; it has "
        "the packages of the service alone (default: this one)",
    )
    rows = measure(parser.parse_args(arguments))
    sys.stdout.write("| what | measured | goal |\n|---|---:|---:|\n")
    sys.stdout.writelines(f"| {what} | {figure} | {goal} |\n" for what, figure, goal in rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
