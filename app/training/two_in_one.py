r"""Makes one network of two that were trained apart, which then goes through the pipeline as any other.

    python -m app.training.two_in_one one/network.pth other/network.pth --out both.pth
    python -m app.training.pipeline --task digit --data mnist --architecture strided_residual --weights both.pth \
        --epochs 1 --learning-rate 1e-5

Two of one architecture, of which one went on from the other, become the mean of their weights, often better
than either (M. Wortsman and others, Model soups, 2022). One of `strided` and one of `residual_wide` are put side by
side in a `strided_residual`, whose logits are the mean of theirs: networks that were trained apart err apart, so their
mean errs less than either (T. G. Dietterich, Ensemble Methods in Machine Learning, 2000).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from app.errors import DataError, PenPressError
from app.preprocess import ImageSpec
from app.tasks import TASKS
from app.training.model import build_network, fill, read_checkpoint, save_checkpoint

State = Mapping[str, torch.Tensor]
TOGETHER: dict[tuple[str, ...], str] = {("strided", "residual_wide"): "strided_residual"}
HEAD = "head."


def mean(states: Sequence[State]) -> dict[str, torch.Tensor]:
    """The mean of weights of the same names and shapes; whole numbers, such as counts, are those of the last."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if last.is_floating_point() else last
        for name, last in states[-1].items()
    }


def side_by_side(states: Sequence[State], temperatures: Sequence[float]) -> dict[str, torch.Tensor]:
    """The weights of both in one, by the names in `SideBySide`; the logits of each are divided by its temperature."""
    scales = [1 / (temperature * len(states)) for temperature in temperatures]
    weights = [state[f"{HEAD}weight"] * scale for state, scale in zip(states, scales, strict=True)]
    biases = [state[f"{HEAD}bias"] * scale for state, scale in zip(states, scales, strict=True)]
    backbones = {
        name.replace("backbone.", f"backbone.parts.{number}."): tensor
        for number, state in enumerate(states)
        for name, tensor in state.items()
        if not name.startswith(HEAD)
    }
    return backbones | {f"{HEAD}weight": torch.cat(weights, 1), f"{HEAD}bias": torch.stack(biases).sum(0)}


def merge(paths: Sequence[Path], temperatures: Sequence[float], out: Path) -> str:
    """Write the checkpoint of the network that is made of two; raises DataError.

    Returns the options with which a training goes on from there.
    """
    saved = [read_checkpoint(path) for path in paths]
    names = tuple(str(each["architecture"]) for each in saved)
    architecture = names[0] if len(set(names)) == 1 else TOGETHER.get(names)
    if architecture is None or len({(str(each["task"]), str(each["labels"]), str(each["spec"])) for each in saved}) > 1:
        kinds = " or ".join(" and ".join(pair) for pair in TOGETHER)
        message = (
            f"give two networks of the same task, labels and input: of one architecture or, in this order, {kinds}"
        )
        raise DataError(message)
    if min(temperatures) <= 0:
        message = "temperatures are greater than 0"
        raise DataError(message)
    task, spec = TASKS[str(saved[0]["task"])], ImageSpec.model_validate_json(str(saved[0]["spec"]))
    network = build_network(architecture, task, spec, weights="none")
    states = [dict(each["state"]) for each in saved]
    if architecture == names[0]:
        for state in states:  # also where one is from before its architecture changed
            fill(network, state, architecture)
        network.load_state_dict(mean(states))
    else:
        network.load_state_dict(side_by_side(states, temperatures))
    save_checkpoint(out, network, architecture, task, spec)
    return f"--task {task.name} --architecture {architecture} --weights {out} --epochs 1 --learning-rate 1e-5"


def main(arguments: Sequence[str] | None = None) -> int:
    """Merge from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs=2, type=Path, help="network.pth of two runs")
    parser.add_argument(
        "--temperatures",
        nargs=2,
        type=float,
        default=(1.0, 1.0),
        help="side by side: those of their bundles (model.json), so that both count alike (default: 1 1)",
    )
    parser.add_argument("--out", type=Path, required=True, help="the network.pth to write")
    options = parser.parse_args(arguments)
    try:
        onward = merge(options.checkpoints, options.temperatures, options.out)
    except PenPressError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"go on with: python -m app.training.pipeline {onward} --data ...\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
