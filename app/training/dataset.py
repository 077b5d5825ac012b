"""From manifests on disk to batches for the network: which samples, in what shares, altered how.

Owns no format (that is `app.data.manifest`) and no pixel arithmetic (`augment`, `app.preprocess`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from app.data.manifest import Sample, read_listed, read_manifest, read_places
from app.errors import DataError, NothingDrawnError
from app.evaluate import Case
from app.preprocess import ImageSpec, to_array
from app.tasks import Task
from app.training.augment import RECIPES
from app.training.page_crops import SIDE, Pixels, cut, draw_view, middle_views

EVEN = 0.5  # of the crops that reach over the page have its paper beside it
MIDDLES = 8  # crops of a page
NONE = -1  # stands for the label of an image that is none of the labels
Pair = tuple[torch.Tensor, int] | tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Item:
    """A sample of a data set, where its file lies, and how often an epoch draws it (1 = once)."""

    data_set: str
    file: Path
    label: str
    sample: Sample
    weight: float = 1.0

    def read(self) -> Image.Image:
        """Decode the image as the service would; raises DataError when the file is gone."""
        return read_listed(self.file)

    def read_places(self) -> tuple[Pixels, Pixels]:
        """Decode the image in grey, and the map beside it; raises DataError when they do not belong together."""
        return read_places(self.file)

    def case(self) -> Case:
        """The sample as evaluation wants it, with the slices that a report is broken down by."""
        sample = self.sample
        slices = {"source": sample.source, "language": sample.language or "unknown", "century": century(sample.years)}
        return Case(label=self.label, read=self.read, slices=slices)


def century(years: str) -> str:
    """The century that years such as `1700-1799` begin in."""
    if not years[:4].isdigit():
        return "unknown"
    number = int(years[:4]) // 100 + 1
    return f"{number}{'st' if number == 21 else 'th'}"  # noqa: PLR2004 - no line is from the first three


def load_items(folder: Path, task: Task, data: Sequence[str]) -> list[Item]:
    """Read the manifests of the data sets named in *data* (`name` or `name:weight`); raises DataError.

    Labels of the sources are mapped to the task's by `task.same_as`; a label that the task does not know is an error,
    and so is a document that the data sets have in different splits.
    """
    items = []
    for entry in data:
        name, weight = parse_entry(entry)
        for sample in read_manifest(folder / name):
            label = task.same_as.get(sample.label, sample.label)
            if label not in task.labels:
                message = f"{name} has the label {sample.label!r}; {task.name} knows {', '.join(task.labels)}"
                raise DataError(message)
            items.append(Item(name, folder / name / sample.path, label, sample, weight))
    check_documents(items)
    return items


def load_strange(folder: Path, task: Task, data: Sequence[str]) -> list[Item]:
    """Read the data sets named in *data* for what is none of the task's labels: samples that have one are left out."""
    items = []
    for entry in data:
        name, weight = parse_entry(entry)
        items += [
            Item(name, folder / name / sample.path, sample.label, sample, weight)
            for sample in read_manifest(folder / name)
            if task.same_as.get(sample.label, sample.label) not in task.labels
        ]
    return items


def is_alike(item: Item, task: Task) -> bool:
    """Say whether people could take an item for one of the task's labels."""
    return any(item.label in group and set(group) & set(task.labels) for group in task.alike)


def check_documents(items: Sequence[Item]) -> None:
    """Raise DataError for a document of a source in two splits: each manifest alone keeps it in one."""
    first: dict[tuple[str, str], Item] = {}
    for item in items:
        sample = item.sample
        known = first.setdefault((sample.source, sample.document), item)
        if known.sample.split != sample.split:
            message = (
                f"the document {sample.document!r} of {sample.source} is in {known.sample.split} of {known.data_set} "
                f"and in {sample.split} of {item.data_set}, so the test would be on known documents; leave one of the "
                "data sets out, or import it with the splits of the other"
            )
            raise DataError(message)


def parse_entry(entry: str) -> tuple[str, float]:
    """Read `name` (which has the weight 1) or `name:weight`; raises DataError for a weight that is not above 0."""
    name, _, text = entry.partition(":")
    try:
        weight = float(text or 1)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        message = f"{text!r} in {entry!r} is no weight; write a number above 0, such as {name}:0.5"
        raise DataError(message)
    return name, weight


def choose(items: Sequence[Item], split: str, leave_out: Sequence[str] = ()) -> list[Item]:
    """The items of one split, without the sources in *leave_out*."""
    return [item for item in items if item.sample.split == split and item.sample.source not in leave_out]


def draw_epoch(items: Sequence[Item], seed: int, epoch: int) -> list[Item]:
    """The items of one epoch, shuffled: each as often as its weight says, a broken weight by chance."""
    random = np.random.default_rng((seed, epoch))
    drawn = [item for item in items for _ in range(int(item.weight + random.random()))]
    return [drawn[index] for index in random.permutation(len(drawn))]


def class_weights(items: Sequence[Item], labels: Sequence[str]) -> torch.Tensor:
    """Weights of shape (labels,) that make every class count alike in the loss; raises DataError for a missing one."""
    counts = dict.fromkeys(labels, 0.0)
    for item in items:
        counts[item.label] += item.weight
    if missing := [label for label in labels if not counts[label]]:
        message = f"no training sample of {', '.join(missing)}; import data that has this class"
        raise DataError(message)
    total = sum(counts.values())
    return torch.tensor([total / (len(labels) * counts[label]) for label in labels], dtype=torch.float32)


class AlteredImages(Dataset[Pair]):
    """Images as the network sees them, altered by the recipe of the task; the same seed gives the same pixels."""

    def __init__(self, items: Sequence[Item], labels: Sequence[str], spec: ImageSpec, recipe: str, seed: int) -> None:
        """Read nothing yet; *seed* should differ from epoch to epoch."""
        self._items, self._labels, self._spec, self._seed = items, list(labels), spec, seed
        self._recipe = RECIPES[recipe]

    def __len__(self) -> int:
        """The number of images."""
        return len(self._items)

    def __getitem__(self, index: int) -> Pair:
        """Input of shape (channels, height, width) and the label's position, or NONE."""
        random = np.random.default_rng((self._seed, index))
        item = self._items[index]

        def other() -> np.ndarray:
            return np.asarray(self._items[int(random.integers(len(self._items)))].read())

        image = item.read()
        altered = Image.fromarray(self._recipe(np.asarray(image), random, other))
        position = self._labels.index(item.label) if item.label in self._labels else NONE
        try:
            array = to_array(altered, self._spec)
        except NothingDrawnError:  # the alteration went too far
            array = to_array(image, self._spec)
        return torch.from_numpy(array), position


class PageCrops(Dataset[Pair]):
    """A crop of every image with its map, both turned and scaled, the crop altered by the recipe; fixed by the seed."""

    def __init__(self, items: Sequence[Item], spec: ImageSpec, recipe: str, seed: int) -> None:
        """Read nothing yet; *seed* should differ from epoch to epoch."""
        self._items, self._spec, self._seed = items, crop_spec(spec), seed
        self._recipe = RECIPES[recipe]

    def __len__(self) -> int:
        """The number of images."""
        return len(self._items)

    def __getitem__(self, index: int) -> Pair:
        """Input of shape (channels, 512, 512) and its map of shape (labels + 2, 256, 256), uint8."""
        random = np.random.default_rng((self._seed, index))
        page, maps = self._items[index].read_places()
        view = draw_view(maps, random)
        beside = int(np.median(page[::8, ::8])) if random.random() < EVEN else int(random.integers(256))
        grey, seen = cut(page, maps, view, beside)
        return as_pair(self._recipe(grey, random, lambda: grey), seen, self._spec)


class MiddleCrops(Dataset[Pair]):
    """Four crops around the middle of every image as they are, and the same upside down, with their maps."""

    def __init__(self, items: Sequence[Item], spec: ImageSpec) -> None:
        """Read nothing yet."""
        self._items, self._spec = items, crop_spec(spec)

    def __len__(self) -> int:
        """The number of crops."""
        return MIDDLES * len(self._items)

    def __getitem__(self, index: int) -> Pair:
        """Input and map, as `PageCrops` has them."""
        page, maps = self._items[index // MIDDLES].read_places()
        view = middle_views((page.shape[0], page.shape[1]))[index % MIDDLES]
        return as_pair(*cut(page, maps, view, int(np.median(page[::8, ::8]))), self._spec)


def crop_spec(spec: ImageSpec) -> ImageSpec:
    """The spec for crops: the same steps and values at their size."""
    return spec.model_copy(update={"height": SIDE, "width": SIDE})


def as_pair(grey: Pixels, maps: Pixels, spec: ImageSpec) -> Pair:
    """A crop as network input beside its map, planes first."""
    planes = np.ascontiguousarray(maps.transpose(2, 0, 1))
    return torch.from_numpy(to_array(Image.fromarray(grey), spec)), torch.from_numpy(planes)


def make_loader(images: Dataset[Pair], batch: int, workers: int) -> DataLoader[Pair]:
    """Batches in the order of the data set; the order of an epoch is drawn before, so that a seed fixes it."""
    return DataLoader(images, batch_size=batch, num_workers=workers, persistent_workers=False)
