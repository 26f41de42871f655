"""Bodies made to cost much: each with the answer it gets, and how much of it was read and kept."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from oxidite import Form, FormData, Oxidite, Request, Upload
from oxidite.testing import Client

HEADERS = {"content-type": "multipart/form-data; boundary=b"}
FIELD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="g"\r\n\r\n'
END = b"--b--\r\n"


@dataclass
class Bomb:
    start: bytes
    unit: bytes
    times: int
    end: bytes = b""
    status: int = 413
    code: str = "form_limit"
    read: int = 3_000_000
    """Bytes that are read at most."""


BOMBS = {
    "a hundred thousand fields": Bomb(b"", FIELD + b"\r\n", 100_000, END, read=200_000),
    "a hundred thousand files": Bomb(b"", FILE + b"\r\n", 100_000, END, read=200_000),
    "a hundred thousand empty file inputs": Bomb(
        b"", FILE.replace(b'"g"', b'""') + b"\r\n", 100_000, END, read=200_000
    ),
    "a megabyte of header fields": Bomb(b"--b\r\n", b"X-A: b\r\n", 125_000, read=200_000),
    "a header field of a megabyte": Bomb(b"--b\r\nX-A: ", b"x" * 100, 10_000, read=200_000),
    "a field name of a megabyte": Bomb(
        b'--b\r\nContent-Disposition: form-data; name="', b"x" * 100, 10_000, read=200_000
    ),
    "a field of fifty megabytes": Bomb(FIELD, b"x" * 1000, 50_000),
    "fields of fifty megabytes together": Bomb(
        b"", FIELD + b"x" * 900_000 + b"\r\n", 50, END, read=4_000_000
    ),
    "fifty megabytes after the end": Bomb(FIELD + b"\r\n" + END, b"x" * 1000, 50_000, read=200_000),
    "fifty megabytes before the beginning": Bomb(
        b"", b"x" * 1000, 50_000, status=400, code="invalid_form", read=200_000
    ),
    "a boundary that never ends": Bomb(
        FILE + b"x\r\n--b", b"\t", 1_000_000, status=400, code="invalid_form", read=200_000
    ),
    "a boundary that nearly comes, again and again": Bomb(
        FIELD, b"\r\n--a", 10_000_000, read=3_000_000
    ),
    "no last boundary": Bomb(FILE, b"x" * 1000, 1000, status=400, code="invalid_form"),
    "no end of a header": Bomb(b"--b\r\nX-A: b\r\n", b"", 1, status=400, code="invalid_form"),
    "a form in a form": Bomb(
        FIELD.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"),
        b'--c\r\nContent-Disposition: file; filename="a"\r\n\r\nx\r\n',
        10_000,
        b"--c--\r\n" + END,
        status=400,
        code="invalid_form",
        read=200_000,
    ),
    "nothing but carriage returns": Bomb(FIELD, b"\r", 10_000_000),
}


def application() -> Oxidite:
    app = Oxidite(max_body=1_000_000_000)

    @app.post("/form")
    async def form(form: Form[FormData]) -> int:
        return len(form)

    @app.post("/parts")
    async def parts(request: Request) -> int:
        return sum([len(await part.read(2_000_000)) async for part in request.parts()])

    @app.post("/upload")
    async def upload(f: Upload) -> int:
        return f.size

    return app


@pytest.mark.parametrize("path", ["/form", "/parts", "/upload"])
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_it_is_stopped_early_and_cheaply(bomb: Bomb, path: str) -> None:
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for piece in pieces(bomb):
            taken += len(piece)
            yield piece

    async with Client(application()) as client:
        await client.get("/")  # what is made once does not count
        tracemalloc.start()
        started = time.process_time()
        try:
            answer = await client.post(path, content=body(), headers=HEADERS)
            seconds = time.process_time() - started
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (bomb.status, bomb.code)
    assert taken <= bomb.read
    assert peak < 10_000_000
    assert seconds < 3  # under tracemalloc, which makes everything slow


def pieces(bomb: Bomb) -> Iterator[bytes]:
    """Cut it into pieces of 64 kB as a server would, without making it whole."""
    yield bomb.start
    together = max(1, 65536 // max(1, len(bomb.unit)))
    for _ in range(0, bomb.times, together):
        yield bomb.unit * together
    yield bomb.end
