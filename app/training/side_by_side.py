"""Puts two networks of one kind side by side in one, whose logits are the mean of theirs.

Two of `residual_wide` become one `residual_pair`, which then goes through the pipeline as any other:

    python -m app.training.side_by_side one/network.pth other/network.pth --temperatures 0.31 0.9 --out pair.pth
    python -m app.training.pipeline --architecture residual_pair --weights pair.pth --epochs 1 --learning-rate 1e-5

Networks that were trained apart err apart, so their mean errs less than any of them (T. G. Dietterich, Ensemble
Methods in Machine Learning, 2000).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from app.errors import DataError, PenPressError
from app.preprocess import ImageSpec
from app.tasks import TASKS
from app.training.model import build_network, read_state, save_checkpoint

State = Mapping[str, torch.Tensor]
PAIRS = {"residual_wide": "residual_pair"}


def side_by_side(states: Sequence[State], temperatures: Sequence[float]) -> dict[str, torch.Tensor]:
    """The weights of a network of groups from those of networks; each one's logits are divided by its temperature."""
    scales = [1 / (temperature * len(states)) for temperature in temperatures]
    scaled = [
        {name: tensor * scale if name.startswith("head.") else tensor for name, tensor in state.items()}
        for state, scale in zip(states, scales, strict=True)
    ]
    return {name: join(name, [state[name] for state in scaled]) for name in scaled[0]}


def join(name: str, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """One tensor of the whole from that of each part: features stand side by side, the head adds them up."""
    if name == "head.bias":
        return torch.stack(list(parts)).sum(0)
    if name == "head.weight":
        return torch.cat(list(parts), 1)
    return torch.cat(list(parts)) if parts[0].ndim else parts[0]


def merge(paths: Sequence[Path], temperatures: Sequence[float], out: Path) -> None:
    """Write the checkpoint of the network whose logits are the mean of those of checkpoints; raises DataError."""
    saved = [dict(read_state(path)) for path in paths]
    kinds = {(str(each["architecture"]), str(each["task"]), str(each["spec"])) for each in saved}
    architecture, task, spec = kinds.pop()
    if kinds or architecture not in PAIRS:
        message = f"{', '.join(map(str, paths))} are not two of the same task, input and kind ({', '.join(PAIRS)})"
        raise DataError(message)
    network = build_network(PAIRS[architecture], TASKS[task], ImageSpec.model_validate_json(spec), weights="none")
    network.load_state_dict(side_by_side([dict(each["state"]) for each in saved], temperatures))
    save_checkpoint(out, network, PAIRS[architecture], TASKS[task], ImageSpec.model_validate_json(spec))


def main(arguments: Sequence[str] | None = None) -> int:
    """Merge from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs=2, type=Path, help="network.pth of two runs of the same kind")
    parser.add_argument(
        "--temperatures",
        nargs=2,
        type=float,
        default=(1.0, 1.0),
        help="those of their bundles (model.json), so that both count alike (default: 1 1)",
    )
    parser.add_argument("--out", type=Path, required=True, help="the network.pth to write")
    options = parser.parse_args(arguments)
    try:
        merge(options.checkpoints, options.temperatures, options.out)
    except PenPressError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{options.out}: go on with --weights {options.out} --epochs 1 --learning-rate 1e-5\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
