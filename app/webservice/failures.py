"""What each error means over HTTP: one table, one shape, and the broad handler (others: `twin.py`, `batch.py`)."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from PIL import UnidentifiedImageError
from starlette.exceptions import HTTPException

from app.errors import (
    EncryptedFileError,
    ImageTooLargeError,
    ImageTooSmallError,
    NoSuchPageError,
    NoTextError,
    NothingDrawnError,
    PenPressError,
    PredictionLogError,
    TooManyPagesError,
    TooManyStrokesError,
    UnknownLabelError,
    UnreadableImageError,
)
from app.webservice.answers import ErrorAnswer

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
MOST_SHOWN = 40  # characters of a value that is wrong
RETRY = {"Retry-After": "1"}
CODES = {
    400: "bad_request",
    401: "unknown_key",
    404: "not_found",
    405: "method_not_allowed",
    408: "upload_timed_out",
    413: "too_large",
    415: "not_an_image",
    422: "invalid_request",
    429: "too_many_requests",
    503: "unavailable",
}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (400, 401, 404, 408, 413, 415, 422, 429, 503)
}


MEANINGS: dict[type[PenPressError], tuple[int, str]] = {
    TooManyPagesError: (413, "too_many_pages"),
    ImageTooLargeError: (413, "too_large"),
    ImageTooSmallError: (422, "too_small"),
    EncryptedFileError: (422, "encrypted_file"),
    NoSuchPageError: (422, "no_such_page"),
    NoTextError: (422, "no_text"),
    NothingDrawnError: (422, "nothing_drawn"),
    TooManyStrokesError: (422, "too_many_strokes"),
    UnknownLabelError: (422, "unknown_label"),
    PredictionLogError: (503, "log_unavailable"),
}


class RequestError(PenPressError):
    """A request that cannot be answered, for a reason that only the service knows."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Take the HTTP status, the code for programs and the message for people."""
        super().__init__(message)
        self.status = status
        self.code = code


def meaning(error: PenPressError) -> tuple[int, str]:
    """The HTTP status and the code of an error; what is no fault of the client and no known trouble is a 500."""
    if isinstance(error, RequestError):
        return error.status, error.code
    if isinstance(error, UnreadableImageError):  # Pillow knows the format of a broken image, and of no other bytes
        known = not isinstance(error.__cause__, UnidentifiedImageError)
        return (400, "broken_image") if known else (415, "not_an_image")
    return next((found for kind, found in MEANINGS.items() if isinstance(error, kind)), (500, "internal_error"))


def error_response(
    status: int, code: str, message: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error in the shape that all errors have."""
    body = ErrorAnswer(code=code, message=message, request_id=request_id)
    retry = RETRY if status in {429, 503} else {}
    return JSONResponse(body.model_dump(), status, {**retry, **(headers or {})})


def on_known(request: Request, error: PenPressError) -> JSONResponse:
    """Answer an error that PenPress raised on purpose."""
    request_id = request.state.request_id
    return error_response(*foreseen(error, request_id), request_id)


def foreseen(error: PenPressError, request_id: str) -> tuple[int, str, str]:
    """Status, code and message of an error that PenPress raised on purpose."""
    status, code = meaning(error)
    if status >= 500:  # noqa: PLR2004 - the service's own fault, so its log must have it
        logger.error("request %s: %s: %s", request_id, type(error).__name__, error)
    return status, code, str(error)


def on_http(request: Request, error: HTTPException) -> JSONResponse:
    """Answer what the framework refuses: unknown paths, wrong methods, broken multipart bodies."""
    message = f"{request.method} {request.url.path}: {error.detail}; the paths are listed at /openapi.json"
    code = CODES.get(error.status_code, "bad_request")
    return error_response(error.status_code, code, message, request.state.request_id, error.headers)


def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer a request whose parts are missing or of the wrong kind."""
    errors = error.errors()
    message = "; ".join(map(said_of, errors))
    fields = [each["loc"][1] for each in errors if each["loc"][0] == "body" and len(each["loc"]) > 1]
    if not fields:
        return error_response(422, "invalid_request", message, request.state.request_id)
    message += f"; send images as files in the multipart field `{fields[0]}`: curl -F {fields[0]}=@line.png URL"
    return error_response(422, "missing_file", message, request.state.request_id)


def said_of(error: Mapping[str, Any]) -> str:
    """Where the framework found an error, and what it says of it; of a parameter the value as well."""
    value = f", not {str(error['input'])[:MOST_SHOWN]!r}" if error["loc"][0] != "body" else ""
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}{value}"


def on_unknown(request: Request, error: Exception) -> JSONResponse:
    """Answer what nobody foresaw."""
    request_id = request.state.request_id
    return error_response(*unforeseen(error, request_id), request_id, {REQUEST_ID: request_id})


def unforeseen(error: BaseException, request_id: str) -> tuple[int, str, str]:
    """Status, code and message of what nobody foresaw; its text stays in the log, under the id that the client gets."""
    logger.error("request %s failed", request_id, exc_info=error)
    return 500, "internal_error", f"something went wrong here; the service's log has it under request {request_id}"


def add_handlers(app: FastAPI) -> None:
    """Make every error of the application have the one shape."""
    app.exception_handler(PenPressError)(on_known)
    app.exception_handler(HTTPException)(on_http)
    app.exception_handler(RequestValidationError)(on_invalid)
    app.exception_handler(Exception)(on_unknown)
