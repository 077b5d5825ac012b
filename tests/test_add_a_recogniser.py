"""Follows the page "Add a recogniser" with its toy task, in a copy of the product, from the folder to the answer."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "documentation" / "docs" / "add-a-recogniser.md").read_text(encoding="utf-8")
LEFT_OUT = shutil.ignore_patterns("datasets", "mlruns", "checkpoints", "pretrained", "cache", "__pycache__", "*.log")
FOLLOW = """
import importlib, json, runpy, sys
from pathlib import Path

for line in json.loads(sys.argv[1]):
    module, *arguments = line
    status = importlib.import_module(module).main(arguments)
    assert status == 0, (line, status)

from fastapi.testclient import TestClient
from app.config import Settings
from app.webservice import create_app

with TestClient(create_app(Settings())) as client:
    image = next(Path("my-shapes/cross").iterdir())
    answer = client.post("/predict/shape/", files={"file": ("a.png", image.read_bytes())})
    models = client.get("/models")
    Path("answer.json").write_text(json.dumps([answer.json(), models.json()]))
"""


def draw(shape: str, number: int) -> Image.Image:
    """A shape as one of several people draws it."""
    random = np.random.default_rng(number)
    image = Image.new("L", (64, 64), int(random.integers(200, 256)))
    pen, ink, thick = ImageDraw.Draw(image), int(random.integers(0, 90)), int(random.integers(2, 5))
    left, top, right, bottom = (int(each) for each in np.array([12, 12, 52, 52]) + random.integers(-6, 7, 4))
    if shape == "circle":
        pen.ellipse((left, top, right, bottom), outline=ink, width=thick)
    elif shape == "square":
        pen.rectangle((left, top, right, bottom), outline=ink, width=thick)
    else:
        pen.line((left, top, right, bottom), fill=ink, width=thick)
        pen.line((left, bottom, right, top), fill=ink, width=thick)
    return image


def commands() -> list[list[str]]:
    """The Python commands of the page up to production, with their arguments; all but those that need a bundle."""
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line.split() for block in blocks for line in block.splitlines()]
    return [words[2:] for words in lines if words[:2] == ["python", "-m"] and "--show-steps" not in words]


@pytest.fixture(scope="module", name="project")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with the page's first two steps done and a folder of drawings."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "app", folder / "app", ignore=LEFT_OUT)
    shutil.rmtree(folder / "app" / "inference" / "embedded", ignore_errors=True)
    task, added = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[:2]
    (folder / "app" / "tasks" / "shape.py").write_text(task, encoding="utf-8")
    file = folder / "app" / "tasks" / "__init__.py"
    imported, line = added.split("\n\n")
    text = re.sub(r"^TASKS = .*$", line.strip(), file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text.replace("from app.tasks.document_type", f"{imported}\nfrom app.tasks.document_type"), "utf-8")
    for shape in ("circle", "cross", "square"):
        (folder / "my-shapes" / shape).mkdir(parents=True)
        for number in range(80):
            draw(shape, number).save(folder / "my-shapes" / shape / f"person{number // 2}_{number:02d}.png")
    return folder


def test_the_page_adds_a_task_and_takes_none_away() -> None:
    """The line of the page has all tasks of the product, in their order, before its own."""
    (line,) = re.findall(r"^TASKS = .* in \((.*)\)\}$", PAGE, re.MULTILINE)
    assert line.split(", ") == [*map(str.upper, TASKS), "SHAPE"]


def test_the_page_leads_from_a_folder_to_an_answer(project: Path) -> None:
    """Every command of the page succeeds in turn, and the service then answers rightly with what was promoted."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENPRESS_")}
    followed = [[*words, "--judged", "8"] if words[0].endswith("pipeline") else words for words in commands()]
    assert [words[0].rpartition(".")[2] for words in followed] == [
        "data_import_folder", "pipeline", "pipeline", "comparison", "model_registry_prod_experiments",
    ]  # fmt: skip
    result = subprocess.run(  # noqa: S603 - our own interpreter on our own text
        [sys.executable, "-W", "ignore", "-c", FOLLOW, json.dumps(followed)],
        cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    answer, models = json.loads((project / "answer.json").read_text(encoding="utf-8"))
    assert (answer["predicted_class"], answer["model_name"], answer["model_alias"]) == ("cross", "shape", "prod")
    entry = next(model for model in models["models"] if model["task"] == "shape")
    assert (entry["labels"], entry["alias"]) == (["circle", "cross", "square"], "prod")
    assert entry["figures"]["test_accuracy"] > 0.8
