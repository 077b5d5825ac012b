"""Forms that are one file: read without a parser, they are what the framework's parser makes of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartParser

from app.webservice.upload import one_file

BOUNDARY = b"b0undary"
HEAD = b'Content-Disposition: form-data; name="file"; filename="a line.png"'
PLAIN = HEAD + b"\r\nContent-Type: image/png"


def body_of(head: bytes = PLAIN, content: bytes = b"pixels", end: bytes = b"--\r\n") -> bytes:
    """A form of one part."""
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n--" + BOUNDARY + end


def parsed(body: bytes) -> FormData:
    """What the framework's parser makes of a body."""

    async def stream() -> AsyncIterator[bytes]:
        yield body

    headers = Headers({"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"})
    return asyncio.run(MultiPartParser(headers, stream()).parse())


def described(form: FormData) -> list[tuple[str, str | None, int | None, Headers, bytes]]:
    """All that can be seen of a form of files."""
    return [
        (name, file.filename, file.size, file.headers, content_of(file))
        for name, file in form.multi_items()
        if isinstance(file, UploadFile)
    ]


def content_of(file: UploadFile) -> bytes:
    """The bytes of a file, which is closed."""
    with file.file as opened:
        return opened.read()


@given(
    head=st.sampled_from([HEAD, PLAIN, PLAIN.lower(), HEAD.replace(b'"file"', b'"other"')]),
    content=st.binary() | st.binary().map(lambda data: data + b"\r\n--b0und" + data),
    end=st.sampled_from([b"--", b"--\r\n"]),
)
def test_one_file_is_what_the_parser_finds(head: bytes, end: bytes, content: bytes) -> None:
    """Name, file name, size, headers and content are those that the framework's parser gives."""
    body = body_of(head, content, end)
    form = one_file(body, BOUNDARY)
    assert form is not None
    assert described(form) == described(parsed(body))
    assert len(form) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"pixels",
        body_of()[:-4],
        body_of(end=b""),
        body_of(end=b"--\r\nmore"),
        b"before\r\n" + body_of(),
        body_of(content=b"pixels\r\n--b0undary\r\n" + PLAIN + b"\r\n\r\nmore"),
        body_of(content=b"pixels\r\n--b0undary--\r\n"),
        body_of(b'Content-Disposition: form-data; name="file"'),
        body_of(b'Content-Disposition: form-data; filename="x"'),
        body_of(b"Content-Disposition: form-data; name=file; filename=x"),
        body_of(HEAD + b"; filename*=UTF-8''y"),
        body_of(HEAD.replace(b"a line", b"a\\line")),
        body_of(HEAD.replace(b"a line", "é".encode())),
        body_of(PLAIN + b"\r\nX-Other: 1"),
        body_of(HEAD + b"\r\nX-Long: " + b"x" * 2000),
        body_of().replace(b"\r\n", b"\n"),
    ],
)
def test_any_other_form_is_left_to_the_framework(body: bytes) -> None:
    """Several parts, other headers and broken bodies are not read here."""
    assert one_file(body, BOUNDARY) is None
