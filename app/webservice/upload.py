"""Reads the form of an upload that is one file and nothing else, as nearly all are, without a parser.

Any other form is left to the framework, so that what is refused and how stays its matter. A parser in Python takes as
long as a third of a prediction: it is called for every header, and for every piece of the body.
"""

import io
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers, UploadFile

KIND = re.compile(r"""multipart/form-data; ?boundary="?([\w'()+,./:=?-]{1,70})"?""", re.ASCII)
HEAD = re.compile(
    rb'Content-Disposition: form-data; name="([\w-]+)"; filename="([ !#-\[\]-~]*)"(?:\r\nContent-Type: [!-~]+)?',
    re.IGNORECASE,
)
END = b"\r\n\r\n"


class InMemory(io.BytesIO):
    """A file that is no file: by this mark, of a temporary one, the framework reads it without a thread."""

    _rolled = False


class UploadRequest(Request):
    """A request whose form is read at once where it is one file."""

    async def _get_form(self, **limits: Any) -> FormData:  # noqa: ANN401 - passed on as they come
        if self._form is None and (kind := KIND.fullmatch(self.headers.get("content-type", ""))):
            self._form = one_file(await self.body(), kind[1].encode())
            if self._form is not None:
                self._body = b""  # the file has its own copy
        return await super()._get_form(**limits)


class UploadRoute(APIRoute):
    """A route that takes uploads."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, which gets its request as an `UploadRequest`."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(UploadRequest(request.scope, request.receive))

        return handle


def one_file(body: bytes, boundary: bytes) -> FormData | None:
    """The form that a body holds if that is one file with ordinary headers, else None."""
    start, end = b"--" + boundary + b"\r\n", b"\r\n--" + boundary
    head = HEAD.fullmatch(body[len(start) : max(0, body.find(END, 0, 1000))])
    if not body.startswith(start) or head is None:
        return None
    first = len(start) + head.end() + len(END)
    last = body.find(end, first)
    if last < 0 or body[last + len(end) :] not in {b"--", b"--\r\n"}:
        return None
    name, filename = (part.decode("ascii") for part in head.groups())
    lines = [line.split(b": ", 1) for line in head[0].split(b"\r\n")]
    headers = Headers(raw=[(field.lower(), value) for field, value in lines])
    file = UploadFile(InMemory(body[first:last]), size=last - first, filename=filename, headers=headers)
    return FormData([(name, file)])
