"""The live bundle of one task: how a version becomes live, why it may be refused, what answers meanwhile.

A version becomes live in these steps: resolve the alias, download beside the live bundle, check the schema, the sha256
and the labels, run the probe images (which warms the session up as well) and compare with the recorded outputs, swap
one reference. Labels must be those of the live bundle or those of the task, in the same order: so a wrong export cannot
exchange two classes under running clients, while a task that was changed on purpose can be promoted after a restart.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from app.config import Settings
from app.errors import BundleError, InputError, PenPressError
from app.inference.bundle import Description, check_labels
from app.inference.production.cache import BundleCache, Note
from app.inference.recogniser import Recogniser
from app.tasks import Predict, Task

if TYPE_CHECKING:  # at run time the registry comes with MLflow, which takes seconds to import: see `watch.py`
    from app.inference.registry import Version

logger = logging.getLogger(__name__)

EMBEDDED = "embedded"  # the version that answers show while the shipped bundle serves without the registry
Status = Literal["ok", "degraded", "starting", "absent"]


class Store(Protocol):
    """What production needs of the model registry; every method may raise RegistryError."""

    def resolve(self, task: str) -> "Version | None":
        """The version of a task that holds the alias, or None."""

    def download(self, version: "Version", directory: Path) -> Path:
        """Fetch the bundle of a version into *directory* and return where it lies: there or below."""

    def register_embedded(self, directory: Path, task: str) -> "Version":
        """Register the bundle in *directory* and give it the alias if nothing holds it; returns what holds it."""


OpenStore = Callable[[], Store]


class Place(NamedTuple):
    """Where a bundle that answers lies, and as which version: enough to open it in another process."""

    directory: Path
    version: str
    run_id: str | None
    alias: str | None
    loaded_at: datetime


@dataclass(frozen=True)
class Live:
    """A bundle that answers. A request takes it once and ends on it, whatever is swapped in meanwhile.

    `predict` is all that answers need; the `recogniser` behind it explains them.
    """

    place: Place
    recogniser: Recogniser
    predict: Predict

    @property
    def description(self) -> Description:
        """What the bundle says of itself."""
        return self.recogniser.description

    @property
    def version(self) -> str:
        """The version that the bundle is."""
        return self.place.version


@dataclass(frozen=True)
class Refusal:
    """A version that failed a check: it is not tried again until the service is started anew."""

    version: str
    reason: str
    refused_at: datetime


class Production:
    """The live bundle of one task. `start` and `reconcile` run in one thread; `live` may be read from any."""

    def __init__(self, task: Task, settings: Settings) -> None:
        """Nothing is read yet."""
        self.task = task
        self.live: Live | None = None
        self.problem: str | None = None
        self.swaps = 0
        self._settings = settings
        self._settled = False
        self._cache = BundleCache(settings.bundle_cache / task.name)
        self._embedded = settings.embedded / task.name
        self._confirmed: tuple[str, str | None] | None = None  # version and run that the registry named last
        self._refused: dict[tuple[str, str | None], Refusal] = {}

    @property
    def refused(self) -> list[Refusal]:
        """The versions that failed a check since the start, oldest first."""
        return list(self._refused.values())

    @property
    def status(self) -> Status:
        """*ok* when the alias's version is live; *starting* before the registry has answered for the first time.

        *absent*: there is no bundle at all. *degraded*: another bundle than the alias's answers, `problem` says why.
        """
        if not self._settled:
            return "starting"
        if self.live is None:
            return "absent"
        return "degraded" if self.problem else "ok"

    def start(self) -> None:
        """Make the last good bundle live, else the embedded one, so that answers need not wait for the registry."""
        for load in (self._load_last_good, self._load_embedded):
            try:
                self.live = load()
            except (PenPressError, OSError) as error:
                logger.warning("%s: a bundle on disk is passed over: %s", self.task.name, error)
            if self.live is not None:
                return

    def reconcile(self, open_store: OpenStore) -> None:
        """Bring the live bundle in line with the alias; what stands in the way is kept in `problem`.

        Nothing else can come and end the thread: `at_edge` and `Recogniser` turn all that a registry's answer or a
        foreign model provokes into RegistryError and BundleError, and what is left is the disk.
        """
        try:
            problem = self._follow(open_store())
        except (PenPressError, OSError) as error:
            problem = str(error)
        if problem and problem != self.problem:
            logger.warning("%s: %s", self.task.name, problem)
        self.problem, self._settled = problem, True

    def _follow(self, store: Store) -> str | None:
        """Adopt the version that holds the alias if it is not live yet; returns what is wrong, if anything."""
        version = store.resolve(self.task.name)
        if version is None and self._confirmed is None and self._embedded.is_dir():
            version = store.register_embedded(self._embedded, self.task.name)
        if version is None:
            return (
                f"the registry has no version of {self.task.name} under the alias {self._settings.alias!r}; "
                "promote one with app/inference/model_registry_prod_experiments.py"
            )
        key = version.version, version.run_id
        if key != self._confirmed and key not in self._refused:
            self._adopt(store, version)
        refusal = self._refused.get(key)
        return f"version {refusal.version} is refused: {refusal.reason}" if refusal else None

    def _adopt(self, store: Store, version: "Version") -> None:
        """Download, check and swap in a version, or refuse it; the download of a refused one is removed."""
        key = version.version, version.run_id
        folder = self._cache.new_folder(version.version)
        try:
            bundle = store.download(version, folder)
            place = bundle.relative_to(self._cache.directory).as_posix()
            note = Note(version=version.version, run_id=version.run_id, alias=version.alias, bundle=place)
            live = self._check(bundle, note)
            self._cache.keep(folder, note)
            self.swaps += self.live is not None
            self.live, self._confirmed = live, key
            logger.info("%s: version %s is live", self.task.name, version.version)
        except (BundleError, InputError) as error:
            self._refused[key] = Refusal(version.version, str(error), datetime.now(UTC))
        finally:
            self._cache.clean()

    def _check(self, bundle: Path, note: Note) -> Live:
        """Load a bundle and try it on its probe images; raises BundleError or InputError."""
        recogniser = Recogniser.load(bundle, threads_for(self.task, self._settings))
        description = recogniser.description
        if (description.task, description.kind) != (self.task.name, self.task.kind):
            message = f"{bundle} is for {description.task} ({description.kind}), not for {self.task.name}"
            raise BundleError(message)
        if self.live is not None and description.labels != self.task.labels:
            check_labels(description, self.live.description.labels)
        recogniser.check_probes(bundle)
        place = Place(bundle, note.version, note.run_id, note.alias, datetime.now(UTC))
        return Live(place, recogniser, recogniser.predict)

    def _load_last_good(self) -> Live | None:
        note = self._cache.last_good()
        return self._check(self._cache.directory / note.bundle, note) if note else None

    def _load_embedded(self) -> Live | None:
        note = Note(version=EMBEDDED, run_id=None, alias=None, bundle=".")
        return self._check(self._embedded, note) if self._embedded.is_dir() else None


def open_live(place: Place, task: Task, settings: Settings) -> Live:
    """Open a bundle that was checked before, to answer as it does elsewhere; raises BundleError."""
    recogniser = Recogniser.load(place.directory, threads_for(task, settings))
    return Live(place, recogniser, recogniser.predict)


def threads_for(task: Task, settings: Settings) -> int:
    """How many threads one image of a task is worth: a whole page takes long enough to be shared."""
    return settings.page_threads if task.places else settings.inference_threads
