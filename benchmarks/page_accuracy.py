"""Measures the analysis of whole pages with known lines, by kind of page, by source, turned and altered.

    python -m benchmarks.page_accuracy --pages DIR --split test
    python -m benchmarks.page_accuracy --pages DIR --split test --turned --altered --bundle BUNDLE

DIR holds page images and `pages.jsonl` (see `benchmarks/judged_pages.py`). Uses the shipped bundles unless told others.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from app.config import read_settings
from app.data.manifest import SPLITS
from app.errors import NoTextError
from app.evaluate import metrics
from app.evaluate.alterations import black_and_white, grey, half_size, jpeg_30, shaken
from app.inference.documents import readers_of
from app.inference.recogniser import Recogniser
from app.pages import Page, analyse, recognise_anything
from app.tasks import DEFAULT, OF_PLACES, TASKS, Prediction
from benchmarks.judged_pages import Figures, Sample, class_of, judge, read_samples

Change = Callable[[Image.Image], Image.Image]
Route = Callable[[Image.Image], tuple[Prediction, Page | None]]
HEAD = (
    "| pages | count | page class | lines found, F1 | found and rightly classed, F1 | ECE of lines |\n"
    "|---|---:|---:|---:|---:|---:|\n"
)


def yellowed(image: Image.Image) -> Image.Image:
    """On yellowed paper."""
    return Image.fromarray((np.asarray(image) * np.array([0.95, 0.85, 0.62])).astype(np.uint8))


def shadowed(image: Image.Image) -> Image.Image:
    """With a shadow that falls across from one corner and takes half of the light."""
    y, x = np.mgrid[0 : image.height, 0 : image.width]
    light = 1 - 0.5 / (1 + np.exp((x / image.width + y / image.height - 1) * 12))
    return Image.fromarray((np.asarray(image) * light[..., None]).astype(np.uint8))


def blurred(image: Image.Image) -> Image.Image:
    """A little out of focus."""
    return image.filter(ImageFilter.GaussianBlur(1.5))


ALTERED: dict[str, Change] = {
    "JPEG 30": jpeg_30,
    "half size": half_size,
    "grey": grey,
    "yellowed": yellowed,
    "shadow across": shadowed,
    "blurred": blurred,
    "negative": ImageOps.invert,
    "black and white": black_and_white,
    "shaken": partial(shaken, length=7),
}
TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def row(name: str, figures: Figures) -> str:
    """A line of the table."""
    confidence, right = np.array(figures.confidences or [(0.0, 0.0)]).T
    ece = metrics.expected_calibration_error(right.astype(bool), confidence)
    return (
        f"| {name} | {figures.pages} | {figures.accuracy:.3f} | {figures.found_f1:.3f} | {figures.line_f1:.3f} "
        f"| {ece:.3f} |\n"
    )


def measure(samples: Sequence[Sample], analysis: Callable[[Image.Image], Page]) -> list[Page]:
    """Write the table of unaltered pages, the wrong ones, and the time; returns what was found."""
    groups: dict[str, Figures] = defaultdict(Figures)
    pages, wrong, reading, analysing = [], [], 0.0, 0.0
    for sample in samples:
        start = time.process_time()
        image = sample.read()
        reading += time.process_time() - start
        start = time.process_time()
        page = analysis(image)
        analysing += time.process_time() - start
        figures = judge(sample, image, page)
        for name in ("all", sample.label, sample.source):
            groups[name].add(figures)
        if class_of(page) != sample.label:
            wrong.append(f"{sample.path.name}: {sample.label}, answered {class_of(page)} {dict(page.counts)}\n")
        pages.append(page)
    sys.stdout.write(HEAD + "".join(row(name, figures) for name, figures in groups.items()))
    sys.stdout.write("\nPages with another class:\n" + "".join(wrong))
    count = max(1, len(samples))
    sys.stdout.write(
        f"\nProcessor time a page: {analysing / count:.3f} s, {analysing / reading:.1f} times that of decoding\n"
    )
    return pages


def measure_routed(samples: Sequence[Sample], route: Route) -> None:
    """Write how often `/predict/`, which has to tell pages from lines, gives the class of the page."""
    groups: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    wrong = []
    for sample in samples:
        answer, is_page = routed(sample.read(), route)
        for name in ("all", sample.label, sample.source):
            groups[name].append((answer == sample.label, is_page))
        if answer != sample.label:
            wrong.append(f"{sample.path.name}: {sample.label}, answered {answer}{'' if is_page else ' as a line'}\n")
    sys.stdout.write("\n| sent to `/predict/` | count | class | taken for a page |\n|---|---:|---:|---:|\n")
    for name, answers in groups.items():
        right, pages = np.mean(answers, axis=0)
        sys.stdout.write(f"| {name} | {len(answers)} | {right:.3f} | {pages:.3f} |\n")
    sys.stdout.write("\nAnswered with another class:\n" + "".join(wrong))


def routed(image: Image.Image, route: Route) -> tuple[str | None, bool]:
    """The class that `/predict/` answers, None for no text, and whether the image was taken for a page."""
    try:
        prediction, page = route(image)
    except NoTextError:
        return None, True
    return (class_of(page), True) if page else (prediction.label, False)


def measure_turned(samples: Sequence[Sample], pages: Sequence[Page], analysis: Callable[[Image.Image], Page]) -> None:
    """Write how often the class of a page stays when it is turned, and how often the turn is found."""
    sys.stdout.write("\n| turned by | class unchanged | turn found |\n|---|---:|---:|\n")
    for degrees, turn in TURNS.items():
        turned = [analysis(sample.read().transpose(turn)) for sample in samples]
        same = [class_of(a) == class_of(b) for a, b in zip(turned, pages, strict=True)]
        found = [(a.orientation - b.orientation + degrees) % 360 == 0 for a, b in zip(turned, pages, strict=True)]
        sys.stdout.write(f"| {degrees} | {np.mean(same):.3f} | {np.mean(found):.3f} |\n")
        sys.stdout.flush()


def scaled(sample: Sample, factor: float) -> Sample:
    """The same page in another size."""
    return replace(
        sample,
        lines=tuple(replace(line, box=tuple(round(factor * edge) for edge in line.box)) for line in sample.lines),
    )


def measure_altered(samples: Sequence[Sample], analysis: Callable[[Image.Image], Page]) -> None:
    """Write the table of altered copies; the known boxes shrink with the half-sized one."""
    sys.stdout.write("\n" + HEAD)
    for name, change in ALTERED.items():
        total = Figures()
        for sample in samples:
            whole = sample.read()
            image = change(whole)
            inked = whole.resize(image.size)  # the ink that is looked for in it is that of the page as it is
            total.add(judge(scaled(sample, image.width / whole.width), inked, analysis(image)))
        sys.stdout.write(row(name, total))
        sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, required=True, help="folder with pages.jsonl and the images")
    parser.add_argument("--split", choices=SPLITS, help="one of the splits (default: all)")
    parser.add_argument("--bundle", type=Path, help="another bundle than the shipped one")
    parser.add_argument("--page-bundle", type=Path, help="another bundle of the page network than the shipped one")
    parser.add_argument("--turned", action="store_true", help="also turned by 90, 180 and 270 degrees")
    parser.add_argument("--altered", action="store_true", help="also altered copies")
    options = parser.parse_args(arguments)
    bundle = options.bundle or read_settings().embedded / DEFAULT
    page_bundle = options.page_bundle or read_settings().embedded / OF_PLACES
    readers = readers_of(Recogniser.load(bundle, threads=1), Recogniser.load(page_bundle, threads=1))
    analysis = partial(analyse, readers=readers)
    samples = read_samples(options.pages, options.split, dict(TASKS[DEFAULT].same_as))
    pages = measure(samples, analysis)
    measure_routed(samples, partial(recognise_anything, readers=readers))
    if options.turned:
        measure_turned(samples, pages, analysis)
    if options.altered:
        measure_altered(samples, analysis)
    return 0


if __name__ == "__main__":
    sys.exit(main())
