"""Fitting: the epoch loop with its schedule, early stopping and checkpoints. Two ways to feed it, one loop.

*transfer* sends every image once per altered view through the frozen backbone and trains the head on the features;
*fine-tune* trains the last blocks, or all, on freshly altered images. Knows no file format, no registry, no task names.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from app.training.goals import LABELS, Batch, Goal
from app.training.model import Network, read_state, set_training

History = list[dict[str, float]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    patience: int = 3
    plateau: int = 0
    smoothing: float = 0.0
    minutes: float | None = None
    average: float = 0.998


@dataclass(frozen=True)
class Feed:
    """What for and from where batches come: `train(epoch)` gives those of an epoch, `validation()` always the same."""

    train: Callable[[int], Iterable[Batch]]
    validation: Callable[[], Iterable[Batch]]
    labels: Sequence[str]
    class_weights: torch.Tensor
    goal: Goal = LABELS


@dataclass
class Fitting:
    """A training under way: everything that a checkpoint must hold to go on as if nothing had happened."""

    network: Network
    optimiser: torch.optim.Optimizer
    scheduler: ReduceLROnPlateau
    averaged: AveragedModel
    history: History = field(default_factory=list)
    best_loss: float = float("inf")
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)
    stale: int = 0
    seconds: float = 0.0

    def parts(self) -> dict[str, Any]:
        """The parts that have a state of their own."""
        return {
            "network": self.network,
            "optimiser": self.optimiser,
            "scheduler": self.scheduler,
            "averaged": self.averaged,
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint; a crash while writing leaves the last one as it was."""
        values = {name: getattr(self, name) for name in ("history", "best_loss", "best_state", "stale", "seconds")}
        temporary = path.with_suffix(".partial")
        torch.save({name: part.state_dict() for name, part in self.parts().items()} | values, temporary)
        temporary.replace(path)

    def restore(self, path: Path) -> None:
        """Take up a checkpoint."""
        saved: dict[str, Any] = dict(read_state(path))
        for name, part in self.parts().items():
            part.load_state_dict(saved.pop(name))
        for name, value in saved.items():
            setattr(self, name, value)


def choose_device() -> torch.device:
    """CUDA where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Say whether half precision pays: on CUDA, and on processors with instructions for bfloat16 (AMX or AVX-512)."""
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cuda" or any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def start_fitting(network: Network, schedule: Schedule, device: torch.device) -> Fitting:
    """Set up AdamW over what is not frozen, the plateau schedule and the running average of the weights."""
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    return Fitting(
        network=network,
        optimiser=optimiser,
        scheduler=ReduceLROnPlateau(optimiser, factor=0.3, patience=schedule.plateau, threshold=0.01),
        averaged=AveragedModel(network, multi_avg_fn=partial(average_in, schedule.average), use_buffers=True),
    )


def average_in(decay: float, averages: list[torch.Tensor], values: list[torch.Tensor], updates: torch.Tensor) -> None:
    """Move the averages towards new values: fast at first, so that the untrained start is soon forgotten."""
    share = 1 - min(decay, float((1 + updates) / (10 + updates)))
    for average, value in zip(averages, values, strict=True):
        if average.is_floating_point():
            average.lerp_(value, share)
        else:
            average.copy_(value)


def fit(
    fitting: Fitting, feed: Feed, schedule: Schedule, *, checkpoint: Path, log: Callable[[dict[str, float]], None]
) -> Network:
    """Train until the epochs, the minutes or the patience run out; gives the averaged weights of the best epoch.

    *log* gets the figures of every epoch; *checkpoint* is written after every epoch.
    """
    while not is_over(fitting, schedule):
        started = time.monotonic()
        figures = run_epoch(fitting, feed, schedule, epoch=len(fitting.history) + 1)
        fitting.seconds += time.monotonic() - started
        note_epoch(fitting, figures)
        fitting.save(checkpoint)
        log(figures)
    network = deepcopy(fitting.network).cpu()
    network.load_state_dict(fitting.best_state)
    return network.eval()


def is_over(fitting: Fitting, schedule: Schedule) -> bool:
    """Say whether epochs, minutes or patience are used up."""
    late = schedule.minutes is not None and fitting.seconds > schedule.minutes * 60
    return len(fitting.history) >= schedule.epochs or fitting.stale >= schedule.patience or late


def note_epoch(fitting: Fitting, figures: dict[str, float]) -> None:
    """Keep the history, lower the learning rate on a plateau, remember the best weights so far."""
    fitting.history.append(figures)
    fitting.scheduler.step(figures["validation_loss"])
    if figures["validation_loss"] < fitting.best_loss:
        averaged: nn.Module = fitting.averaged.module
        fitting.best_loss, fitting.stale = figures["validation_loss"], 0
        fitting.best_state = {name: value.detach().cpu().clone() for name, value in averaged.state_dict().items()}
    else:
        fitting.stale += 1


def run_epoch(fitting: Fitting, feed: Feed, schedule: Schedule, epoch: int) -> dict[str, float]:
    """One pass over the training batches and one over the validation; gives the figures of the epoch."""
    started = time.monotonic()
    loss, hits, count = train_epoch(fitting, feed, schedule, epoch)
    seconds = time.monotonic() - started
    averaged: Any = fitting.averaged.module
    return {
        "epoch": float(epoch),
        "train_loss": loss,
        "train_accuracy": hits / max(1, count),
        "learning_rate": float(fitting.optimiser.param_groups[0]["lr"]),
        "seconds": seconds,
        "images_per_second": count / seconds,
        **feed.goal.assess(averaged, feed.validation(), feed.labels),
    }


def train_epoch(fitting: Fitting, feed: Feed, schedule: Schedule, epoch: int) -> tuple[float, float, int]:
    """Update the weights batch by batch; gives mean loss, hits and images."""
    device = next(fitting.network.parameters()).device
    criterion = nn.CrossEntropyLoss(weight=feed.class_weights.to(device), label_smoothing=schedule.smoothing)
    set_training(fitting.network)
    losses, hits, count = 0.0, 0.0, 0
    with tqdm(feed.train(epoch), desc=f"epoch {epoch}", unit="batch", mininterval=2) as batches:
        for images, truths in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
                logits = feed.goal.answer(fitting.network, images.to(device, memory_format=layout(images)))
            loss = feed.goal.loss(logits.float(), truths.to(device), criterion)
            fitting.optimiser.zero_grad()
            loss.backward()
            fitting.optimiser.step()
            fitting.averaged.update_parameters(fitting.network)
            right, known = feed.goal.count(logits.detach().cpu(), truths)
            losses += float(loss.detach()) * known
            hits += right
            count += known
            mean, accuracy = (value / max(1, count) for value in (losses, hits))  # none yet, where all are strange
            batches.set_postfix(loss=f"{mean:.4f}", accuracy=f"{accuracy:.4f}")
    return losses / max(1, count), hits, count


def layout(images: torch.Tensor) -> torch.memory_format:
    """Channels last for images, which convolutions run fastest on; plain for feature vectors."""
    return torch.channels_last if images.ndim == 4 else torch.contiguous_format  # noqa: PLR2004


def extract_features(network: Network, batches: Iterable[Batch], title: str) -> list[Batch]:
    """Send images through the frozen backbone once; gives their features in the same batches."""
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        return [
            (network.backbone(images.to(device)).float().cpu(), truths)
            for images, truths in tqdm(batches, desc=title, unit="batch", mininterval=2)
        ]
