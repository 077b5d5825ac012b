"""Bundled fonts: licences, splits, scripts; and texts in the script of a font."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from app.data import documents, synthetic
from app.data.drawing import draw_font, draw_set
from app.data.manifest import SPLITS, read_manifest
from app.data.scripts import DIGITS, WORDS, rewrite
from app.data.sheet import Sheet
from app.data.texts import make_text
from app.data.typefaces import (
    FOLDERS,
    FONTS,
    JOINED,
    LATIN,
    family,
    fonts_of,
    is_hand,
    joins_letters,
    script_of,
    scripts_of,
)
from app.errors import DataError

SCRIPTS = sorted(path.stem for path in WORDS.glob("*.txt"))


@pytest.mark.parametrize("script", [LATIN, *SCRIPTS])
@pytest.mark.parametrize("label", FOLDERS)
def test_every_font_has_its_licence_and_one_split(label: str, script: str) -> None:
    """Beside each family lies its licence; a font is in one split, with all its cuts."""
    fonts = fonts_of(label, script=script)
    for font in fonts:
        assert (font.parent / f"{family(font)}.LICENSE.txt").stat().st_size > 1000
        assert script_of(font) == script
    splits = [set(fonts_of(label, split, script)) for split in SPLITS]
    assert set.union(*splits) == set(fonts)
    assert sum(map(len, splits)) == len(fonts)


def test_a_family_is_in_one_split_in_all_scripts() -> None:
    """Digits and punctuation of a family are the same in each of its scripts."""
    scripts = [LATIN, *SCRIPTS]
    of_splits = [
        {family(font) for script in scripts for label in FOLDERS for font in fonts_of(label, split, script)}
        for split in SPLITS
    ]
    assert sum(map(len, of_splits)) == len(set.union(*of_splits))


@pytest.mark.parametrize("label", FOLDERS)
def test_every_split_has_latin_fonts(label: str) -> None:
    """Three families at least."""
    assert all(len({family(font) for font in fonts_of(label, split)}) >= 3 for split in SPLITS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_fonts_have_all_letters_of_their_script(script: str) -> None:
    """No word is drawn with the box that stands for a missing letter."""
    words = (WORDS / f"{script}.txt").read_text(encoding="utf-8")
    random = np.random.default_rng(8)
    drawn = "".join(rewrite(random, make_text(random), script) for _ in range(400))
    letters = set(words + words.upper() + DIGITS.get(script, "") + drawn)
    for font in fonts_of("handwritten", script=script) + fonts_of("printed", script=script):
        face = ImageFont.truetype(str(font), 40)
        missing = bytes(face.getmask("\uffff"))
        lacking = {letter for letter in letters if not letter.isspace() and bytes(face.getmask(letter)) == missing}
        assert lacking == set(), font


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_text_is_written_in_another_script(script: str) -> None:
    """Words are exchanged, numbers and punctuation stay, and nothing of Latin is left."""
    random = np.random.default_rng(1)
    words = (WORDS / f"{script}.txt").read_text(encoding="utf-8").split()
    texts = [rewrite(random, make_text(random), script) for _ in range(50)]
    assert not any(letter.isascii() and letter.isalpha() for text in texts for letter in text)
    written = rewrite(random, "Total: 19.50", script)
    apart = rewrite(random, "12 3456", script)
    assert len(apart.split()) == 2
    assert any(word in written for word in words)
    assert ":" in written
    own = str.maketrans(DIGITS.get(script, ""), "0123456789"[: len(DIGITS.get(script, ""))])
    assert written.translate(own).endswith("19.50")
    assert "0123456789"[3] in {letter for _ in range(20) for letter in rewrite(random, "3", script)}


def test_capitals_stay_where_there_are_any() -> None:
    """A word in capitals is exchanged for one in capitals."""
    assert rewrite(np.random.default_rng(2), "TOTAL AMOUNT!", "greek").isupper()


def test_a_hand_that_is_imitated_differs_from_print() -> None:
    """With a font of print a pen draws thinner, shaken strokes, and never the same twice."""
    script = scripts_of("train", SCRIPTS)[-1]
    font = fonts_of("printed", "train", script)[0]
    word = rewrite(np.random.default_rng(3), "word", script)
    press, _ = draw_font(np.random.default_rng(4), word, font, "printed")
    pens = [draw_font(np.random.default_rng(seed), word, font, "handwritten")[0] for seed in (4, 5)]
    assert not is_hand(font)
    assert all(pen.sum() < press.sum() for pen in pens)
    assert pens[0].shape != pens[1].shape or not np.array_equal(*pens)


def test_scripts_that_need_joining_are_left_out_where_it_is_not_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without FriBiDi the others are drawn, and both commands say what is missing; with it there are all."""
    assert set(JOINED) <= set(scripts_of("train", SCRIPTS)) or not joins_letters()
    monkeypatch.setattr("app.data.typefaces.features.check", lambda _: False)
    assert set(scripts_of("train", SCRIPTS)) == set(SCRIPTS) - set(JOINED)
    arguments = ["--other-scripts", "--lines", "4", "--datasets", str(tmp_path), "--name", "scripts"]
    assert synthetic.main(arguments) == 0
    assert "without arabic, bengali, devanagari, hebrew, tamil" in capsys.readouterr().err
    scripts = {sample.source.split("-")[1] for sample in read_manifest(tmp_path / "scripts")}
    assert scripts <= set(SCRIPTS) - set(JOINED)
    arguments = ["--other-scripts", "--out", str(tmp_path / "pages"), "--pages", "1", "--kinds", "sticky"]
    assert documents.main(arguments) == 0
    assert "libfribidi" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["letter", "form", "note", "typescript"])
def test_documents_are_drawn_in_other_scripts(kind: str) -> None:
    """They have lines of the classes that such a document has, and differ from one in Latin script."""
    material = documents.Material(other_scripts=tuple(SCRIPTS))
    image, label, lines = documents.draw_document(
        np.random.default_rng(6), kind, "train", photo=False, material=material
    )
    may_be = ("printed", "mixed")
    assert label in {"letter": may_be, "typescript": may_be, "form": ("mixed",), "note": ("handwritten",)}[kind]
    assert len(lines) > 3
    assert all(box[0] >= 0 and box[2] <= 1.02 * image.width for box in (line.box for line in lines))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_sheet_is_written_in_its_script(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both classes are drawn with fonts of the script, in its words, and no line goes beyond its room."""
    drawn: list[tuple[str, Path]] = []
    monkeypatch.setattr("app.data.sheet.draw_font", lambda *given: drawn.append(given[1:3]) or draw_font(*given))
    monkeypatch.setattr("app.data.sheet.draw_set", lambda *given: drawn.append(given) or draw_set(*given))
    sheet = Sheet(np.random.default_rng(7), (1200, 400), None, script=script)
    for label in FOLDERS:
        for base in (60, 160, 260, 360):
            end = sheet.write(sheet.hand(label, 12, 12), "some words of a text that is long", 20, base, 150)
            assert end <= 20 + 150 or len(drawn[-1][0].split()) == 1
    assert {script_of(font) for _, font in drawn} == {script}
    assert not any(letter.isascii() and letter.isalpha() for text, _ in drawn for letter in text)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (synthetic.main, ["--other-scripts", "--glyphs", "."]),
        (synthetic.main, ["--for-training", "--glyphs", "."]),
        (documents.main, ["--other-scripts", "--out", ".", "--lines", "."]),
    ],
)
def test_options_of_no_use_are_refused(
    command: Callable[[list[str]], int], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The letters of people, and lines of a data set, are not in other scripts, and have splits of their own."""
    with pytest.raises(SystemExit):
        command(arguments)
    assert "of no use with" in capsys.readouterr().err


def test_scripts_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then nothing is drawn in others; where one has no fonts for a split, nothing is written at all."""
    arguments = ["--other-scripts", "greek", "cyrillic", "--lines", "6", "--for-training", "--datasets", str(tmp_path)]
    assert synthetic.main(arguments) == 0
    drawn = read_manifest(tmp_path / "synthetic_greek_cyrillic_training")
    sources = {sample.source.split("-")[1] for sample in drawn}
    assert sources == {"greek", "cyrillic"}
    lacking = [script for script in SCRIPTS if any(not fonts_of("printed", split, script) for split in SPLITS)]
    assert lacking
    pages = tmp_path / "pages"
    arguments = ["--other-scripts", lacking[0], "--out", str(pages), "--pages", "2", "--kinds", "sticky"]
    assert documents.main(arguments) == 1
    assert f"no fonts can draw {lacking[0]}" in capsys.readouterr().err
    assert not pages.exists()
    assert documents.main([*arguments, "--for-training"]) == (0 if joins_letters() or lacking[0] not in JOINED else 1)


def test_with_all_fonts_everything_is_for_training(tmp_path: Path) -> None:
    """With `--for-training` no line and no document is in another split, whatever its font."""
    lines = ["--for-training", "--lines", "30", "--datasets", str(tmp_path)]
    assert synthetic.main(lines) == 0
    samples = read_manifest(tmp_path / "synthetic_training")
    assert {sample.split for sample in samples} == {"train"}
    kept_out = {family(font) for label in FOLDERS for split in SPLITS[1:] for font in fonts_of(label, split)}
    assert {sample.source.removeprefix("synthetic-") for sample in samples} & kept_out
    pages = ["--for-training", "--other-scripts", "--out", str(tmp_path / "pages"), "--pages", "8", "--kinds", "sticky"]
    assert documents.main(pages) == 0
    listing = (tmp_path / "pages" / "pages.jsonl").read_text(encoding="utf-8")
    assert {json.loads(line)["split"] for line in listing.splitlines()} == {"train"}


def test_a_missing_font_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its fonts the installation is incomplete, and says so."""
    monkeypatch.setattr("app.data.typefaces.FONTS", tmp_path)
    with pytest.raises(DataError, match="no fonts in"):
        fonts_of("printed")


def test_no_font_is_without_a_script() -> None:
    """Each folder of fonts is named like the words of its script."""
    folders = {path.name for folder in FOLDERS.values() for path in (FONTS / folder).iterdir() if path.is_dir()}
    assert folders <= set(SCRIPTS)
