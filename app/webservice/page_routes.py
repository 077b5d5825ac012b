"""`POST /predict/page/`: the pages of a file as JSON, ALTO, PAGE XML or a picture."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, UploadFile

from app.pages.alto import to_alto
from app.pages.overlay import overlay
from app.pages.page_xml import to_page_xml
from app.webservice.failures import DOCUMENTED
from app.webservice.page_answers import PagesAnswer, ReadPages
from app.webservice.service import Service
from app.webservice.workers import Workers


class Form(StrEnum):
    """In what form pages are answered."""

    JSON = "json"
    ALTO = "alto"
    PAGE = "page"
    PNG = "png"


Chosen = Annotated[Form, Query(alias="format", description="the form of the answer")]
Number = Annotated[int, Query(ge=1, description="which page is drawn or written: for format=page and png")]
CONTENT: dict[str, dict[str, str]] = {"application/json": {}, "application/xml": {}, "image/png": {}}


@dataclass(frozen=True)
class Upload:
    """A file as it was sent, and the request that sent it."""

    data: bytes
    name: str
    request_id: str


def page_routes(service: Service, workers: Workers) -> APIRouter:
    """The path of pages, with and without its last slash."""
    router = APIRouter()

    async def predict_page(request: Request, file: UploadFile, form: Chosen = Form.JSON, page: Number = 1) -> Response:
        """Find the lines on every page of a file and tell which are handwritten, which printed."""
        upload = Upload(await file.read(), file.filename or "upload", request.state.request_id)
        return await workers.run(respond, service, upload, form, page)

    responses: dict[int | str, dict[str, Any]] = {**DOCUMENTED, 200: {"model": PagesAnswer, "content": CONTENT}}
    router.post("/predict/page/", responses=responses)(predict_page)
    router.post("/predict/page", include_in_schema=False)(predict_page)
    return router


def respond(service: Service, upload: Upload, form: Form, number: int) -> Response:
    """Analyse a file and put the answer into the form that is wanted."""
    if form in WRITERS:
        return WRITERS[form](service.read_pages(upload.data, upload.request_id, only=number), upload.name)
    read = service.read_pages(upload.data, upload.request_id)
    if form is Form.JSON:
        return Response(read.answer.model_dump_json(), media_type="application/json")
    return Response(to_alto(read.pages, read.labels, upload.name), media_type="application/xml")


def as_page_xml(read: ReadPages, name: str) -> Response:
    """One page as PAGE XML."""
    return Response(to_page_xml(read.pages[0], name), media_type="application/xml")


def as_picture(read: ReadPages, _: str) -> Response:
    """One page with its lines coloured."""
    buffer = io.BytesIO()
    if read.image is not None:  # one page was asked for, so its image was kept
        overlay(read.image, read.pages[0], read.labels).save(buffer, "PNG", compress_level=3)
    return Response(buffer.getvalue(), media_type="image/png")


WRITERS: dict[Form, Callable[[ReadPages, str], Response]] = {Form.PAGE: as_page_xml, Form.PNG: as_picture}
