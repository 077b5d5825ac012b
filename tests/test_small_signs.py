"""Digits and characters in training: the networks, the recipe, images that are none of the labels, the figures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from app.errors import NothingDrawnError
from app.evaluate import Case, alike_accuracy, answers_of, evaluate, report_of
from app.preprocess import to_array
from app.tasks import CHARACTER, DIGIT, Prediction
from app.training.augment import RECIPES
from app.training.dataset import NONE
from app.training.distort import alter_strokes, ground_of
from app.training.loss import STRANGE_SHARE, loss_of
from app.training.model import build_network, count_parameters, has_maps, load_checkpoint, save_checkpoint
from app.training.small_networks import SMALL
from app.training.two_in_one import main
from tests.test_strokes import drawn

LIMITS = {
    "perceptron": 0.11e6,
    "plain": 0.45e6,
    "strided": 0.6e6,
    "residual": 0.75e6,
    "residual_wide": 1.25e6,
    "strided_residual": 1.8e6,
    "resnet18_small": 12e6,
}


@pytest.mark.parametrize("architecture", SMALL)
@pytest.mark.parametrize("task", [DIGIT, CHARACTER], ids=lambda task: task.name)
def test_small_networks_give_logits_for_every_label(architecture: str, task: object) -> None:
    """Each network takes the task's images in batches of any size, and is no larger than it may be."""
    network = build_network(architecture, task, task.image, weights="none").eval()
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, len(task.labels))
    assert count_parameters(network) < LIMITS[architecture] + 513 * len(task.labels)
    assert has_maps(network) == (architecture != "perceptron")


@pytest.mark.parametrize("architecture", SMALL)
def test_small_networks_learn_from_a_single_image(architecture: str) -> None:
    """The last batch of an epoch may hold no more than one."""
    network = build_network(architecture, DIGIT, DIGIT.image, weights="none").train()
    network(torch.zeros(1, 1, 28, 28)).sum().backward()


def test_two_networks_in_one_answer_with_the_mean_of_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trained networks side by side give the mean of their logits, each divided by its temperature."""
    random, images, logits = torch.Generator().manual_seed(0), torch.rand(4, 1, 28, 28), []
    for name, temperature in (("strided", 0.5), ("residual_wide", 2.0)):
        network = build_network(name, DIGIT, DIGIT.image, weights="none")
        for parameter in network.parameters():
            parameter.data.normal_(0, 0.1, generator=random)
        network(torch.rand(8, 1, 28, 28, generator=random))  # so that the norms have statistics of their own
        save_checkpoint(tmp_path / name, network, name, DIGIT, DIGIT.image)
        logits.append(network.eval()(images) / temperature)
    paths = [str(tmp_path / name) for name in ("strided", "residual_wide")]
    assert main([*paths, "--temperatures", "0.5", "2", "--out", str(tmp_path / "both.pth")]) == 0
    assert "--task digit --architecture strided_residual" in capsys.readouterr().out
    both = load_checkpoint(tmp_path / "both.pth", DIGIT).network
    torch.testing.assert_close(both(images), (logits[0] + logits[1]) / 2, rtol=1e-4, atol=1e-4)


def test_two_networks_of_one_kind_become_the_mean_of_their_weights(tmp_path: Path) -> None:
    """Every weight lies in the middle of both, and the network is of their kind."""
    for name in ("one", "other"):
        save_checkpoint(
            tmp_path / name, build_network("plain", DIGIT, DIGIT.image, "none"), "plain", DIGIT, DIGIT.image
        )
    assert main([str(tmp_path / "one"), str(tmp_path / "other"), "--out", str(tmp_path / "mean.pth")]) == 0
    one, other, mean = (
        load_checkpoint(tmp_path / name, DIGIT).network.state_dict() for name in ("one", "other", "mean.pth")
    )
    for name, found in mean.items():
        torch.testing.assert_close(found, (one[name] + other[name]) / 2 if found.is_floating_point() else other[name])


@pytest.mark.parametrize("kinds", [("plain", "strided"), ("residual_wide", "strided")])
def test_other_networks_are_not_put_together(
    kinds: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no network of two is known for, or comes in another order, is refused with what is wanted."""
    for name in kinds:
        save_checkpoint(tmp_path / name, build_network(name, DIGIT, DIGIT.image, "none"), name, DIGIT, DIGIT.image)
    assert main([*(str(tmp_path / name) for name in kinds), "--out", str(tmp_path / "both.pth")]) == 1
    assert "strided and residual_wide" in capsys.readouterr().err
    torch.save({"epoch": 3}, tmp_path / "fitting.pth")
    assert main([str(tmp_path / "fitting.pth")] * 2 + ["--out", str(tmp_path / "both.pth")]) == 1
    assert "name the network.pth" in capsys.readouterr().err
    assert not (tmp_path / "both.pth").exists()


def test_small_networks_take_other_sizes() -> None:
    """The size comes from the spec, also where height and width differ."""
    spec = DIGIT.image.model_copy(update={"height": 40, "width": 24, "channels": 3})
    for architecture in SMALL:
        assert build_network(architecture, DIGIT, spec, "none").eval()(torch.zeros(1, 3, 40, 24)).shape == (1, 10)


@pytest.mark.parametrize("flip", [False, True], ids=["ink on paper", "light on dark"])
def test_the_recipe_alters_and_stays_a_sign(flip: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Copies differ from the image and from each other, have its size, and always leave something to recognise."""
    pixels = 255 - drawn() if flip else drawn()
    copies = [alter_strokes(pixels, np.random.default_rng(seed)) for seed in range(40)]
    assert {copy.shape for copy in copies} == {pixels.shape}
    assert len({copy.tobytes() for copy in copies}) > 35
    assert all(to_array(Image.fromarray(copy), DIGIT.image).std() > 0.3 for copy in copies)
    assert all(abs(ground_of(copy) - int(copy[-1, -1])) < 40 for copy in copies)


def test_the_recipe_is_fixed_by_its_seed() -> None:
    """The same generator gives the same copy, and the recipe is known by name."""
    first, again = (RECIPES["strokes"](drawn(), np.random.default_rng(5), drawn) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_the_loss_of_known_images_is_the_criterion() -> None:
    """Without strange images nothing is added."""
    logits, truths = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    criterion = nn.CrossEntropyLoss()
    torch.testing.assert_close(loss_of(logits, truths, criterion), criterion(logits, truths))


def test_strange_images_are_to_have_no_preference() -> None:
    """The part of an image without a label is least, log(labels), when all logits are alike."""
    truths = torch.tensor([NONE, NONE])
    flat, sure = torch.zeros(2, 4), torch.tensor([[9.0, 0, 0, 0], [9.0, 0, 0, 0]])
    criterion = nn.CrossEntropyLoss()
    assert float(loss_of(flat, truths, criterion)) == pytest.approx(STRANGE_SHARE * np.log(4))
    assert float(loss_of(sure, truths, criterion)) > 2
    both = loss_of(torch.cat([sure, flat]), torch.tensor([0, 0, NONE, NONE]), criterion)
    assert float(both) == pytest.approx(STRANGE_SHARE * np.log(4), abs=0.01)


def test_the_best_five_count() -> None:
    """A truth among the five most probable labels counts for `top_5`, which only models of more labels have."""
    probabilities = np.tile(np.linspace(0.3, 0.01, 8), (3, 1))
    report = report_of(tuple("abcdefgh"), np.array([0, 4, 5]), probabilities, {})
    assert report.top_5 == pytest.approx(2 / 3)
    assert report.figures("test")["test_top_5"] == report.top_5
    assert "test_top_5" not in report_of(("a", "b"), np.array([0]), np.array([[0.9, 0.1]]), {}).figures("test")


def test_labels_that_are_alike_may_be_taken_for_each_other() -> None:
    """Labels in one group count as right for each other, which does not carry over from group to group."""
    labels, truths, predicted = ("0", "O", "o", "Q"), np.array([0, 1, 2, 3, 0]), np.array([1, 2, 2, 1, 3])
    assert alike_accuracy(truths, predicted, labels, []) == pytest.approx(0.2)
    assert alike_accuracy(truths, predicted, labels, [("0", "O"), ("O", "o"), ("9", "8")]) == pytest.approx(0.6)
    assert alike_accuracy(truths, predicted, labels, [("0", "O", "o"), ("O", "Q")]) == pytest.approx(0.8)


def test_a_refused_image_counts_as_flagged_and_without_preference() -> None:
    """Images that the recogniser refuses do not end an evaluation: they are answered evenly, the others as usual."""

    def predict(images: list[Image.Image]) -> list[Prediction]:
        if any(image.width == 1 for image in images):
            message = "nothing drawn: send ink"
            raise NothingDrawnError(message)
        return [Prediction("b", 0.9, {"a": 0.1, "b": 0.9}, uncertain=False)] * len(images)

    cases = [Case("b", lambda width=width: Image.new("RGB", (width, 4)), {}) for width in (3, 1, 5)]
    report = evaluate(predict, cases, ("a", "b"))
    assert (report.count, report.uncertain) == (3, pytest.approx(1 / 3))
    assert report.accuracy == pytest.approx(2 / 3)
    assert answers_of(predict, [Image.new("RGB", (1, 1))], "ab")[0].reasons == ("nothing drawn: send ink",)
