"""Learning where on a page lines are: the network, its loss and its data, and a whole run from pages to a bundle."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from PIL import Image

from app.config import Settings
from app.data.data_import_page_maps import main as import_maps
from app.data.manifest import Sample, map_beside, write_manifest
from app.errors import BundleError, DataError
from app.inference.bundle import MODEL, read_description
from app.inference.promotion import compare, held_out_cases
from app.inference.recogniser import Recogniser, open_session
from app.preprocess import to_array
from app.tasks import TASKS
from app.tasks.page_text import PAGE_TEXT
from app.training.dataset import MiddleCrops, PageCrops, load_items
from app.training.explain import explain_image, last_convolution
from app.training.goals import LABELS, PLACES
from app.training.loss import loss_of_maps
from app.training.model import PAGE_MAP, build_network, load_checkpoint, read_checkpoint
from app.training.options import Options
from app.training.page_crops import alter_page
from app.training.pipeline import Outcome, run_pipeline
from tests.stores import settings_in

SPEC = PAGE_TEXT.image.model_copy(update={"height": 64, "width": 96})
LINES = [(40, top, 360, top + 24) for top in range(40, 460, 48)]


def write_page(file: Path, label: str, seed: int) -> None:
    """Write a page of strokes, slanted for one label and upright for the other."""
    random = np.random.default_rng(seed)
    page = np.full((500, 400), random.integers(180, 250), np.uint8)
    for left, top, right, bottom in LINES:
        for x in range(left, right - 12, 9):
            for y in range(top, bottom):
                start = x + (bottom - y) // 2 * (label == PAGE_TEXT.labels[0])
                page[y, start : start + 3] = 40
    Image.fromarray(page).save(file)


def write_pages(folder: Path) -> None:
    """Write two pages of each label for each split, with their listing."""
    folder.mkdir(parents=True)
    rows = []
    for number, split in enumerate(("train", "train", "validation", "test")):
        for label in PAGE_TEXT.labels:
            file = folder / f"{label}-{number}.png"
            write_page(file, label, seed=number)
            lines = [{"bbox": box, "writing_type": label} for box in LINES]
            place = {"source": "here", "document": file.name, "split": split}
            rows.append(json.dumps({"file": file.name, **place, "lines": lines}))
    (folder / "pages.jsonl").write_text("\n".join(rows), encoding="utf-8")


@pytest.fixture(scope="module", autouse=True)
def _listed() -> Iterator[None]:
    """The task is among those that can be trained, also while no model of it ships with the product."""
    known = dict(TASKS)
    TASKS.setdefault(PAGE_TEXT.name, PAGE_TEXT)
    yield
    if PAGE_TEXT.name not in known:
        del TASKS[PAGE_TEXT.name]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store, and the pages as a data set."""
    folder = tmp_path_factory.mktemp("places")
    write_pages(folder / "pages")
    settings = settings_in(folder / "all", checkpoints=folder / "checkpoints")
    assert (
        import_maps(["--source", str(folder / "pages"), "--name", "drawn", "--datasets", str(settings.datasets)]) == 0
    )
    return settings


def options(**changes: object) -> Options:
    """Options of a training that takes seconds."""
    values = {"task": PAGE_TEXT.name, "architecture": PAGE_MAP, "weights": "none", "data": ["drawn"]}
    small = {"height": 96, "width": 96, "epochs": 1, "batch": 2, "workers": 0, "judged": 1, "quantise": "never"}
    return Options.model_validate(values | small | changes)


@pytest.fixture(scope="module")
def outcome(settings: Settings) -> Outcome:
    """A run of one epoch."""
    return run_pipeline(options(), settings)


def test_a_run_gives_a_bundle_whose_maps_have_the_size_of_the_image(outcome: Outcome) -> None:
    """The exported model takes images of any size and gives a map for each label, and one more, at half of it."""
    session = InferenceSession(outcome.bundle / "model.onnx")
    for height, width in ((96, 96), (160, 64), (32, 320)):
        batch = np.random.default_rng(0).normal(0, 1, (2, 1, height, width)).astype(np.float32)
        logits, maps = session.run(["logits", "maps"], {"images": batch})
        assert logits.shape == (2, 3)
        assert maps.shape == (2, 3, height // 2, width // 2)


def test_a_run_is_judged_as_any_other(outcome: Outcome) -> None:
    """The epoch has a loss and a share of right places; the bundle has figures, a card and probes that hold."""
    (epoch,) = outcome.history
    assert 0 < epoch["validation_loss"] < 5
    assert 0 <= epoch["validation_accuracy"] <= 1
    assert 0 <= epoch["train_accuracy"] <= 1
    assert {"test_accuracy", "unaltered_accuracy", "milliseconds_per_image"} <= set(outcome.description.figures)
    assert (outcome.bundle / "README.md").is_file()
    recogniser = Recogniser.load(outcome.bundle)
    recogniser.check_probes(outcome.bundle)
    assert recogniser.maps(Image.new("RGB", (300, 200), "white")).shape == (3, 48, 48)


def test_a_page_network_is_explained_by_its_labels(outcome: Outcome) -> None:
    """What tells which way up text stands is no class, and not the layer that is looked at."""
    checkpoint = load_checkpoint(outcome.bundle.parent / "network.pth", PAGE_TEXT)
    image = Image.new("RGB", (300, 200), "white")
    explanation = explain_image(checkpoint.network, checkpoint.spec, image, PAGE_TEXT.labels)
    assert set(explanation.evidence) == set(PAGE_TEXT.labels)
    assert sum(explanation.prediction.probabilities.values()) == pytest.approx(1)
    features = checkpoint.network.backbone.get_submodule("features")
    assert last_convolution(checkpoint.network) in set(features.get_submodule("up_stem").modules())


def test_a_network_of_other_outputs_is_refused(outcome: Outcome, tmp_path: Path) -> None:
    """One from before it was told which way up text stands fits neither a training nor an explanation."""
    saved = read_checkpoint(outcome.bundle.parent / "network.pth")
    state = {name: tensor[:2] if name.startswith("head.") else tensor for name, tensor in dict(saved["state"]).items()}
    torch.save(saved | {"state": state}, tmp_path / "old.pth")
    with pytest.raises(DataError, match="the weights do not fit page_map"):
        load_checkpoint(tmp_path / "old.pth", PAGE_TEXT)


def test_a_model_without_the_last_output_is_told_so(outcome: Outcome) -> None:
    """Where labels and outputs do not fit, the message says that one output is for none of the labels."""
    description = read_description(outcome.bundle).model_copy(update={"labels": ("a", "b", "c")})
    recogniser = Recogniser(description, open_session(outcome.bundle / MODEL))
    with pytest.raises(BundleError, match=r"gives \(1, 2\) outputs for 1 images .*less one for text on its head"):
        recogniser.predict([Image.new("RGB", (96, 96), "white")])


def test_a_run_is_chosen_and_judged_by_its_places(outcome: Outcome, settings: Settings) -> None:
    """The metric of the task is that of places, what the gate measures for the bundle, and it is on the card."""
    figures = read_description(outcome.bundle).figures
    assert PAGE_TEXT.metric in figures
    assert {"test_places_accuracy", "test_places_ece", "validation_places_ece"} <= figures.keys()
    recogniser = Recogniser.load(outcome.bundle)
    cases = held_out_cases(settings.datasets, PAGE_TEXT, ["drawn"])
    comparison = compare(recogniser, recogniser, cases, PAGE_TEXT)
    assert comparison.candidate.accuracy == pytest.approx(figures["test_places_accuracy"])
    assert comparison.failures == ()
    assert f"rightly, as they lie and on their heads | {figures[PAGE_TEXT.metric]:.4f} |" in (
        (outcome.bundle / "README.md").read_text("utf-8")
    )


def test_images_without_a_map_judge_no_places(settings: Settings) -> None:
    """Where all data sets take part, lines of others are no pages to be compared on."""
    folder = settings.datasets / "lines"
    folder.mkdir()
    Image.new("RGB", (200, 40), "white").save(folder / "line.png")
    write_manifest(folder, [Sample("line.png", "printed", "test", "here", "d", "", "", "0")])
    assert held_out_cases(settings.datasets, PAGE_TEXT, ["lines"]) == []
    assert {case.slices["dataset"] for case in held_out_cases(settings.datasets, PAGE_TEXT)} == {"drawn"}


def test_places_are_learnt(settings: Settings) -> None:
    """A few steps on crops of pages bring the loss down and tell where the lines are."""
    torch.manual_seed(1)
    network = build_network(PAGE_MAP, PAGE_TEXT, PAGE_TEXT.image, "none")
    items = [item for item in load_items(settings.datasets, PAGE_TEXT, ["drawn"]) if item.sample.split == "train"]
    pairs = [MiddleCrops(items, PAGE_TEXT.image)[index] for index in (0, 7)]
    images, maps = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    images, maps = images[..., 128:384, 128:384], maps[..., 64:192, 64:192]
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.01)
    losses = []
    for _ in range(25):
        loss = loss_of_maps(network.places(images), maps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    right, count = PLACES.count(network.places(images), maps)
    assert right / count > 0.9


def test_the_mean_over_places_is_the_logit() -> None:
    """The head at every place, averaged, is the head after the mean over all places."""
    network = build_network(PAGE_MAP, PAGE_TEXT, SPEC, "none").eval()
    images = torch.randn(2, 1, 64, 96)
    places = network.places(images)
    assert places.shape == (2, 3, 32, 48)
    torch.testing.assert_close(places.mean((2, 3)), network(images))


def test_sides_that_do_not_fit_are_refused() -> None:
    """A size that the network cannot halve five times is named with the rule."""
    with pytest.raises(DataError, match="multiples of 32, not 64 x 100"):
        build_network(PAGE_MAP, PAGE_TEXT, SPEC.model_copy(update={"width": 100}), "none")


def test_unknown_places_cost_nothing() -> None:
    """Neither the loss nor its gradient depends on what is answered or drawn where nothing is known."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 2, 8, 8, generator=generator)
    maps = torch.randint(0, 256, (2, 3, 8, 8), generator=generator).to(torch.uint8)
    maps[:, 2] = 255
    maps[:, 2, :, 4:] = 0
    other, drawn = logits.clone(), maps.clone()
    other[..., 4:] = 30 * torch.randn(2, 2, 8, 4, generator=generator)
    drawn[:, :2, :, 4:] = 255 - drawn[:, :2, :, 4:]
    other.requires_grad_()
    loss = loss_of_maps(other, drawn)
    torch.testing.assert_close(loss, loss_of_maps(logits, maps))
    loss.backward()
    assert not other.grad[..., 4:].any()
    assert other.grad[..., :4].all()
    assert PLACES.count(other, drawn) == PLACES.count(logits, maps)


def test_the_loss_is_least_for_the_truth() -> None:
    """Right answers cost nearly nothing, turned ones much."""
    maps = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    maps[:, 2] = maps[:, 0, 2:5] = maps[:, 1, 6:] = 255
    logits = (maps[:, :2] > 0) * 40.0 - 20
    assert float(loss_of_maps(logits, maps)) < 0.01
    assert float(loss_of_maps(-logits, maps)) > 10
    assert PLACES.count(logits, maps) == (1.0, 1)
    assert PLACES.count(-logits, maps) == (0.0, 1)


def test_crops_are_network_input_beside_their_maps(settings: Settings) -> None:
    """A seed fixes the crops of an epoch; unaltered ones are the middle of the page, prepared as for serving."""
    items = load_items(settings.datasets, PAGE_TEXT, ["drawn"])
    crops, again, other = (PageCrops(items, PAGE_TEXT.image, "page", seed) for seed in (1, 1, 2))
    (image, maps), (same, _), (unlike, _) = crops[0], again[0], other[0]
    assert (image.shape, image.dtype) == ((1, 512, 512), torch.float32)
    assert (maps.shape, maps.dtype) == ((4, 256, 256), torch.uint8)
    assert torch.equal(image, same)
    assert not torch.equal(image, unlike)
    middle, known = MiddleCrops(items, PAGE_TEXT.image)[3]
    page, drawn = items[0].read_places()
    corner = np.full((512, 512), np.median(page[::8, ::8]), np.uint8)
    corner[:250, :200] = page[250:, 200:]
    spec = PAGE_TEXT.image.model_copy(update={"height": 512, "width": 512})
    np.testing.assert_array_equal(middle.numpy(), to_array(Image.fromarray(corner), spec))
    np.testing.assert_array_equal(known[[0, 1, 3], :125, :100].numpy(), drawn[125:, 100:].transpose(2, 0, 1))


def test_a_map_of_another_size_is_refused(settings: Settings, tmp_path: Path) -> None:
    """A page whose map is not half its size, or is gone, is named with the remedy."""
    item = load_items(settings.datasets, PAGE_TEXT, ["drawn"])[0]
    copy = tmp_path / item.file.name
    copy.write_bytes(item.file.read_bytes())
    moved = type(item)(item.data_set, copy, item.label, item.sample)
    with pytest.raises(DataError, match="import the data set again"):
        moved.read_places()
    Image.new("RGB", (200, 249)).save(map_beside(copy))
    with pytest.raises(DataError, match=r"has a map of \(249, 200, 3\) for its \(500, 400\) pixels"):
        moved.read_places()


@pytest.mark.parametrize("wrong", [{"architecture": "mobilenet_v2"}, {"strategy": "transfer"}])
def test_places_need_their_network(wrong: dict[str, str]) -> None:
    """Another architecture or strategy is refused before anything is read."""
    with pytest.raises(ValueError, match="use --architecture page_map --strategy fine-tune"):
        options(**wrong)


def test_the_recipe_takes_colour_as_well() -> None:
    """Other tasks may use it: pixels of RGB stay such."""
    pixels = np.full((40, 60, 3), 200, np.uint8)
    for seed in range(10):
        assert alter_page(pixels, np.random.default_rng(seed), lambda: pixels).shape == (40, 60, 3)


def test_goals_count_what_is_known() -> None:
    """Of labels those that are some; of places the share of those that are known."""
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 0.0]])
    assert LABELS.count(logits, torch.tensor([0, 0, -1])) == (1.0, 2)
    maps = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    maps[0, 2, 0] = 255
    assert PLACES.count(torch.tensor([[[[1.0, -1.0]] * 2, [[-1.0, -1.0]] * 2]]), maps) == (0.75, 1)
