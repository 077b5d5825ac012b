"""The documentation says what the code does: settings, options, errors, commands, links, names in the two traces."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
from fastapi.openapi.docs import get_swagger_ui_html

from app.config import PREFIX, Settings
from app.inference.recogniser import Recogniser
from app.prediction_log import Entry
from app.preprocess import read_image
from app.tasks import TASKS
from app.training.options import Options
from app.webservice.answers import Answer, Health, TaskHealth

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "documentation" / "docs"
OUTSIDE = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES = sorted([*OUTSIDE, *DOCS.rglob("*.md")])
README = ROOT / "README.md"
PICTURE = DOCS / "images" / "explanation.png"
SHELL = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
RELATIVE_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
STATUS_AND_CODE = re.compile(r'\b([45]\d\d)(?:,|:| if \w+ else) "([a-z_]+)"')


def name_of(path: Path) -> str:
    """A page's path inside the project."""
    return path.relative_to(ROOT).as_posix()


def text_of(name: str) -> str:
    """A page of the documentation."""
    return (DOCS / name).read_text(encoding="utf-8")


def rows_of(text: str) -> list[list[str]]:
    """The cells of all table rows, without backticks and without the rules under table heads."""
    lines = (line.strip() for line in text.splitlines() if re.match(r"\s*\|(?!\s*:?--)", line))
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def shown(value: object) -> str:
    """A default as the tables show it: empty for none, paths of the product from its root."""
    if value is None or value == ():
        return ""
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return (text.lower() if isinstance(value, bool) else text).replace(f"{ROOT}/", "")


def answer_of_the_read_me() -> str:
    """The block under the mark in the read-me."""
    block = README.read_text(encoding="utf-8").split("<!-- the answer of the shipped model -->")[1].split("```")[1]
    return block.removeprefix("json")


def commands() -> list[tuple[str, str, str]]:
    """Every `python -m app...` in the shell examples of all pages: page, module, arguments."""
    found = []
    for page in PAGES:
        for block in SHELL.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                called = re.search(r"python -m (app[\w.]*)([^#]*)", line)
                if called:
                    found.append((name_of(page), called[1], called[2].strip()))
    return found


def help_of(module: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints with `--help`; fails unless it ends well."""
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_every_setting_is_documented_with_its_default() -> None:
    """The table of settings has every setting with the default of the code, and no other."""
    found = {row[0]: row[1] for row in rows_of(text_of("operations.md")) if row[0].startswith(PREFIX)}
    expected = {(PREFIX + name).upper(): shown(field.default) for name, field in Settings.model_fields.items()}
    address = (PREFIX + "mlflow_tracking_uri").upper()
    expected[address] = expected[address].replace("sqlite:///", "sqlite:///…/")
    assert found == expected


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_setting_is_invented(page: Path) -> None:
    """Every `PENPRESS_...` that a page names is a setting."""
    known = {(PREFIX + name).upper() for name in Settings.model_fields}
    assert set(re.findall(PREFIX + r"[A-Z][A-Z_]*", page.read_text(encoding="utf-8"))) <= known


def test_every_training_option_is_documented_with_its_default() -> None:
    """The table of training options has every option with the default of the code, and no other but `--resume`."""
    table = text_of("training.md").split("## Options")[1].split("\n## ")[0]
    found = {row[0]: row[1] for row in rows_of(table) if row[0].startswith("--")}
    assert found.pop("--resume") == ""
    expected = {f"--{name.replace('_', '-')}": shown(field.default) for name, field in Options.model_fields.items()}
    assert found == expected


def test_the_task_size_is_the_documented_one() -> None:
    """The training page names the input size of the shipped task."""
    image = TASKS["document_type"].image
    assert f"sees {image.height} x {image.width} pixels" in text_of("training.md")


def test_every_error_is_documented() -> None:
    """The table of errors has every status and code of the service's source, and no other."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "app" / "webservice").glob("*.py"))
    expected = set(STATUS_AND_CODE.findall(source))
    found = {(row[0], row[1]) for row in rows_of(text_of("service.md")) if re.fullmatch(r"[45]\d\d", row[0])}
    assert found == expected


@pytest.mark.parametrize("model", [Answer, Health, TaskHealth], ids=lambda model: model.__name__)
def test_every_field_of_an_answer_is_documented(model: type[Answer | Health | TaskHealth]) -> None:
    """The service reference has a row for every field that a client gets."""
    documented = {name.strip("` ") for row in rows_of(text_of("service.md")) for name in row[0].split(",")}
    assert set(model.model_fields) <= documented


def test_which_reference_needs_the_web_is_told() -> None:
    """The interactive page loads scripts from elsewhere, the service reference says so and names what does not."""
    assert 'src="https://' in bytes(get_swagger_ui_html(openapi_url="/openapi.json", title="x").body).decode()
    assert "`/docs` needs the web" in text_of("service.md")


def test_every_field_of_the_log_is_documented() -> None:
    """The operations page has a row for every field of a line of the prediction log."""
    documented = {name.strip("` ") for row in rows_of(text_of("operations.md")) for name in row[0].split(",")}
    assert set(Entry.__dataclass_fields__) <= documented


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of a page exists."""
    targets = RELATIVE_LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_source_files_exist(page: Path) -> None:
    """Every Python file and script of the project that a page names exists."""
    text = page.read_text(encoding="utf-8")
    if page.parent.name == "decisions":  # records speak of what was, too
        text = re.sub(r"`app/(evaluate|webservice)\.py`", "", text)
    named = set(re.findall(r"\b(?:app|tests)/[\w/]+\.py\b", text)) | set(re.findall(r"\./(\w+\.sh)\b", text))
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def test_the_traces_name_real_functions() -> None:
    """Every row of the two traces on the first page names a function or class of the file beside it."""
    rows = [row for row in rows_of(text_of("index.md")) if row[0].endswith(".py")]
    assert len(rows) > 20
    for file, name, _ in rows:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, defined)}, f"{name} is not in {file}"


@pytest.mark.parametrize("module", sorted({module for _, module, _ in commands()}))
def test_documented_commands_exist(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command in the examples answers `--help`, which knows every option that the examples give it."""
    said = help_of(module, capsys)
    for page, called, arguments in commands():
        if called == module:
            unknown = [flag for flag in re.findall(r"(?<!\S)--[\w-]+", arguments) if flag not in said]
            assert not unknown, f"{page}: {module} {arguments}"


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("registry.md", "app.inference.model_registry_prod_experiments"),
        ("explanations.md", "app.training.explain"),
        ("data.md", "app.data.data_import_folder"),
    ],
)
def test_tables_of_options_are_those_of_the_command(page: str, module: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every option in a page's tables is one of the command that the page is about."""
    said = help_of(module, capsys)
    options = [row[0] for row in rows_of(text_of(page)) if row[0].startswith("--")]
    assert options
    assert [option for option in options if option not in said] == []


def test_promotion_options_are_all_documented() -> None:
    """The registry page has a row for every option of the promotion command."""
    source = (ROOT / "app" / "inference" / "model_registry_prod_experiments.py").read_text(encoding="utf-8")
    options = set(re.findall(r'"(--[a-z-]+)"', source))
    assert {row[0] for row in rows_of(text_of("registry.md")) if row[0].startswith("--")} == options


def test_decisions_are_listed() -> None:
    """Every decision record is in the index, and has context, choice and price."""
    index = text_of("decisions/index.md")
    records = sorted((DOCS / "decisions").glob("0*.md"))
    assert [record.name for record in records if f"({record.name})" not in index] == []
    for record in records:
        headings = re.findall(r"^## (.*)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Choice", "Price"], record.name


def test_the_read_me_shows_a_whole_answer() -> None:
    """The answer in the read-me has every field of the service's answers, in order."""
    keys = [key for key in re.findall(r'"(\w+)":', answer_of_the_read_me()) if key in Answer.model_fields]
    assert keys == list(Answer.model_fields)


def test_the_read_me_shows_what_the_shipped_model_says() -> None:
    """Once a model ships, the read-me shows its real answer for the image of the example."""
    for bundle in (ROOT / "app" / "inference" / "embedded").glob("document_type/model.json"):
        image = read_image((DOCS / "images" / "handwritten.jpg").read_bytes())
        said = Recogniser.load(bundle.parent).predict([image])[0]
        told = Answer.model_validate_json(answer_of_the_read_me())
        assert (told.predicted_class, told.uncertain) == (said.label, said.uncertain)
        assert told.confidence == pytest.approx(said.confidence, abs=0.01), "run the example and copy its answer"


def test_the_read_me_shows_the_picture() -> None:
    """The read-me shows the picture of an explanation as soon as there is one."""
    assert (f"({name_of(PICTURE)})" in README.read_text(encoding="utf-8")) == PICTURE.is_file()


def test_the_model_card_is_the_shipped_one() -> None:
    """The page of the model cards includes the card of every shipped bundle, and copies nothing."""
    included = re.findall(r'^--8<-- "(.*)"$', text_of("model-card.md"), re.MULTILINE)
    assert included == [f"app/inference/embedded/{task}/README.md" for task in TASKS]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_examples_of_json_are_json(page: Path) -> None:
    """What a page shows as JSON can be read as such."""
    for block in re.findall(r"^```json\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        assert isinstance(json.loads(block), dict)
