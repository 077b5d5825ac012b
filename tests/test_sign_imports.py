"""The imports of MNIST, of character sets and of EMNIST, from files made here; folders named by code points."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from app.data import data_import_characters, data_import_folder, data_import_mnist
from app.data.idx import find_idx, read_idx
from app.data.manifest import folder_of, read_manifest
from app.errors import DataError
from app.tasks import CHARACTER
from tests.test_data_imports import write_parquet

SIZE = 28


def write_idx(file: Path, array: np.ndarray) -> None:
    """Write an array of bytes in the IDX format, gzipped where the name says so."""
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def images(count: int) -> np.ndarray:
    """Images whose upper right corner is lit, each a little differently, of shape (count, 28, 28)."""
    array = np.zeros((count, SIZE, SIZE), np.uint8)
    array[:, :4, 20:] = 255
    array[:, 14, 14] = np.arange(count)
    return array


@pytest.fixture(name="mnist")
def _mnist(tmp_path: Path) -> Path:
    for split, count, suffix in (("train", 200, ".gz"), ("t10k", 20, "")):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte{suffix}", images(count))
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)
    return tmp_path


def test_the_original_files_of_mnist(mnist: Path, tmp_path: Path) -> None:
    """All images are there; the official test is the test split; a tenth of the rest validates, always the same."""
    for name in ("one", "two"):
        out = ["--source", str(mnist), "--datasets", str(tmp_path), "--name", name]
        assert data_import_mnist.main(out) == 0
    samples = read_manifest(tmp_path / "one")
    counts = [sum(sample.split == split for sample in samples) for split in ("train", "validation", "test")]
    assert sum(counts) == 220
    assert counts[2] == 20
    assert 8 <= counts[1] <= 35
    assert [sample.split for sample in samples] == [sample.split for sample in read_manifest(tmp_path / "two")]
    assert {sample.label for sample in samples} == set("0123456789")
    with Image.open(tmp_path / "one" / samples[0].path) as image:
        assert image.getpixel((24, 1)) == 255


def test_parquet_files_of_mnist(tmp_path: Path) -> None:
    """The layout of the hub, with labels as numbers in text, gives the same splits."""
    write_parquet(tmp_path / "train.parquet", "image", range(12), label=[str(number % 10) for number in range(12)])
    write_parquet(tmp_path / "test.parquet", "image", range(50, 52), label=["3", "4"])
    assert data_import_mnist.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 0
    assert sum(sample.split == "test" for sample in read_manifest(tmp_path / "out" / "mnist")) == 2


def test_a_missing_or_broken_file_is_named(mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing, cut off, of another type or of another length is said by name."""
    command = ["--source", str(mnist), "--datasets", str(tmp_path / "out")]
    labels = mnist / "t10k-labels-idx1-ubyte"
    write_idx(labels, np.arange(3))
    assert data_import_mnist.main(command) == 1
    assert "20 images but 3 labels in test" in capsys.readouterr().err
    labels.unlink()
    assert data_import_mnist.main(command) == 1
    assert "has no t10k-labels-idx1-ubyte" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"\0\0\x08\x01\0\0\0\x09abc", b"\0\0\x0d\x01\0\0\0\x04abcd"])
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, cut off, too short or of another type: a DataError that names the file."""
    for name, written in (("plain", content), ("packed.gz", gzip.compress(content)[:-3])):
        (tmp_path / name).write_bytes(written)
        with pytest.raises(DataError, match=name):
            read_idx(tmp_path / name)
    assert find_idx(tmp_path, "absent") is None


def test_characters_keep_their_writers_together(tmp_path: Path) -> None:
    """Any of the 94 signs is a label, its folder a safe name; a writer is a document; splits of the source stay."""
    signs = list('/.A\\"a,|`')
    write_parquet(tmp_path / "train.parquet", "image", range(9), label=signs, writer=["w1", "w2", None] * 3)
    write_parquet(tmp_path / "validation.parquet", "image", range(20, 21), label=["z"], writer=["w9"])
    write_parquet(tmp_path / "test.parquet", "image", range(30, 31), label=["Z"], writer=["w8"])
    assert data_import_characters.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 0
    samples = read_manifest(tmp_path / "out" / "characters")
    assert {sample.label for sample in samples} == {*signs, "z", "Z"}
    assert {sample.document for sample in samples if sample.label in "/A"} == {
        "characters/w1",
        "characters/characters-train-000002",
    }
    assert all(Path(sample.path).parent.name == folder_of(sample.label) for sample in samples)
    assert [sample.split for sample in samples if sample.label in "zZ"] == ["test", "validation"]


def test_without_a_validation_split_writers_are_hashed(tmp_path: Path) -> None:
    """A source of training and test alone gives a tenth of its writers to validation; unknown labels are left out."""
    writers = [f"w{number // 2}" for number in range(80)]
    write_parquet(tmp_path / "train.parquet", "image", range(80), label=["a", "ä"] * 40, writer=writers)
    write_parquet(tmp_path / "test.parquet", "image", range(100, 101), label=["b"], writer=["w99"])
    assert data_import_characters.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 0
    samples = read_manifest(tmp_path / "out" / "characters")
    assert len(samples) == 41
    assert {sample.split for sample in samples} == {"train", "validation", "test"}


def test_emnist_is_turned(tmp_path: Path) -> None:
    """The idx files of a part of EMNIST, which lie transposed, become upright images with the mapped characters."""
    (tmp_path / "emnist-x-mapping.txt").write_text("0 48\n1 65\n", encoding="ascii")
    for split, count in (("train", 30), ("test", 4)):
        write_idx(tmp_path / f"emnist-x-{split}-images-idx3-ubyte.gz", images(count).transpose(0, 2, 1))
        write_idx(tmp_path / f"emnist-x-{split}-labels-idx1-ubyte.gz", np.arange(count) % 2)
    command = ["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]
    assert data_import_characters.main(command) == 0
    check_upright(tmp_path / "out" / "characters", {"0", "A"}, 34)


def test_emnist_of_matlab_knows_writers(tmp_path: Path) -> None:
    """The MATLAB file has images as rows that lie transposed, and writers, who stay together."""
    part = {
        "images": images(20).transpose(0, 2, 1).reshape(20, -1),
        "labels": np.arange(20)[:, None] % 2,
        "writers": np.arange(20)[:, None] // 4,
    }
    mapping = np.array([[0, 48], [1, 65]])
    test = {name: value[:4] for name, value in part.items()} | {"writers": np.full((4, 1), 99)}
    savemat(tmp_path / "emnist-x.mat", {"dataset": {"train": part, "test": test, "mapping": mapping}})
    assert data_import_characters.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 0
    samples = check_upright(tmp_path / "out" / "characters", {"0", "A"}, 24)
    assert len({sample.document for sample in samples}) == 6


def check_upright(folder: Path, labels: set[str], count: int) -> list:
    """The data set has so many images of these labels, with the upper right corner lit."""
    samples = read_manifest(folder)
    assert ({sample.label for sample in samples}, len(samples)) == (labels, count)
    for sample in samples:
        with Image.open(folder / sample.path) as image:
            assert image.getpixel((24, 1)) == 255
            assert image.getpixel((1, 24)) == 0
    return samples


def test_a_broken_matlab_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another MATLAB file is refused by name."""
    savemat(tmp_path / "other.mat", {"something": np.zeros(3)})
    assert data_import_characters.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 1
    assert "other.mat is no MATLAB file of EMNIST" in capsys.readouterr().err


def test_a_missing_part_of_emnist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mapping without its files is refused by the name of the first."""
    (tmp_path / "emnist-x-mapping.txt").write_text("0 48\n", encoding="ascii")
    assert data_import_characters.main(["--source", str(tmp_path), "--datasets", str(tmp_path / "out")]) == 1
    assert "has no emnist-x-train-images-idx3-ubyte" in capsys.readouterr().err


def test_folders_may_go_by_code_points(tmp_path: Path) -> None:
    """A class folder is named by the label, or by its code points where that is no safe name."""
    for name in ("0041", "a", "002f"):
        (tmp_path / "signs" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(images(40)[number]).save(tmp_path / "signs" / name / f"x{number}.png")
    command = ["--folder", str(tmp_path / "signs"), "--task", CHARACTER.name, "--name", "signs"]
    assert data_import_folder.main([*command, "--datasets", str(tmp_path / "out")]) == 0
    assert {sample.label for sample in read_manifest(tmp_path / "out" / "signs")} == {"A", "a", "/"}


@pytest.mark.parametrize(
    ("label", "folder"), [("handwritten", "handwritten"), ("7", "7"), ("A", "0041"), ("/", "002f"), ("..", "002e-002e")]
)
def test_folders_have_safe_names(label: str, folder: str) -> None:
    """A label that is a plain lower-case word is its own folder, all others go by code points."""
    assert folder_of(label) == folder
