"""Where the evidence for an answer lies: `POST /explain/`, and the explanation that `/predict/` may carry.

Owns the forms in which it is answered. How it is found and drawn is in `app/inference/heat.py`; a whole page is
explained by its lines, each in the colour of its class.
"""

from base64 import b64encode
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response, UploadFile
from pydantic import BaseModel, Field

from app.inference.heat import Method, draw, explain, number_of, to_png
from app.inference.production import Live
from app.pages.overlay import overlay
from app.webservice.answers import Answer, AnswerForPage
from app.webservice.failures import DOCUMENTED, RequestError
from app.webservice.service import Answered, Service
from app.webservice.workers import Workers

LARGEST = (1600, 1600)  # pixels of a page that is drawn


class Form(StrEnum):
    """In what form an explanation is answered."""

    PNG = "png"
    JSON = "json"


class When(StrEnum):
    """Which answers are explained."""

    AUTO = "auto"
    ALWAYS = "always"


class Explanation(BaseModel):
    """Where the evidence for a label lies."""

    label: str = Field(description="the label that is explained; by default the predicted one")
    method: Literal["map", "occlusion", "lines"] = Field(description="`lines` for a whole page")
    values: list[list[float]] = Field(
        description="rows of evidence over the network's input, positive where it speaks for the label; none for a page"
    )
    image: str = Field(description="a PNG as a data URI")


class Explained(Answer):
    """An answer with its explanation."""

    explanation: Explanation


class ExplainedPage(AnswerForPage):
    """The answer for a page with its explanation."""

    explanation: Explanation


class Picture(BaseModel):
    """An explanation that is not put into text yet."""

    label: str
    method: Literal["map", "occlusion", "lines"]
    values: list[list[float]]
    png: bytes


class Wish(BaseModel):
    """What to explain, and how: the parameters of a request for an explanation."""

    form: Form = Field(Form.PNG, alias="format", description="a picture, or the answer with its explanation")
    label: str | None = Field(None, description="the label to explain instead of the predicted one")
    method: Method | None = Field(
        None, description="by default the map, or occlusion where the model has no maps; a page is shown by its lines"
    )


Wished = Annotated[Wish, Query()]
Wanted = Annotated[When | None, Query(description="`auto`: explain uncertain answers, `always`: explain all")]


def explaining(service: Service, workers: Workers) -> APIRouter:
    """The paths of explanations, with and without their last slash."""
    router = APIRouter()

    async def explain_main(request: Request, file: UploadFile, wish: Wished) -> Response:
        """Show where in an image the evidence for its class lies: a heat map, or numbers."""
        return await explain_task(service.main, request, file, wish)

    async def explain_task(task: str, request: Request, file: UploadFile, wish: Wished) -> Response:
        """The same for any task that has a model in production."""
        return await workers.run(respond, service, task, await file.read(), request.state.request_id, wish)

    content: dict[str, dict[str, str]] = {"image/png": {}, "application/json": {}}
    responses: dict[int | str, dict[str, Any]] = {
        **DOCUMENTED,
        200: {"model": Explained | ExplainedPage, "content": content},
    }
    for path, endpoint in (("/explain/", explain_main), ("/explain/{task}/", explain_task)):
        router.post(path, responses=responses, response_class=Response)(endpoint)
        router.post(path.rstrip("/"), include_in_schema=False)(endpoint)
    return router


def respond(service: Service, task: str, data: bytes, request_id: str, wish: Wish) -> Response:
    """Answer with an explanation, in the form that is wished for."""
    refuse(service.live_of(task), wish.label, wish.method)
    answered = service.answer_in_full(task, data, request_id)
    picture = picture_of(answered, wish.label, wish.method)
    if wish.form is Form.PNG:
        return Response(picture.png, media_type="image/png")
    return Response(with_picture(answered, picture).model_dump_json(), media_type="application/json")


def explained(service: Service, data: bytes, request_id: str, when: When) -> Explained | ExplainedPage | Answer:
    """An answer of the main task, with its explanation if it shall have one."""
    answered = service.answer_in_full(service.main, data, request_id)
    if when is When.AUTO and not answered.answer.uncertain:
        return answered.answer
    return with_picture(answered, picture_of(answered))


def picture_of(answered: Answered, label: str | None = None, method: Method | None = None) -> Picture:
    """Explain an answer, or why it is not another *label*; raises RequestError or UnknownLabelError."""
    live, page = answered.live, answered.page
    if page is not None:
        drawn = overlay(answered.image, page, live.description.labels)
        drawn.thumbnail(LARGEST)
        return Picture(label=answered.answer.predicted_class, method="lines", values=[], png=to_png(drawn))
    refuse(live, label, method)
    heat = explain(live.recogniser, answered.image, label or answered.answer.predicted_class, method)
    values = [[round(value, 4) for value in row] for row in heat.values.tolist()]
    return Picture(label=heat.label, method=heat.method.value, values=values, png=to_png(draw(heat)))


def refuse(live: Live, label: str | None, method: Method | None) -> None:
    """Raise RequestError or UnknownLabelError for an explanation that the model cannot give, whatever the image."""
    if label is not None:
        number_of(label, live.description.labels)
    if method is Method.MAP and not live.recogniser.has_maps:
        message = f"version {live.version} was exported without maps; leave method out, or send method=occlusion"
        raise RequestError(422, "no_maps", message)


def with_picture(answered: Answered, picture: Picture) -> Explained | ExplainedPage:
    """The answer with its explanation as text."""
    uri = f"data:image/png;base64,{b64encode(picture.png).decode()}"
    found = Explanation(label=picture.label, method=picture.method, values=picture.values, image=uri)
    kind = ExplainedPage if isinstance(answered.answer, AnswerForPage) else Explained
    return kind(**answered.answer.model_dump(), explanation=found)
