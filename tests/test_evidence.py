"""Evidence: the exported maps add up to the logits, show what Grad-CAM shows, and are left out where they would lie."""

from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from onnxruntime import InferenceSession

from app.data.synthetic import render_line
from app.preprocess import ImageSpec, to_batch
from app.tasks import DOCUMENT_TYPE
from app.training.export import export_network
from app.training.model import BASELINE, Network, build_network

SPEC = ImageSpec(height=64, width=128)
IMAGES = [render_line(np.random.default_rng(seed), label) for seed, label in enumerate(DOCUMENT_TYPE.labels)]


def exported(folder: Path, architecture: str) -> tuple[Network, InferenceSession]:
    """A new network, laid out in memory as training leaves it, and its export."""
    torch.manual_seed(0)
    network = build_network(architecture, DOCUMENT_TYPE, SPEC, weights="none").eval()
    network.to(memory_format=torch.channels_last)
    export_network(network, SPEC, IMAGES, folder / "model.onnx")
    return network, InferenceSession(folder / "model.onnx")


def test_the_mean_of_a_map_is_the_logit(tmp_path: Path) -> None:
    """Averaged over the image and with the bias of the head, the maps are the logits, for each image of a batch."""
    network, session = exported(tmp_path, "mobilenet_v2")
    logits, maps = session.run(["logits", "maps"], {"images": to_batch(IMAGES, SPEC)})
    assert maps.shape == (2, 2, 2, 4)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)) + network.head.bias.detach().numpy(), logits, atol=1e-4)


def test_evidence_without_a_place_is_spread(tmp_path: Path) -> None:
    """Where a part of the features is no mean over places, maps and bias still add up to the logits."""
    network, session = exported(tmp_path, "strided_residual")
    logits, maps = session.run(["logits", "maps"], {"images": to_batch(IMAGES, SPEC)})
    assert maps.shape == (2, 2, 16, 32)
    assert maps.std(axis=(2, 3)).min() > 0
    np.testing.assert_allclose(maps.mean(axis=(2, 3)) + network.head.bias.detach().numpy(), logits, atol=1e-4)


@pytest.mark.parametrize("target", [0, 1])
def test_the_maps_are_those_of_grad_cam(tmp_path: Path, target: int) -> None:
    """Captum's Grad-CAM of the last feature maps, in torch, has the same values but for the number of places."""
    network, session = exported(tmp_path, "mobilenet_v2")
    batch = to_batch(IMAGES, SPEC)
    (maps,) = session.run(["maps"], {"images": batch})
    layer = network.backbone.get_submodule("features")
    found = LayerGradCam(network, layer).attribute(torch.from_numpy(batch), target=target).detach().numpy()
    np.testing.assert_allclose(found[:, 0] * maps.shape[2] * maps.shape[3], maps[:, target], atol=1e-3)


@pytest.mark.parametrize("architecture", ["mobilenet_v3_small", BASELINE])
def test_a_head_that_is_not_linear_in_the_maps_has_none(tmp_path: Path, architecture: str) -> None:
    """With a hidden layer behind the mean, or without feature maps, there is one output as before."""
    _, session = exported(tmp_path, architecture)
    assert [output.name for output in session.get_outputs()] == ["logits"]
