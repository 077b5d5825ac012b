"""Synthetic lines: the same for the same seed, of both classes, with no font in two splits."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw, ImageFont

from app.data import synthetic
from app.data.manifest import Sample, read_manifest
from app.data.texts import KINDS, make_text
from app.data.typefaces import fonts_of
from app.errors import DataError
from app.preprocess import to_array
from app.tasks import DOCUMENT_TYPE

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDE0123456789.,-"


def glyph(letter: str) -> Image.Image:
    """A character white on black, 28 x 28 px."""
    image = Image.new("L", (28, 28))
    font = ImageFont.truetype(str(fonts_of("handwritten")[0]), 24)
    ImageDraw.Draw(image).text((14, 22), letter, fill=255, font=font, anchor="ms")
    return image


HAND = {letter: [glyph(letter)] for letter in LETTERS}


def contrast(image: Image.Image) -> float:
    """How far ink and paper are apart, by grey values."""
    low, high = np.percentile(np.asarray(image.convert("L")), (2, 90))
    return high - low


@pytest.mark.parametrize("label", ["handwritten", "printed"])
def test_lines_are_readable_images_and_follow_from_the_seed(label: str) -> None:
    """Lines have ink on paper, fit the preprocessing, repeat for the same seed and differ for another."""
    first, again, other = (synthetic.render_line(np.random.default_rng(seed), label) for seed in (3, 3, 4))
    assert first.mode == "RGB"
    assert np.array_equal(np.asarray(first), np.asarray(again))
    assert first.tobytes() != other.tobytes()
    assert contrast(first) > 15
    assert to_array(first, DOCUMENT_TYPE.image).shape == (1, 64, 512)


@pytest.mark.parametrize("label", ["handwritten", "printed"])
def test_every_font_draws_lines(label: str) -> None:
    """No bundled font fails, and nearly all lines have a clear contrast."""
    images = [synthetic.render_line(np.random.default_rng(5), label, font) for font in fonts_of(label)]
    assert np.mean([contrast(image) > 15 for image in images]) > 0.9


def test_texts_are_never_empty_and_of_every_kind() -> None:
    """Whatever is drawn has something to draw."""
    random = np.random.default_rng(0)
    assert sum(share for share, _ in KINDS) == pytest.approx(1)
    assert all(kind(random).strip() for _, kind in KINDS for _ in range(50))
    assert len({make_text(random) for _ in range(200)}) > 150


def test_words_are_composed_of_the_hand_that_is_given() -> None:
    """Characters become a dark line on light paper, the same for the same seed; missing ones are replaced."""
    first, again = (synthetic.compose_words(np.random.default_rng(8), HAND) for _ in range(2))
    assert np.array_equal(np.asarray(first), np.asarray(again))
    assert contrast(first) > 15
    assert np.median(np.asarray(first)) > 90
    few = {letter: HAND[letter] for letter in "abcde"}
    assert synthetic.compose_words(np.random.default_rng(8), few).width > 8


def test_empty_glyphs_do_no_harm() -> None:
    """A character without any stroke leaves a gap."""
    hand = {letter: [Image.new("L", (28, 28))] for letter in LETTERS}
    assert synthetic.compose_words(np.random.default_rng(0), hand).height >= 8


def test_a_hand_with_too_few_characters_is_refused() -> None:
    """Fewer than five letters and digits make no words."""
    with pytest.raises(DataError, match="has only 2 letters and digits"):
        synthetic.compose_words(np.random.default_rng(0), {"a": HAND["a"], "b": HAND["b"], ".": HAND["."]})


def run(tmp_path: Path, *options: str) -> list[Sample]:
    """Run the command and read what it made."""
    assert synthetic.main(["--datasets", str(tmp_path), "--name", "set", *options]) == 0
    return read_manifest(tmp_path / "set")


def test_command_renders_a_data_set_of_both_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many lines of each class as asked, split by font, the same in a second run."""
    samples = run(tmp_path / "a", "--lines", "25")
    assert [sum(sample.label == label for sample in samples) for label in ("handwritten", "printed")] == [25, 25]
    assert samples == run(tmp_path / "b", "--lines", "25")
    assert all((tmp_path / "a" / "set" / sample.path).is_file() for sample in samples)
    assert "50 samples in" in capsys.readouterr().out


def test_command_composes_handwriting_from_characters(tmp_path: Path) -> None:
    """The hands of each split write lines of that split; a hand is the document."""
    for split, writers in (("train", ["w1", "w2"]), ("validation", ["w3"]), ("test", [None])):
        write_characters(tmp_path / f"{split}.parquet", writers)
    samples = run(tmp_path, "--lines", "30", "--glyphs", str(tmp_path))
    assert {sample.label for sample in samples} == {"handwritten"}
    assert {sample.document for sample in samples if sample.split == "train"} == {
        "characters/train/w1",
        "characters/train/w2",
    }
    assert {sample.document for sample in samples if sample.split == "test"} <= {"characters/test/forms-000"}


def write_characters(file: Path, writers: list[str | None]) -> None:
    """Write a parquet file with all characters of the given writers."""
    rows = [
        {"image": {"bytes": encoded(letter), "path": None}, "label": letter, "source": "forms", "writer": writer}
        for writer in writers
        for letter in LETTERS
    ]
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.string()),
            ("source", pa.string()),
            ("writer", pa.string()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), file)


def encoded(letter: str) -> bytes:
    """The PNG file of a character."""
    buffer = io.BytesIO()
    HAND[letter][0].save(buffer, "PNG")
    return buffer.getvalue()


def test_command_without_characters_says_what_is_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without parquet files ends with one line and status 1."""
    assert synthetic.main(["--datasets", str(tmp_path), "--glyphs", str(tmp_path)]) == 1
    assert "no characters in" in capsys.readouterr().err
