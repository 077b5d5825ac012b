"""The options of the command that answers without the service, checked before any work is done."""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from app.tasks import DEFAULT, OF_SIGNS, TASKS


def read_options(arguments: Sequence[str] | None, description: str | None) -> argparse.Namespace:
    """The options of a command line; ends with exit code 2 and a line that says why where they make no sense."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER", help="images, or folders of images")
    parser.add_argument("--task", default=DEFAULT, choices=TASKS, help="whose shipped bundle answers")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="answer with the bundle in this folder instead")
    parser.add_argument("--show-steps", type=picture, metavar="PNG", help="draw what preprocessing does to each image")
    parser.add_argument("--text", action="store_true", help="read text sign by sign; letters must not hang together")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="analyse pages; results as .csv, .jsonl or .parquet")
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="with --out: pages with their lines coloured")
    parser.add_argument("--alto", type=Path, metavar="DIR", help="with --out: an ALTO file for each document")
    parser.add_argument("--copy-to", type=Path, metavar="DIR", help="with --out: copies in a folder for each class")
    parser.add_argument("--processes", type=int, default=1, help="with --out: how many at once (default: 1)")
    parser.add_argument("--max-pages", type=count, default=10_000, help="with --out: of one file (default: 10000)")
    options = parser.parse_args(arguments)
    if options.text and (options.out or options.show_steps):
        parser.error("--text is for single images, without --out and --show-steps; add --json for boxes")
    if options.out and (options.show_steps or options.json):
        parser.error("--show-steps and --json are for single images, without --out, whose .jsonl is JSON as well")
    if options.text and (options.task != DEFAULT or options.bundle):
        parser.error(f"--text reads with the bundle of {OF_SIGNS} that ships, without --task and --bundle")
    if not options.out and (options.overlay or options.alto or options.copy_to):
        parser.error("--overlay, --alto and --copy-to need --out, a file for the results")
    if options.out and options.out.suffix not in {".csv", ".jsonl", ".parquet"}:
        parser.error(f"--out {options.out} must end in .csv, .jsonl or .parquet")
    if options.out and options.out.suffix == ".parquet" and find_spec("pyarrow") is None:
        parser.error("a .parquet file needs pyarrow, which `./run_tests.sh` sets up; or name a .csv file")
    return options


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} must be a whole number of at least 1"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def picture(text: str) -> Path:
    """A file that a picture can be written to."""
    file = Path(text)
    if Image.registered_extensions().get(file.suffix.lower()) not in Image.SAVE:
        message = f"{text} must end as pictures do, for instance in .png"
        raise argparse.ArgumentTypeError(message)
    if not file.parent.is_dir():
        message = f"{text} is in a folder that does not exist; make that, or name another file"
        raise argparse.ArgumentTypeError(message)
    return file
