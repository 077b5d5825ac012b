"""Shows what is in `prod`: version, run, figures, parameters, tags and times, and the model that ships beside it.

    python -m app.inference.model_prod_details [--task NAME] [--json]

Owns the command line and the layout; what it shows is read from the registry and from the embedded bundle.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.config import read_settings
from app.errors import PenPressError, RegistryError
from app.inference.bundle import DESCRIPTION, read_description
from app.inference.registry import Registry, RunSummary
from app.tasks import DEFAULT, TASKS

Value = str | float | None
Fields = dict[str, Value]
Details = dict[str, Fields]
NOTHING = defaultdict(lambda: "  none", embedded="  no model ships with this task")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 with the reason on standard error."""
    options = parse(arguments)
    settings = read_settings()
    try:
        found = details(Registry(settings), options.task)
        found["embedded"] = embedded(settings.embedded / options.task)
    except PenPressError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if options.json else layout(found))
    return 0


def details(registry: Registry, task: str) -> Details:
    """Collect what is known of the live version and its run; raises RegistryError when nothing is live."""
    version = registry.resolve(task)
    alias = registry.settings.alias
    if version is None:
        message = (
            f"nothing is in {alias} for {task}: start the service once, which registers the embedded model, or "
            "promote a run with python -m app.inference.model_registry_prod_experiments"
        )
        raise RegistryError(message)
    previous = registry.previous(task)
    found: Details = {
        "version": {
            "model": version.name,
            "version": version.version,
            "alias": alias,
            "created": version.created,
            "promoted": version.tags.get("promoted_at"),
            "previous_version": previous.version if previous else None,
        }
    }
    if version.run_id is not None:
        found |= details_of_run(registry.run(version.run_id))
    return found | {"tags": dict(sorted(version.tags.items()))}


def details_of_run(run: RunSummary) -> Details:
    """Lay out the run that a version comes from."""
    times = {"started": run.started, "finished": run.finished}
    return {
        "run": {"run_id": run.run_id, "experiment": run.experiment, "name": run.name, **times},
        "metrics": dict(sorted(run.metrics.items())),
        "parameters": dict(sorted(run.parameters.items())),
    }


def embedded(directory: Path) -> Fields:
    """Describe the bundle that ships with the project; an empty answer when there is none."""
    if not (directory / DESCRIPTION).is_file():
        return {}
    description = read_description(directory)
    origin = description.origin.model_dump()
    return {"sha256": description.sha256, "labels": ", ".join(description.labels), **origin, **description.figures}


def layout(found: Mapping[str, Fields]) -> str:
    """Lay the details out as one table with a heading a section."""
    width = max(len(name) for fields in found.values() for name in fields)
    lines = []
    for section, fields in found.items():
        values = [f"  {name:{width}}  {shown(value)}" for name, value in fields.items()]
        lines += [section, *(values or [NOTHING[section]]), ""]
    return "\n".join(lines)


def shown(value: Value) -> str:
    """Write one value of the table."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the options; wrong ones end the process with the usage."""
    parser = argparse.ArgumentParser(prog="python -m app.inference.model_prod_details", description="Show what serves.")
    parser.add_argument("--task", choices=sorted(TASKS), default=DEFAULT, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
