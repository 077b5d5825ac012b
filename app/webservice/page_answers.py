"""What the service answers about pages, as documented models; their fields are promised to clients."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image
from pydantic import BaseModel, Field

from app.pages import Page, PageLine
from app.webservice.answers import Answer, AnswerForPage

POLYGON = "the outline of its ink, as [x, y] in pixels of the upload"


class LineAnswer(BaseModel):
    """One line of a page."""

    box: tuple[int, int, int, int] = Field(description="[x0, y0, x1, y1] in pixels of the upload")
    polygon: list[tuple[int, int]] = Field(description=POLYGON)
    predicted_class: str
    confidence: float = Field(ge=0, le=1)
    uncertain: bool


class OnePage(BaseModel):
    """One page of a file; `predicted_class` is null and `confidence` 0 when no text was found on it."""

    width: int
    height: int
    orientation: int = Field(description="degrees counterclockwise by which the page was turned to be upright")
    skew: float = Field(description="degrees by which its lines then still fell to the right")
    predicted_class: str | None
    confidence: float = Field(ge=0, le=1)
    mixed: bool
    handwritten_ratio: float = Field(ge=0, le=1)
    lines: list[LineAnswer] = Field(description="in reading order")


class PagesAnswer(BaseModel):
    """What is on the pages of a file, and which model said so."""

    pages: list[OnePage]
    model_name: str
    model_version: str
    model_alias: str | None
    prediction_time_ms: float = Field(ge=0)
    request_id: str


@dataclass(frozen=True)
class ReadPages:
    """The pages of an upload as answered and as analysed; the image of the page if only one was asked for."""

    answer: PagesAnswer
    pages: list[Page]
    labels: tuple[str, ...]
    image: Image | None


def with_page(answer: Answer, page: Page, labels: Sequence[str]) -> AnswerForPage:
    """The answer for an image that is a page; the ratio is that of the first label."""
    return AnswerForPage(
        **answer.model_dump(),
        orientation=page.orientation,
        mixed=page.mixed,
        handwritten_ratio=min(1.0, page.shares[labels[0]]),
        lines=dict(page.counts),
    )


def one_page(page: Page, labels: tuple[str, ...]) -> OnePage:
    """A page as it is answered; the ratio is that of the first label."""
    return OnePage(
        width=page.width,
        height=page.height,
        orientation=page.orientation,
        skew=page.skew,
        predicted_class=page.label,
        confidence=min(1.0, page.confidence),
        mixed=page.mixed,
        handwritten_ratio=min(1.0, page.shares[labels[0]]),
        lines=[line_answer(line) for line in page.lines],
    )


def line_answer(line: PageLine) -> LineAnswer:
    """A line as it is answered."""
    return LineAnswer(
        box=line.box,
        polygon=list(line.polygon),
        predicted_class=line.prediction.label,
        confidence=min(1.0, line.prediction.confidence),
        uncertain=line.prediction.uncertain,
    )
