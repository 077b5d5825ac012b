"""Rendered lines of both classes, so that tests, notebooks and a first trial need no download.

    python -m app.data.synthetic --lines 200 --name synthetic       fonts: handwritten and printed lines
    python -m app.data.synthetic --lines 200 --other-scripts --name scripts         fonts of other scripts than Latin
    python -m app.data.synthetic --lines 200 --glyphs DIR           characters: words of one hand's single letters

Owns the composition of a line with its surroundings and the two data sets. The font of a line is in one split only,
but with `--for-training` (fragments of the other class at its edge are in training fonts). DIR holds parquet files of
each split with `image` (white on black), `label`, `source`, `writer`. Everything follows from `--seed`, other
scripts also from whether there is FriBiDi. Rendered handwriting supplements real samples: never test on it alone.
"""

import argparse
import hashlib
import io
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from app.config import read_settings
from app.data import paper
from app.data.drawing import UNIT, Glyphs, Line, draw_font, draw_glyphs, stamp
from app.data.hands import Hands, read_hands
from app.data.manifest import Sample, split_of, summary, write_manifest
from app.data.scripts import rewrite
from app.data.texts import make_text
from app.data.typefaces import (
    LATIN,
    LEFT_OUT,
    check_fonts,
    family,
    fonts_of,
    joins_letters,
    other_scripts,
    pick_font,
    pick_script,
    script_of,
    scripts_named,
)
from app.errors import PenPressError

Random = np.random.Generator
Draw = Callable[[Random, str], Line]
LONGEST = 60  # characters in a line
INKS = {"handwritten": paper.PEN, "printed": paper.PRESS}
WOBBLE = {"handwritten": (0.02, 0.075), "printed": (0.0, 0.012)}
NEIGHBOUR, FOREIGN_NEIGHBOUR = 0.6, 0.12


def render_line(random: Random, label: str, font: Path | None = None) -> Image.Image:
    """Render one line of a class (`handwritten` or `printed`) as an RGB image, by default in any of its fonts."""
    fonts = fonts_of(label) if font is None else [font]
    chosen = fonts[int(random.integers(len(fonts)))]
    return _compose(random, lambda stream, text: _draw(stream, text, chosen, label), label)


def _draw(random: Random, text: str, font: Path, label: str) -> Line:
    """Draw *text* with *font*, in the font's script."""
    script = script_of(font)
    return draw_font(random, text if script == LATIN else rewrite(random, text, script), font, label)


def compose_words(random: Random, glyphs: Glyphs) -> Image.Image:
    """Write a line with single characters of one hand (white on black, by character) as dark strokes on paper.

    Raises DataError when *glyphs* holds fewer than five letters and digits.
    """
    return _compose(random, lambda stream, text: draw_glyphs(stream, text, glyphs), "handwritten")


def _compose(random: Random, draw: Draw, label: str) -> Image.Image:
    """Draw a text with its neighbours, lay it on ruled paper and photograph it."""
    ink = INKS[label]
    plane, baseline = _surround(random, draw, label)
    slope = float(np.clip(random.normal(0, 0.012), -0.05, 0.05))
    plane = paper.warp(plane, random, UNIT, random.uniform(*WOBBLE[label]), slope)
    coverage = paper.vary_strokes(plane, random, ink, UNIT) * paper.colour_density(random, ink, plane.shape, UNIT)
    sheet = paper.make_paper(random, plane.shape, UNIT)
    rules = paper.draw_rules(random, plane.shape, baseline, UNIT, slope) * np.float32(random.uniform(0.4, 1))
    colour = paper.RULES[int(random.integers(len(paper.RULES)))]
    sheet = paper.lay_ink(sheet, rules, colour)
    sheet = paper.lay_ink(sheet, coverage, paper.ink_colour(random, ink))
    return paper.photograph(sheet, random, float(np.exp(random.uniform(np.log(8.5), np.log(30)))) / UNIT)


def _surround(random: Random, draw: Draw, label: str) -> tuple[paper.Plane, int]:
    """Draw a line and cut it with a margin into which the lines above and below may reach; gives its baseline's row."""
    text = make_text(random)[:LONGEST].strip()
    line, base = draw(random, text)
    rows, columns = np.nonzero(line > 0.3)  # noqa: PLR2004  ink, not the soft edge of it
    if rows.size == 0:
        rows, columns = np.array([0, line.shape[0] - 1]), np.array([0, line.shape[1] - 1])
    height = int(rows.max() - rows.min()) + 1
    most = random.choice([0.15, 0.6], p=[0.4, 0.6])
    above, below = (round(value) for value in random.uniform(-0.05, most, 2) * height)
    left, right = (round(value) for value in random.uniform(0, most + 0.3, 2) * max(height, UNIT))
    size = max(UNIT, height + above + below), int(columns.max() - columns.min()) + 1 + left + right
    canvas = np.zeros(size, np.float32)
    baseline = base - int(rows.min()) + above
    stamp(canvas, line, above - int(rows.min()), left - int(columns.min()))
    pitch = round(UNIT * random.uniform(1.9, 3.6))
    for shift in (-pitch, pitch):
        if random.random() < NEIGHBOUR:
            other, other_base = _neighbour(random, draw, label)
            stamp(canvas, other, baseline + shift - other_base, -round(random.uniform(-0.3, 0.3) * size[1]))
    return canvas, baseline


def _neighbour(random: Random, draw: Draw, label: str) -> Line:
    """Draw another line, now and then of the other class, as on a form that is filled in."""
    text = make_text(random)[:LONGEST].strip()
    if random.random() < FOREIGN_NEIGHBOUR:
        other = "printed" if label == "handwritten" else "handwritten"
        return _draw(random, text, pick_font(random, other, "train"), other)
    return draw(random, text)


def write_synthetic(
    directory: Path, lines_per_class: int, seed: int = 0, *, scripts: Collection[str] = (), for_training: bool = False
) -> list[Sample]:
    """Render a data set of *lines_per_class* lines of each class into *directory*, with its manifest.

    With *scripts* they are in these, none in Latin. With *for_training* all are, in any of the fonts.
    """
    samples = []
    for label in INKS:
        for number in tqdm(range(lines_per_class), desc=label, unit=" lines"):
            key = f"{label}-{seed}-{number:06d}"
            random = _stream(key)
            split = "train" if for_training else split_of(key)
            fonts = None if for_training else split
            script = pick_script(random, fonts, scripts) if scripts else LATIN
            font = pick_font(random, label, fonts, script)
            source = f"synthetic-{family(font)}" if script == LATIN else f"synthetic-{script}-{family(font)}"
            samples.append(_store(directory, render_line(random, label, font), split, label, (key, source, source)))
    write_manifest(directory, samples)
    return samples


def write_composed(directory: Path, hands: dict[str, Hands], lines: int, seed: int = 0) -> list[Sample]:
    """Compose *lines* lines from *hands* (by split and name) into *directory*; a hand is one document."""
    samples = []
    for number in tqdm(range(lines), desc="words", unit=" lines"):
        key = f"words-{seed}-{number:06d}"
        random = _stream(key)
        split = split_of(key)
        if not hands.get(split):
            continue
        names = sorted(hands[split])
        hand = names[int(random.integers(len(names)))]
        image = compose_words(random, hands[split][hand])
        samples.append(
            _store(directory, image, split, "handwritten", (key, "characters", f"characters/{split}/{hand}"))
        )
    write_manifest(directory, samples)
    return samples


def _stream(key: str) -> Random:
    """The random numbers of one line, which depend on its key alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]))


def _store(directory: Path, image: Image.Image, split: str, label: str, names: tuple[str, str, str]) -> Sample:
    """Write one rendered image and describe it; *names* are its key, source and document."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    path = Path(split) / label / f"{names[0]}.jpg"
    (directory / path).parent.mkdir(parents=True, exist_ok=True)
    (directory / path).write_bytes(buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    return Sample(path.as_posix(), label, split, names[1], names[2], "", "", digest)


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """The options of the command line; what is of no use ends the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=200, help="lines of each class (default: 200)")
    parser.add_argument("--name", help="name of the data set (default: by the other options)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other lines")
    parser.add_argument("--datasets", type=Path, help="folder of the data sets (default: the setting)")
    parser.add_argument("--glyphs", type=Path, metavar="DIR", help="compose handwriting from the characters in DIR")
    parser.add_argument(
        "--other-scripts", nargs="*", choices=other_scripts(), help="lines in these scripts, or in all but Latin"
    )
    parser.add_argument("--for-training", action="store_true", help="every line for training, in any font")
    options = parser.parse_args(arguments)
    options.other_scripts = scripts_named(options.other_scripts)
    if options.glyphs and (options.other_scripts or options.for_training):
        parser.error(
            "--other-scripts and --for-training are of no use with --glyphs: letters and splits are those of DIR"
        )
    return options


def usual_name(options: argparse.Namespace) -> str:
    """A name for what is drawn, another one for each kind, so that none takes the place of another."""
    if options.glyphs:
        return "characters_words"
    scripts = options.other_scripts
    named = ("scripts",) if scripts == scripts_named([]) else scripts
    return "_".join(("synthetic", *named, *(("training",) if options.for_training else ())))


def main(arguments: list[str] | None = None) -> int:
    """Render a data set from the command line."""
    options = read_options(arguments)
    if options.other_scripts and not joins_letters():
        sys.stderr.write(LEFT_OUT)
    directory = (options.datasets or read_settings().datasets) / (options.name or usual_name(options))
    try:
        check_fonts(options.other_scripts, for_training=options.for_training)
        if options.glyphs:
            samples = write_composed(directory, read_hands(options.glyphs), options.lines, options.seed)
        else:
            samples = write_synthetic(
                directory,
                options.lines,
                options.seed,
                scripts=options.other_scripts,
                for_training=options.for_training,
            )
    except PenPressError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{summary(samples)}\n{len(samples)} samples in {directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
