"""Opens an upload or a file and gives its pages one after another: an image, a multipage TIFF, a PDF.

Only one page is in memory at a time. Limits are checked before anything is decoded.
"""

import io
import struct
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import pypdfium2
from PIL import Image, ImageOps, UnidentifiedImageError

from app.errors import EncryptedFileError, ImageTooLargeError, TooManyPagesError, UnreadableImageError
from app.preprocess.reading import LONGEST_SIDE, flatten, read_image, refuse_size

PDF_MAGIC = b"%PDF-"
PDF_HEAD = 1024  # bytes within which the mark of a PDF may stand
TIFF_MAGIC = {b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"}
PDF_DPI = 200
LONGEST = 2999  # pixels of a side: halved, it is near the 1,600 on which a page is searched for lines
POINTS_PER_INCH = 72
PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
PDFIUM = Lock()  # the library may be used by one thread at a time
TIFF_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error)


@dataclass(frozen=True)
class PageLimits:
    """What is accepted: pages of a file and pixels of a page."""

    max_pages: int
    max_pixels: int


def pages_of(data: bytes, limits: PageLimits, first: int = 1) -> Generator[Image.Image]:
    """Give the pages of a file from the *first* on as RGB; a PDF is drawn at 200 dpi, or less if that were too large.

    Raises UnreadableImageError for what is no image or PDF or is broken, EncryptedFileError for a PDF with a password,
    TooManyPagesError, and ImageTooLargeError for a page that has too many pixels.
    """
    if PDF_MAGIC in data[:PDF_HEAD]:
        yield from pdf_pages(data, limits, first)
    elif data[:4] in TIFF_MAGIC:
        yield from tiff_pages(data, limits, first)
    else:
        yield read_image(data, limits.max_pixels)


def count_pages(file: Path, limits: PageLimits) -> int:
    """How many pages a file on disk has; 1 for one that cannot be opened or has too many, which `pages_of` refuses."""
    try:
        with file.open("rb") as stream:
            head = stream.read(PDF_HEAD)
        count = 1
        if PDF_MAGIC in head:
            with PDFIUM, closing(pypdfium2.PdfDocument(file)) as document:
                count = len(document)
        elif head[:4] in TIFF_MAGIC:
            with Image.open(file, formats=["TIFF"]) as image:
                count = getattr(image, "n_frames", 1)
    except (pypdfium2.PdfiumError, Image.DecompressionBombError, Image.DecompressionBombWarning, *TIFF_ERRORS):
        return 1
    return count if 1 <= count <= limits.max_pages else 1


def first_page(data: bytes, limits: PageLimits) -> Image.Image:
    """The first page of a file as RGB; raises like `pages_of`, but for other images than PDF counts no pages.

    A JPEG may be smaller than it was sent: one of 3,000 pixels a side or more is halved until it has less.
    """
    if PDF_MAGIC not in data[:PDF_HEAD]:
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


def pdf_pages(data: bytes, limits: PageLimits, first: int = 1) -> Generator[Image.Image]:
    """Draw the pages of a PDF."""
    with PDFIUM:
        document = open_pdf(data)
        count = len(document)
    try:
        refuse_too_many(count, limits)
        for number in range(first - 1, count):
            yield pdf_page(document, number, limits.max_pixels)
    finally:
        with PDFIUM:
            document.close()


def open_pdf(data: bytes) -> pypdfium2.PdfDocument:
    """Open a PDF; raises EncryptedFileError or UnreadableImageError."""
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == PASSWORD_ERROR:
            message = "the PDF is protected by a password; save it without one and send it again"
            raise EncryptedFileError(message) from error
        message = f"{len(data)} bytes are not a whole PDF ({error}); save it anew and send it again"
        raise UnreadableImageError(message) from error


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
            for number in range(first - 1, count):
                file.seek(number)
                refuse_size(file.size, limits.max_pixels)
                yield flatten(ImageOps.exif_transpose(file))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"a page is too large ({error}); the limit is {limits.max_pixels} pixels"
        raise ImageTooLargeError(message) from error
    except UnidentifiedImageError as error:
        message = f"{len(data)} bytes begin like a TIFF but are none; save it anew and send it again"
        raise UnreadableImageError(message) from error
    except TIFF_ERRORS as error:
        message = f"{len(data)} bytes are not a whole TIFF ({error}); save it anew and send it again"
        raise UnreadableImageError(message) from error
