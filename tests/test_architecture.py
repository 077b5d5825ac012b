"""Tests on the shape of the code: budgets, owners of libraries, and a service that runs without the heavy packages."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.tasks import TASKS
from tests.bundles import DARK, make_bundle, picture
from tests.stores import empty_database

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = sorted(path for folder in ("app", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
STAGES = [path for path in PRODUCT if path.is_relative_to(ROOT / "app") and "tasks" not in path.parts]
TESTS = sorted((ROOT / "tests").glob("test_*.py"))
FUNCTION_LINES = 40
MODULE_LINES = 250
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORT_SCRIPTS = tuple(
    f"app/data/data_import_{source}.py"
    for source in ("characters", "handwritten_corto", "mnist", "printed_handwritten_catmus")
)
OWNERS = {
    "torch": ("app/training/",),
    "torchvision": ("app/training/",),
    "captum": ("app/training/",),
    "sklearn": ("app/training/",),
    "matplotlib": ("app/training/",),
    "onnx": ("app/training/",),
    "onnxruntime": ("app/inference/recogniser.py", "app/training/quantise.py"),
    "mlflow": ("app/inference/registry/",),
    "datasets": IMPORT_SCRIPTS,
    "scipy": IMPORT_SCRIPTS,
    "pandas": (),
    "fastapi": ("app/webservice/", "app/main.py"),
    "opentelemetry": ("app/webservice/tracing.py",),
    "starlette": ("app/webservice/", "app/main.py"),
    "uvicorn": ("app/webservice/", "app/main.py"),
}
HEAVY = ("torch", "torchvision", "captum", "datasets", "pandas", "sklearn", "matplotlib", "onnx", "pyarrow")


def name_of(path: Path) -> str:
    """A file's path inside the project."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function in a file, methods and inner functions too."""
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, FUNCTION))


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring and decorators."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def imports_of(path: Path) -> set[str]:
    """The top-level packages that a file imports anywhere, by statement or by a literal `import_module`."""
    found = set()
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                found.add(module)
    return {module.partition(".")[0] for module in found}


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    """No function has more than 40 lines without its docstring."""
    long = {function.name: lines_of(function) for function in functions_of(path) if lines_of(function) > FUNCTION_LINES}
    assert not long, f"split these functions of {name_of(path)}"


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_modules_are_short(path: Path) -> None:
    """No module has more than 250 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES, "split this module by what its parts own"


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_libraries_are_imported_by_their_owner_only(path: Path) -> None:
    """A library with an owner is imported nowhere else in the product, not even inside a function."""
    name = name_of(path)
    strangers = {
        library
        for library in imports_of(path) & OWNERS.keys()
        if name.startswith("app/") and not name.startswith(OWNERS[library])
    }
    assert not strangers, f"{name} must leave these libraries to their owners"


@pytest.mark.parametrize("path", STAGES, ids=name_of)
def test_no_stage_names_a_task(path: Path) -> None:
    """Outside `app/tasks` and importers no code has a task's name or imports one, so that a new task costs one file."""
    nodes = list(ast.walk(tree_of(path)))
    said = {node.value for node in nodes if isinstance(node, ast.Constant)}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    names = {name for name in TASKS if "_" in name}  # the others are words as well
    assert not said & names, "take DEFAULT, OF_SIGNS or OF_PLACES of app.tasks"
    assert path.name.startswith("data_import_") or not used & set(map(str.upper, TASKS)), "the same"


def test_no_code_is_exempt_from_coverage() -> None:
    """No line of the product is taken out of the measured coverage."""
    mark = "pragma: " + "no"
    assert [name_of(path) for path in PRODUCT if mark in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """Every test has a docstring of one sentence."""
    silent = [
        function.name
        for function in functions_of(path)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").rstrip().endswith(".")
    ]
    assert not silent, f"say in one sentence what these tests of {name_of(path)} show"


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_no_test_is_skipped_or_sleeps(path: Path) -> None:
    """No test is skipped, expected to fail, or waits for a fixed time."""
    forbidden = {"skip", "skipif", "xfail", "importorskip", "sleep"}
    used = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)} & forbidden
    assert not used


LIGHT_SERVICE = """
import importlib.abc, json, sys
from pathlib import Path

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy}:
            raise ModuleNotFoundError(f"{{name}} is blocked in this test", name=name)

sys.meta_path.insert(0, Blocker())

from fastapi.testclient import TestClient
from app.config import Settings
from app.main import end
from app.webservice import create_app

folder, image = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings(
    mlflow_tracking_uri=f"sqlite:///{{folder}}/mlruns/mlflow.db", artifact_root=folder / "mlruns",
    embedded=folder / "embedded", bundle_cache=folder / "cache", prediction_log=folder / "predictions.log",
)
with TestClient(create_app(settings)) as client:
    answer = client.post("/predict/", files={{"file": ("line.png", image.read_bytes(), "image/png")}})
print(json.dumps({{"status": answer.status_code, "body": answer.json(), "modules": sorted(sys.modules)}}))
end(0)
"""


def test_the_service_answers_without_the_heavy_packages(tmp_path: Path) -> None:
    """The service recognises an image in a process in which torch and its like cannot be imported."""
    make_bundle(tmp_path / "embedded" / "document_type")
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(empty_database())
    (tmp_path / "line.png").write_bytes(picture(DARK))
    script = LIGHT_SERVICE.format(heavy=set(HEAVY))
    command = [sys.executable, "-c", script, str(tmp_path), str(tmp_path / "line.png")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  our own script
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["status"] == 200, result["body"]
    assert result["body"]["predicted_class"] == "handwritten"
    assert not set(HEAVY) & set(result["modules"])
