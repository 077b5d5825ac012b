"""The registry on real SQLite stores: runs, bundles that MLflow itself can load, versions, the alias, failures."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest
from google.protobuf.json_format import ParseError

from app.config import Settings
from app.errors import BundleError, RegistryError
from app.inference.bundle import read_description
from app.inference.recogniser import Recogniser
from app.inference.registry import Registry, Version
from app.inference.registry.edge import at_edge, pages
from app.inference.registry.flavour import pinned
from app.inference.registry.records import EMBEDDED
from app.tasks import DOCUMENT_TYPE, PAGE_TEXT
from tests.bundles import make_bundle
from tests.stores import TAGS, log_run, settings_in

TASK = DOCUMENT_TYPE.name
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(name="registry")
def _registry(tmp_path: Path) -> Registry:
    return Registry(settings_in(tmp_path))


def test_a_new_store_is_made_where_the_settings_say(tmp_path: Path) -> None:
    """A store in a folder that does not exist yet is made, answers, and keeps its artifacts below the artifact root."""
    store = tmp_path / "new" / "mlruns"
    settings = Settings(mlflow_tracking_uri=f"sqlite:///{store}/mlflow.db", artifact_root=store)
    registry = Registry(settings)
    assert not store.exists()
    assert registry.resolve(TASK) is None
    log_run(registry, tmp_path)
    locations = [experiment.artifact_location for experiment in registry.client.search_experiments()]
    assert len(locations) == 2
    assert all(location.startswith(store.as_uri()) for location in locations)
    assert len(list(store.rglob("model.onnx"))) == 1


def test_nothing_is_resolved_in_an_empty_store(registry: Registry) -> None:
    """Neither a missing model nor a model without the alias is an error."""
    assert registry.resolve(TASK) is None
    assert registry.previous(TASK) is None
    assert registry.versions(TASK) == []


def test_a_registered_model_without_alias_resolves_to_nothing(registry: Registry, tmp_path: Path) -> None:
    """A version that nobody promoted is not served."""
    registry.register(log_run(registry, tmp_path), TASK, {})
    assert registry.resolve(TASK) is None


def test_a_run_keeps_what_is_logged(registry: Registry, tmp_path: Path) -> None:
    """Parameters, tags, the last metrics and artifacts of a finished run can be read back."""
    log = registry.start_run("fine-tune", "first", {"epochs": 3, "rate": 0.001}, TAGS)
    for epoch in range(3):
        log.log_metrics({"validation_accuracy": 0.9 + epoch / 100}, step=epoch)
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "curve.txt").write_text("up")
    log.log_artifacts(tmp_path / "plots", "plots")
    log.log_file(tmp_path / "plots" / "curve.txt")
    log.finish()
    (run,) = registry.runs(["fine-tune"], TASK)
    assert run == registry.run(log.run_id)
    assert (run.experiment, run.name, run.status, run.embedded) == ("fine-tune", "first", "FINISHED", False)
    assert run.metrics == {"validation_accuracy": 0.92}
    assert run.parameters == {"epochs": "3", "rate": "0.001"}
    assert run.tags == TAGS
    experiment = registry.client.get_experiment_by_name("fine-tune")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"  # what its pages are arranged by
    assert run.finished is not None
    assert run.finished >= run.started
    assert {item.path for item in registry.client.list_artifacts(log.run_id)} == {"plots", "curve.txt"}


def test_mlflow_shows_data_set_and_commit(registry: Registry) -> None:
    """The data set is logged as the run's input, and the commit where MLflow's browser looks for it."""
    log = registry.start_run("transfer", "one", {}, TAGS)
    run = registry.client.get_run(log.run_id)
    assert run.inputs.dataset_inputs[0].dataset.name == "tiny"
    assert run.inputs.dataset_inputs[0].dataset.digest == TAGS["data_fingerprint"]
    assert run.data.tags["mlflow.source.git.commit"] == TAGS["git_commit"]


def test_an_interrupted_run_is_resumed(registry: Registry) -> None:
    """The same run goes on; its known parameters stay, new ones are added."""
    first = registry.start_run("transfer", "one", {"epochs": 5}, TAGS)
    first.finish("KILLED")
    assert registry.runs(None, TASK) == []
    second = registry.start_run("transfer", "one", {"epochs": 9, "resumed": "yes"}, TAGS, run_id=first.run_id)
    assert second.run_id == first.run_id
    assert registry.run(first.run_id).status == "RUNNING"
    second.finish()
    assert registry.run(first.run_id).parameters == {"epochs": "5", "resumed": "yes"}


def test_many_parameters_are_logged(registry: Registry) -> None:
    """More parameters than MLflow takes at once, and one longer than it takes, are no obstacle."""
    log = registry.start_run("transfer", "one", {f"p{number}": "x" * 9000 for number in range(150)}, TAGS)
    parameters = registry.run(log.run_id).parameters
    assert len(parameters) == 150
    assert parameters["p149"] == "x" * 500


def test_the_best_run_has_the_best_figure(registry: Registry, tmp_path: Path) -> None:
    """Higher accuracy and lower ECE are better, and the embedded model only takes part when it is named."""
    worse = log_run(registry, tmp_path, "a", accuracy=0.8)
    better = log_run(registry, tmp_path, "b", accuracy=0.95)
    registry.register_embedded(make_bundle(tmp_path / "shipped"), TASK)
    assert [run.run_id for run in (registry.best_run("validation_accuracy", TASK),) if run] == [better]
    assert [run.run_id for run in (registry.best_run("validation_ece", TASK),) if run] == [better]
    assert [run.run_id for run in (registry.best_run("validation_accuracy", TASK, ["a"]),) if run] == [worse]
    named = registry.best_run("validation_accuracy", TASK, [EMBEDDED])
    assert named is not None
    assert named.embedded
    assert registry.best_run("no_such_metric", TASK) is None
    assert registry.best_run("validation_accuracy", "other_task") is None


def test_unknown_experiments_are_named(registry: Registry) -> None:
    """A misspelt experiment is an error that lists the known ones."""
    with pytest.raises(RegistryError, match=r"unknown experiments \['tranfser'\]; known are \['Default'\]"):
        registry.runs(["tranfser"], TASK)


def test_a_run_is_registered_once(registry: Registry, tmp_path: Path) -> None:
    """Registering the same run twice gives the same version."""
    run_id = log_run(registry, tmp_path)
    first = registry.register(run_id, TASK, {"data": "tiny"})
    assert first.version == "1"
    assert first.tags == {"data": "tiny"}
    assert registry.register(run_id, TASK, {"data": "other"}) == first
    assert len(registry.versions(TASK)) == 1


def test_a_run_needs_no_data_set(registry: Registry) -> None:
    """A run without the tags of data and commit is a run all the same."""
    log = registry.start_run("transfer", "one", {}, {"task": TASK})
    assert registry.client.get_run(log.run_id).inputs.dataset_inputs == []


def test_a_deleted_experiment_is_named(registry: Registry) -> None:
    """A run cannot be logged in an experiment that was deleted in MLflow's browser; the error says what to do."""
    registry.start_run("transfer", "one", {}, TAGS).finish()
    registry.client.delete_experiment(registry.client.get_experiment_by_name("transfer").experiment_id)
    with pytest.raises(RegistryError, match="'transfer' was deleted; restore it"):
        registry.start_run("transfer", "two", {}, TAGS)


def test_a_name_that_mlflow_refuses_is_reported(registry: Registry, tmp_path: Path) -> None:
    """A task whose name cannot be a model's name is an error, not a version."""
    with pytest.raises(RegistryError, match="a:b"):
        registry.register(log_run(registry, tmp_path), "a:b", {})


def test_results_are_read_to_the_last_page(registry: Registry) -> None:
    """More results than one of MLflow's pages holds are all found."""
    for number in range(5):
        registry.start_run("transfer", str(number), {}, TAGS).finish()
    experiment = registry.client.get_experiment_by_name("transfer").experiment_id
    found = pages(partial(registry.client.search_runs, [experiment], max_results=2))
    assert sorted(run.info.run_name for run in found) == ["0", "1", "2", "3", "4"]


def test_a_package_that_is_missing_is_required_in_any_release() -> None:
    """The environment of a model names packages that this machine lacks, without a release."""
    assert pinned("numpy") == f"numpy=={np.__version__}"
    assert pinned("no-such-package") == "no-such-package"


def test_a_run_without_bundle_is_not_registered(registry: Registry) -> None:
    """A run that never logged its bundle cannot become a version."""
    log = registry.start_run("transfer", "one", {}, TAGS)
    log.finish()
    with pytest.raises(RegistryError, match="has no bundle"):
        registry.register(log.run_id, TASK, {})


def test_a_broken_bundle_is_not_logged(registry: Registry, tmp_path: Path) -> None:
    """A bundle whose model does not match its description never reaches the store."""
    bundle = make_bundle(tmp_path / "bundle")
    (bundle / "model.onnx").write_bytes(b"other")
    log = registry.start_run("transfer", "one", {}, TAGS)
    with pytest.raises(BundleError, match="sha256"):
        log.log_bundle(bundle)


def test_a_downloaded_bundle_is_the_one_logged(registry: Registry, tmp_path: Path) -> None:
    """What comes back from the registry loads, passes its probes, and has the sha256 that went in."""
    version = registry.register(log_run(registry, tmp_path), TASK, {})
    found = registry.download(version, tmp_path / "deep" / "copy")
    assert found == tmp_path / "deep" / "copy"
    Recogniser.load(found).check_probes(found)
    assert read_description(found) == read_description(tmp_path / f"bundle-{version.run_id}")
    assert [path.name for path in found.parent.iterdir()] == ["copy"]


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")  # MLflow's own, when it is imported
def test_mlflow_loads_a_version_by_its_alias(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mlflow.onnx.load_model` and `mlflow.pyfunc.load_model` take the version in prod as any ONNX model."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    registry.set_alias(registry.register(log_run(registry, tmp_path), TASK, {}))
    graph = mlflow.onnx.load_model(f"models:/{TASK}@prod")
    assert graph.graph.output[0].name == "logits"
    model = mlflow.pyfunc.load_model(f"models:/{TASK}@prod")
    images = np.zeros((2, 1, 64, 512), np.float32)
    assert model.predict(images)["logits"].shape == (2, 2)
    assert model.metadata.get_input_schema().inputs[0].shape == (-1, 1, 64, 512)
    with pytest.raises(mlflow.exceptions.MlflowException, match="shape"):
        model.predict(np.zeros((2, 3, 64, 512), np.float32))


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")  # MLflow's own, when it is imported
@pytest.mark.parametrize(("task", "shape"), [(TASK, (-1, 1, 64, 512)), (PAGE_TEXT.name, (-1, 1, -1, -1))])
def test_the_signature_is_that_of_the_model(
    registry: Registry, task: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow knows what a shipped model takes, and which sides are free; it says of outputs only what comes."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    registry.register_embedded(Settings().embedded / task, task)
    model = mlflow.pyfunc.load_model(f"models:/{task}@prod")
    (images,) = model.metadata.get_input_schema().inputs
    assert (images.name, images.shape, model.metadata.get_output_schema()) == (None, shape, None)
    answers = model.predict(np.zeros([3, *(64 if side == -1 else side for side in shape[1:])], np.float32))
    assert {name: len(rows) for name, rows in answers.items()} == {"logits": 3, "maps": 3}


def test_the_alias_moves_and_is_remembered(registry: Registry, tmp_path: Path) -> None:
    """Moving the alias archives the version that held it, and `previous` finds it again."""
    first, second = (registry.register(log_run(registry, tmp_path), TASK, {}) for _ in range(2))
    assert registry.set_alias(first).alias == "prod"
    assert registry.previous(TASK) is None
    live = registry.set_alias(second)
    assert registry.resolve(TASK) == live
    assert (live.version, live.alias, live.tags["stage"]) == ("2", "prod", "prod")
    before = registry.previous(TASK)
    assert before is not None
    assert (before.version, before.alias, before.tags["stage"]) == ("1", None, "archived")
    assert before.tags["archived_at"] == live.tags["promoted_at"]
    assert registry.set_alias(live) == live


def test_rolling_back_twice_goes_two_steps_back(registry: Registry, tmp_path: Path) -> None:
    """A roll-back is not itself something to roll back to."""
    for _ in range(3):
        registry.set_alias(registry.register(log_run(registry, tmp_path), TASK, {}))
    for expected in ("2", "1"):
        before = registry.previous(TASK)
        assert before is not None
        assert (before.version, registry.roll_back(TASK).version) == (expected, expected)
    assert registry.previous(TASK) is None
    with pytest.raises(RegistryError, match="no earlier promoted version"):
        registry.roll_back(TASK)


def promoted(registry: Registry, folder: Path, order: str) -> dict[str, Version]:
    """As many versions as *order* names, promoted in this order."""
    known = {number: registry.register(log_run(registry, folder), TASK, {}) for number in sorted(set(order))}
    for number in order:
        registry.set_alias(known[number])
    return known


@pytest.mark.parametrize(("order", "back"), [("121", "21"), ("12121", "2121"), ("1232", "321"), ("1312", "131")])
def test_rolling_back_walks_through_all_that_was_live(
    registry: Registry, tmp_path: Path, order: str, back: str
) -> None:
    """However often the same versions took turns, each roll-back goes one step back in their order, to the first."""
    promoted(registry, tmp_path, order)
    assert [registry.roll_back(TASK).version for _ in back] == list(back)
    assert registry.previous(TASK) is None


def test_promoting_after_a_roll_back_goes_on_from_there(registry: Registry, tmp_path: Path) -> None:
    """What was rolled back is forgotten, and what is promoted then comes behind the version gone back to."""
    known = promoted(registry, tmp_path, "123")
    registry.roll_back(TASK)
    registry.set_alias(known["1"])
    registry.set_alias(known["3"])
    assert [registry.roll_back(TASK).version for _ in range(3)] == ["1", "2", "1"]
    assert registry.previous(TASK) is None


def test_a_deleted_version_is_passed_over(registry: Registry, tmp_path: Path) -> None:
    """A version that was live once and exists no more is no place to go back to, nor is the live one itself."""
    promoted(registry, tmp_path, "12131")
    registry.client.delete_model_version(TASK, "3")
    assert [registry.roll_back(TASK).version for _ in range(2)] == ["2", "1"]
    assert registry.previous(TASK) is None


def test_each_alias_has_its_history(registry: Registry, tmp_path: Path) -> None:
    """What was live under one alias is no place to go back to under another."""
    known = promoted(registry, tmp_path, "12")
    other = Registry(registry.settings.model_copy(update={"alias": "canary"}))
    assert other.set_alias(known["2"]).alias == "canary"
    assert other.previous(TASK) is None


def test_an_alias_moved_by_hand_can_be_rolled_back(registry: Registry, tmp_path: Path) -> None:
    """Where the alias was moved in MLflow's browser, the version promoted last is the one before."""
    first, second = (registry.register(log_run(registry, tmp_path), TASK, {}) for _ in range(2))
    registry.set_alias(first)
    registry.client.set_registered_model_alias(TASK, "prod", second.version)
    before = registry.previous(TASK)
    assert before is not None
    assert before.version == first.version


def test_the_embedded_bundle_is_registered_once(registry: Registry, tmp_path: Path) -> None:
    """The shipped bundle becomes a version with the alias and its figures, once, and in an experiment of its own."""
    bundle = make_bundle(tmp_path / "shipped")
    version = registry.register_embedded(bundle, TASK)
    assert (version.version, version.alias, version.tags["embedded"]) == ("1", "prod", "true")
    assert version.tags["sha256"] == read_description(bundle).sha256
    assert registry.register_embedded(bundle, TASK) == version
    (run,) = registry.runs(None, TASK)
    assert run.embedded
    assert run.metrics == read_description(bundle).figures


def test_the_embedded_bundle_never_takes_the_alias_away(registry: Registry, tmp_path: Path) -> None:
    """A version that somebody promoted stays live when the shipped bundle is registered later."""
    promoted = registry.set_alias(registry.register(log_run(registry, tmp_path), TASK, {}))
    assert registry.register_embedded(make_bundle(tmp_path / "shipped"), TASK) == promoted
    assert registry.resolve(TASK) == promoted


class UnlockedRegistry(Registry):
    """A registry as it is on a database server, where no lock file keeps the others waiting."""

    _alone = nullcontext


@pytest.mark.parametrize("kind", [Registry, UnlockedRegistry])
def test_two_services_may_register_the_embedded_bundle_at_once(tmp_path: Path, kind: type[Registry]) -> None:
    """Services that start together on an empty registry agree on one live version; a lock spares repeats."""
    settings = settings_in(tmp_path)
    bundle = make_bundle(tmp_path / "shipped")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: kind(settings).register_embedded(bundle, TASK), range(4)))
    live = kind(settings).resolve(TASK)
    assert live is not None
    assert {version.version for version in found} == {live.version}
    assert kind is UnlockedRegistry or len(kind(settings).versions(TASK)) == 1


class LateRegistry(UnlockedRegistry):
    """A registry in which another process sets the alias a moment before this one, or only tries to."""

    succeeds = True

    def set_alias(self, version: Version) -> Version:
        """Fail as MLflow does when the alias was set meanwhile."""
        if self.succeeds:
            super().set_alias(version)
        message = "UNIQUE constraint failed"
        raise RegistryError(message)


def test_an_alias_that_another_process_has_just_set_is_taken_as_it_is(tmp_path: Path) -> None:
    """Losing the race for the alias is no error; a failure that left no alias is one."""
    bundle = make_bundle(tmp_path / "shipped")
    late = LateRegistry(settings_in(tmp_path / "late"))
    assert late.register_embedded(bundle, TASK).alias == "prod"
    failing = LateRegistry(settings_in(tmp_path / "failing"))
    failing.succeeds = False
    with pytest.raises(RegistryError, match="UNIQUE"):
        failing.register_embedded(bundle, TASK)


def test_two_processes_may_make_the_store_at_once(tmp_path: Path) -> None:
    """Processes that start together without any store both end well, with one live version."""
    bundle = make_bundle(tmp_path / "shipped")
    code = (
        "import sys; from pathlib import Path; from app.config import Settings; from app.inference.registry import "
        f"Registry; print(Registry(Settings()).register_embedded(Path({str(bundle)!r}), {TASK!r}).version)"
    )
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: run_python(code, tmp_path), range(2)))
    assert answers == [("1\n", ""), ("1\n", "")]


def test_the_registry_works_without_the_heavy_packages(tmp_path: Path) -> None:
    """With mlflow-skinny's dependencies alone the embedded bundle is registered, resolved and fetched, in silence."""
    bundle = make_bundle(tmp_path / "shipped")
    code = f"""
import sys
blocked = {{"pandas", "onnx", "sklearn", "torch", "torchvision", "matplotlib", "scipy", "pyarrow", "datasets", "flask"}}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError("blocked: " + name, name=name)
sys.meta_path.insert(0, Blocker())
import json
from pathlib import Path
from app.config import Settings
from app.inference.registry import Registry
from mlflow.telemetry import get_telemetry_client
registry = Registry(Settings())
version = registry.register_embedded(Path({str(bundle)!r}), {TASK!r})
files = sorted(path.name for path in registry.download(version, Path("copy")).iterdir())
heavy = sorted(blocked & set(sys.modules))
here = sorted(path.name for path in Path(".").iterdir())
found = {{"version": version.version, "files": files, "heavy": heavy, "here": here}}
print(json.dumps(found | {{"telemetry": get_telemetry_client() is not None}}))
"""
    output, complaints = run_python(code, tmp_path)
    assert complaints == ""
    found = json.loads(output)
    assert found["version"] == "1"
    assert {"MLmodel", "model.onnx", "model.json", "probe_0.png"} <= set(found["files"])
    assert found["heavy"] == []
    assert found["telemetry"] is False
    assert found["here"] == ["copy", "mlruns", "shipped"]


def run_python(code: str, folder: Path) -> tuple[str, str]:
    """Run Python in *folder* with a store of its own there, as a user's shell would; returns its output and errors."""
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlruns/mlflow.db", "PENPRESS_ARTIFACT_ROOT": "mlruns"}
    done = subprocess.run(  # noqa: S603 - our own interpreter on our own code
        [sys.executable, "-c", code],
        cwd=folder,
        env=known | store | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("sqlite:////proc/nowhere/mlflow.db", "proc"),
        ("postgresql://reader:secret@127.0.0.1:1/mlflow", "reader:\\*\\*\\*@"),
        ("http://reader:secret@127.0.0.1:1", "reader:\\*\\*\\*@"),
        ("carrier-pigeon://somewhere", "carrier-pigeon"),
    ],
)
def test_an_unreachable_store_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, word: str
) -> None:
    """The error names the store and the remedy, keeps the password to itself, and is the same at every call."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry(settings_in(tmp_path, mlflow_tracking_uri=uri))
    for _ in range(2):
        with pytest.raises(RegistryError, match=f"{word}.*check MLFLOW_TRACKING_URI") as caught:
            registry.resolve(TASK)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("error", [ParseError("no field"), ValueError("year 3170843"), OSError("gone"), TypeError("x")])
def test_whatever_a_store_provokes_is_a_registry_error(error: Exception) -> None:
    """Also an answer that is no MLflow's, as from a proxy, becomes the one error that the service survives."""
    with pytest.raises(RegistryError, match=f"{error}; check MLFLOW_TRACKING_URI"), at_edge("http://proxy"):
        raise error


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A broken database file is reported at once, and a mended one works on the same registry."""
    settings = settings_in(tmp_path)
    database = tmp_path / "mlruns" / "mlflow.db"
    good = database.read_bytes()
    database.write_bytes(b"not a database, but long enough to be read as one" * 40)
    registry = Registry(settings)
    with pytest.raises(RegistryError, match="not a database"):
        registry.resolve(TASK)
    database.write_bytes(good)
    assert registry.resolve(TASK) is None


def test_missing_artifacts_are_reported(registry: Registry, tmp_path: Path) -> None:
    """A version whose files were deleted fails with an error, and leaves no half bundle behind."""
    version = registry.register(log_run(registry, tmp_path), TASK, {})
    next((tmp_path / "mlruns").rglob("model.onnx")).parent.rename(tmp_path / "gone")
    with pytest.raises(RegistryError, match="model registry"):
        registry.download(version, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
