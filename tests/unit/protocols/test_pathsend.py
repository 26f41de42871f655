"""ASGI servers that send files by themselves (https://asgi.readthedocs.io/en/stable/extensions.html)."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from oxidite import FileResponse, Oxidite, Request, Response
from oxidite.http import Handler

Message = MutableMapping[str, Any]
SIZE = 200_000


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(b"x" * SIZE)
    return path


async def ask(
    app: Oxidite,
    *fields: tuple[bytes, bytes],
    method: str = "GET",
    extensions: dict[str, dict[str, object]] | None = None,
) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": "/",
        "query_string": b"",
        "headers": list(fields),
        "extensions": {"http.response.pathsend": {}} if extensions is None else extensions,
    }
    async with app.running():
        await app(scope, receive, send)
        assert not app.in_flight.young
    return sent


def with_file(path: Path, middleware: Any = None) -> Oxidite:
    app = Oxidite(middleware=[] if middleware is None else [middleware])

    @app.get("/")
    async def file() -> FileResponse:
        return FileResponse(path)

    return app


async def test_a_large_file_is_left_to_a_server_that_sends_files(large: Path) -> None:
    start, file = await ask(with_file(large))

    assert start["status"] == 200
    assert dict(start["headers"])[b"content-length"] == b"%d" % SIZE
    assert file == {"type": "http.response.pathsend", "path": str(large)}


async def test_a_path_that_is_relative_is_sent_whole(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(large.parent)

    _, file = await ask(with_file(Path("large.bin")))

    assert file["path"] == str(large)


async def test_a_server_that_does_not_send_files_gets_pieces(large: Path) -> None:
    start, *pieces = await ask(with_file(large), extensions={})

    assert dict(start["headers"])[b"content-length"] == b"%d" % SIZE
    assert b"".join(each["body"] for each in pieces) == b"x" * SIZE


async def test_a_part_is_read_here(large: Path) -> None:
    start, *pieces = await ask(with_file(large), (b"range", b"bytes=1-199998"))

    assert start["status"] == 206
    assert len(b"".join(each["body"] for each in pieces)) == 199_998


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [("HEAD", [], 200), ("GET", [(b"if-none-match", b"*")], 304)],
)
async def test_nothing_is_sent_where_there_is_no_body(
    large: Path, method: str, fields: list[tuple[bytes, bytes]], status: int
) -> None:
    start, body = await ask(with_file(large), *fields, method=method)

    assert start["status"] == status
    assert body == {"type": "http.response.body", "body": b""}


async def test_what_a_middleware_made_of_a_file_is_sent_instead_of_it(large: Path) -> None:
    async def other(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        assert isinstance(response, FileResponse)

        async def content() -> AsyncIterator[bytes | str]:
            yield "other"

        response.content = content()
        del response.headers["content-length"]
        return response

    _, first, _ = await ask(with_file(large, other))

    assert first["body"] == b"other"


async def test_who_left_before_the_file_was_sent_is_no_error(large: Path) -> None:
    app = with_file(large)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        raise OSError("the connection is gone")

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "extensions": {"http.response.pathsend": {}},
    }
    async with app.running():
        await app(scope, receive, send)


async def test_what_is_answered_without_the_file_is_over_with_its_answer(large: Path) -> None:
    async def instead(request: Request, call_next: Handler) -> Response:
        return FileResponse(large)

    app = with_file(large, instead)
    start, _ = await ask(app)
    tag = dict(start["headers"])[b"etag"]

    # `ask` looks whether the request is still counted as one that is being answered.
    unchanged, _ = await ask(app, (b"if-none-match", tag))

    assert unchanged["status"] == 304
