"""Loads a running service with images and tells how fast it answers.

    python -m benchmarks.load --requests 2000 --concurrency 8 --url http://127.0.0.1:9000
    python -m benchmarks.load --images scans/ --requests 500

Sends rendered lines, or the files of a folder, over as many connections as there are callers. Speaks HTTP by hand: a
client library would take more of the processors than the service does. Every answer is also in the prediction log.
"""

import argparse
import io
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import numpy as np
from tqdm import tqdm

from app.data.synthetic import render_line
from app.tasks import DOCUMENT_TYPE

BOUNDARY = "penpress-benchmark"
PAUSE, REFUSED_SECONDS = threading.Event(), 0.1  # less than the `Retry-After` of a service that has too much to do
Address = tuple[str, int]


@dataclass
class Load:
    """What came of a load: its seconds in all, of each answer, of those with 200, and how many had which status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def throughput(self) -> float:
        """Answers with status 200 in a second."""
        return self.statuses[200] / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that this percentage of the requests kept under."""
        return float(np.percentile(self.latencies, share)) * 1000


def rendered(count: int, seed: int = 0) -> list[bytes]:
    """Render *count* lines, of each class in turn, as JPEG."""
    random = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        buffer = io.BytesIO()
        image = render_line(random, DOCUMENT_TYPE.labels[number % len(DOCUMENT_TYPE.labels)])
        image.save(buffer, "JPEG", quality=90)
        lines.append(buffer.getvalue())
    return lines


def request_of(image: bytes, path: str = "/predict/") -> bytes:
    """The whole HTTP request that sends an image."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="line.jpg"\r\n'
    body = f"{part}Content-Type: image/jpeg\r\n\r\n".encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    head = f"POST {path} HTTP/1.1\r\nHost: benchmark\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def connect(address: Address) -> socket.socket:
    """Open a connection that does not wait to fill its packets."""
    connection = socket.create_connection(address, timeout=120)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send a request and read its answer: status and body; raises ConnectionError when the other side hangs up."""
    connection.sendall(request)
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += more_of(connection)
    head = received[:end].decode("latin-1").lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    while len(received) < end + 4 + length:
        received += more_of(connection)
    return int(head[9:12]), received[end + 4 :]


def more_of(connection: socket.socket) -> bytes:
    """The next bytes of an answer."""
    if not (found := connection.recv(65536)):
        message = "the service has closed the connection"
        raise ConnectionError(message)
    return found


def send_all(address: Address, requests: Sequence[bytes], count: int, callers: int, about: str = "load") -> Load:
    """Send *count* requests, the given ones in turn, by *callers* that each wait for their answer before the next."""
    load, lock, numbers = Load(), threading.Lock(), iter(range(count))
    with tqdm(total=count, desc=about, unit="request", mininterval=1) as progress:

        def note(status: int, seconds: float) -> None:
            with lock:
                load.statuses[status] += 1
                load.latencies.append(seconds)
                if status == HTTPStatus.OK:
                    load.accepted.append(seconds)
                progress.update()

        def take() -> Iterator[int]:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                yield number

        threads = [threading.Thread(target=call, args=(address, requests, take(), note)) for _ in range(callers)]
        start = perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        load.seconds = perf_counter() - start
    return load


def call(
    address: Address, requests: Sequence[bytes], numbers: Iterator[int], note: Callable[[int, float], None]
) -> None:
    """One caller: a connection, and a request after the other; a refused one comes back on a new connection."""
    connection = connect(address)
    for number in numbers:
        start = perf_counter()
        try:
            status, _ = exchange(connection, requests[number % len(requests)])
        except OSError:  # a service that refuses a body unread may hang up; it counts as 0
            status = 0
        note(status, perf_counter() - start)
        if status != HTTPStatus.OK:
            if status == HTTPStatus.SERVICE_UNAVAILABLE:
                PAUSE.wait(REFUSED_SECONDS)
            connection.close()
            connection = connect(address)
    connection.close()


def report(load: Load) -> str:
    """The figures of a load as text."""
    statuses = ", ".join(f"{count} x {status or 'hung up'}" for status, count in sorted(load.statuses.items()))
    shares = "  ".join(f"p{share} {load.percentile(share):.1f} ms" for share in (50, 90, 95, 99, 100))
    return f"{load.throughput:.1f} answers a second\n{shares}\nstatuses: {statuses}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Load a service from the command line; returns 1 when a request was not answered with 200."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000, help="how many in all (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=4, help="callers at once (default: %(default)s)")
    parser.add_argument("--url", default="http://127.0.0.1:9000", help="where the service is (default: %(default)s)")
    parser.add_argument("--images", type=Path, help="folder of images to send instead of rendered lines")
    options = parser.parse_args(arguments)
    files = sorted(path for path in options.images.iterdir() if path.is_file()) if options.images else []
    requests = [request_of(image) for image in ([path.read_bytes() for path in files] or rendered(64))]
    address = urlsplit(options.url)
    load = send_all((address.hostname or "", address.port or 80), requests, options.requests, options.concurrency)
    sys.stdout.write(report(load))
    return 0 if set(load.statuses) == {200} else 1


if __name__ == "__main__":
    sys.exit(main())
