"""`POST /predict/`: the path that nearly all requests take. The answer is put into text beside the event loop."""

from fastapi import APIRouter, Request, Response, UploadFile

from app.webservice.answers import Answer, AnswerForPage
from app.webservice.explanations import Explained, ExplainedPage, Wanted, When, explained
from app.webservice.failures import DOCUMENTED
from app.webservice.service import Service
from app.webservice.workers import Workers

AnyAnswer = ExplainedPage | Explained | AnswerForPage | Answer


def predicting(service: Service, workers: Workers) -> APIRouter:
    """The route of the main task; to be added first, since routes are tried in turn."""
    router = APIRouter()

    async def predict(request: Request, file: UploadFile, explain: Wanted = None) -> Response:
        """Tell what kind of writing an image shows: a word, a line, or a whole page."""
        return await workers.run(respond, service, await file.read(), request.state.request_id, explain)

    router.post("/predict/", responses=DOCUMENTED, response_model=AnyAnswer)(predict)
    router.post("/predict", include_in_schema=False)(predict)
    return router


def respond(service: Service, data: bytes, request_id: str, explain: When | None) -> Response:
    """The answer as text: what comes back as a response is not checked against its model once more."""
    if explain is None:
        found: AnyAnswer = service.answer(service.main, data, request_id)
    else:
        found = explained(service, data, request_id, explain)
    return Response(found.model_dump_json(), media_type="application/json")
