"""Real MLflow stores for tests: a SQLite database and an artifact folder in a temporary directory, and runs in them.

The tables are made once a test session and copied, because MLflow's migrations take seconds. Holds no tests.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from app.config import Settings
from app.inference.registry import Registry
from app.tasks import DOCUMENT_TYPE
from tests.bundles import make_bundle

TAGS = {
    "task": DOCUMENT_TYPE.name,
    "data": "tiny",
    "data_fingerprint": "f" * 16,
    "git_commit": "c" * 40,
    "strategy": "transfer",
    "architecture": "brightness",
}


def settings_in(folder: Path, **overrides: object) -> Settings:
    """Settings whose store, data sets and caches all lie in *folder*, with MLflow's empty tables in place."""
    store = folder / "mlruns"
    store.mkdir(parents=True)
    (store / "mlflow.db").write_bytes(empty_database())
    values = {
        "mlflow_tracking_uri": f"sqlite:///{store}/mlflow.db",
        "artifact_root": store,
        "datasets": folder / "datasets",
        "embedded": folder / "embedded",
        "bundle_cache": folder / "cache",
        "prediction_log": folder / "predictions.log",
    }
    return Settings.model_validate(values | overrides)


@cache
def empty_database() -> bytes:
    """The bytes of a SQLite database with MLflow's tables and nothing in them."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "mlflow.db"
        settings = Settings.model_validate(
            {"mlflow_tracking_uri": f"sqlite:///{database}", "artifact_root": Path(folder)}
        )
        Registry(settings).runs(None, DOCUMENT_TYPE.name)
        return database.read_bytes()


def log_run(
    registry: Registry,
    folder: Path,
    experiment: str = "transfer",
    accuracy: float = 0.9,
    options: Mapping[str, Sequence[str]] | None = None,
    **bundle: object,
) -> str:
    """Log a finished run with this validation accuracy and a bundle made with *bundle*'s arguments; returns its id.

    *options* are those of data, which are logged as the pipeline does: `data` and `train_only`.
    """
    bundle = {"task": DOCUMENT_TYPE} | bundle
    options = options or {}
    parameters = {"epochs": 1} | {name: json.dumps(value) for name, value in options.items()}
    tags = TAGS | {"task": bundle["task"].name, "data": " ".join(options.get("data", [TAGS["data"]]))}
    log = registry.start_run(experiment, f"bias {bundle.get('bias')}", parameters, tags)
    log.log_metrics({"validation_accuracy": accuracy, "validation_ece": 1 - accuracy})
    log.log_bundle(make_bundle(folder / f"bundle-{log.run_id}", **bundle))
    log.finish()
    return log.run_id
