"""The page at `/`: drop an image and see the answer, its explanation and the model behind it.

The page is the file `front.html` beside this module. It needs nothing from outside, and its headers let it load nothing
from there; what it shows comes from the same paths that programs use.
"""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

PAGE = Path(__file__).with_name("front.html")
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def front() -> APIRouter:
    """The route `/`."""
    router = APIRouter()
    text = PAGE.read_text(encoding="utf-8")

    async def page() -> HTMLResponse:
        """Give the page for people."""
        return HTMLResponse(text, headers=HEADERS)

    router.get("/", include_in_schema=False)(page)
    router.head("/", include_in_schema=False)(page)
    return router
