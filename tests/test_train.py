"""Tests of the epoch loop on a tiny network and made-up vectors: learning, stopping, resuming."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from app.training.dataset import NONE
from app.training.model import Network
from app.training.train import Batch, Feed, Fitting, Schedule, choose_device, fit, is_over, start_fitting

LABELS = ("left", "right")


def batches(seed: int, count: int = 12) -> list[Batch]:
    """Vectors of length 6 whose first value's sign is their label."""
    generator = torch.Generator().manual_seed(seed)
    vectors = [torch.randn(16, 6, generator=generator) for _ in range(count)]
    return [(vector, (vector[:, 0] > 0).long()) for vector in vectors]


def make_feed() -> Feed:
    """A feed that gives other vectors in every epoch and always the same for validation."""

    def train(epoch: int) -> Iterable[Batch]:
        return batches(epoch)

    return Feed(train, lambda: batches(1000, count=4), LABELS, torch.ones(2))


def make_fitting(schedule: Schedule) -> Fitting:
    """A linear network ready to be trained, always with the same weights."""
    torch.manual_seed(7)
    return start_fitting(Network(nn.Identity(), 6, 2), schedule, choose_device())


def quiet(_figures: dict[str, float]) -> None:
    """Log nothing."""


def test_the_loop_learns_and_logs_every_epoch(tmp_path: Path) -> None:
    """After a few epochs the network separates the classes, and each epoch was reported with all figures."""
    schedule = Schedule(epochs=5, learning_rate=0.05, average=0.9)
    logged: list[dict[str, float]] = []
    network = fit(make_fitting(schedule), make_feed(), schedule, checkpoint=tmp_path / "fit.pth", log=logged.append)
    vectors, truths = batches(2000, count=1)[0]
    assert (network(vectors).argmax(1) == truths).float().mean() > 0.9
    assert [figures["epoch"] for figures in logged] == [1, 2, 3, 4, 5]
    expected = {"train_loss", "validation_accuracy", "validation_f1", "validation_roc_auc", "images_per_second"}
    assert expected <= set(logged[0])


def test_a_resumed_run_ends_like_one_without_a_break(tmp_path: Path) -> None:
    """Two epochs, a break and two more give the weights of four epochs in one go."""
    whole, half = Schedule(epochs=4, learning_rate=0.05), Schedule(epochs=2, learning_rate=0.05)
    straight = fit(make_fitting(whole), make_feed(), whole, checkpoint=tmp_path / "a.pth", log=quiet)
    fit(make_fitting(half), make_feed(), half, checkpoint=tmp_path / "b.pth", log=quiet)
    resumed = make_fitting(whole)
    resumed.restore(tmp_path / "b.pth")
    again = fit(resumed, make_feed(), whole, checkpoint=tmp_path / "b.pth", log=quiet)
    assert len(resumed.history) == 4
    assert torch.equal(straight.head.weight, again.head.weight)


@pytest.mark.parametrize("known", [True, False])
def test_a_batch_may_have_none_of_the_labels(tmp_path: Path, *, known: bool) -> None:
    """Where the first batch, or every one, has strange images alone, the figures of the epoch are numbers."""
    schedule = Schedule(epochs=1)
    strange = [(vectors, torch.full_like(truths, NONE)) for vectors, truths in batches(3, count=1)]
    feed = replace(make_feed(), train=lambda epoch: strange + batches(epoch) * known)
    fitting = make_fitting(schedule)
    fit(fitting, feed, schedule, checkpoint=tmp_path / "fit.pth", log=quiet)
    (figures,) = fitting.history
    assert (figures["train_loss"] > 0) == known
    assert 0 <= figures["train_accuracy"] <= 1


@pytest.mark.parametrize(
    ("schedule", "stale", "seconds", "over"),
    [
        (Schedule(epochs=9, patience=3), 2, 0.0, False),
        (Schedule(epochs=9, patience=3), 3, 0.0, True),
        (Schedule(epochs=9, minutes=1), 0, 59.0, False),
        (Schedule(epochs=9, minutes=1), 0, 61.0, True),
        (Schedule(epochs=0), 0, 0.0, True),
    ],
)
def test_training_ends_for_each_reason(schedule: Schedule, stale: int, seconds: float, *, over: bool) -> None:
    """Training ends when epochs or minutes are used up, or when nothing got better for long."""
    fitting = make_fitting(schedule)
    fitting.stale, fitting.seconds = stale, seconds
    assert is_over(fitting, schedule) is over


def test_the_best_epoch_is_kept(tmp_path: Path) -> None:
    """When validation gets worse, the weights given back are those of the best epoch, not the last."""
    schedule = Schedule(epochs=6, learning_rate=0.05, patience=2, average=0.5)
    good, bad = batches(1), [(vectors, 1 - truths) for vectors, truths in batches(2)]
    feed = Feed(lambda epoch: good if epoch <= 2 else bad, lambda: batches(1000, count=4), LABELS, torch.ones(2))
    fitting = make_fitting(schedule)
    network = fit(fitting, feed, schedule, checkpoint=tmp_path / "fit.pth", log=quiet)
    assert len(fitting.history) == 4
    best = min(fitting.history, key=lambda figures: figures["validation_loss"])
    vectors = torch.cat([vectors for vectors, _ in batches(1000, count=4)])
    truths = torch.cat([truths for _, truths in batches(1000, count=4)])
    loss = nn.functional.cross_entropy(network(vectors), truths)
    assert float(loss.detach()) == pytest.approx(best["validation_loss"], abs=1e-4)
