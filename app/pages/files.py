"""Opens an upload or a file and gives its pages one after another: an image, a multipage TIFF, a PDF.

Only one page is in memory at a time. Limits are checked before anything is decoded.
"""

import io
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import pypdfium2
from PIL import Image, UnidentifiedImageError

from app.errors import EncryptedFileError, NoSuchPageError, TooManyPagesError, UnreadableImageError
from app.preprocess.reading import DECODING_ERRORS, LONGEST_SIDE, flatten, read_image, refuse_size, upright

PDF_MAGIC = b"%PDF-"
PDF_HEAD = 1024  # bytes within which the mark of a PDF may stand
TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
OTHER_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", *TIFF_MAGIC)  # an image may bear the mark in a comment
PDF_DPI = 200
LONGEST = 2999  # pixels of a side: halved, it is near the 1,600 on which a page is searched for lines
POINTS_PER_INCH = 72
PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
PDFIUM = Lock()  # the library may be used by one thread at a time


@dataclass(frozen=True)
class PageLimits:
    """What is accepted: pages of a file and pixels of a page."""

    max_pages: int
    max_pixels: int


def pages_of(data: bytes, limits: PageLimits, first: int = 1) -> Generator[Image.Image]:
    """Give the pages of a file from the *first* on as RGB; a PDF is drawn at 200 dpi, or less if that were too large.

    Raises UnreadableImageError for what is no image or PDF or is broken, EncryptedFileError for a PDF with a password,
    TooManyPagesError, NoSuchPageError, and ImageTooLargeError for a page that has too many pixels.
    """
    if is_pdf(data):
        yield from pdf_pages(data, limits, first)
    elif data.startswith(TIFF_MAGIC):
        yield from tiff_pages(data, limits, first)
    else:
        refuse_missing(first, 1)
        yield read_image(data, limits.max_pixels)


def is_pdf(head: bytes) -> bool:
    """Whether a file that begins so is a PDF."""
    return PDF_MAGIC in head[:PDF_HEAD] and not head.startswith(OTHER_MAGIC)


def count_pages(file: Path, limits: PageLimits) -> int:
    """How many pages a file has; 1 for one that cannot be opened or has too many, which `pages_of` refuses."""
    count = 1
    try:
        with file.open("rb") as stream:
            head = stream.read(PDF_HEAD)
        if is_pdf(head):
            with PDFIUM, closing(pypdfium2.PdfDocument(file)) as document:
                count = len(document)
        elif head.startswith(TIFF_MAGIC):
            with Image.open(file, formats=["TIFF"]) as image:
                count = getattr(image, "n_frames", 1)
    except (pypdfium2.PdfiumError, *DECODING_ERRORS):
        return 1
    return count if 1 <= count <= limits.max_pages else 1


def first_page(data: bytes, limits: PageLimits) -> Image.Image:
    """The first page of a file as RGB; raises like `pages_of`, but for other images than PDF counts no pages.

    A JPEG may be smaller than it was sent: one of 3,000 pixels a side or more is halved until it has less.
    """
    if not is_pdf(data):
        return read_image(data, limits.max_pixels, LONGEST)
    with closing(pdf_pages(data, limits)) as pages:
        for page in pages:
            return page
    message = "the PDF has no page; send one that has"
    raise UnreadableImageError(message)


def refuse_too_many(count: int, limits: PageLimits) -> None:
    """Raise TooManyPagesError when a file has more pages than allowed."""
    if count > limits.max_pages:
        message = f"the file has {count} pages, over the limit max_pages of {limits.max_pages}; split it"
        raise TooManyPagesError(message)


def refuse_missing(number: int, count: int) -> None:
    """Raise NoSuchPageError when a file of *count* pages has none of that number, from 1."""
    if number > max(1, count):
        message = f"the file has {count} pages, so no page {number}; send a number from 1 to {count}"
        raise NoSuchPageError(message)


def pdf_pages(data: bytes, limits: PageLimits, first: int = 1) -> Generator[Image.Image]:
    """Draw the pages of a PDF."""
    with PDFIUM:
        document = open_pdf(data)
        count = len(document)
    try:
        refuse_too_many(count, limits)
        refuse_missing(first, count)
        for number in range(first - 1, count):
            yield pdf_page(document, number, limits.max_pixels)
    finally:
        with PDFIUM:
            document.close()


def open_pdf(data: bytes) -> pypdfium2.PdfDocument:
    """Open a PDF, with what its forms were filled in with; raises EncryptedFileError or UnreadableImageError."""
    try:
        document = pypdfium2.PdfDocument(data)
        document.init_forms()
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == PASSWORD_ERROR:
            message = "the PDF is protected by a password; save it without one and send it again"
            raise EncryptedFileError(message) from error
        message = f"{len(data)} bytes are not a whole PDF ({error}); save it anew and send it again"
        raise UnreadableImageError(message) from error
    return document


def pdf_page(document: pypdfium2.PdfDocument, number: int, max_pixels: int) -> Image.Image:
    """Draw one page of a PDF as RGB, smaller where a limit asks for it; raises UnreadableImageError when broken."""
    with PDFIUM:
        try:
            page = document[number]
            width, height = page.get_size()
            most = (max_pixels / max(1.0, width * height)) ** 0.5
            longest = LONGEST_SIDE / max(1.0, width, height)
            bitmap = page.render(scale=min(PDF_DPI / POINTS_PER_INCH, most * 0.999, longest * 0.999))
            image: Image.Image = bitmap.to_pil().convert("RGB")
            page.close()
        except pypdfium2.PdfiumError as error:
            message = f"page {number + 1} of the PDF cannot be drawn ({error}); save it anew and send it again"
            raise UnreadableImageError(message) from error
    refuse_size(image.size, max_pixels)
    return image


def tiff_pages(data: bytes, limits: PageLimits, first: int = 1) -> Generator[Image.Image]:
    """Read the pages of a TIFF."""
    try:
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as file:
            count = getattr(file, "n_frames", 1)
            refuse_too_many(count, limits)
            refuse_missing(first, count)
            for number in range(first - 1, count):
                file.seek(number)
                refuse_size(file.size, limits.max_pixels)
                file.load()
                yield flatten(upright(file))
    except UnidentifiedImageError as error:
        message = f"{len(data)} bytes begin like a TIFF but are none; save it anew and send it again"
        raise UnreadableImageError(message) from error
    except DECODING_ERRORS as error:
        message = f"{len(data)} bytes are not a whole TIFF ({error}); save it anew and send it again"
        raise UnreadableImageError(message) from error
