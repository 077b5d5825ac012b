"""Many images in one request: answered in order, each for itself, so that a bad one spoils no other."""

import asyncio

from fastapi import APIRouter, Request, UploadFile
from pydantic import BaseModel, Field

from app.errors import PenPressError
from app.webservice.answers import Answer, AnswerForPage, ErrorAnswer
from app.webservice.failures import DOCUMENTED, foreseen, unforeseen
from app.webservice.service import Service
from app.webservice.workers import Workers


class Entry(BaseModel):
    """What became of one file: an answer, or an error with the status it would have had alone."""

    status: int = Field(description="200, or the status that this file would have got alone")
    answer: AnswerForPage | Answer | None
    error: ErrorAnswer | None


class BatchAnswer(BaseModel):
    """The entries of a batch, in the order of its files."""

    entries: list[Entry]
    request_id: str


def count_one_more(request: Request) -> None:
    """Count a file against the limit of the key that sent it, if there are keys; raises RequestError past it."""
    if take := getattr(request.state, "take_one_more", None):
        take()


def entry_of(found: Answer | BaseException, request_id: str) -> Entry:
    """What became of one file, in the form in which it is answered."""
    if isinstance(found, Answer):
        return Entry(status=200, answer=found, error=None)
    said = foreseen(found, request_id) if isinstance(found, PenPressError) else unforeseen(found, request_id)
    status, code, message = said
    return Entry(status=status, answer=None, error=ErrorAnswer(code=code, message=message, request_id=request_id))


def batching(service: Service, workers: Workers) -> APIRouter:
    """The route `/predict/batch/`; to be added before `/predict/{task}/`, which would take it for a task."""
    router = APIRouter()

    async def answer(number: int, upload: UploadFile, request: Request) -> Answer:
        if number:  # the first is counted with the request
            count_one_more(request)
        return await workers.run(service.answer, service.main, await upload.read(), request.state.request_id)

    async def predict_batch(request: Request, files: list[UploadFile]) -> BatchAnswer:
        """Answer for many images of the main task at once; every one leaves a line in the prediction log."""
        turn = asyncio.Semaphore(workers.count)  # so that a long batch lets single images through

        async def in_turn(number: int, upload: UploadFile) -> Answer:
            async with turn:
                return await answer(number, upload, request)

        found = await asyncio.gather(*(in_turn(*each) for each in enumerate(files)), return_exceptions=True)
        request_id = request.state.request_id
        return BatchAnswer(entries=[entry_of(each, request_id) for each in found], request_id=request_id)

    router.post("/predict/batch/", responses=DOCUMENTED)(predict_batch)
    router.post("/predict/batch", include_in_schema=False)(predict_batch)
    return router
