"""Prints the comparison of algorithms from the MLflow store: the table that the documentation shows.

    python -m app.training.comparison
    python -m app.training.comparison --experiments NAME

Owns the table. What a run measures is in `judge`; which run goes live is in `app.inference.promotion`.
"""

import argparse
import sys
from collections.abc import Sequence

from app.config import read_settings
from app.errors import PenPressError
from app.inference.registry import Registry, RunSummary
from app.tasks import DEFAULT, TASKS

MILLISECONDS = "ms/image (single images, median)"
COLUMNS = {
    "accuracy": "test_accuracy",
    "F1": "test_f1",
    "AUC": "test_roc_auc",
    "ECE": "test_ece",
    "unseen": "unseen_accuracy",
    "parameters": "parameters",
    MILLISECONDS: "milliseconds_per_image",
    "minutes": "training_minutes",
}
DIGITS = {"parameters": 0, MILLISECONDS: 1, "minutes": 1}


def render_comparison(runs: Sequence[RunSummary]) -> str:
    """A Markdown table of runs, best test accuracy first; a dash where a run has no such figure."""
    ranked = sorted(runs, key=lambda run: run.metrics.get("test_accuracy", 0.0), reverse=True)
    lines = ["| algorithm | input | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * len(COLUMNS)]
    for run in ranked:
        cells = [show(run.metrics.get(metric), column) for column, metric in COLUMNS.items()]
        size = f"{run.parameters.get('input_height', '?')}x{run.parameters.get('input_width', '?')}"
        lines.append(f"| {run.name} | {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def show(value: float | None, column: str) -> str:
    """A figure of the table as text."""
    if value is None:
        return "–"
    return f"{value:,.{DIGITS.get(column, 4)}f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default=DEFAULT, choices=sorted(TASKS), help="whose runs (default: %(default)s)")
    parser.add_argument("--experiments", nargs="+", help="MLflow experiments; default: all")
    options = parser.parse_args(arguments)
    settings = read_settings()
    try:
        runs = Registry(settings).runs(options.experiments, options.task)
    except PenPressError as error:
        parser.exit(1, f"error: {error}\n")
    sys.stdout.write(render_comparison([run for run in runs if "test_accuracy" in run.metrics and not run.embedded]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
