"""Sends many images of varied sizes and formats to a service that it starts, and watches the memory of its process.

    python -m benchmarks.soak --requests 20000

Prints the memory after the first tenth and at the end. The exit code is 1 when it has grown by more than 5 %, or when
a request was not answered.
"""

import argparse
import io
import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from app.data.synthetic import render_line
from app.tasks import DOCUMENT_TYPE
from app.webservice.workers import processors
from benchmarks.load import report, request_of, send_all
from benchmarks.started import service

GROWTH = 1.05
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
MODES = ("RGB", "L", "1", "P")
ANY_MODE = {"PNG", "TIFF", "GIF"}


def varied(count: int) -> list[bytes]:
    """Rendered lines of a tenth to three times their size, in every format and several modes."""
    random = np.random.default_rng(0)
    images = []
    for number in range(count):
        line = render_line(random, DOCUMENT_TYPE.labels[number % len(DOCUMENT_TYPE.labels)])
        scale = float(random.uniform(0.1, 3))
        resized = line.resize((max(1, round(line.width * scale)), max(1, round(line.height * scale))))
        images.append(encoded(resized, FORMATS[number % len(FORMATS)], MODES[number // len(FORMATS) % len(MODES)]))
    return images


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
    options = parser.parse_args(arguments)
    requests = [request_of(image) for image in varied(options.images)]
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
