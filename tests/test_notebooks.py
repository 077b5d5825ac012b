"""Tests of the notebooks: both run from the first cell to the last, on a few drawn lines, in a store of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from app.config import APP, Settings
from app.inference.registry import Registry
from app.tasks import DOCUMENT_TYPE
from tests.bundles import DARK, make_bundle, picture
from tests.stores import settings_in

TRAINING = APP / "training" / "training_experiments.ipynb"
INFERENCE = APP / "inference" / "inference.ipynb"
TINY = {"LINES": "30", "EPOCHS": "1", "HEIGHT": "32", "WIDTH": "96", "PROMOTE": "no"}
SHARED = ("mlflow_tracking_uri", "artifact_root", "datasets", "checkpoints", "embedded", "bundle_cache")


def execute(path: Path, folder: Path, settings: Settings, **parameters: str) -> NotebookNode:
    """Run a notebook in *folder* with these settings and parameters; a cell that fails raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(APP.parent))
        for name in SHARED:
            patch.setenv(f"PENPRESS_{name.upper()}", str(getattr(settings, name)))
        for name, value in parameters.items():
            patch.setenv(f"NOTEBOOK_{name}", value)
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def shown(notebook: NotebookNode, kind: str) -> list[str]:
    """Everything of a media type that a notebook shows, in order; `text` is what it prints."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    if kind == "text":
        return [output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"]
    return [output.data[kind] for output in outputs if "data" in output and kind in output.data]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An empty store and empty folders."""
    folder = tmp_path_factory.mktemp("notebooks") / "all"
    return settings_in(folder, checkpoints=folder / "checkpoints")


@pytest.fixture(scope="module")
def training(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The training notebook after its execution."""
    return execute(TRAINING, tmp_path_factory.mktemp("cwd"), settings, **TINY)


@contextmanager
def fine_tuned_in_prod(settings: Settings) -> Iterator[None]:
    """Put the fine-tune run of the store into `prod`, with nothing of it left on disk but the store."""
    registry = Registry(settings)
    run = next(run for run in registry.runs(None, DOCUMENT_TYPE.name) if run.tags["strategy"] == "fine-tune")
    registry.set_alias(registry.register(run.run_id, DOCUMENT_TYPE.name, {}))
    elsewhere = settings.checkpoints.rename(settings.checkpoints.with_name("elsewhere"))
    yield
    elsewhere.rename(settings.checkpoints)


@pytest.mark.parametrize("path", [TRAINING, INFERENCE])
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    """What lies in the repository holds no outputs and no counts: no pictures of anybody's papers."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_the_training_notebook_trains_and_compares(training: NotebookNode) -> None:
    """Both strategies are in the comparison, with four pictures each."""
    (table,) = [text for text in shown(training, "text/markdown") if text.startswith("| algorithm")]
    assert "transfer gradient_histogram" in table
    assert "fine-tune mobilenet_v3_small" in table
    assert len(shown(training, "image/png")) == 8


def test_the_training_notebook_promotes_only_when_asked(training: NotebookNode) -> None:
    """As it stands, it says which run would be promoted and changes nothing."""
    assert "would be promoted; nothing changed" in shown(training, "text")[-1]


@pytest.mark.usefixtures("training")
def test_the_inference_notebook_answers_and_explains(settings: Settings, tmp_path: Path) -> None:
    """It takes the version in `prod` and its network from the store, answers six lines, and explains them."""
    with fine_tuned_in_prod(settings):
        notebook = execute(INFERENCE, tmp_path, settings)
    head, table = shown(notebook, "text/markdown")[:2]
    assert "version 1 in `prod`, mobilenet_v3_small (fine-tune)" in head
    assert table.count("\n") == 1 + 6
    assert table.count("is below the threshold") == 6
    assert len(shown(notebook, "image/png")) == 6 + 3


def test_the_inference_notebook_does_without_a_checkpoint(settings: Settings, tmp_path: Path) -> None:
    """A bundle from elsewhere answers for the images of a folder; that it cannot be explained is said."""
    bundle = make_bundle(tmp_path / "bundles" / "bundle")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "dark.png").write_bytes(picture(DARK))
    notebook = execute(INFERENCE, tmp_path, settings, BUNDLE=str(bundle), IMAGES=str(tmp_path / "scans"))
    assert "| dark.png | handwritten |" in shown(notebook, "text/markdown")[1]
    assert "cannot be explained" in shown(notebook, "text")[-1]
    assert len(shown(notebook, "image/png")) == 1
