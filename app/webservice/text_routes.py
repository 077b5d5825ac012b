"""`POST /predict/text/`: the text of a drawn or hand-printed image, recognised sign by sign."""

import time

from fastapi import APIRouter, Request, UploadFile
from pydantic import BaseModel, Field

from app import heap
from app.preprocess import read_image
from app.stopwatch import measured, stage
from app.tasks import OF_SIGNS, Prediction
from app.text import ReadSign, Text, box_around, read_text
from app.webservice.answers import entry_of, fields_of
from app.webservice.failures import DOCUMENTED
from app.webservice.service import Service
from app.webservice.workers import Workers

Box = tuple[int, int, int, int]


class Character(BaseModel):
    """One sign of a text."""

    character: str
    confidence: float = Field(ge=0, le=1)
    uncertain: bool
    box: Box = Field(description="[x0, y0, x1, y1] in pixels of the upload")


class TextLine(BaseModel):
    """One line of a text, with its signs in order."""

    box: Box
    characters: list[Character]


class TextAnswer(BaseModel):
    """The text of an image, how sure it is, and where its signs stand."""

    text: str = Field(description="with spaces between words and a line break between lines")
    confidence: float = Field(ge=0, le=1, description="mean of the signs'")
    uncertain: bool = Field(description="true when a person should look at it; cursive writing is out of reach")
    reasons: list[str]
    lines: list[TextLine] = Field(description="from top to bottom")
    model_name: str
    model_version: str
    model_alias: str | None
    prediction_time_ms: float = Field(ge=0)
    request_id: str


def text_routes(service: Service, workers: Workers) -> APIRouter:
    """The path of texts, with and without its last slash; to be added before `/predict/{task}/`."""
    router = APIRouter()

    async def predict_text(request: Request, file: UploadFile) -> TextAnswer:
        """Read a drawn or hand-printed text, whose letters do not hang together."""
        return await workers.run(answer_text, service, await file.read(), request.state.request_id)

    router.post("/predict/text/", responses=DOCUMENTED)(predict_text)
    router.post("/predict/text", include_in_schema=False)(predict_text)
    return router


def answer_text(service: Service, data: bytes, request_id: str) -> TextAnswer:
    """Read the text of an upload and record the answer; raises InputError, RequestError or PredictionLogError."""
    live = service.live_of(OF_SIGNS)
    service.check_size(data)
    with measured() as stages:
        start = time.perf_counter()
        with stage("decode"):
            image = read_image(data, service.settings.max_pixels)
        text = read_text(image, live.predict)
        milliseconds = round((time.perf_counter() - start) * 1000, 3)
        said = Prediction(text.text, text.confidence, {}, bool(text.reasons), text.reasons)
        with stage("log"):
            service.record(entry_of(said, live, data, request_id, milliseconds))
    heap.give_back_after(image.width * image.height)
    service.metrics.took(stages)
    service.metrics.predicted(live.description.task, said)
    return TextAnswer(
        text=text.text,
        confidence=min(1.0, text.confidence),
        uncertain=bool(text.reasons),
        reasons=list(text.reasons),
        lines=lines_of(text),
        **fields_of(live, milliseconds, request_id),
    )


def lines_of(text: Text) -> list[TextLine]:
    """The signs of a text by line."""
    return [TextLine(box=box_around(line), characters=list(map(character_of, line))) for line in text.lines]


def character_of(read: ReadSign) -> Character:
    """A sign as it is answered."""
    said = read.prediction
    confidence = min(1.0, said.confidence)
    return Character(character=said.label, confidence=confidence, uncertain=said.uncertain, box=read.sign.box)
