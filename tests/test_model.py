"""Tests of networks, freezing and checkpoints."""

from pathlib import Path

import pytest
import torch

from app.errors import DataError
from app.tasks import DOCUMENT_TYPE
from app.training.model import (
    ARCHITECTURES,
    BASELINE,
    Network,
    blocks_of,
    build_network,
    count_parameters,
    fold_scaling,
    freeze,
    load_checkpoint,
    read_state,
    save_checkpoint,
    set_training,
)

SPEC = DOCUMENT_TYPE.image.model_copy(update={"height": 32, "width": 64})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_architecture_gives_one_logit_a_label(architecture: str, channels: int) -> None:
    """All architectures take grey or colour images and give logits of shape (n, labels)."""
    spec = SPEC.model_copy(update={"channels": channels})
    network = build_network(architecture, DOCUMENT_TYPE, spec, weights="none").eval()
    assert network(torch.zeros(2, channels, 32, 64)).shape == (2, 2)


def test_grey_input_sees_what_colour_saw() -> None:
    """A network read for grey gives the features that the colour network gives for three equal channels."""
    torch.manual_seed(0)
    colour = build_network("mobilenet_v2", DOCUMENT_TYPE, SPEC.model_copy(update={"channels": 3}), "none").eval()
    torch.manual_seed(0)
    grey = build_network("mobilenet_v2", DOCUMENT_TYPE, SPEC, "none").eval()
    images = torch.rand(2, 1, 32, 64)
    expected = colour.backbone(images.expand(-1, 3, -1, -1))
    assert torch.allclose(grey.backbone(images), expected, atol=1e-5)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    """A local state dict of the torchvision model is taken instead of a download."""
    from torchvision.models import mobilenet_v2  # noqa: PLC0415 - only this test needs the plain model

    plain = mobilenet_v2(weights=None)
    torch.save(plain.state_dict(), tmp_path / "weights.pth")
    spec = SPEC.model_copy(update={"channels": 3})
    network = build_network("mobilenet_v2", DOCUMENT_TYPE, spec, weights=str(tmp_path / "weights.pth"))
    first = next(network.backbone.parameters())
    assert torch.equal(first, next(plain.parameters()))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """A state dict with other names says what fits instead."""
    path = tmp_path / "weights.pth"
    torch.save({"layer.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(DataError, match=r"do not fit mobilenet_v2.*--weights imagenet"):
        build_network("mobilenet_v2", DOCUMENT_TYPE, DOCUMENT_TYPE.image, weights=str(path))


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_broken_weight_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no state dict gives an error that names it and says what to give."""
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"(?s)weights\.pth.*--weights"):
        read_state(path)


class Malicious:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Ask the reader to run a command."""
        return exec, ("raise SystemExit('the pickle ran')",)


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    """Weights are read as tensors and plain values only, so a hostile file cannot run anything."""
    torch.save({"state": Malicious()}, tmp_path / "hostile.pth")
    with pytest.raises(DataError, match="hostile"):
        read_state(tmp_path / "hostile.pth")


@pytest.mark.parametrize("trained", [1, 3, None])
def test_only_the_last_blocks_are_trained(trained: int | None) -> None:
    """Freezing leaves the head and the last blocks trainable, and keeps the batch norms of the rest."""
    network = build_network("mobilenet_v2", DOCUMENT_TYPE, SPEC, weights="none")
    freeze(network, trained)
    set_training(network)
    flags = [any(parameter.requires_grad for parameter in block.parameters()) for block in blocks_of(network)]
    expected = len(flags) if trained is None else trained
    assert flags == [False] * (len(flags) - expected) + [True] * expected
    assert [block.training for block in blocks_of(network)] == flags
    assert network.head.weight.requires_grad


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_follows_the_blocks_is_trained(architecture: str) -> None:
    """With one block, every layer behind it is trained too: MobileNetV3 has a hidden linear one outside its blocks."""
    network = build_network(architecture, DOCUMENT_TYPE, SPEC, weights="none")
    freeze(network, 1)
    inside = {id(parameter) for block in blocks_of(network)[:-1] for parameter in block.parameters()}
    assert all(parameter.requires_grad != (id(parameter) in inside) for parameter in network.parameters())


def test_a_checkpoint_gives_the_same_network_back(tmp_path: Path) -> None:
    """What was saved answers like what is loaded, and knows its spec and labels."""
    network = build_network("mobilenet_v2", DOCUMENT_TYPE, SPEC, weights="none").eval()
    save_checkpoint(tmp_path / "network.pth", network, "mobilenet_v2", DOCUMENT_TYPE, SPEC)
    loaded = load_checkpoint(tmp_path / "network.pth", DOCUMENT_TYPE)
    images = torch.rand(2, 1, 32, 64)
    assert torch.equal(loaded.network(images), network(images))
    assert (loaded.spec, loaded.labels) == (SPEC, DOCUMENT_TYPE.labels)


def test_the_baseline_learns_nothing_but_its_head() -> None:
    """The classical baseline has no weights besides those of its linear head."""
    network = build_network(BASELINE, DOCUMENT_TYPE, SPEC, weights="none")
    assert count_parameters(network) == count_parameters(network.head)


def test_scaling_is_folded_into_the_head() -> None:
    """The folded head gives for plain features what norm and head gave together."""
    scaled = Network(torch.nn.BatchNorm1d(5, affine=False), 5, 2)
    for _ in range(50):
        scaled(torch.randn(32, 5) * torch.tensor([0.1, 1.0, 9.0, 30.0, 2.0]) + 4)
    features = torch.randn(8, 5)
    assert torch.allclose(fold_scaling(scaled)(features), scaled.eval()(features), atol=1e-5)


def test_only_a_norm_can_be_folded() -> None:
    """A network with another backbone is refused."""
    with pytest.raises(TypeError, match="Identity"):
        fold_scaling(Network(torch.nn.Identity(), 5, 2))
