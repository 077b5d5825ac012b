"""Measures how fast single signs are answered over HTTP, by a service on one processor core.

    python -m benchmarks.signs
    python -m benchmarks.signs --task character --requests 1000

Starts the service itself with the shipped model, once without and once with the mean over views of an image (test-time
augmentation), and sends drawn signs from one caller. Prints the medians, and beside them what the recogniser takes
alone. Needs no data, takes a minute.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from app.config import read_settings
from app.data.strokes import draw_character, hands
from app.inference.bundle import DESCRIPTION
from app.inference.recogniser import Recogniser
from app.preprocess import read_image
from app.tasks import TASKS
from benchmarks.load import connect, exchange, request_of
from benchmarks.started import service, settle

SIGNS = 50
VIEWS = {"off": "at most 5 for a digit", "on": "at most 20 for a digit"}


def drawn(labels: Sequence[str]) -> list[bytes]:
    """Signs of a task as PNG, drawn by several hands."""
    random, known, images = np.random.default_rng(0), hands(), []
    for number in range(SIGNS):
        buffer = io.BytesIO()
        canvas = draw_character(random, labels[number % len(labels)], known[number % len(known)])
        Image.fromarray(255 - canvas).save(buffer, "PNG")
        images.append(buffer.getvalue())
    return images


@contextmanager
def on_one_core() -> Iterator[None]:
    """What is started inside has one processor core."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def with_views(bundle: Path, views: str) -> Recogniser:
    """Change in a copy of a bundle whether its answers are means over views, those of its probes too, and open it."""
    file = bundle / DESCRIPTION
    description = json.loads(file.read_text("utf-8")) | {"views": views}
    file.write_text(json.dumps(description), "utf-8")
    recogniser = Recogniser.load(bundle, threads=1)
    for probe in description["probes"]:
        image = read_image((bundle / probe["file"]).read_bytes())
        probe["probabilities"] = recogniser.probabilities([image])[0].tolist()
    file.write_text(json.dumps(description), "utf-8")
    return recogniser


def measure(task: str, views: str, requests: int) -> tuple[float, float]:
    """Median milliseconds of an answer over HTTP, and of the recogniser alone for the same images in turn."""
    images, answers, alone = drawn(TASKS[task].labels), [], []
    with ExitStack() as stack:
        embedded = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "embedded"
        shutil.copytree(read_settings().embedded, embedded)
        recogniser = with_views(embedded / task, views)
        with on_one_core():
            ours = stack.enter_context(service(PENPRESS_EMBEDDED=str(embedded), PENPRESS_INFERENCE_THREADS="1"))
        settle(ours)
        connection = stack.enter_context(connect(ours.address))
        for number in range(requests):
            image = images[number % len(images)]
            request, start = request_of(image, f"/predict/{task}/"), perf_counter()
            status, body = exchange(connection, request)
            answers.append(perf_counter() - start)
            if status != HTTPStatus.OK:
                message = f"a drawn sign got {status}: {body.decode()}"
                raise RuntimeError(message)
            start = perf_counter()
            recogniser.predict([read_image(image)])
            alone.append(perf_counter() - start)
    return statistics.median(answers) * 1000, statistics.median(alone) * 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    signs = [name for name, task in TASKS.items() if not task.places and len(task.labels) > len(VIEWS)]
    parser.add_argument("--task", default=signs[0], choices=signs, help="whose signs (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=500, help="in each measurement (default: %(default)s)")
    options = parser.parse_args(arguments)
    sys.stdout.write("| views | ms over HTTP, median | ms of the recogniser alone | goal |\n|---|---:|---:|---|\n")
    for views, goal in VIEWS.items():
        answer, alone = measure(options.task, views, options.requests)
        sys.stdout.write(f"| {views} | {answer:.2f} | {alone:.2f} | {goal} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
