"""RSGI: complete bodies over Granian's own interface, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from oxidite import (
    Depends,
    FileResponse,
    Json,
    Oxidite,
    Request,
    Response,
    StreamingResponse,
)
from oxidite.http import Handler, complete
from oxidite.http.headers import FixedHeaders
from oxidite.protocols import BodyPace


class Point(msgspec.Struct):
    x: int


class Headers:
    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields = list(fields)

    def get(self, key: str, default: str | None = None) -> str | None:
        return dict(self._fields).get(key, default)

    def get_all(self, key: str) -> list[str]:
        return [value for name, value in self._fields if name == key]

    def items(self) -> list[tuple[str, str]]:
        return self._fields


@dataclass
class Scope:
    method: str = "GET"
    path: str = "/"
    query_string: str = ""
    proto: str = "http"
    http_version: str = "1.1"
    client: str = "127.0.0.1:4711"
    scheme: str = "http"
    authority: str | None = None
    fields: list[tuple[str, str]] = field(default_factory=list)

    @property
    def headers(self) -> Headers:
        return Headers(self.fields)


class Protocol:
    """What Granian hands to an application, in memory."""

    def __init__(self, *chunks: bytes, breaks_off: bool = False) -> None:
        self.chunks = chunks
        self.breaks_off = breaks_off
        self.answers: list[tuple[int, list[tuple[str, str]], bytes | None]] = []
        self.gone = asyncio.Event()
        self.reads = 0

    async def __call__(self) -> bytes:
        self.reads += 1
        if self.breaks_off:
            raise RuntimeError("the transport is closed")
        return b"".join(self.chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.reads += 1
            yield chunk

    async def client_disconnect(self) -> None:
        await self.gone.wait()

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.answers.append((status, headers, None))

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answers.append((status, headers, body))

    def response_file(self, status: int, headers: list[tuple[str, str]], file: str) -> None:
        self.response_file_range(status, headers, file, 0, Path(file).stat().st_size)

    def response_file_range(
        self, status: int, headers: list[tuple[str, str]], file: str, start: int, end: int
    ) -> None:
        self.response_bytes(status, headers, Path(file).read_bytes()[start:end])


def make() -> Oxidite:
    app = Oxidite(max_body=100)

    @app.get("/json")
    async def json() -> Point:
        return Point(1)

    @app.post("/points")
    async def create(point: Json[Point]) -> Point:
        return point

    @app.get("/nothing")
    async def nothing() -> None:
        return None

    @app.get("/who")
    async def who(request: Request) -> dict[str, object]:
        return {
            "client": request.client,
            "query": dict(request.query),
            "raw": request.raw_path,
            "version": request.http_version,
            "scheme": request.scheme,
            "agent": request.headers["user-agent"],
        }

    @app.get("/stream", complete=True)
    async def stream() -> Response:
        async def forever() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536

        return StreamingResponse(forever())

    return app


async def ask(app: Oxidite, scope: Scope, *chunks: bytes) -> tuple[Protocol, int, bytes | None]:
    protocol = Protocol(*chunks)
    await app.__rsgi__(scope, protocol)
    [(status, _, body)] = protocol.answers
    return protocol, status, body


async def test_a_value_is_answered_in_one_piece() -> None:
    protocol, status, body = await ask(make(), Scope(path="/json"))
    assert (status, body) == (200, b'{"x":1}')
    assert protocol.answers[0][1] == [("content-type", "application/json")]


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/json", [("content-type", "application/json")]),
        ("HEAD", "/json", [("content-type", "application/json"), ("content-length", "7")]),
        ("GET", "/nothing", []),
    ],
)
async def test_fixed_fields_go_with_every_answer(
    method: str, path: str, more: list[tuple[str, str]]
) -> None:
    fixed = FixedHeaders([("x-fixed", "1")])

    async def adds(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        response.add_fixed(fixed)
        return response

    app = make()
    app.middleware.append(adds)
    protocol, _, _ = await ask(app, Scope(method, path))
    assert sorted(protocol.answers[0][1]) == sorted([*more, ("x-fixed", "1")])


async def test_head_has_the_length_of_the_body_and_no_body() -> None:
    protocol, status, body = await ask(make(), Scope("HEAD", "/json"))
    assert (status, body) == (200, None)
    assert ("content-length", "7") in protocol.answers[0][1]


async def test_no_content_has_neither_body_nor_length() -> None:
    protocol, status, body = await ask(make(), Scope(path="/nothing"))
    assert (status, body, protocol.answers[0][1]) == (204, None, [])


async def test_reset_content_has_no_body_and_not_its_length() -> None:
    app = Oxidite()

    @app.post("/")
    async def reset() -> Response:
        return Response(b"forbidden", 205, headers={"content-length": "9", "x-kept": "1"})

    protocol, status, body = await ask(app, Scope("POST", "/"))
    # Granian adds the length of what it sends: 0.
    assert (status, body, protocol.answers[0][1]) == (205, None, [("x-kept", "1")])


async def test_a_request_tells_what_granian_tells() -> None:
    scope = Scope(path="/who", query_string="a=1&b=%20", fields=[("user-agent", "test")])
    _, _, body = await ask(make(), scope)
    assert body is not None
    assert msgspec.json.decode(body) == {
        "client": ["127.0.0.1", 4711],
        "query": {"a": "1", "b": " "},
        "raw": None,
        "version": "1.1",
        "scheme": "http",
        "agent": "test",
    }


async def test_over_http_2_the_authority_is_the_host() -> None:
    seen: list[object] = []
    app = Oxidite()

    @app.get("/")
    async def index(request: Request) -> None:
        seen.extend((request.host, request.headers.get_all("Host"), "host" in request.headers))
        seen.append(request.headers.multi_items())

    await ask(app, Scope(http_version="2", authority="a.example", fields=[("x", "1")]))
    await ask(app, Scope(http_version="1.1", authority="a.example", fields=[("host", "b.example")]))
    await ask(app, Scope(http_version="1.1", authority="a.example"))

    assert seen == [
        *("a.example", ["a.example"], True, [("host", "a.example"), ("x", "1")]),
        *("b.example", ["b.example"], True, [("host", "b.example")]),
        *("", [], False, []),
    ]


async def test_a_body_is_read_and_decoded() -> None:
    fields = [("content-type", "application/json"), ("content-length", "7")]
    _, status, body = await ask(make(), Scope("POST", "/points", fields=fields), b'{"x":5}')
    assert (status, body) == (200, b'{"x":5}')


async def test_a_body_of_unknown_length_is_read_in_pieces() -> None:
    fields = [("content-type", "application/json")]
    _, status, body = await ask(make(), Scope("POST", "/points", fields=fields), b'{"x"', b":5}")
    assert (status, body) == (200, b'{"x":5}')


async def test_a_body_announced_too_large_is_not_read() -> None:
    fields = [("content-type", "application/json"), ("content-length", "101")]
    protocol, status, _ = await ask(make(), Scope("POST", "/points", fields=fields), b"x" * 101)
    assert (status, protocol.reads) == (413, 0)


async def test_a_body_that_grows_too_large_is_cut() -> None:
    fields = [("content-type", "application/json")]
    chunks = [b"x" * 60] * 50
    protocol, status, _ = await ask(make(), Scope("POST", "/points", fields=fields), *chunks)
    assert status == 413
    assert protocol.reads == 2


def reading() -> Oxidite:
    """Make an application that reads bodies in every way."""
    app = Oxidite()

    @app.post("/text")
    async def text(request: Request) -> dict[str, str]:
        return {"text": (await request.body()).decode()}

    @app.post("/chunks")
    async def chunks(request: Request) -> list[str]:
        return [chunk.decode() async for chunk in request.stream()]

    @app.post("/number")
    async def number(value: Json[int]) -> list[int]:
        return [value]

    @app.post("/form")
    async def form(request: Request) -> dict[str, str]:
        return {name: str(value) for name, value in (await request.form()).items()}

    return app


JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def posted(path: str, content_type: str | None = None, **fields: str) -> Scope:
    """Make the scope of a POST."""
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return Scope(
        "POST", path, fields=[*([("content-type", content_type)] if content_type else []), *pairs]
    )


@pytest.mark.parametrize(
    ("scope", "body"),
    [
        # Granian does not tell a body that is over from one that broke off, and these show no end.
        (posted("/text", "text/plain", transfer_encoding="chunked"), b"half"),
        (posted("/text", transfer_encoding="chunked"), b"half"),
        (posted("/text", "text/plain"), b"half"),  # HTTP/2 has no such field
        (posted("/form", FORM, transfer_encoding="chunked"), b"a=1&b="),
        (posted("/chunks", "text/plain", transfer_encoding="chunked"), b"half"),
        (posted("/number", JSON, transfer_encoding="chunked"), b"12"),
    ],
)
async def test_a_body_whose_end_cannot_be_told_must_announce_its_length(
    scope: Scope, body: bytes
) -> None:
    _, status, answer = await ask(reading(), scope, body)

    assert status == 411
    assert answer is not None
    assert b"needs a Content-Length here" in answer


@pytest.mark.parametrize(
    ("scope", "body", "answer"),
    [
        (posted("/text", "text/plain", content_length="5"), b"whole", {"text": "whole"}),
        (posted("/text"), b"", {"text": ""}),
        (posted("/form", FORM, content_length="7"), b"a=1&b=2", {"a": "1", "b": "2"}),
        (posted("/chunks", "text/plain", content_length="5"), b"whole", ["whole"]),
        (posted("/chunks", JSON, transfer_encoding="chunked"), b"[1]", ["[1]"]),
        (posted("/number", JSON, content_length="2"), b"12", [12]),
    ],
)
async def test_a_body_that_is_known_to_be_whole_is_read(
    scope: Scope, body: bytes, answer: object
) -> None:
    _, status, found = await ask(reading(), scope, body)

    assert status == 200
    assert found is not None
    assert msgspec.json.decode(found) == answer


@pytest.mark.parametrize("path", ["/text", "/chunks"])
async def test_a_body_that_breaks_off_is_no_shorter_body(path: str) -> None:
    protocol = Protocol(b"ha", breaks_off=True)
    await reading().__rsgi__(posted(path, "text/plain", content_length="4"), protocol)

    ((status, _, answer),) = protocol.answers
    assert status == 400
    assert b'"code":"client_disconnect"' in (answer or b"")


async def test_a_body_is_given_once_in_pieces_and_again_as_a_whole() -> None:
    app = Oxidite()

    @app.post("/")
    async def twice(request: Request) -> list[str]:
        whole = await request.body()
        chunks = [chunk async for chunk in request.stream()]
        return [whole.decode(), b"".join(chunks).decode()]

    _, status, body = await ask(app, posted("/", JSON, content_length="3"), b"[1]")
    assert (status, body) == (200, b'["[1]","[1]"]')


async def test_head_keeps_the_length_that_the_handler_says() -> None:
    app = Oxidite()

    @app.get("/")
    async def handler() -> Response:
        return Response(b"", headers={"content-length": "70"})

    protocol, _, body = await ask(app, Scope("HEAD"))
    assert (protocol.answers[0][1], body) == ([("content-length", "70")], None)


async def test_a_handler_that_awaits_what_somebody_else_cancelled_is_a_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Oxidite()

    @app.get("/")
    async def handler() -> str:
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel()
        await task
        return "never"

    _, status, _ = await ask(app, Scope())
    assert status == 500
    assert "awaited a task or a future that was cancelled" in caplog.text


async def test_the_cancel_of_the_server_is_the_servers() -> None:
    app = Oxidite()
    started = asyncio.Event()

    @app.get("/")
    async def handler() -> None:
        started.set()
        await asyncio.Event().wait()

    protocol = Protocol()
    task = asyncio.ensure_future(app.__rsgi__(Scope(), protocol))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert protocol.answers == []


async def test_what_lasts_to_the_last_byte_is_not_committed_without_one() -> None:
    log, answered = list[str](), asyncio.Event()

    async def unit() -> AsyncIterator[None]:
        try:
            yield
        except BaseException as exc:
            log.append(f"rolled back: {type(exc).__name__}")
            raise
        log.append("committed")

    async def slow(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        answered.set()
        await asyncio.Event().wait()
        return response

    app = Oxidite(middleware=[slow])

    @app.get("/")
    async def handler(work: None = Depends(unit, scope="stream")) -> str:
        return "x"

    task = asyncio.ensure_future(app.__rsgi__(Scope(), Protocol()))
    await answered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["rolled back: CancelledError"]


class Stalled(Protocol):
    """One whose body never comes."""

    async def __call__(self) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("how", ["stream", "form", "gave up"])
async def test_a_handler_that_works_long_after_the_body_is_left_alone(how: str) -> None:
    app = Oxidite()
    app.body_pace = BodyPace(timeout=0.01, rate=1_000_000)

    @app.post("/")
    async def handler(request: Request) -> str:
        if how == "stream":
            assert [chunk async for chunk in request.stream()] == [b"a=", b"1"]
        elif how == "form":
            assert (await request.form())["a"] == "1"
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await request.body()
            with pytest.raises(RuntimeError, match="streamed already"):
                await request.body()
        await asyncio.sleep(0.4)
        return "done"

    fields = [("content-length", "3"), ("content-type", "application/x-www-form-urlencoded")]
    protocol = Stalled() if how == "gave up" else Protocol(b"a=", b"1")
    async with app.running():
        await app.__rsgi__(Scope("POST", fields=fields), protocol)
    assert [(status, body) for status, _, body in protocol.answers] == [(200, b"done")]


async def test_all_header_fields_are_there_for_who_asks() -> None:
    app = Oxidite()

    @app.get("/")
    async def handler(request: Request) -> list[object]:
        headers = request.headers
        return [headers.get("X-A"), headers.get("x-none", "-"), headers.get_all("x-a"), [*headers]]

    scope = Scope(fields=[("x-a", "1"), ("x-b", "3")])
    _, _, body = await ask(app, scope)
    assert body == b'["1","-",["1"],["x-a","x-b"]]'


async def test_an_undeclared_stream_is_an_error_before_it_is_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        _, status, body = await ask(make(), Scope(path="/stream"))
    assert status == 500
    assert body is not None
    assert b"xxx" not in body
    assert "/stream answered with a StreamingResponse" in caplog.text
    assert "--interface asgi" in caplog.text


async def test_a_path_that_is_not_text_is_refused() -> None:
    for path in ("/a\x00b", "/\ufffd"):
        _, status, _ = await ask(make(), Scope(path=path))
        assert status == 400


async def test_a_client_that_goes_away_cancels_the_handler_and_not_the_servers_task() -> None:
    app = Oxidite()
    started, cancelled = asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "never"

    protocol = Protocol()

    async def server() -> int:
        await app.__rsgi__(Scope(path="/slow"), protocol)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    task = asyncio.create_task(server())
    await started.wait()
    protocol.gone.set()
    assert await asyncio.wait_for(task, 5) == 0
    assert cancelled.is_set()
    assert protocol.answers == []


def test_resources_open_before_the_first_request_and_close_after_the_last() -> None:
    log: list[str] = []

    class Pool:
        async def __aenter__(self) -> Pool:
            log.append("open")
            return self

        async def __aexit__(self, *_: object) -> None:
            log.append("close")

    app = Oxidite(resources=[Pool()])
    loop = asyncio.new_event_loop()
    app.__rsgi_init__(loop)
    assert log == ["open"]
    app.__rsgi_del__(loop)
    assert log == ["open", "close"]
    loop.close()


def test_an_application_that_was_not_opened_has_nothing_to_close() -> None:
    log: list[str] = []

    class Pool:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_: object) -> None:
            log.append("close")

    loop = asyncio.new_event_loop()
    Oxidite(resources=[Pool()]).__rsgi_del__(loop)
    loop.close()

    assert log == []


def test_a_resource_that_does_not_open_stops_the_start() -> None:
    class Broken:
        async def __aenter__(self) -> Broken:
            raise OSError("no such host")

        async def __aexit__(self, *_: object) -> None:
            pass

    app = Oxidite(resources=[Broken()])
    loop = asyncio.new_event_loop()
    with pytest.raises(OSError, match="no such host"):
        app.__rsgi_init__(loop)
    loop.close()


def test_a_mistake_in_the_application_ends_the_process_with_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Missing: ...

    app = Oxidite()

    @app.get("/")
    async def show(missing: Missing) -> None: ...

    loop = asyncio.new_event_loop()
    with pytest.raises(SystemExit) as caught:
        app.__rsgi_init__(loop)
    loop.close()
    assert caught.value.code == 1
    assert "startup failed: tests/unit/protocols/test_rsgi.py:" in caplog.text
    assert "Traceback" not in caplog.text


# Files.


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(b"begin" + bytes(200_000) + b"end")
    return path


async def ask_for_file(
    answer: Response, method: str = "GET", *fields: tuple[str, str]
) -> tuple[int, dict[str, str], bytes | None]:
    app = Oxidite()

    @app.get("/file", complete=True)
    async def file() -> Response:
        return answer

    protocol = Protocol()
    async with app.running():
        await app.__rsgi__(Scope(method, "/file", fields=list(fields)), protocol)
    [(status, headers, body)] = protocol.answers
    return status, dict(headers), body


async def test_a_large_file_is_left_to_the_server(large: Path) -> None:
    status, headers, body = await ask_for_file(FileResponse(large))

    assert status == 200
    assert body == large.read_bytes()  # noqa: ASYNC240 - a small one
    assert headers["content-length"] == "200008"
    assert headers["content-type"] == "application/octet-stream"
    assert headers["etag"]


async def test_a_part_of_a_large_file_is_left_to_the_server(large: Path) -> None:
    status, headers, body = await ask_for_file(FileResponse(large), "GET", ("range", "bytes=-3"))

    assert (status, body) == (206, b"end")
    assert headers["content-range"] == "bytes 200005-200007/200008"
    assert headers["content-length"] == "3"


async def test_several_small_parts_are_sent_in_one_message(large: Path) -> None:
    status, headers, body = await ask_for_file(
        FileResponse(large), "GET", ("range", "bytes=0-4,-3")
    )

    assert status == 206
    assert body is not None
    assert b"begin" in body
    assert b"end" in body
    assert headers["content-type"].startswith("multipart/byteranges; ")


async def test_several_large_parts_are_given_up_for_the_whole(large: Path) -> None:
    status, headers, body = await ask_for_file(
        FileResponse(large, content_type="text/x"), "GET", ("range", "bytes=0-99999,100001-")
    )

    assert (status, body) == (200, large.read_bytes())  # noqa: ASYNC240 - a small one
    assert headers["content-length"] == "200008"
    assert headers["content-type"] == "text/x"


async def test_the_head_of_a_large_file_is_sent_without_it(large: Path) -> None:
    status, headers, body = await ask_for_file(FileResponse(large), "HEAD")

    assert (status, body) == (200, None)
    assert headers["content-length"] == "200008"


async def test_a_file_that_does_not_exist_is_404(tmp_path: Path) -> None:
    status, _, _ = await ask_for_file(FileResponse(tmp_path / "missing"))

    assert status == 404


async def test_a_file_that_a_middleware_changes_as_it_goes_is_refused(large: Path) -> None:
    response = FileResponse(large)

    async def changed() -> AsyncIterator[bytes | str]:
        yield b"other"

    response.content = changed()
    status, _, body = await ask_for_file(response)

    assert status == 500
    assert body is not None
    assert b"other" not in body


async def test_a_middleware_may_answer_with_a_file(large: Path) -> None:
    @complete
    async def always(request: Request, call_next: Handler) -> Response:
        return FileResponse(large if request.path == "/" else "/missing")

    app = Oxidite(middleware=[always])
    for path, expected in (("/", 200), ("/missing", 404)):
        protocol = Protocol()
        async with app.running():
            await app.__rsgi__(Scope(path=path), protocol)
        assert protocol.answers[0][0] == expected
