"""What surrounds every request: its id, the number of uploads at once, size and time of a body while it is read.

Works below the framework, so that a body that is too large is refused before anything of it is stored.
"""

import asyncio
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.webservice.failures import REQUEST_ID, error_response
from app.webservice.observing import request_id as current_request_id

MULTIPART_BYTES = 64 * 1024  # what boundaries, headers and other fields may add to the file
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """ASGI middleware; one for the application, used in its event loop only."""

    def __init__(
        self, app: ASGIApp, max_upload_bytes: int, max_pending_requests: int, time_limit_seconds: float
    ) -> None:
        """Take the application and its limits."""
        self.app = app
        self.max_bytes = max_upload_bytes + MULTIPART_BYTES
        self.max_pending = max_pending_requests
        self.seconds = time_limit_seconds
        self._pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the request its id, refuse it when it is one too many or too large, else pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = sane_id(headers.get(REQUEST_ID))
        scope.setdefault("state", {})["request_id"] = request_id
        current_request_id.set(request_id)
        answer = with_id(send, request_id)
        if scope["method"] != "POST":
            await self.app(scope, receive, answer)
            return
        if refusal := self._refuse(headers):
            await error_response(*refusal, request_id)(scope, receive, answer)
            return
        self._pending += 1
        try:
            await self.app(scope, self._counted(receive), answer)
        finally:
            self._pending -= 1

    def _refuse(self, headers: Headers) -> tuple[int, str, str] | None:
        """The status, code and message for a request that shall not be read at all."""
        if self._pending >= self.max_pending:
            return 503, "overloaded", f"{self._pending} requests are being answered; try again in a second"
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self.max_bytes:
            return 413, "too_large", self._too_large(length)
        return None

    def _too_large(self, length: str) -> str:
        return f"the request has {length} bytes, over the limit of {self.max_bytes}; scale the image down"

    def _counted(self, receive: Receive) -> Receive:
        """The body, refused as soon as more of it has come than is allowed or it has taken too long."""
        total, deadline = 0, asyncio.get_running_loop().time() + self.seconds

        async def counted() -> Message:
            nonlocal total
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the upload took more than {self.seconds:g} s; try again") from None
            total += len(message.get("body", b""))
            if total > self.max_bytes:
                raise HTTPException(413, self._too_large(f"at least {total}"))
            return message

        return counted


def sane_id(offered: str | None) -> str:
    """The id that the client offers if it is fit for a log line, else a new one."""
    return offered if offered and SANE_ID.fullmatch(offered) else str(uuid.uuid4())


def with_id(send: Send, request_id: str) -> Send:
    """Add the request id to the headers of an answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[REQUEST_ID] = request_id
        await send(message)

    return sending
