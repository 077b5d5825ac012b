"""Import any folder of images in class folders as a data set.

    python -m app.data.data_import_folder --folder DIR --name NAME

DIR holds `<class>/**/image` or `<split>/<class>/**/image`. The document of an image is its sub-folder where there is
one, else the part of its name before the last `_` or `-` and a number (`letter12_03.png`: letter12); where that gives
a class fewer than three documents (`img_001.png`, `img_002.png`, ...), every image is its own. Split folders
hold: equal names in two of them are two documents. Without split folders the document's stable hash chooses the split,
so a document is never in two. Images that cannot be read are left out and listed. Classes are those of `--task`; one
that is no safe folder name may go by its code points (`0041` for `A`, `002f` for `/`).
"""

import argparse
import re
import sys
from collections.abc import Generator
from pathlib import Path

from app.data.importing import Row, make_parser, run_import
from app.data.manifest import folder_of
from app.data.sources import SPLIT_NAMES
from app.errors import DataError
from app.tasks import TASKS, Task

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif"}
LEAST_DOCUMENTS = 3


def read_rows(arguments: argparse.Namespace) -> Generator[Row]:
    """Yield the images of `--folder` in the order of their paths; raises DataError for folders that are no classes."""
    folder, task = arguments.folder, TASKS[arguments.task]
    if not folder.is_dir():
        message = f"{folder} is not a folder; --folder must hold one folder for each of {', '.join(task.labels)}"
        raise DataError(message)
    for split, home in _split_folders(folder):
        source = f"{arguments.name}/{split}" if split else arguments.name  # of documents: names of files may repeat
        for class_folder, label in _class_folders(home, task):
            for file, document in documents_of(class_folder).items():
                yield Row(
                    key=file.relative_to(folder).with_suffix("").as_posix(),
                    label=label,
                    image=_content(file),
                    split=split,
                    source=arguments.name,
                    document=f"{source}/{document}",
                )


def _split_folders(folder: Path) -> list[tuple[str | None, Path]]:
    """The split folders with their splits, or the folder itself when it has none; raises DataError for a mixture."""
    folders = _folders(folder)
    found = [path for path in folders if path.name in SPLIT_NAMES]
    strange = [path.name for path in folders if path not in found]
    if found and strange:
        message = (
            f"{folder} has the folders {strange} beside folders of splits; move them into these, or away, or rename "
            f"them: known are {', '.join(SPLIT_NAMES)}"
        )
        raise DataError(message)
    return [(SPLIT_NAMES[path.name], path) for path in found] or [(None, folder)]


def _folders(home: Path) -> list[Path]:
    """The folders in *home* that are not hidden, sorted."""
    return sorted(path for path in home.iterdir() if path.is_dir() and not path.name.startswith("."))


def _content(file: Path) -> bytes:
    """What an image file holds; empty for one that cannot be read, which the importer then leaves out and lists."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _class_folders(home: Path, task: Task) -> list[tuple[Path, str]]:
    """The class folders in *home* with their labels; raises DataError when there are none, or others."""
    folders = _folders(home)
    labels = (*task.labels, *task.same_as)
    known = {folder_of(label): label for label in labels} | {label: label for label in labels}
    strange = [path.name for path in folders if path.name not in known]
    if strange or not folders:
        classes = ", ".join(sorted(known))
        message = f"{home} has the folders {strange or 'none'}; the classes of {task.name} are {classes}"
        raise DataError(message)
    return [(path, known[path.name]) for path in folders]


def documents_of(class_folder: Path) -> dict[Path, str]:
    """The images of a class, sorted, each with the document that it belongs to."""
    files = sorted(file for file in class_folder.rglob("*") if file.suffix.lower() in SUFFIXES and not file.is_dir())
    inside = {file: file.relative_to(class_folder) for file in files}
    documents = {
        file: path.parent.as_posix() if len(path.parts) > 1 else re.sub(r"[-_]\d+$", "", path.stem)
        for file, path in inside.items()
    }
    if len(set(documents.values())) < LEAST_DOCUMENTS:
        return {file: path.with_suffix("").as_posix() for file, path in inside.items()}
    return documents


def main(arguments: list[str] | None = None) -> int:
    """Run the import from the command line."""
    parser = make_parser(__doc__.splitlines()[0], None)
    parser.add_argument("--folder", type=Path, required=True, help="folder with a folder of images for each class")
    return run_import(parser.parse_args(arguments), read_rows)


if __name__ == "__main__":
    sys.exit(main())
