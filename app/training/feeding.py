"""Feeds the epoch loop: splits of the data, batches of altered images, or of features in the case of transfer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import nn

from app.errors import DataError
from app.preprocess import ImageSpec
from app.tasks import TASKS, Task
from app.training.dataset import (
    AlteredImages,
    Item,
    MiddleCrops,
    PageCrops,
    Pair,
    choose,
    class_weights,
    draw_epoch,
    is_alike,
    make_loader,
)
from app.training.goals import PLACES, Batch
from app.training.model import Network, build_network, fold_scaling, freeze
from app.training.options import Options, choose_spec
from app.training.train import (
    Feed,
    History,
    Schedule,
    choose_device,
    extract_features,
    fit,
    start_fitting,
)

Batches = torch.utils.data.DataLoader[Pair]
Log = Callable[[dict[str, float], int | None], None]


@dataclass(frozen=True)
class Splits:
    """The data of a run: what is learnt from, chosen by, and judged on; `unseen` holds the sources left out.

    `strange` is none of the task's labels: its training split is learnt from, its test split judged on.
    """

    train: list[Item]
    validation: list[Item]
    test: list[Item]
    unseen: list[Item]
    strange: list[Item] = field(default_factory=list)

    @property
    def everything(self) -> list[Item]:
        """All items of the run."""
        return [*self.train, *self.validation, *self.test, *self.unseen, *self.strange]


def make_splits(items: Sequence[Item], options: Options, strange: Sequence[Item] = ()) -> Splits:
    """Split by the manifests; raises DataError for an empty split, an unknown source or data set, a missing class."""
    check_known("source", options.leave_out, {item.sample.source for item in items})
    check_known("data set", options.train_only, {item.data_set for item in items})
    left_out = options.leave_out
    unseen = [item for item in items if item.sample.source in left_out]
    judged_by = [item for item in items if item.data_set not in options.train_only]
    train, validation, test = (
        choose(items, "train", left_out),
        choose(judged_by, "validation", left_out),
        choose(judged_by, "test", left_out),
    )
    for name, split in (("train", train), ("validation", validation), ("test", test)):
        if not split:
            message = f"the {name} split of {', '.join(options.data)} is empty; import it, without --splits"
            raise DataError(message)
    class_weights(train, TASKS[options.task].labels)  # fails for a class without samples, before a run is opened
    return Splits(train, validation, test, unseen, list(strange))


def check_known(what: str, named: Sequence[str], known: set[str]) -> None:
    """Raise DataError when an option names a source or a data set that is not there."""
    if unknown := sorted(set(named) - known):
        message = f"there is no {what} {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        raise DataError(message)


def train_network(splits: Splits, options: Options, folder: Path, log: Log) -> tuple[Network, History]:
    """Build and train a network by the strategy of the options; a checkpoint in *folder* is taken up again."""
    torch.manual_seed(options.seed)
    task, spec = TASKS[options.task], choose_spec(options)
    network = build_network(options.architecture, task, spec, options.weights)
    feed_images = (place_feed if task.places else image_feed)(task, spec, splits, options)
    checkpoint = folder / "fitting.pth"
    schedule = Schedule(
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        patience=options.patience,
        plateau=options.plateau,
        smoothing=options.smoothing,
        minutes=options.minutes,
    )
    if options.strategy == "fine-tune":
        freeze(network, options.blocks)
        return fit_from(network, feed_images, schedule, checkpoint, log)
    width = network.head.in_features
    scaled = Network(nn.BatchNorm1d(width, affine=False), width, len(task.labels))  # features differ in size
    trained, history = fit_from(scaled, feature_feed(network, feed_images, options), schedule, checkpoint, log)
    network.head = fold_scaling(trained)
    return network.cpu().eval(), history


def fit_from(network: Network, feed: Feed, schedule: Schedule, checkpoint: Path, log: Log) -> tuple[Network, History]:
    """Fit, from the checkpoint where there is one."""
    fitting = start_fitting(network, schedule, choose_device())
    if checkpoint.exists():
        fitting.restore(checkpoint)

    def log_epoch(figures: dict[str, float]) -> None:
        log(figures, int(figures["epoch"]))

    return fit(fitting, feed, schedule, checkpoint=checkpoint, log=log_epoch), fitting.history


def image_feed(task: Task, spec: ImageSpec, splits: Splits, options: Options) -> Feed:
    """Batches of freshly altered images for training, of unaltered ones for validation."""
    recipe = options.augment or task.augment
    strange = [item for item in choose(splits.strange, "train") if not is_alike(item, task)]

    def train(epoch: int) -> Batches:
        drawn = draw_epoch([*splits.train, *strange], options.seed, epoch)
        images = AlteredImages(drawn, task.labels, spec, recipe, seed=options.seed * 100_003 + epoch)
        return make_loader(images, options.batch, options.workers)

    def validation() -> Batches:
        images = AlteredImages(splits.validation, task.labels, spec, "none", seed=0)
        return make_loader(images, options.batch, options.workers)

    return Feed(train, validation, task.labels, class_weights(splits.train, task.labels) ** options.balance)


def place_feed(task: Task, spec: ImageSpec, splits: Splits, options: Options) -> Feed:
    """Batches of altered crops and their maps for training, of the middles of pages as they are for validation."""
    recipe = options.augment or task.augment

    def train(epoch: int) -> Batches:
        drawn = draw_epoch(splits.train, options.seed, epoch)
        crops = PageCrops(drawn, spec, recipe, seed=options.seed * 100_003 + epoch)
        return make_loader(crops, options.batch, options.workers)

    def validation() -> Batches:
        return make_loader(MiddleCrops(splits.validation, spec), options.batch, options.workers)

    return Feed(train, validation, task.labels, class_weights(splits.train, task.labels), PLACES)


def feature_feed(network: Network, images: Feed, options: Options) -> Feed:
    """Batches of features: every view of every image goes through the frozen backbone once, and is then reused.

    The first epoch extracts them, so that its time counts as training.
    """
    network.to(choose_device())

    @cache
    def views() -> list[Batch]:
        return [
            batch
            for view in range(1, options.views + 1)
            for batch in extract_features(network, images.train(view), f"features, view {view}")
        ]

    @cache
    def validation() -> list[Batch]:
        return extract_features(network, images.validation(), "features, validation")

    def train(epoch: int) -> list[Batch]:
        vectors, truths = (torch.cat(parts) for parts in zip(*views(), strict=True))
        order = torch.randperm(len(truths), generator=torch.Generator().manual_seed(options.seed * 100_003 + epoch))
        return [(vectors[rows], truths[rows]) for rows in order.split(options.batch)]

    return Feed(train, validation, images.labels, images.class_weights)
