"""Draws pages for tests: lines of text at known places. Holds no tests."""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from app.config import APP, Settings
from app.inference.recogniser import Recogniser
from app.pages import Readers
from app.tasks import PAGE_TEXT, Predict, Prediction

LABELS = ("handwritten", "printed")
TEXT = "the quick brown fox, that likes to dwell by the old hall, looked at the lazy dog"
FONT = APP / "data" / "fonts" / "print" / "arimo-bold.woff"
HEIGHT = 24  # pixels
RED = (150, 20, 20)


def draw_page(
    lines: int = 12,
    size: tuple[int, int] = (1000, 1300),
    red: Sequence[int] = (),
    text: str = TEXT,
    face: ImageFont.FreeTypeFont | None = None,
) -> Image.Image:
    """A page of black lines on tinted paper; those whose number is in *red* are in red ink."""
    page = Image.new("RGB", size, (238, 230, 214))
    draw = ImageDraw.Draw(page)
    face = face or ImageFont.truetype(FONT, HEIGHT)
    for number in range(lines):
        draw.text((100, 120 + number * 70), text[: 62 - number], RED if number in red else (20, 20, 25), face)
    return page


def by_colour(images: Sequence[Image.Image]) -> list[Prediction]:
    """Stand in for a recogniser: red ink is handwritten, black printed."""
    return [answer(reddest(image) > 60) for image in images]


def locate(page: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where on a grey page text is, by the shipped network."""
    return shipped().places(page)


def reading_by(predict: Predict) -> Readers:
    """What pages are read by in tests, whatever tells the kind of a line."""
    return Readers(predict, locate, LABELS, PAGE_TEXT.labels, uncertain_below=0.85)


@cache
def shipped() -> Recogniser:
    """The shipped page network, loaded once."""
    return Recogniser.load(Settings().embedded / PAGE_TEXT.name, threads=1)


def reddest(image: Image.Image) -> int:
    """How much more red than green the reddest pixel has."""
    red, green, _ = image.convert("RGB").split()
    return max(a - b for a, b in zip(red.tobytes(), green.tobytes(), strict=True))


def answer(handwritten: bool) -> Prediction:  # noqa: FBT001 - the one thing there is to say
    """A confident prediction."""
    row = (0.9995, 0.0005) if handwritten else (0.0005, 0.9995)
    return Prediction(LABELS[not handwritten], 0.9995, dict(zip(LABELS, row, strict=True)), uncertain=False)


READERS = reading_by(by_colour)


def as_pdf(pages: Sequence[Image.Image]) -> bytes:
    """The pages as a PDF at 100 dpi."""
    return saved(pages, "PDF", resolution=100)


def as_tiff(pages: Sequence[Image.Image]) -> bytes:
    """The pages as one TIFF."""
    return saved(pages, "TIFF")


def saved(pages: Sequence[Image.Image], fmt: str, **options: int) -> bytes:
    """The pages in one file."""
    buffer = io.BytesIO()
    pages[0].save(buffer, fmt, save_all=True, append_images=pages[1:], **options)
    return buffer.getvalue()


def as_form(entry: str) -> bytes:
    """A PDF of a blank page, 300 x 100 points, with one field that was filled in; PDFium finds its objects itself."""
    text = f"/Tx BMC q BT /F 14 Tf 2 6 Td ({entry}) Tj ET Q EMC"
    font = "<</Font<</F 5 0 R>>>>"
    objects = [
        f"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/DR{font}/DA(/F 14 Tf 0 g)>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Annots[4 0 R]>>",
        f"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V({entry})/Rect[20 40 280 70]/F 4/P 3 0 R/AP<</N 6 0 R>>>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        f"<</Subtype/Form/BBox[0 0 260 30]/Resources{font}/Length {len(text)}>>\nstream\n{text}\nendstream",
    ]
    body = "".join(f"{number} 0 obj\n{each}\nendobj\n" for number, each in enumerate(objects, start=1))
    return f"%PDF-1.5\n{body}trailer <</Root 1 0 R>>\n%%EOF".encode()
