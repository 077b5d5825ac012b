"""Measures a running service: sends the images of data sets to it and reports accuracy and calibration.

    python -m benchmarks.http_accuracy --data catmus pages --split test
    python -m benchmarks.http_accuracy --task digit --data mnist
    python -m benchmarks.http_accuracy --data my-letters --altered --url http://127.0.0.1:9000

Needs data sets under app/data/datasets and a service; the answers are also written to the service's prediction log.
"""

import argparse
import io
import sys
from collections.abc import Sequence

import httpx
from PIL.Image import Image

from app.config import read_settings
from app.evaluate import ALTERATIONS, Case, altered, evaluate
from app.tasks import DEFAULT, TASKS, Predict, Prediction
from app.training.dataset import choose, load_items
from app.training.judge import pick


def ask(client: httpx.Client, task: str) -> Predict:
    """What `evaluate` needs: answers for images, each fetched from the service as a lossless upload."""

    def predict(images: Sequence[Image]) -> list[Prediction]:
        return [answer(client, task, image) for image in images]

    return predict


def answer(client: httpx.Client, task: str, image: Image) -> Prediction:
    """Send one image and read the answer; raises httpx.HTTPStatusError when it is refused."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    path = "/predict/" if task == DEFAULT else f"/predict/{task}/"
    body = client.post(path, files={"file": ("image.png", buffer.getvalue())}).raise_for_status().json()
    return Prediction(body["predicted_class"], body["confidence"], body["probabilities"], body["uncertain"])


def measure(client: httpx.Client, task: str, name: str, cases: Sequence[Case]) -> None:
    """Report one set of cases as a line of the table."""
    report = evaluate(ask(client, task), cases, TASKS[task].labels, progress=name)
    worst = min(report.slices["source"].items(), key=lambda item: item[1].accuracy)
    sys.stdout.write(
        f"| {name} | {report.count} | {report.accuracy:.4f} | {report.ece:.4f} | {report.uncertain:.4f} "
        f"| {worst[0]} {worst[1].accuracy:.4f} |\n"
    )
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:9000", help="where the service is (default: %(default)s)")
    parser.add_argument("--task", default=DEFAULT, choices=TASKS, help="what is asked for (default: %(default)s)")
    parser.add_argument("--data", nargs="+", default=["catmus"], help="data sets (default: catmus)")
    parser.add_argument("--split", default="test", help="train, validation or test (default: %(default)s)")
    parser.add_argument("--images", type=int, default=100_000, help="at most so many of each data set")
    parser.add_argument("--altered", action="store_true", help="also on altered copies")
    options = parser.parse_args(arguments)
    sys.stdout.write(
        "| images of | count | accuracy | ECE | uncertain | worst source |\n|---|---:|---:|---:|---:|---|\n"
    )
    with httpx.Client(base_url=options.url, timeout=30) as client:
        for name in options.data:
            items = choose(load_items(read_settings().datasets, TASKS[options.task], [name]), options.split)
            cases = [item.case() for item in pick(items, options.images)]
            measure(client, options.task, name, cases)
            for alteration in ALTERATIONS if options.altered else ():
                measure(client, options.task, f"{name}, {alteration}", altered(cases, alteration))
    return 0


if __name__ == "__main__":
    sys.exit(main())
