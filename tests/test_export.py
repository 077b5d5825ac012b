"""Tests of the export: parity that can fail, calibration, probes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.errors import ExportParityError
from app.inference.bundle import MODEL, Origin
from app.inference.recogniser import Recogniser, softmax
from app.tasks import DOCUMENT_TYPE
from app.training.export import check_parity, draft_bundle, export_network, fit_temperature, record_probes
from app.training.model import Network, build_network

SPEC = DOCUMENT_TYPE.image.model_copy(update={"height": 32, "width": 64})
ORIGIN = Origin(
    architecture="mobilenet_v2", strategy="transfer", trained_at="2026-01-01", git_commit="0", data_fingerprint="0",
    data="none", parameters=1,
)  # fmt: skip


def pictures() -> list[Image.Image]:
    """Three noisy RGB images of different sizes."""
    random = np.random.default_rng(0)
    shapes = ((20, 90, 3), (40, 60, 3), (12, 200, 3))
    return [Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]


@pytest.fixture(scope="module")
def network() -> Network:
    """An untrained network."""
    torch.manual_seed(0)
    return build_network("mobilenet_v2", DOCUMENT_TYPE, SPEC, weights="none").eval()


@pytest.fixture(scope="module")
def bundle(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drafted bundle of the network."""
    directory = tmp_path_factory.mktemp("bundle")
    export_network(network, SPEC, pictures(), directory / MODEL)
    draft_bundle(directory, DOCUMENT_TYPE, SPEC, ORIGIN)
    return directory


def test_the_bundle_answers_like_the_network(network: Network, bundle: Path) -> None:
    """The exported model, run by the serving recogniser, gives the logits of the torch network for any batch size."""
    from app.preprocess import to_batch  # noqa: PLC0415

    with torch.inference_mode():
        expected = network(torch.from_numpy(to_batch(pictures(), SPEC))).numpy()
    recogniser = Recogniser.load(bundle)
    assert np.allclose(recogniser.logits(pictures()), expected, atol=1e-3)
    assert np.allclose(recogniser.logits(pictures()[1:2]), expected[1:2], atol=1e-3)


def test_the_model_names_no_folder_of_the_machine(bundle: Path) -> None:
    """The exporter's stack traces are taken out, so that a bundle does not tell where it was made."""
    content = (bundle / MODEL).read_bytes()
    assert b".py" not in content
    assert str(Path(torch.__file__).parent).encode() not in content


def test_another_network_fails_the_parity_check(bundle: Path) -> None:
    """When the file does not hold the network that was trained, the check raises and never skips."""
    torch.manual_seed(1)
    other = build_network("mobilenet_v2", DOCUMENT_TYPE, SPEC, weights="none").eval()
    with pytest.raises(ExportParityError, match="differs from the trained network"):
        check_parity(other, torch.randn(2, 1, 32, 64), bundle / MODEL)


def test_new_figures_leave_probes_that_hold(bundle: Path) -> None:
    """After calibration the recorded probabilities are those of the new temperature, and the probes pass."""
    description = record_probes(bundle, temperature=2.5, figures={"validation_accuracy": 0.5})
    recogniser = Recogniser.load(bundle)
    recogniser.check_probes(bundle)
    assert recogniser.description == description
    assert description.temperature == 2.5


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(true_temperature: float) -> None:
    """For truths drawn from softmax(logits / T), the fitted temperature is T."""
    random = np.random.default_rng(5)
    logits = random.normal(0, 4, (20_000, 3)).astype(np.float32)
    cumulated = softmax(logits / np.float32(true_temperature)).cumsum(1)
    truths = (random.random((20_000, 1)) > cumulated).sum(1).clip(0, 2)
    assert fit_temperature(logits, truths) == pytest.approx(true_temperature, rel=0.06)
