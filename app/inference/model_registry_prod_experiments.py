"""Promotes the best run to `prod`, if it is not worse than what serves now; can roll back.

    python -m app.inference.model_registry_prod_experiments                      the best run of all experiments
    python -m app.inference.model_registry_prod_experiments --experiments A B    the best of these
    python -m app.inference.model_registry_prod_experiments --run-id ID          this one
    python -m app.inference.model_registry_prod_experiments --rollback           the version promoted before

A running service follows the alias by itself. Owns the command line; what it does is in `promotion`.
"""

import argparse
import sys
from collections.abc import Sequence

from app.config import read_settings
from app.errors import PenPressError
from app.inference.promotion import Choice, Outcome, promote, roll_back
from app.inference.registry import Registry
from app.tasks import DEFAULT, TASKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 with the reason on standard error."""
    options = parse(arguments)
    try:
        outcome = carry_out(options)
    except PenPressError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{outcome.table}\n\n{outcome.message}\n".lstrip("\n"))
    return 0


def carry_out(options: argparse.Namespace) -> Outcome:
    """Promote or roll back, as the options say."""
    registry, task = Registry(read_settings()), TASKS[options.task]
    if options.rollback:
        return roll_back(registry, task)
    choice = Choice(
        metric=options.metric,
        experiments=options.experiments,
        run_id=options.run_id,
        datasets=options.datasets,
        images=options.images,
        force=options.force,
        dry_run=options.dry_run,
    )
    return promote(registry, task, choice)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the options; wrong ones end the process with the usage."""
    parser = argparse.ArgumentParser(
        prog="python -m app.inference.model_registry_prod_experiments",
        description="Register the best run, compare it with the version in prod, and promote it if it is not worse.",
    )
    add = parser.add_argument
    add("--task", choices=sorted(TASKS), default=DEFAULT, help="default: %(default)s")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run-id", help="promote this run instead of the best one")
    which.add_argument("--experiments", nargs="+", metavar="NAME", help="the best run of these experiments only")
    which.add_argument("--rollback", action="store_true", help="give prod back to the version promoted before")
    add("--metric", help="what the best run is chosen by (default: validation_accuracy, or the task's own)")
    add("--datasets", nargs="+", metavar="NAME", help="compare on these data sets (default: those that judged the run)")
    add("--images", type=positive, default=600, help="at most so many, but one of each label (default: %(default)s)")
    add("--force", action="store_true", help="promote a worse run all the same; this is recorded as a tag")
    add("--dry-run", action="store_true", help="compare, and change nothing")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """Read a whole number above 0."""
    number = int(text)
    if number < 1:
        message = f"{text} images are too few; at least 1"
        raise argparse.ArgumentTypeError(message)
    return number


if __name__ == "__main__":
    sys.exit(main())
