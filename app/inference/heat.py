"""Where in an image a recogniser sees its evidence for a label, as numbers and as a picture; without torch.

Two methods, both of the model that answers. *map*: the class activation map that the exported model gives beside its
answer. *occlusion*: squares of the network's input are covered with the paper's grey, and what the label's log odds
lose is counted; it needs no maps, but many runs of the network. Owns neither the answer nor HTTP.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import UnknownLabelError
from app.inference.recogniser import BATCH, Recogniser
from app.preprocess import to_array, trace

Values = NDArray[np.float32]
WARM, COOL = (213, 94, 0), (0, 114, 178)  # told apart with any kind of colour vision (Okabe and Ito, 2008)
OPACITY = 0.75
LONG = 4  # times as wide as high: the input of a line
SHOWN = 512  # pixels that the longer side of a picture has at least, if its input can be enlarged by a whole number
GAP = 8


class Method(StrEnum):
    """How the evidence is found."""

    MAP = "map"
    OCCLUSION = "occlusion"


@dataclass(frozen=True)
class Heat:
    """Evidence for *label*: `values` of shape (rows, columns) over the input, positive where it speaks for the label.

    In logits: a map's mean, and the bias of the label, make the label's logit; an occlusion's are lost log odds.
    `seen` is the network's input as a picture, which is what the image became by preprocessing.
    """

    label: str
    method: Method
    values: Values
    seen: Image.Image


def explain(recogniser: Recogniser, image: Image.Image, label: str, method: Method | None = None) -> Heat:
    """Find the evidence for a label in an image (RGB), by default with the model's map, or by occlusion without one.

    Raises UnknownLabelError, and BundleError when a map is asked for and the model has none.
    """
    number = number_of(label, recogniser.description.labels)
    chosen = method or (Method.MAP if recogniser.has_maps else Method.OCCLUSION)
    values = recogniser.maps(image)[number] if chosen is Method.MAP else occlude(recogniser, image, number)
    *_, (_, pixels) = trace(image, recogniser.description.image)
    return Heat(label, chosen, values, Image.fromarray(pixels).convert("RGB"))


def number_of(label: str, labels: Sequence[str]) -> int:
    """The place of a label among those of a model; raises UnknownLabelError."""
    if label not in labels:
        message = f"there is no label {label!r}; known are {', '.join(labels)}"
        raise UnknownLabelError(message)
    return labels.index(label)


def occlude(recogniser: Recogniser, image: Image.Image, number: int) -> Values:
    """How much the log odds of the label *number* fall, place by place, when a square of two by two places is covered.

    A square is half as high as the input of a line, or a quarter of any other; a place has the mean of its squares.
    """
    array = to_array(image, recogniser.description.image)
    _, height, width = array.shape
    step = max(1, height // (4 if width >= LONG * height else 8))
    rows, columns = round(height / step), round(width / step)
    tops, lefts = edges(height, rows), edges(width, columns)
    places = [(row, column) for row in range(rows - 1) for column in range(columns - 1)]
    paper = np.median(array, axis=(1, 2), keepdims=True)

    def covered() -> Iterator[Values]:
        for row, column in places:
            copy = array.copy()
            copy[:, tops[row] : tops[row + 2], lefts[column] : lefts[column + 2]] = paper
            yield copy

    before = log_odds(recogniser.look(array[None]), number)
    losses = before - log_odds(look_at_all(recogniser, covered()), number)
    total, count = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for (row, column), loss in zip(places, losses, strict=True):
        total[row : row + 2, column : column + 2] += loss
        count[row : row + 2, column : column + 2] += 1
    return np.asarray(total / count, np.float32)


def edges(length: int, parts: int) -> list[int]:
    """Where the parts of a side begin and end, in pixels; as even as whole pixels can be."""
    return [round(length * part / parts) for part in range(parts + 1)]


def look_at_all(recogniser: Recogniser, arrays: Iterator[Values]) -> Values:
    """The logits of many network inputs, of which only a batch is in memory at a time."""
    found, batch = [], list[Values]()
    for array in arrays:
        batch.append(array)
        if len(batch) == BATCH:
            found.append(recogniser.look(np.stack(batch)))
            batch = []
    if batch:
        found.append(recogniser.look(np.stack(batch)))
    return np.concatenate(found)


def log_odds(logits: Values, number: int) -> Values:
    """The log odds of one label against all others, of shape (n,), for logits of shape (n, labels)."""
    others = np.delete(logits, number, axis=1)
    return np.asarray(logits[:, number] - np.logaddexp.reduce(others, axis=1), np.float32)


def draw(heat: Heat) -> Image.Image:
    """The network's input, and beside it (under it, if it is long) the same with the heat over it.

    Orange speaks for the label, blue against it; the strongest place has the full colour, so that colours of two
    pictures cannot be compared.
    """
    factor = max(1, SHOWN // max(heat.seen.size))
    seen = heat.seen.resize((heat.seen.width * factor, heat.seen.height * factor), Image.Resampling.NEAREST)
    values = np.asarray(Image.fromarray(heat.values).resize(seen.size, Image.Resampling.BILINEAR))
    heated = overlay(seen, (values / max(float(np.abs(heat.values).max()), 1e-9)).astype(np.float32))
    long = seen.width > seen.height
    place = (0, seen.height + GAP) if long else (seen.width + GAP, 0)
    page = Image.new("RGB", (place[0] + seen.width, place[1] + seen.height), "white")
    page.paste(seen, (0, 0))
    page.paste(heated, place)
    return page


def overlay(picture: Image.Image, values: Values) -> Image.Image:
    """Colour an RGB picture by values from -1 to 1 of its height and width: orange is positive, blue negative."""
    strength = OPACITY * np.abs(values)[..., None].clip(0, 1)
    colour = np.where(values[..., None] > 0, WARM, COOL)
    mixed = np.asarray(picture) * (1 - strength) + colour * strength
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def to_png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
