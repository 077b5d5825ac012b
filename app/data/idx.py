"""Reads the IDX format of MNIST and EMNIST: a big-endian head with type and sizes, then bytes; gzipped or not.

The format is described in Y. LeCun's page on MNIST. Knows no data set.
"""

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import DataError

UNSIGNED_BYTES = 8  # the type that both data sets have


def find_idx(folder: Path, stem: str) -> Path | None:
    """The file *stem* in *folder*, as it is or with `.gz`, with a dash or a dot before `idx`; None when absent."""
    for name in (stem, stem.replace("-idx", ".idx")):
        for file in (folder / name, folder / f"{name}.gz"):
            if file.is_file():
                return file
    return None


def read_idx(file: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of bytes; raises DataError for anything else, or when bytes are missing."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        kind, dimensions = struct.unpack_from(">2xBB", content)
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
        array = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error, struct.error) as error:
        message = f"{file} is no whole IDX file of bytes ({error}); fetch it again"
        raise DataError(message) from error
    if kind != UNSIGNED_BYTES:
        message = f"{file} has values of the type {kind}, not bytes ({UNSIGNED_BYTES}); it is of another data set"
        raise DataError(message)
    return array


def to_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a grey image of shape (height, width)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
