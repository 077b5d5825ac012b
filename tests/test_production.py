"""Which bundle is live: the alias, refusals, fallbacks, the cache, and the thread that watches."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.config import Settings
from app.errors import RegistryError
from app.inference.bundle import DESCRIPTION, MODEL, Probe
from app.inference.production import Production, Watch, open_registry
from app.preprocess import read_image
from app.tasks import DOCUMENT_TYPE
from tests.bundles import MIDDLE, make_bundle, picture
from tests.fakes import FakeStore, opener
from tests.stores import settings_in

NAME = DOCUMENT_TYPE.name
WRONG_PROBES = [Probe(file="probe_0.png", probabilities=(0.5, 0.5))]
OTHER_TASK = replace(DOCUMENT_TYPE, name="other")
OTHER_LABELS = replace(DOCUMENT_TYPE, labels=("printed", "handwritten"))
MORE_LABELS = replace(DOCUMENT_TYPE, labels=("handwritten", "printed", "stamped"))
SMALLER = DOCUMENT_TYPE.image.model_copy(update={"width": 256})


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, inference_threads=1)


@pytest.fixture(name="store")
def _store() -> FakeStore:
    return FakeStore()


@pytest.fixture(name="production")
def _production(settings: Settings) -> Production:
    return Production(DOCUMENT_TYPE, settings)


def answer(production: Production) -> str:
    """What the live bundle says to the grey between its labels."""
    assert production.live is not None
    return production.live.predict([read_image(picture(MIDDLE))])[0].label


def folders(settings: Settings) -> list[Path]:
    """The downloads that are kept."""
    return sorted(path for path in (settings.bundle_cache / NAME).iterdir() if path.is_dir())


def test_the_version_with_the_alias_becomes_live(production: Production, store: FakeStore, tmp_path: Path) -> None:
    """A resolved version is downloaded, checked and answers under its number, run and alias."""
    store.promote("7", make_bundle(tmp_path / "b", bias=20))
    production.reconcile(opener(store))
    live = production.live
    assert live is not None
    assert (live.version, live.place.run_id, live.place.alias, production.status) == ("7", "run-7", "prod", "ok")
    assert answer(production) == "printed"


def test_a_moved_alias_changes_the_answers(production: Production, store: FakeStore, tmp_path: Path) -> None:
    """After the alias has moved, the next poll swaps, and what was taken before still answers as before."""
    store.promote("1", make_bundle(tmp_path / "a", bias=20))
    production.reconcile(opener(store))
    taken = production.live
    store.promote("2", make_bundle(tmp_path / "b", bias=-20))
    production.reconcile(opener(store))
    assert answer(production) == "handwritten"
    assert taken is not None
    assert taken.predict([read_image(picture(MIDDLE))])[0].label == "printed"


def test_a_live_version_is_downloaded_once(production: Production, store: FakeStore, tmp_path: Path) -> None:
    """Polls that find the alias where it was fetch nothing."""
    store.promote("1", make_bundle(tmp_path / "a"))
    for _ in range(3):
        production.reconcile(opener(store))
    assert store.downloads == ["1"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"probes": WRONG_PROBES}, "recorded are"),
        ({"task": OTHER_TASK}, "is for other"),
        ({"task": OTHER_LABELS}, "in this order"),
        ({"task": MORE_LABELS}, "in this order"),
        ({"image": SMALLER, "probes": WRONG_PROBES}, "does not take input"),
    ],
)
def test_a_version_that_fails_a_check_is_refused_once(
    production: Production, store: FakeStore, tmp_path: Path, bad: dict[str, object], reason: str
) -> None:
    """The old version goes on, the refusal and its reason are kept, and the download is not repeated."""
    store.promote("1", make_bundle(tmp_path / "good", bias=20))
    production.reconcile(opener(store))
    image = bad.pop("image", None)
    bundle = make_bundle(tmp_path / "bad", **bad)
    if image is not None:
        rewrite(bundle, '"width": 512', '"width": 256')
    store.promote("2", bundle)
    production.reconcile(opener(store))
    production.reconcile(opener(store))
    assert answer(production) == "printed"
    assert [(refusal.version, reason in refusal.reason) for refusal in production.refused] == [("2", True)]
    assert production.status == "degraded"
    assert production.problem is not None
    assert "version 2 is refused" in production.problem
    assert store.downloads == ["1", "2"]


def rewrite(bundle: Path, old: str, new: str) -> None:
    """Change the text of a bundle's description."""
    text = (bundle / DESCRIPTION).read_text("utf-8")
    assert old in text
    (bundle / DESCRIPTION).write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("file", [MODEL, DESCRIPTION, "probe_0.png"])
def test_a_damaged_file_is_refused(production: Production, store: FakeStore, tmp_path: Path, file: str) -> None:
    """A model, description or probe that is not what was written never becomes live."""
    bundle = make_bundle(tmp_path / "bad")
    (bundle / file).write_bytes((bundle / file).read_bytes()[:20])
    store.promote("3", bundle)
    production.reconcile(opener(store))
    assert production.live is None
    assert [refusal.version for refusal in production.refused] == ["3"]


def test_labels_of_an_edited_task_may_be_promoted(settings: Settings, store: FakeStore, tmp_path: Path) -> None:
    """A bundle with the labels of the task as it is now replaces one with the labels of before."""
    production = Production(MORE_LABELS, settings)
    store.promote("1", make_bundle(tmp_path / "before"))
    production.reconcile(opener(store))
    store.promote("2", make_bundle(tmp_path / "after", task=MORE_LABELS))
    production.reconcile(opener(store))
    assert production.live is not None
    assert production.live.description.labels == MORE_LABELS.labels


def test_going_back_after_a_refusal_is_ok_again(production: Production, store: FakeStore, tmp_path: Path) -> None:
    """When the alias returns to the live version, nothing is degraded any more; the refusal stays on record."""
    store.promote("1", make_bundle(tmp_path / "good"))
    production.reconcile(opener(store))
    store.promote("2", make_bundle(tmp_path / "bad", probes=WRONG_PROBES))
    production.reconcile(opener(store))
    store.alias = "1"
    production.reconcile(opener(store))
    assert (production.status, len(production.refused), store.downloads) == ("ok", 1, ["1", "2"])


def test_an_empty_registry_gets_the_embedded_bundle(
    production: Production, settings: Settings, store: FakeStore
) -> None:
    """The shipped bundle is registered and then served like any other version."""
    make_bundle(settings.embedded / NAME)
    production.start()
    assert production.live is not None
    assert (production.live.version, production.status) == ("embedded", "starting")
    production.reconcile(opener(store))
    assert (production.live.version, production.live.place.alias, production.status) == ("1", "prod", "ok")


def test_without_embedded_bundle_and_alias_there_is_no_model(production: Production, store: FakeStore) -> None:
    """A task that nobody has a model for is absent, and says how to get one."""
    production.start()
    production.reconcile(opener(store))
    assert (production.live, production.status) == (None, "absent")
    assert production.problem is not None
    assert "promote one" in production.problem


def test_a_removed_alias_leaves_the_old_version_live(production: Production, store: FakeStore, tmp_path: Path) -> None:
    """The embedded bundle does not take the place of a version whose alias was taken away while it served."""
    store.promote("4", make_bundle(tmp_path / "a"))
    production.reconcile(opener(store))
    store.alias = None
    production.reconcile(opener(store))
    assert production.live is not None
    assert (production.live.version, production.status) == ("4", "degraded")


def test_an_unreachable_registry_is_answered_from_the_last_good_bundle(
    settings: Settings, store: FakeStore, tmp_path: Path
) -> None:
    """After a restart without the registry, the version that was live last serves, marked as degraded."""
    make_bundle(settings.embedded / NAME, bias=20)
    store.promote("9", make_bundle(tmp_path / "a", bias=-20))
    Production(DOCUMENT_TYPE, settings).reconcile(opener(store))
    store.reachable = False
    restarted = Production(DOCUMENT_TYPE, settings)
    restarted.start()
    restarted.reconcile(opener(store))
    assert restarted.live is not None
    assert (restarted.live.version, restarted.status, answer(restarted)) == ("9", "degraded", "handwritten")


@pytest.mark.parametrize("damage", ["note", "bundle"])
def test_a_damaged_last_good_bundle_is_passed_over(
    settings: Settings, store: FakeStore, tmp_path: Path, damage: str
) -> None:
    """When the note or the bundle that it names is broken, the embedded bundle serves."""
    make_bundle(settings.embedded / NAME)
    store.promote("9", make_bundle(tmp_path / "a"))
    Production(DOCUMENT_TYPE, settings).reconcile(opener(store))
    victim = settings.bundle_cache / NAME / "last_good.json" if damage == "note" else folders(settings)[0] / MODEL
    victim.write_bytes(b"{}")
    restarted = Production(DOCUMENT_TYPE, settings)
    restarted.start()
    assert restarted.live is not None
    assert restarted.live.version == "embedded"


def test_the_registry_comes_back(production: Production, store: FakeStore, tmp_path: Path) -> None:
    """An outage leaves the answers as they are, and ends without a restart."""
    store.promote("1", make_bundle(tmp_path / "a"))
    production.reconcile(opener(store))
    store.reachable = False
    production.reconcile(opener(store))
    assert production.status == "degraded"
    store.reachable = True
    production.reconcile(opener(store))
    assert production.status == "ok"


def test_a_fresh_registry_is_believed_more_than_the_cache(settings: Settings, store: FakeStore, tmp_path: Path) -> None:
    """Version 1 of a new store is fetched although a version 1 of the old store lies in the cache."""
    store.promote("1", make_bundle(tmp_path / "a", bias=20))
    Production(DOCUMENT_TYPE, settings).reconcile(opener(store))
    store.promote("1", make_bundle(tmp_path / "b", bias=-20))
    restarted = Production(DOCUMENT_TYPE, settings)
    restarted.start()
    restarted.reconcile(opener(store))
    assert answer(restarted) == "handwritten"


def test_old_downloads_are_removed(
    production: Production, settings: Settings, store: FakeStore, tmp_path: Path
) -> None:
    """Only the live bundle and the one before it stay on disk."""
    for number in ("1", "2", "3"):
        store.promote(number, make_bundle(tmp_path / number, bias=float(number)))
        production.reconcile(opener(store))
    store.promote("4", make_bundle(tmp_path / "4", probes=WRONG_PROBES))
    production.reconcile(opener(store))
    assert [path.name.split("-")[0] for path in folders(settings)] == ["2", "3"]


def test_a_cache_that_cannot_be_written_degrades(settings: Settings, store: FakeStore, tmp_path: Path) -> None:
    """A file in the place of the cache folder stops the swap, not the service."""
    make_bundle(settings.embedded / NAME)
    settings.bundle_cache.mkdir()
    (settings.bundle_cache / NAME).write_bytes(b"")
    production = Production(DOCUMENT_TYPE, settings)
    production.start()
    store.promote("1", make_bundle(tmp_path / "a"))
    production.reconcile(opener(store))
    assert production.live is not None
    assert (production.live.version, production.status) == ("embedded", "degraded")


def test_the_watch_polls_until_it_is_stopped(production: Production) -> None:
    """The thread asks again and again, ends when told to, and is no longer alive then."""
    asked = threading.Semaphore(0)

    def open_store() -> FakeStore:
        asked.release()
        return FakeStore()

    watch = Watch([production], open_store, 0.001)
    watch.start(10)
    assert production.status == "absent"
    assert all(asked.acquire(timeout=10) for _ in range(3))
    assert watch.alive
    watch.stop()
    assert not watch.alive


def test_a_slow_registry_does_not_hold_up_the_start(production: Production, settings: Settings) -> None:
    """The start goes on when its patience ends, with what lies on disk."""
    make_bundle(settings.embedded / NAME)
    release = threading.Event()

    def open_store() -> FakeStore:
        assert release.wait(30)
        return FakeStore()

    watch = Watch([production], open_store, 0.001)
    production.start()
    watch.start(0.01)
    assert production.status == "starting"
    assert production.live is not None
    release.set()
    watch.stop()
    assert production.status == "ok"


def test_the_registry_is_opened_once(settings: Settings) -> None:
    """Every poll gets the same registry of the settings."""
    open_store = open_registry(settings)
    assert open_store() is open_store()
    assert open_store().resolve(NAME) is None


def test_a_registry_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    """A store that is no database degrades the task and names the remedy, and the next poll tries again."""
    settings = settings_in(tmp_path)
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(b"no database" * 100)
    make_bundle(settings.embedded / NAME)
    production = Production(DOCUMENT_TYPE, settings)
    production.start()
    production.reconcile(open_registry(settings))
    assert production.status == "degraded"
    assert production.problem is not None
    assert "MLFLOW_TRACKING_URI" in production.problem
    with pytest.raises(RegistryError):
        open_registry(settings)().resolve(NAME)
