"""Tests of the explanations, on a tiny network that learns to tell two textures: heat must lie where the texture is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from app.errors import DataError
from app.inference.heat import overlay
from app.inference.recogniser import softmax
from app.preprocess import ImageSpec, to_array, to_batch
from app.tasks import DOCUMENT_TYPE, Prediction
from app.training.explain import (
    LogOdds,
    explain_image,
    explain_page,
    explain_uncertain,
    grad_cam,
    last_convolution,
    main,
    occlude,
    undo_fit,
)
from app.training.model import GradientHistogram, Network, build_network, save_checkpoint
from app.training.train import Schedule, start_fitting
from tests.bundles import make_bundle

LABELS = ("handwritten", "printed")
SPEC = ImageSpec(height=32, width=128, mean=(0.5,), std=(0.5,))
PATCH = 16


def draw_texture(label: int, left: int, top: int = 8, size: tuple[int, int] = (128, 32)) -> Image.Image:
    """Grey paper with one patch of stripes: upright ones for the first label, lying ones for the second."""
    pixels = np.full((size[1], size[0]), 150, np.uint8)
    rows, columns = np.mgrid[:PATCH, :PATCH]
    pixels[top : top + PATCH, left : left + PATCH] = np.where((columns, rows)[label] % 4 < 2, 20, 250)
    return Image.fromarray(pixels).convert("RGB")


def deletion(network: Network, image: Image.Image, box: tuple[int, int], label: int) -> float:
    """How much the log odds of a label fall when a square with the upper left corner *box* becomes paper."""
    copy = image.copy()
    copy.paste((150, 150, 150), (*box, box[0] + PATCH, box[1] + PATCH))
    with torch.no_grad():
        odds = LogOdds(network)(torch.from_numpy(to_batch([image, copy], SPEC)))[:, label]
    return float(odds[0] - odds[1])


def hottest(heat: np.ndarray) -> tuple[int, int]:
    """The upper left corner of the patch that holds the most heat."""
    sums = np.lib.stride_tricks.sliding_window_view(heat, (PATCH, PATCH)).sum(axis=(2, 3))
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    return int(left), int(top)


@pytest.fixture(scope="module")
def network() -> Network:
    """A convolutional network, trained for a moment on textures at random places."""
    torch.manual_seed(3)
    layers: list[nn.Module] = []
    for before, after in ((1, 8), (8, 16), (16, 16)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    layers.insert(6, nn.MaxPool2d(2))
    network = Network(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 16, 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    random = np.random.default_rng(0)
    for _ in range(25):
        truths = torch.from_numpy(random.integers(0, 2, 16))
        images = [
            draw_texture(int(label), int(random.integers(0, 112)), int(random.integers(0, 16))) for label in truths
        ]
        loss = nn.functional.cross_entropy(network(torch.from_numpy(to_batch(images, SPEC))), truths)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("left", [4, 56, 104])
def test_heat_lies_where_the_evidence_is(network: Network, label: int, left: int) -> None:
    """Both methods put their hottest spot on the texture, wherever it is, and the answer is right."""
    explanation = explain_image(network, SPEC, draw_texture(label, left), LABELS)
    said = LABELS[label]
    assert explanation.prediction.label == said
    for heat in (explanation.evidence[said], explanation.occlusion):
        assert heat.shape == (32, 128)
        found = hottest(heat)
        assert abs(found[0] - left) <= PATCH // 2
        assert abs(found[1] - 8) <= PATCH // 2


@pytest.mark.parametrize("label", [0, 1])
def test_deleting_the_hottest_region_hurts_more_than_any_other(network: Network, label: int) -> None:
    """Covering the hottest region lowers the odds more than covering regions at random."""
    image, random = draw_texture(label, 70), np.random.default_rng(1)
    explanation = explain_image(network, SPEC, image, LABELS)
    elsewhere = [deletion(network, image, (int(random.integers(0, 112)), 8), label) for _ in range(8)]
    for heat in (explanation.evidence[LABELS[label]], explanation.occlusion):
        fall = deletion(network, image, hottest(heat), label)
        assert fall > 0
        assert fall > 2 * float(np.mean(elsewhere))


@pytest.mark.parametrize("label", [0, 1])
def test_all_classes_have_one_scale(network: Network, label: int) -> None:
    """The hottest spot of all maps is 1, and that of the other class is as much cooler as Grad-CAM has it."""
    image = draw_texture(label, 40)
    evidence = explain_image(network, SPEC, image, LABELS).evidence
    raw = grad_cam(LogOdds(network), torch.from_numpy(to_batch([image], SPEC)), [0, 1])
    hottest_of_all = max(heat.max() for heat in raw)
    assert max(heat.max() for heat in evidence.values()) == pytest.approx(1)
    for name, heat in zip(LABELS, raw, strict=True):
        assert evidence[name].max() == pytest.approx(heat.max() / hottest_of_all, abs=0.02)


def test_both_textures_at_once_are_told_apart(network: Network) -> None:
    """In an image with evidence for both classes each map lies on its own."""
    image = draw_texture(0, 8)
    image.paste(draw_texture(1, 96).crop((96, 0, 128, 32)), (96, 0))
    evidence = explain_image(network, SPEC, image, LABELS).evidence
    assert hottest(evidence["handwritten"])[0] < 30
    assert hottest(evidence["printed"])[0] > 80


def test_heat_is_in_pixels_of_the_image_and_not_of_the_input(network: Network) -> None:
    """An image of other proportions, which the network sees scaled and padded, gets maps of its own size."""
    image = draw_texture(0, 20, top=8).resize((384, 96), Image.Resampling.NEAREST).crop((0, 0, 200, 96))
    explanation = explain_image(network, SPEC, image, LABELS)
    for heat in (explanation.evidence["handwritten"], explanation.occlusion):
        assert heat.shape == (96, 200)
        rows, columns = np.indices(heat.shape)
        warm = heat.clip(0)
        assert (warm * columns).sum() / warm.sum() == pytest.approx(84, abs=20)
        assert (warm * rows).sum() / warm.sum() == pytest.approx(48, abs=14)


@settings(deadline=None, max_examples=40)
@given(st.integers(60, 300), st.integers(60, 300), st.sampled_from(["pad", "stretch", "height"]))
def test_undoing_the_fit_gives_the_image_back(width: int, height: int, fit: str) -> None:
    """What preprocessing scales and pads, undoing scales and cuts: a smooth image returns to its own pixels."""
    spec = ImageSpec.model_validate({"height": 64, "width": None if fit == "height" else 96, "fit": fit})
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = Image.fromarray((100 * rows + 100 * columns).astype(np.uint8))
    spec = spec.model_copy(update={"mean": (0.0,), "std": (1 / 255,)})
    back = undo_fit(to_array(image, spec)[0], image.size, spec)
    assert back.shape == (height, width)
    assert np.abs(back - np.asarray(image, float)).mean() < 4


class Counting(nn.Module):
    """A network that is blind, and notes how many images it gets at once."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.batches: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Note the number of images and answer with two logits for each."""
        self.batches.append(len(images))
        return images.flatten(1)[:, :2]


def test_occlusion_takes_few_copies_and_few_passes() -> None:
    """At the size of the shipped model 62 copies are tried, eight at once, besides the image itself."""
    network = Counting()
    occlude(LogOdds(network), torch.rand(1, 1, 64, 512), 0)
    assert sum(network.batches) == 62 + 1
    assert max(network.batches) == 8
    assert len(network.batches) == 1 + 8


def test_a_frozen_network_is_explained_too(network: Network) -> None:
    """Grad-CAM needs no weight that can be trained."""
    expected = explain_image(network, SPEC, draw_texture(0, 40), LABELS)
    network.requires_grad_(requires_grad=False)
    found = explain_image(network, SPEC, draw_texture(0, 40), LABELS)
    network.requires_grad_(requires_grad=True)
    assert np.allclose(found.evidence["handwritten"], expected.evidence["handwritten"])


def test_log_odds_are_those_of_the_softmax() -> None:
    """The explained score is log(p / (1 - p)) of each class, for any number of classes."""
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    shares = softmax(logits.numpy())
    assert np.allclose(LogOdds(nn.Identity())(logits).numpy(), np.log(shares / (1 - shares)), atol=1e-4)


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "mobilenet_v3_small", "resnet18"])
def test_networks_of_torchvision_are_explained(architecture: str) -> None:
    """The last convolution is found in any architecture, and gives a map for each class."""
    torch.manual_seed(0)
    spec = SPEC.model_copy(update={"height": 64})
    network = build_network(architecture, DOCUMENT_TYPE, spec, weights="none").eval()
    explanation = explain_image(network, spec, draw_texture(0, 40), LABELS)
    assert list(explanation.evidence) == list(LABELS)
    assert max(heat.max() for heat in explanation.evidence.values()) == pytest.approx(1)


def test_the_classical_baseline_has_no_convolution_to_look_at() -> None:
    """A network without convolutional layers is refused with a remedy."""
    with pytest.raises(DataError, match="no convolutional layer"):
        last_convolution(GradientHistogram())


# Drawing


def answer(confidence: float, label: int = 0) -> Prediction:
    """A served prediction, flagged below 0.85."""
    shares = {LABELS[label]: confidence, LABELS[1 - label]: 1 - confidence}
    shares = {name: shares[name] for name in LABELS}
    return Prediction(LABELS[label], confidence, shares, uncertain=confidence < 0.85)


def test_the_served_answer_is_explained_and_not_another(network: Network) -> None:
    """The label and the confidence of a given prediction are kept, whatever the network would say."""
    explanation = explain_image(network, SPEC, draw_texture(0, 40), LABELS, answer(0.6, label=1))
    assert explanation.prediction == answer(0.6, label=1)
    assert explanation.occlusion.min() == pytest.approx(-1)


def test_uncertain_answers_are_explained_without_asking(network: Network) -> None:
    """Of several predictions just the flagged ones are explained, in order."""
    images = [draw_texture(0, left) for left in (10, 40, 70)]
    found = explain_uncertain(network, SPEC, images, [answer(0.6), answer(0.99), answer(0.8)])
    assert [explanation.prediction.confidence for explanation in found] == [0.6, 0.8]
    assert [explanation.image for explanation in found] == [images[0], images[2]]


def test_overlays_colour_what_is_hot_and_leave_the_rest() -> None:
    """Evidence for a class turns orange, against it blue, and without heat the grey image shows."""
    heat = np.zeros((32, 128), np.float32)
    heat[:, :40], heat[:, 90:] = 1, -1
    pixels = np.asarray(overlay(draw_texture(0, 56), heat)).astype(int)
    assert (pixels[:, :40, 0] > pixels[:, :40, 2] + 50).all()
    assert (pixels[:, 90:, 2] > pixels[:, 90:, 0] + 50).all()
    assert np.array_equal(pixels[:, 40:90], np.asarray(draw_texture(0, 56))[:, 40:90])


def test_a_page_has_a_row_for_each_explanation(network: Network) -> None:
    """Rows of images of different shapes are put under each other; every cell has ink."""
    images = [draw_texture(0, 10), draw_texture(1, 60).crop((50, 0, 90, 32)), draw_texture(1, 10).crop((0, 0, 128, 30))]
    explanations = [explain_image(network, SPEC, image, LABELS) for image in images]
    page, single = explain_page(explanations), explain_page(explanations[:1])
    assert page.width == single.width
    assert page.height > 2.5 * single.height
    assert all(column.std() > 5 for column in np.array_split(np.asarray(page), 4, axis=1))


def test_a_page_of_nothing_is_refused() -> None:
    """Without an explanation there is no page, and the error says why that may be."""
    with pytest.raises(DataError, match="none is uncertain"):
        explain_page([])


# Command line


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training run leaves: a checkpoint with its bundle beside it, and two images, one clear, one not."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    network = build_network("mobilenet_v3_small", DOCUMENT_TYPE, SPEC, weights="none")
    save_checkpoint(folder / "network.pth", network, "mobilenet_v3_small", DOCUMENT_TYPE, SPEC)
    start_fitting(network, Schedule(), torch.device("cpu")).save(folder / "fitting.pth")
    make_bundle(folder / "bundle")
    for name, grey in (("clear", 240), ("unclear", 115)):
        Image.new("RGB", (100, 30), (grey, grey, grey)).save(folder / f"{name}.png")
    return folder


def run_command(folder: Path, *options: str, checkpoint: str = "network.pth") -> int:
    """Explain both images; the page is written to page.png."""
    files = [str(folder / "clear.png"), str(folder / "unclear.png")]
    out = str(folder / "page.png")
    return main([*files, "--checkpoint", str(folder / checkpoint), "--out", out, *options])


def test_the_command_writes_a_page(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All images are explained, with the answers of the bundle beside the checkpoint."""
    assert run_command(run_folder) == 0
    assert "2 of 2 images explained" in capsys.readouterr().out
    with Image.open(run_folder / "page.png") as page:
        assert page.width > 1000


def test_the_command_can_leave_out_clear_answers(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --uncertain-only just the image below the threshold of the bundle is explained."""
    assert run_command(run_folder, "--uncertain-only") == 0
    assert "1 of 2 images explained" in capsys.readouterr().out


def test_the_command_works_without_a_bundle(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint alone is explained by its own answers."""
    (tmp_path / "network.pth").write_bytes((run_folder / "network.pth").read_bytes())
    files = [str(run_folder / "clear.png"), "--out", str(tmp_path / "page.png")]
    assert main([*files, "--checkpoint", str(tmp_path / "network.pth")]) == 0
    assert "1 of 1 images explained" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "checkpoint", "message"),
    [
        (["--bundle", "nowhere"], "network.pth", "nowhere"),
        ([], "missing.pth", "missing.pth"),
        ([], "clear.png", "not a readable state dict"),
        (
            [],
            "fitting.pth",
            "fitting.pth has no architecture, labels, spec, state, task; name the network.pth that a finished",
        ),
    ],
)
def test_the_command_says_what_is_wrong(
    run_folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], checkpoint: str, message: str
) -> None:
    """A missing bundle or checkpoint, or a file that is none, ends with an error message and no traceback."""
    assert run_command(run_folder, *options, checkpoint=checkpoint) == 1
    assert message in capsys.readouterr().err


def test_the_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names the methods and the options."""
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "Grad-CAM" in text
    assert "--uncertain-only" in text
