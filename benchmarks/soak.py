"""Sends many images of varied sizes and formats to a service that it starts, and watches the memory of its process.

    python -m benchmarks.soak --requests 20000
    python -m benchmarks.soak --requests 20000 --tasks digit character

The images are rendered lines, and single letters for tasks whose labels are single signs; the tasks take turns. Prints
the memory after the first tenth and at the end. The exit code is 1 when it has grown by more than 5 %, or when a
request was not answered.
"""

import argparse
import io
import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from app.data.drawing import draw_set
from app.data.synthetic import render_line
from app.data.typefaces import fonts_of
from app.tasks import DOCUMENT_TYPE, TASKS, Task
from app.webservice.workers import processors
from benchmarks.load import report, request_of, send_all
from benchmarks.started import service

GROWTH = 1.05
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
MODES = ("RGB", "L", "1", "P")
ANY_MODE = {"PNG", "TIFF", "GIF"}


def varied(count: int, task: Task) -> list[bytes]:
    """Images for a task of a tenth to three times their size, in every format and several modes."""
    random = np.random.default_rng(0)
    images = []
    for number in range(count):
        image = drawn(random, task, number)
        scale = float(random.uniform(0.1, 3))
        resized = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        images.append(encoded(resized, FORMATS[number % len(FORMATS)], MODES[number // len(FORMATS) % len(MODES)]))
    return images


def drawn(random: np.random.Generator, task: Task, number: int) -> Image.Image:
    """A rendered line, or one label in a font, dark on light, where all labels are single signs."""
    if max(map(len, task.labels)) > 1:
        return render_line(random, DOCUMENT_TYPE.labels[number % len(DOCUMENT_TYPE.labels)])
    fonts = fonts_of("handwritten")
    plane, _ = draw_set(task.labels[number % len(task.labels)], fonts[int(random.integers(len(fonts)))])
    return Image.fromarray((255 - 200 * np.pad(plane, 20)).astype(np.uint8)).convert("RGB")


def encoded(image: Image.Image, fmt: str, mode: str) -> bytes:
    """The bytes of an image in a format, and in the mode where the format has it."""
    buffer = io.BytesIO()
    (image.convert(mode) if fmt in ANY_MODE else image).save(buffer, fmt)
    return buffer.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="how many in all (default: %(default)s)")
    parser.add_argument("--images", type=int, default=240, help="different ones among them (default: %(default)s)")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS, help="who answers (default: all)")
    options = parser.parse_args(arguments)
    each = options.images // len(options.tasks)
    paths = [(f"/predict/{name}/", varied(each, TASKS[name])) for name in options.tasks]
    requests = [request_of(images[number], path) for number in range(each) for path, images in paths]
    first, callers = options.requests // 10, 2 * processors()
    with service() as started:
        before = send_all(started.address, requests, first, callers, "first tenth")
        early = started.megabytes()
        after = send_all(started.address, requests, options.requests - first, callers, "the rest")
        late = started.megabytes()
    sys.stdout.write(report(after))
    sys.stdout.write(f"memory: {early:.0f} MB after {first} requests, {late:.0f} MB at the end: {late / early:.3f}\n")
    return 0 if late <= early * GROWTH and set(before.statuses) == set(after.statuses) == {200} else 1


if __name__ == "__main__":
    sys.exit(main())
