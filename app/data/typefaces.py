"""The bundled fonts: of which class, which script and which split each is.

Latin fonts lie in `fonts/handwriting` and `fonts/print`, those of other scripts in a folder of their script there. A
family with all its cuts is in one split. Letters are drawn by `drawing`.
"""

from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import features

from app.data.manifest import SPLITS, stable_share
from app.data.texts import Random
from app.errors import DataError

FONTS = Path(__file__).parent / "fonts"
FOLDERS = {"handwritten": "handwriting", "printed": "print"}
LATIN = "latin"
JOINED = ("arabic", "bengali", "devanagari", "hebrew", "tamil")  # joined, or written from right to left
LEFT_OUT = f"note: without {', '.join(JOINED)}: Pillow finds no libfribidi (for instance: apt install libfribidi0)\n"


def fonts_of(label: str, split: str | None = None, script: str = LATIN) -> list[Path]:
    """The bundled font files of a class and a script, of all splits or of one.

    Other scripts than Latin have few handwriting fonts or none, so those of their print are given as well, for
    `drawing` to imitate a hand with.
    """
    pens = _files("printed", script) if label == "handwritten" and script != LATIN else []
    files = _files(label, script) + pens
    if not files:
        message = f"no fonts in {_folder(label, script)}; the installation is incomplete"
        raise DataError(message)
    return [file for file in files if split is None or _split_of(family(file)) == split]


def other_scripts() -> list[str]:
    """The scripts other than Latin that have fonts."""
    return sorted(path.name for path in (FONTS / FOLDERS["printed"]).iterdir() if path.is_dir())


def scripts_of(split: str | None, among: Collection[str]) -> list[str]:
    """Those *among* the scripts other than Latin that have fonts in a split (None: in any).

    Those of `JOINED` are among them only where Pillow `joins_letters`; raises DataError where none is left.
    """
    scripts = [script for script in other_scripts() if script in among]
    drawn = [script for script in scripts if script not in JOINED or joins_letters()]
    found = [script for script in drawn if fonts_of("printed", split, script)]
    if not found:
        message = (
            f"no fonts can draw {', '.join(among)} for {split or 'training'}; name more scripts, or draw --for-training"
        )
        raise DataError(message)
    return found


def scripts_named(names: Sequence[str] | None) -> tuple[str, ...]:
    """What an option for other scripts asks for: those it names, all where it names none, none without it (None)."""
    return () if names is None else tuple(names or other_scripts())


def check_fonts(scripts: Collection[str], *, for_training: bool) -> None:
    """Raise DataError unless there are fonts to draw *scripts* with, in every split or for training alone."""
    if scripts:
        for split in (None,) if for_training else SPLITS:
            scripts_of(split, scripts)


def joins_letters() -> bool:
    """Whether Pillow can shape words whose letters are joined or run to the left, for which it needs FriBiDi."""
    return bool(features.check("raqm"))


def pick_script(random: Random, split: str | None, among: Collection[str]) -> str:
    """One *among* the scripts other than Latin."""
    scripts = scripts_of(split, among)
    return scripts[int(random.integers(len(scripts)))]


def pick_font(random: Random, label: str, split: str | None, script: str = LATIN) -> Path:
    """One of the fonts of a class, a split (None: any) and a script."""
    fonts = fonts_of(label, split, script)
    return fonts[int(random.integers(len(fonts)))]


def family(font: Path) -> str:
    """The family of a font file, without its cut."""
    return font.stem.removesuffix("-italic").removesuffix("-bold")


def script_of(font: Path) -> str:
    """The script of a font file, by its folder."""
    return LATIN if font.parent.name in FOLDERS.values() else font.parent.name


def is_hand(font: Path) -> bool:
    """Whether a font imitates handwriting."""
    return FOLDERS["handwritten"] in font.relative_to(FONTS).parts


def _files(label: str, script: str) -> list[Path]:
    """The font files of a class and a script."""
    return sorted(_folder(label, script).glob("*.woff"))


def _folder(label: str, script: str) -> Path:
    """Where the fonts of a class and a script are."""
    return FONTS / FOLDERS[label] / ("" if script == LATIN else script)


@cache
def _split_of(name: str) -> str:
    """The split of a family: by the rank of its hash in its folder, so that each split has 70, 15 and 15 per cent.

    The folder is that of Latin, if it is there, else the first that it is in: a family is in one split in all scripts.
    Few fonts of a script are not in every split.
    """
    folders = [_folder(label, LATIN) for label in FOLDERS]
    folders += sorted(path for folder in folders for path in folder.iterdir() if path.is_dir())
    for folder in folders:
        families = sorted({family(file) for file in folder.glob("*.woff")}, key=stable_share)
        if name in families:
            return SPLITS[int(np.searchsorted((0.7, 0.85), (families.index(name) + 0.5) / len(families)))]
    message = f"there is no font {name!r} in {FONTS}"
    raise DataError(message)
