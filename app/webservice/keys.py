"""Who may ask, and how often: API keys, known by their hashes only, and a limit for each.

Without keys in the settings anyone may ask, and nothing here has an effect.
"""

import hashlib
import hmac
import math
import time
from collections.abc import Callable, Sequence
from functools import partial

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.webservice.failures import RequestError, error_response

OPEN = {"/healthz", "/healthz/"}  # a supervisor must see that the process lives without knowing a key
BEARER = "bearer "


class Bucket:
    """The requests that a key may still make: full at first, refilled steadily to what a minute allows."""

    def __init__(self, per_minute: int, now: float) -> None:
        """Begin full."""
        self.per_minute = per_minute
        self._left, self._at = float(per_minute), now

    def take(self, now: float) -> float:
        """Take one request out and return 0, or the seconds until there is one."""
        self._left = min(self.per_minute, self._left + (now - self._at) * self.per_minute / 60)
        self._at = now
        if self._left < 1:
            return (1 - self._left) * 60 / self.per_minute
        self._left -= 1
        return 0.0


class Keys:
    """ASGI middleware inside the envelope: lets a request through that has a known key with requests left."""

    def __init__(
        self, app: ASGIApp, hashes: Sequence[str], per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the application, the SHA-256 of each key in hexadecimal, and the limit of each (0: none)."""
        self.app = app
        self._hashes = tuple(hashes)
        self._clock = clock
        self._buckets = {each: Bucket(per_minute, clock()) for each in hashes} if per_minute else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it unread."""
        if scope["type"] != "http" or not self._hashes or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        known = self._known(offered_key(Headers(scope=scope)))
        bucket = self._buckets.get(known or "")
        scope["state"]["take_one_more"] = partial(self._take_one_more, bucket)
        wait = bucket.take(self._clock()) if bucket else 0.0
        request_id = scope["state"]["request_id"]
        if known is None:
            message = "send a known key in the header X-API-Key, or as Authorization: Bearer KEY"
            refusal = error_response(401, "unknown_key", message, request_id, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
        elif bucket and wait:
            message = used_up(bucket, wait)
            retry = {"Retry-After": str(math.ceil(wait))}
            await error_response(429, "too_many_requests", message, request_id, retry)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _take_one_more(self, bucket: Bucket | None) -> None:
        """Have a request that holds several count for one more; raises RequestError when the key has none left."""
        if bucket and (wait := bucket.take(self._clock())):
            raise RequestError(429, "too_many_requests", used_up(bucket, wait))

    def _known(self, key: str) -> str | None:
        """The hash of a key that is known; takes as long for any key, so that time tells nothing."""
        # Headers come as Latin-1, so this gives the bytes back as they were sent.
        found, offered = None, hashlib.sha256(key.encode("latin-1")).hexdigest()
        for each in self._hashes:
            if hmac.compare_digest(each, offered):
                found = each
        return found


def used_up(bucket: Bucket, wait: float) -> str:
    """Say that a key has no requests left, and when it has."""
    return f"this key has made its {bucket.per_minute} requests a minute; try again in {wait:.1f} s"


def offered_key(headers: Headers) -> str:
    """The key in the headers of a request, or nothing."""
    authorization = headers.get("authorization", "")
    bearer = authorization[len(BEARER) :] if authorization.lower().startswith(BEARER) else ""
    return headers.get("x-api-key") or bearer
