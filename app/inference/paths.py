"""The files that a command takes, and the places that it writes to: found, named, and made sure of before the work.

Knows nothing of what is written there.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from app.errors import InputError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".bmp", ".gif"}
    | {".jp2", ".j2k", ".pnm", ".pgm", ".ppm", ".pbm"}
)
LONGEST, KEPT = 200, 180  # bytes of a name, and of the end of a longer one; more may follow, and systems take 255


def find_files(
    paths: Iterable[Path], suffixes: AbstractSet[str], written: Iterable[Path | None]
) -> tuple[list[Path], list[Path]]:
    """The files named and those with a known suffix in the folders named, and of these folders those that hold none.

    In folders, what lies where the command writes is left out: it would read its own output when it is started again.
    A file that is absent fails later.
    """
    own = [path.resolve() for path in written if path]
    files: list[Path] = []
    empty: list[Path] = []
    for path in paths:
        if not S_ISDIR(mode_of(path) or 0):
            files.append(path)
            continue
        found = sorted(each for each in path.rglob("*") if each.suffix.lower() in suffixes and is_taken(each, own))
        files += found
        empty += [] if found else [path]
    return files, empty


def is_taken(found: Path, own: Collection[Path]) -> bool:
    """Whether what a folder holds is a file, or cannot be looked at, which is told later, and is no output of ours."""
    mode = mode_of(found)
    if mode is not None and not S_ISREG(mode):
        return False
    place = found.parent.resolve() / found.name
    return not any(place.is_relative_to(each) for each in own)


def mode_of(path: Path) -> int | None:
    """What the system says that a path is; None for one that it cannot follow."""
    try:
        return path.stat().st_mode
    except OSError:
        return None


def names_for(files: Iterable[Path]) -> dict[Path, str]:
    """A name for what is written for each file: its path with its suffix, so that no file added later takes it over.

    One that is too long, or that two files would share, is the end of that behind a hash of the whole path.
    """
    flat = {file: "_".join(part for part in file.parts if part not in {file.anchor, ".", ".."}) for file in files}
    shared = Counter(flat.values())
    return {
        file: name if shared[name] == 1 and len(os.fsencode(name)) <= LONGEST else hashed(file, name)
        for file, name in flat.items()
    }


def hashed(file: Path, name: str) -> str:
    """The end of a name behind a hash of the path that it stands for."""
    return f"{sha256(os.fsencode(file)).hexdigest()[:12]}_{os.fsencode(name)[-KEPT:].decode('utf-8', 'ignore')}"


def make_room(files: Collection[Path], folders: Iterable[Path | None]) -> None:
    """Make the folders that are written into; raises InputError for what cannot be written."""
    for file in files:
        mode = mode_of(file)
        if mode is not None and (S_ISDIR(mode) or not os.access(file, os.W_OK)):
            message = f"{file} is a folder or cannot be written; name another file"
            raise InputError(message)
    for folder in {file.parent for file in files}.union(filter(None, folders)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{folder} cannot be made a folder: {error.strerror}; name another"
            raise InputError(message) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            message = f"{folder} cannot be written into; name another folder"
            raise InputError(message)
