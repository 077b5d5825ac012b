"""How well text is read sign by sign: words composed of single characters, with segmentation apart from recognition.

    python -m benchmarks.text_accuracy --data characters --words 300

Words are put together of the characters of a data set's test split, in the sizes and at the heights that they have in
a line. A word is segmented rightly when each of its signs has one box that fits; recognition is measured on those words
alone. The composed words are neater than most handwriting, so read the figures as bounds.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.config import Settings
from app.inference.recogniser import Recogniser
from app.tasks import OF_SIGNS, TASKS
from app.text import Text, read_text
from app.training.dataset import Item, choose, load_items

WORDS = """
the and for that with have this from they Berlin Paris London Monday street house number 1945 2024 12:30 a+b=c
total 3.50 yes, no; (see) page #7 Dr. Smith 50% e-mail form [x] name: date: quick brown fox jumps over lazy dog!
"""
LOW, DEEP, MIDDLE = set("acemnorsuvwxz"), set("gjpqy,;"), set("-=~+")
INK = 100  # grey value
HEIGHT = 60  # pixels of a tall sign
SMALL = 0.62  # of it, that small letters have


@dataclass(frozen=True)
class Word:
    """A composed word, its text, and the box of each sign."""

    image: Image.Image
    text: str
    boxes: list[tuple[int, int, int, int]]


def compose(text: str, items: dict[str, list[Item]], random: np.random.Generator) -> Word:
    """Put a word together of random samples of its characters."""
    canvas = np.full((3 * HEIGHT, len(text) * 2 * HEIGHT), 255, np.uint8)
    left, base, boxes = HEIGHT // 2, 2 * HEIGHT, []
    for letter in text:
        item = items[letter][int(random.integers(len(items[letter])))]
        ink, top = cut(np.asarray(item.read().convert("L")), letter, base)
        height, width = ink.shape
        window = canvas[top : top + height, left : left + width]
        np.minimum(window, 255 - ink, out=window)
        boxes.append((left, top, left + width, top + height))
        left += width + int(random.uniform(0.1, 0.3) * HEIGHT)
    return Word(Image.fromarray(canvas[:, : left + HEIGHT // 2]).convert("RGB"), text, boxes)


def cut(cell: NDArray[np.uint8], letter: str, base: int) -> tuple[NDArray[np.uint8], int]:
    """The ink of a character in its size, and the row where it begins in a line whose letters stand on *base*."""
    strong = (cell.astype(np.float32) * 255 / max(1, cell.max())).astype(np.uint8)
    large = cv2.resize(strong, None, fx=HEIGHT / 21, fy=HEIGHT / 21, interpolation=cv2.INTER_CUBIC)
    rows, columns = (np.flatnonzero((large > INK).any(axis=axis)) for axis in (1, 0))
    ink = np.asarray(large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.uint8)
    if max(ink.shape) < 0.3 * HEIGHT:
        return ink, base - large.shape[0] + round(0.13 * HEIGHT) + int(rows[0])
    if letter in LOW:
        ink = np.asarray(cv2.resize(ink, None, fx=SMALL, fy=SMALL, interpolation=cv2.INTER_AREA), np.uint8)
    raised = HEIGHT // 2 - ink.shape[0] // 2 if letter in MIDDLE else -int(0.3 * HEIGHT) if letter in DEEP else 0
    return ink, base - raised - ink.shape[0]


def is_segmented(word: Word, text: Text) -> bool:
    """Whether every sign of the word has one box that fits, in order."""
    found = [each.sign.box for each in text.signs]
    return len(found) == len(word.boxes) and all(fits(*pair) for pair in zip(word.boxes, found, strict=True))


def fits(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two boxes share half of the width that they cover together."""
    return min(one[2], other[2]) - max(one[0], other[0]) >= (max(one[2], other[2]) - min(one[0], other[0])) / 2


def labels_of(text: Text) -> list[str]:
    """What the signs of a text were taken for."""
    return [each.prediction.label for each in text.signs]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compose, read, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="characters", help="data set of single characters (default: %(default)s)")
    parser.add_argument("--source", default="unipen", help="the source that is used (default: %(default)s)")
    parser.add_argument("--words", type=int, default=300, help="how many words (default: %(default)s)")
    options = parser.parse_args(arguments)
    settings, task = Settings(), TASKS[OF_SIGNS]
    items: dict[str, list[Item]] = defaultdict(list)
    for item in choose(load_items(settings.datasets, task, [options.data]), "test"):
        if item.sample.source == options.source:
            items[item.label].append(item)
    recogniser, random = Recogniser.load(settings.embedded / task.name, threads=1), np.random.default_rng(0)
    known = [word for word in WORDS.split() if all(items[letter] for letter in word)]
    words = [compose(known[number % len(known)], items, random) for number in range(options.words)]
    texts = [read_text(word.image, recogniser.predict) for word in words]
    whole = [(word.text, text) for word, text in zip(words, texts, strict=True) if is_segmented(word, text)]
    pairs = [pair for word, text in whole for pair in zip(word, labels_of(text), strict=True)]
    groups = [set(group) for group in task.alike]
    alike = [one == other or any({one, other} <= group for group in groups) for one, other in pairs]
    sys.stdout.write(
        f"words                                    {len(words)}\n"
        f"words segmented rightly                  {len(whole) / len(words):.4f}\n"
        f"signs in them recognised rightly         {np.mean([one == other for one, other in pairs]):.4f}\n"
        f"the same, case and look-alikes merged    {np.mean(alike):.4f}\n"
        f"words read without any error             "
        f"{np.mean([word.text == text.text for word, text in zip(words, texts, strict=True)]):.4f}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
