"""Reads the single characters of many people from parquet files, to compose words of: one hand, one person.

DIR holds parquet files of each split with `image` (white on black), `label`, `source`, `writer`.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from app.data.drawing import LEAST_GLYPHS
from app.data.manifest import SPLITS
from app.errors import DataError

Hands = dict[str, dict[str, list[Image.Image]]]
HAND_SIZE = 250


def read_hands(folder: Path) -> dict[str, Hands]:
    """Read single characters from the parquet files in *folder*, by split, hand and character; raises DataError.

    Rows without a writer are bundled, in their order, to hands of 250 characters of one source.
    """
    hands: dict[str, Hands] = {}
    for split in SPLITS:
        found: Hands = defaultdict(lambda: defaultdict(list))
        nameless: Counter[str] = Counter()
        for row in _parquet_rows(folder, split):
            hand = row["writer"] or f"{row['source']}-{nameless[row['source']] // HAND_SIZE:03d}"
            nameless[row["source"]] += 1
            found[hand][row["label"]].append(Image.open(io.BytesIO(row["image"]["bytes"])))
        hands[split] = {name: hand for name, hand in found.items() if sum(map(str.isalnum, hand)) >= LEAST_GLYPHS}
    if not any(hands.values()):
        message = f"no characters in {folder}; expected train.parquet and so on with image, label, source, writer"
        raise DataError(message)
    return hands


def _parquet_rows(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of all parquet files of a split."""
    import pyarrow.parquet  # noqa: PLC0415  only this way of use needs it

    for file in sorted(folder.glob(f"*{split}*.parquet")):
        yield from pyarrow.parquet.read_table(file, columns=["image", "label", "source", "writer"]).to_pylist()
