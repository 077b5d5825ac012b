"""No network at run time: data, training, registration and service in one process that may connect to nothing."""

import os
import subprocess
import sys
from pathlib import Path

import datasets

from app.tasks import DOCUMENT_TYPE
from tests.bundles import DARK, picture
from tests.stores import settings_in
from tests.trainings import write_tiny

ROOT = Path(__file__).resolve().parents[1]
OFFLINE = """
import sys
from pathlib import Path

def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"}:
        print(event, arguments[1:], file=sys.stderr)
        raise PermissionError(f"{event} {arguments[1:]}")

sys.addaudithook(refuse)
from fastapi.testclient import TestClient
from app.config import Settings
from app.data import data_import_printed_handwritten_catmus
from app.inference import model_registry_prod_experiments
from app.inference.registry import Registry
from app.training.pipeline import run_pipeline
from app.webservice import create_app
from tests.trainings import tiny_options

folder, settings = Path(sys.argv[1]), Settings()
assert data_import_printed_handwritten_catmus.main(["--source", str(folder / "source"), "--name", "tiny"]) == 0
run = run_pipeline(tiny_options(epochs=1), settings)
assert model_registry_prod_experiments.main([]) == 0
with TestClient(create_app(settings)) as client:
    for _ in range(600):
        health = client.get("/health").json()["tasks"]["document_type"]  # there is no page network
        if health["status"] != "starting":
            break
        client.app.state.service.watch._settled.wait(0.1)
    answer = client.post("/predict/", files={"file": ("line.png", (folder / "line.png").read_bytes(), "image/png")})
print(health["status"], health["run_id"] == run.run_id, answer.status_code)
"""


def write_source(folder: Path) -> None:
    """Write drawn lines as parquet files in the layout of CATMuS/modern, two sources and two classes in each split."""
    write_tiny(folder / "drawn")
    (folder / "source").mkdir()
    features = datasets.Features({"im": datasets.Image(), "writing_type": datasets.Value("string")})
    for split in ("train", "validation", "test"):
        files = sorted((folder / "drawn").glob(f"{split}-*.png"))
        rows = {
            "im": [{"bytes": file.read_bytes(), "path": None} for file in files],
            "writing_type": [next(label for label in DOCUMENT_TYPE.labels if label in file.name) for file in files],
        }
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / "source" / f"{split}-0.parquet")


def test_everything_works_without_a_network(tmp_path: Path) -> None:
    """With every connection refused: import of a local source, training, promotion, and a service that answers with it.

    Nothing even tries: an attempt would stand on standard error.
    """
    settings = settings_in(tmp_path)
    write_source(tmp_path)
    (tmp_path / "line.png").write_bytes(picture(DARK))
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PENPRESS_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "PENPRESS_ARTIFACT_ROOT": str(settings.artifact_root),
        "PENPRESS_DATASETS": str(settings.datasets),
        "PENPRESS_CHECKPOINTS": str(tmp_path / "checkpoints"),
        "PENPRESS_EMBEDDED": str(settings.embedded),
        "PENPRESS_BUNDLE_CACHE": str(settings.bundle_cache),
        "PENPRESS_PREDICTION_LOG": str(settings.prediction_log),
    }
    command = [sys.executable, "-c", OFFLINE, str(tmp_path)]
    done = subprocess.run(  # noqa: S603 - our own script
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split()[-3:] == ["ok", "True", "200"], done.stderr
    assert "socket." not in done.stderr
