"""The folder of downloaded bundles of one task, and the note which of them was the last good one.

Every download gets a folder of its own, so nothing is ever overwritten that a note or a process still points to. One
service owns a cache folder at a time.
"""

import shutil
import tempfile
from collections import deque
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import BundleError

LAST_GOOD = "last_good.json"


class Note(BaseModel):
    """What was live last; `bundle` is its place below the cache folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    run_id: str | None
    alias: str | None
    bundle: str


class BundleCache:
    """Downloaded bundles: the live one and the one before it are kept, the others removed."""

    def __init__(self, directory: Path) -> None:
        """Take the place of the cache; nothing is made yet."""
        self.directory = directory
        self._kept: deque[str] = deque(maxlen=2)

    def new_folder(self, version: str) -> Path:
        """Make an empty folder to download a version into."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{version}-", dir=self.directory))

    def keep(self, folder: Path, note: Note) -> None:
        """Keep a folder and note its bundle as the last good one; the note is replaced as a whole."""
        draft = self.directory / f"{LAST_GOOD}.new"
        draft.write_text(note.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(self.directory / LAST_GOOD)
        self._kept.append(folder.name)

    def last_good(self) -> Note | None:
        """The bundle that was live last, or None; raises BundleError when the note cannot be read."""
        path = self.directory / LAST_GOOD
        try:
            note = Note.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            message = f"{path} cannot be read ({error}); remove it"
            raise BundleError(message) from error
        self._kept.append(Path(note.bundle).parts[0])
        return note

    def clean(self) -> None:
        """Remove all downloads but those that are kept."""
        for folder in self.directory.iterdir():
            if folder.is_dir() and folder.name not in self._kept:
                shutil.rmtree(folder, ignore_errors=True)
