"""Tests of what an epoch consists of: weights, classes, centuries, and pixels that follow from the seed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.data.manifest import Sample, write_manifest
from app.errors import DataError
from app.tasks import DOCUMENT_TYPE
from app.training.dataset import (
    AlteredImages,
    Item,
    century,
    class_weights,
    draw_epoch,
    load_items,
    make_loader,
    parse_entry,
)
from tests.trainings import write_tiny

SPEC = DOCUMENT_TYPE.image.model_copy(update={"height": 32, "width": 96})


def item(label: str = "printed", weight: float = 1.0, name: str = "a") -> Item:
    """An item whose file is not there."""
    sample = Sample(f"{name}.png", label, "train", "source", name, "", "", "0")
    return Item("set", Path(f"{name}.png"), label, sample, weight)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Real lines of both classes."""
    folder = tmp_path_factory.mktemp("datasets")
    write_tiny(folder / "tiny")
    return load_items(folder, DOCUMENT_TYPE, ["tiny"])


def test_labels_of_a_source_become_those_of_the_task(tmp_path: Path) -> None:
    """Typewritten lines count as printed, and remember what they were."""
    write_tiny(tmp_path / "old", labels=["typewritten"])
    items = load_items(tmp_path, DOCUMENT_TYPE, ["old:0.5"])
    assert {(item.label, item.sample.label, item.weight) for item in items} == {("printed", "typewritten", 0.5)}


def test_a_document_has_one_split_in_all_data_sets(tmp_path: Path) -> None:
    """Data sets that share a document go together when they agree on its split, else the error names all of it."""
    for name, splits in {"one": ("train", "test"), "same": ("train", "test"), "other": ("validation", "test")}.items():
        samples = [
            Sample(f"{split}.png", "printed", split, "press", document, "", "", "0")
            for document, split in zip(("book", "letter"), splits, strict=True)
        ]
        write_manifest(tmp_path / name, samples)
    assert len(load_items(tmp_path, DOCUMENT_TYPE, ["one", "same"])) == 4
    said = "'book' of press is in train of one and in validation of other"
    with pytest.raises(DataError, match=said):
        load_items(tmp_path, DOCUMENT_TYPE, ["one", "other:0.5"])


@pytest.mark.parametrize(("entry", "expected"), [("a", ("a", 1)), ("a:0.3", ("a", 0.3)), ("a:2", ("a", 2))])
def test_a_data_set_may_have_a_weight(entry: str, expected: tuple[str, float]) -> None:
    """The weight stands behind a colon and is 1 without one."""
    assert parse_entry(entry) == expected


@pytest.mark.parametrize("weight", ["x", "0", "-1", "nan", "inf"])
def test_a_weight_is_a_number_above_zero(weight: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(DataError, match=r"such as a:0\.5"):
        parse_entry(f"a:{weight}")


def test_an_epoch_draws_by_weight() -> None:
    """A weight of 2 draws every image twice, one of 0.3 about three in ten, others each epoch."""
    twice = [item(name="twice", weight=2.0)]
    rarely = [item(name=f"rare {number}", weight=0.3) for number in range(1000)]
    first, second = (Counter(drawn.file.name for drawn in draw_epoch([*twice, *rarely], 0, epoch)) for epoch in (1, 2))
    assert first["twice.png"] == second["twice.png"] == 2
    assert 250 < first.total() - 2 < 350
    assert first != second


def test_the_order_of_an_epoch_follows_from_seed_and_epoch() -> None:
    """The same seed and epoch give the same order, another seed or epoch another one."""
    many = [item(name=str(number)) for number in range(50)]
    assert draw_epoch(many, 1, 2) == draw_epoch(many, 1, 2)
    assert draw_epoch(many, 1, 2) != draw_epoch(many, 1, 3)
    assert draw_epoch(many, 1, 2) != draw_epoch(many, 2, 2)


def test_classes_count_alike_in_the_loss() -> None:
    """Weight times drawn images is the same for every class."""
    weights = class_weights([item("handwritten", 3.0), item("printed"), item("printed", 0.5)], DOCUMENT_TYPE.labels)
    assert weights.tolist() == pytest.approx([4.5 / 2 / 3, 4.5 / 2 / 1.5])


def test_a_class_without_samples_is_refused() -> None:
    """It is named."""
    with pytest.raises(DataError, match="no training sample of handwritten"):
        class_weights([item("printed")], DOCUMENT_TYPE.labels)


@pytest.mark.parametrize(
    ("years", "expected"),
    [("1700-1799", "18th"), ("1850", "19th"), ("2019-2021", "21st"), ("", "unknown"), ("late", "unknown")],
)
def test_years_are_reported_by_century(years: str, expected: str) -> None:
    """The century is that of the first year."""
    assert century(years) == expected


def test_a_case_has_the_slices_of_its_sample() -> None:
    """What is not known of a sample is called unknown."""
    sample = replace(item().sample, years="1912")
    assert replace(item(), sample=sample).case().slices == {
        "source": "source",
        "language": "unknown",
        "century": "20th",
    }


def test_a_lost_image_is_named() -> None:
    """A file of the manifest that is gone is a DataError with its path."""
    with pytest.raises(DataError, match=r"a\.png is in the manifest but cannot be read"):
        item().read()


def test_the_same_seed_gives_the_same_pixels(items: list[Item]) -> None:
    """Altered images follow from the seed and their place; another seed alters them otherwise."""
    first, again, other = (AlteredImages(items, DOCUMENT_TYPE.labels, SPEC, "text_line", seed) for seed in (1, 1, 2))
    assert len(first) == len(items)
    assert torch.equal(first[3][0], again[3][0])
    assert not torch.equal(first[3][0], other[3][0])


def test_batches_keep_the_order(items: list[Item]) -> None:
    """Batches have the shape that networks take, with the labels in the order of the items."""
    images = AlteredImages(items[:10], DOCUMENT_TYPE.labels, SPEC, "none", seed=0)
    batches = list(make_loader(images, batch=4, workers=0))
    assert [tuple(inputs.shape) for inputs, _ in batches] == [(4, 1, 32, 96), (4, 1, 32, 96), (2, 1, 32, 96)]
    truths = [DOCUMENT_TYPE.labels[truth] for _, labels in batches for truth in labels.tolist()]
    assert truths == [item.label for item in items[:10]]
