from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from oxidite import (
    Depends,
    Header,
    Oxidite,
    Query,
    Request,
    Response,
    StreamingResponse,
    TextResponse,
)
from oxidite.clock import perf
from oxidite.errors import OxiditeError, PayloadTooLargeError
from oxidite.http import ClientDisconnectError, Handler
from oxidite.protocols import BodyPace, inflight

Message = MutableMapping[str, Any]

BOUND = 3.0  # seconds until a wait counts as a hang


class Item(Struct):
    name: str
    count: int = 0


@pytest.fixture(autouse=True)
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "SWEEP", 0.001)


class Wire:
    """The server's side of one request: it plays messages, and keeps what is sent."""

    def __init__(
        self,
        app: Oxidite,
        path: str = "/",
        *messages: Message,
        method: str = "GET",
        headers: list[tuple[bytes, bytes]] | None = None,
        **scope: Any,
    ) -> None:
        self.app = app
        self.scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": headers or [],
            **scope,
        }
        self.left = asyncio.Event()
        self.messages = list(messages) or [{"type": "http.request"}]
        self.received = 0
        self.sent: list[Message] = []
        self.before_send: Callable[[Message], Awaitable[None]] | None = None
        self.raised: BaseException | None = None
        self.cancelling = -1
        self.task: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        self.received += 1
        if self.messages:
            return self.messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.before_send is not None:
            await self.before_send(message)
        if not isinstance(message.get("body", b""), bytes):
            raise TypeError("a server writes bytes")
        self.sent.append(message)

    async def serve(self) -> None:
        """Call the application as a server does that goes on with its own work after."""
        try:
            await self.app(self.scope, self.receive, self.send)
            await asyncio.sleep(0)  # a cancel that was left behind arrives here
        except BaseException as exc:  # noqa: BLE001 - kept for the test
            self.raised = exc
        task = asyncio.current_task()
        assert task is not None
        self.cancelling = task.cancelling()

    def start(self) -> Wire:
        self.task = asyncio.get_running_loop().create_task(self.serve())
        return self

    async def ended(self) -> Wire:
        """Wait until the application has ended, and the server's task with it."""
        assert self.task is not None
        async with asyncio.timeout(BOUND):
            await asyncio.wait((self.task,))
        return self

    async def run(self) -> Wire:
        """Serve to the end; nothing may come out of the application."""
        await self.start().ended()
        if self.raised is not None:
            raise self.raised
        return self

    def leave(self) -> None:
        self.left.set()

    @property
    def status(self) -> int:
        assert self.sent[0]["type"] == "http.response.start"
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = self.sent[0]["headers"]
        return headers

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        """Whether the response was ended as it should."""
        return bool(self.sent) and not self.sent[-1].get(
            "more_body", self.sent[-1]["type"] != "http.response.body"
        )


def chunks(*parts: bytes, more: bool = False) -> list[Message]:
    """Return the messages of a body in parts."""
    last = len(parts) - 1
    return [
        {"type": "http.request", "body": part, "more_body": more or index < last}
        for index, part in enumerate(parts)
    ]


def echoing(**options: Any) -> Oxidite:
    app = Oxidite(debug=False, **options)

    @app.post("/")
    async def echo(request: Request) -> bytes:
        return await request.body()

    @app.post("/stream")
    async def echo_stream(request: Request) -> bytes:
        return b"|".join([chunk async for chunk in request.stream()])

    @app.post("/json")
    async def echo_json(item: Item) -> Item:
        return item

    return app


async def settled(event: asyncio.Event) -> None:
    async with asyncio.timeout(BOUND):
        await event.wait()


async def looked_twice() -> None:
    """Return when the sweeper has had its chance to watch every request."""
    canary, cancelled, began = Oxidite(), asyncio.Event(), asyncio.Event()

    @canary.get("/")
    async def wait() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    for _ in range(2):
        cancelled.clear()
        began.clear()
        wire = Wire(canary).start()
        await settled(began)
        wire.leave()
        await settled(cancelled)
        await wire.ended()


class TestScope:
    async def test_what_the_specification_makes_optional_may_be_missing(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(request: Request) -> dict[str, object]:
            return {
                "scheme": request.scheme,
                "client": request.client,
                "root_path": request.root_path,
                "raw_path": request.raw_path,
                "url": str(request.url),
                "version": request.http_version,
                "cookies": request.cookies,
            }

        wire = await Wire(app).run()
        assert wire.status == 200
        assert wire.body == (
            b'{"scheme":"http","client":null,"root_path":"","raw_path":null,'
            b'"url":"http://localhost/","version":"1.1","cookies":{}}'
        )

    async def test_what_is_null_is_as_if_it_were_missing(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(request: Request) -> list[object]:
            return [request.client, request.raw_path, request.root_path]

        nulls: dict[str, Any] = {
            "client": None,
            "server": None,
            "raw_path": None,
            "root_path": None,
        }
        wire = await Wire(app, extensions=None, state={}, **nulls).run()
        assert wire.body == b'[null,null,""]'

    async def test_all_of_it_reaches_the_request(self) -> None:
        app, seen = Oxidite(), list[Request]()

        @app.get("/{name}")
        async def show(request: Request, name: str) -> str:
            seen.append(request)
            return name

        wire = Wire(
            app,
            "/a b",
            headers=[(b"host", b"example.com"), (b"x-mixed", b"1"), (b"x-two", b"caf\xe9")],
            raw_path=b"/a%20b",
            query_string=b"q=%C3%A9",
            client=["10.0.0.1", 1234],
            scheme="https",
            http_version="2",
        )
        await wire.run()
        (request,) = seen
        assert request.headers["x-mixed"] == "1"
        assert request.headers["x-two"] == "café"
        assert request.raw_path == b"/a%20b"
        assert request.query.get("q") == "é"
        assert request.client == ("10.0.0.1", 1234)
        assert str(request.url) == "https://example.com/a%20b?q=%C3%A9"
        assert request.http_version == "2"

    @pytest.mark.parametrize(
        ("client", "expected"),
        [
            (["", 0], ("", 0)),
            (("::1", "80"), ("::1", 80)),
            (("unix", ""), ("unix", 0)),
            (("x", None), ("x", 0)),
        ],
    )
    async def test_every_server_writes_the_client_in_its_own_way(
        self, client: Any, expected: tuple[str, int]
    ) -> None:
        app, seen = Oxidite(), list[object]()

        @app.get("/")
        async def show(request: Request) -> None:
            seen.append(request.client)

        await Wire(app, client=client).run()
        assert seen == [expected]

    async def test_headers_may_be_any_iterable_of_pairs(self) -> None:
        app = Oxidite()

        @app.post("/")
        async def show(request: Request) -> str:
            return f"{request.headers['a']} {request.content_type}"

        pairs: Any = ([b"a", b"1"], [b"content-type", b"text/X; y"], [b"a", b"2"])
        wire = await Wire(app, method="POST", headers=pairs).run()
        assert wire.body == b"1 text/x"

    @pytest.mark.parametrize(
        "headers",
        [
            [(b"x", bytes(range(0x80, 0x100)))],
            [(b"\xff\xfe", b"1")],
            [(b"cookie", b"a=\xff; \xfe=1")],
            [(b"content-type", b"\xff\xff/\x00")],
            [(b"accept", b"\xff" * 1000)],
            [(b"host", b"\xff")],
            [(b"content-length", b"\xb2")],
            [(b"", b"")],
            [(b"if-none-match", b"\xff")],
        ],
    )
    async def test_header_bytes_of_no_encoding_are_never_a_500(
        self, headers: list[tuple[bytes, bytes]]
    ) -> None:
        app = Oxidite(debug=False)

        @app.get("/", etag="weak")
        async def show(
            request: Request, x: str = "", accept: Header[str] = ""
        ) -> dict[str, object]:
            _ = request.cookies, request.content_type
            return dict(request.headers)

        wire = await Wire(app, headers=headers).run()
        assert wire.status in (200, 400)

    @pytest.mark.parametrize(
        "query",
        [b"\xff", b"%ff", b"%", b"%zz", b"a=%00", b"&" * 5000, b"a" * 100_000, b"=", b"q=\xe9"],
    )
    async def test_a_query_of_any_bytes_is_never_a_500(self, query: bytes) -> None:
        app = Oxidite(debug=False)

        @app.get("/")
        async def show(request: Request, q: Query[str] = "") -> str:
            return f"{q} {len(request.query)}"

        wire = await Wire(app, query_string=query).run()
        assert wire.status in (200, 400, 422)

    @pytest.mark.parametrize(
        "path", ["/a\x00b", "/\ufffd", "/%00", "/..", "//", "/" * 10_000, "/é"]
    )
    async def test_a_path_of_any_kind_is_never_a_500(self, path: str) -> None:
        app = Oxidite(debug=False)

        @app.get("/{name}")
        async def show(name: str) -> str:
            return name

        wire = await Wire(app, path).run()
        assert wire.status in (200, 400, 404)
        if "\x00" in path or "\ufffd" in path:
            assert wire.status == 400

    @pytest.mark.parametrize("path", ["*", "xadmin", "@admin", "http://evil/admin", "", "?admin"])
    async def test_a_path_that_does_not_begin_with_a_slash_reaches_no_route(
        self, path: str
    ) -> None:
        # `GET xadmin HTTP/1.1` must not get what `/admin` would: a proxy may have let it through.
        app, called = Oxidite(debug=False), list[str]()

        @app.get("/admin")
        async def admin() -> str:
            called.append("admin")
            return "secret"

        @app.get("/")
        async def root() -> str:
            called.append("root")
            return "root"

        @app.route("/", ["OPTIONS"])
        async def options() -> str:
            called.append("options")
            return "options"

        for method in ("GET", "OPTIONS"):
            wire = await Wire(app, path, method=method).run()
            assert wire.status in (200, 204, 400, 404)
        assert called in ([], ["root", "options"] if path == "" else [])

    @pytest.mark.parametrize(
        ("root_path", "path", "status", "seen"),
        [
            ("/api", "/api/admin", 200, "/admin"),
            ("/api", "/api", 200, "/"),
            ("/api", "/api/", 200, "/"),
            ("/api/", "/api/admin", 200, "/admin"),
            ("/", "/admin", 200, "/admin"),
            ("", "/admin", 200, "/admin"),
        ],
    )
    async def test_the_root_path_is_taken_off_the_path(
        self, root_path: str, path: str, status: int, seen: str
    ) -> None:
        app = Oxidite(debug=False)

        @app.get("/admin")
        @app.get("/")
        async def show(request: Request) -> str:
            return request.path

        wire = await Wire(app, path, root_path=root_path).run()
        assert (wire.status, wire.body.decode()) == (status, seen)

    @pytest.mark.parametrize("path", ["/apiadmin", "/apixadmin", "/api_admin", "/api.admin"])
    async def test_the_root_path_is_taken_off_at_a_slash_only(self, path: str) -> None:
        # Behind a proxy that guards /api/admin, /apixadmin must not be another way in.
        app = Oxidite(debug=False)

        @app.get("/admin")
        async def admin() -> str:
            return "secret"

        wire = await Wire(app, path, root_path="/api").run()
        assert wire.status == 404

    async def test_a_path_that_is_not_under_the_root_path_is_taken_as_it_is(self) -> None:
        # Some proxies take the prefix off themselves and say it all the same.
        app = Oxidite(debug=False)

        @app.get("/admin")
        async def admin(request: Request) -> str:
            return request.path

        assert (await Wire(app, "/admin", root_path="/api").run()).body == b"/admin"

    @pytest.mark.parametrize("kind", ["http2", "", "webtransport", None])
    async def test_a_kind_of_scope_nobody_knows_is_refused_by_name(self, kind: Any) -> None:
        with pytest.raises(RuntimeError, match=f"unknown ASGI scope {kind!r}"):
            await Wire(Oxidite(), type=kind).run()

    @given(st.text(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
    @settings(max_examples=60, deadline=None)
    def test_no_path_query_and_header_make_a_500(
        self, path: str, query: bytes, value: bytes
    ) -> None:
        app = Oxidite(debug=False)

        @app.get("/{name}")
        async def show(request: Request, name: str, q: Query[int] = 0) -> dict[str, object]:
            return {"name": name, "q": q, "cookies": request.cookies}

        async def ask() -> int:
            headers = [(b"cookie", value), (b"accept", value), (b"host", value)]
            return (await Wire(app, "/" + path, query_string=query, headers=headers).run()).status

        assert asyncio.run(ask()) in (200, 400, 404, 422)


class TestBody:
    @pytest.mark.parametrize(
        ("messages", "expected"),
        [
            (chunks(b"hello"), b"hello"),
            (chunks(b"he", b"llo"), b"hello"),
            (chunks(b"", b"he", b"", b"llo", b""), b"hello"),
            (chunks(*[bytes([byte]) for byte in b"hello"]), b"hello"),
            ([{"type": "http.request"}], b""),
            ([{"type": "http.request", "body": b"hello"}], b"hello"),
            ([{"type": "http.request", "more_body": True}, {"type": "http.request"}], b""),
            ([{"type": "http.request", "more_body": True}, *chunks(b"hello")], b"hello"),
        ],
    )
    @pytest.mark.parametrize("path", ["/", "/stream"])
    async def test_it_comes_in_any_number_of_messages(
        self, messages: list[Message], expected: bytes, path: str
    ) -> None:
        wire = await Wire(echoing(), path, *map(dict, messages), method="POST").run()
        assert wire.status == 200
        assert wire.body.replace(b"|", b"") == expected

    async def test_what_was_announced_has_come_even_if_the_server_says_more_may(self) -> None:
        headers = [(b"content-length", b"5")]
        wire = Wire(echoing(), "/", *chunks(b"hello", more=True), method="POST", headers=headers)
        assert (await wire.run()).body == b"hello"
        assert wire.received == 1

    async def test_a_size_over_the_limit_is_413_before_anything_is_read(self) -> None:
        headers = [(b"content-length", b"11"), (b"content-type", b"application/json")]
        for path in ("/", "/stream", "/json"):
            wire = Wire(echoing(max_body=10), path, method="POST", headers=headers)
            await wire.run()
            assert wire.status == 413
            assert wire.received == 0
            assert (b"connection", b"close") in wire.headers
            assert b'"code":"payload_too_large"' in wire.body

    @pytest.mark.parametrize("path", ["/", "/stream", "/json"])
    @pytest.mark.parametrize(
        "parts", [(b"x" * 11,), (b"x" * 6, b"x" * 5), (b"", b"x" * 10, b"x"), (b"x" * 11, b"x")]
    )
    async def test_a_body_without_a_size_is_cut_at_the_limit(
        self, parts: tuple[bytes, ...], path: str
    ) -> None:
        more = chunks(*parts, more=True) + chunks(*[b"x"] * 100, more=True)
        headers = [(b"transfer-encoding", b"chunked"), (b"content-type", b"application/json")]
        wire = Wire(echoing(max_body=10), path, *more, method="POST", headers=headers)
        await wire.run()
        assert wire.status == 413
        assert wire.received <= len(parts)
        # What it says is the limit that was set, not what was left of it.
        assert b"the 10 bytes allowed" in wire.body

    async def test_the_first_chunk_may_be_over_the_limit_by_itself(self) -> None:
        wire = Wire(echoing(max_body=10), "/", *chunks(b"x" * 50, more=True), method="POST")
        await wire.run()
        assert wire.received == 1, "nothing more is read"
        assert wire.status == 413

    async def test_a_route_may_allow_more_or_less(self) -> None:
        app, limits = Oxidite(debug=False, max_body=10), list[int | None]()

        @app.post("/more", max_body=20)
        @app.post("/less", max_body=5)
        async def read(request: Request) -> bytes:
            try:
                return await request.body()
            except PayloadTooLargeError as exc:
                limits.append(exc.limit)
                raise

        for path, size, status in (
            ("/more", 20, 200),
            ("/more", 21, 413),
            ("/less", 5, 200),
            ("/less", 6, 413),
        ):
            wire = await Wire(app, path, *chunks(b"x" * (size - 1), b"x"), method="POST").run()
            assert wire.status == status
        assert limits == [20, 5]

    @pytest.mark.parametrize(
        "length", [b"-1", b"+5", b"5, 5", b"5, 6", b"0x5", b"", b"five", b"5_0", b"9" * 40, b"\xb2"]
    )
    @pytest.mark.parametrize("path", ["/", "/stream", "/json"])
    async def test_a_length_that_is_none_is_400_before_anything_is_read(
        self, length: bytes, path: str
    ) -> None:
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        wire = Wire(echoing(), path, *chunks(b"hello"), method="POST", headers=headers)
        await wire.run()
        assert wire.status == 400
        assert wire.received == 0

    async def test_a_body_that_nobody_wants_is_not_read(self) -> None:
        app = Oxidite()

        @app.post("/")
        async def ignore() -> str:
            return "x"

        wire = await Wire(app, "/", *chunks(b"x" * 100), method="POST").run()
        assert wire.received == 0

    @pytest.mark.parametrize("path", ["/", "/stream", "/json"])
    @pytest.mark.parametrize(
        "messages",
        [
            [{"type": "http.disconnect"}],
            [*chunks(b'{"name', more=True), {"type": "http.disconnect"}],
        ],
    )
    @pytest.mark.parametrize("broken", [False, True])
    async def test_a_client_that_leaves_while_it_sends_is_no_error_of_ours(
        self,
        messages: list[Message],
        path: str,
        broken: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        headers = [(b"content-type", b"application/json")]
        wire = Wire(echoing(), path, *map(dict, messages), method="POST", headers=headers)
        if broken:
            wire.before_send = _connection_lost
        await wire.run()
        assert wire.cancelling == 0
        assert not wire.sent or wire.status == 400
        assert caplog.records == []

    async def test_a_handler_is_told_that_the_client_left(self) -> None:
        app, told = Oxidite(), list[str]()

        @app.post("/")
        async def read(request: Request) -> None:
            try:
                await request.body()
            except ClientDisconnectError:
                told.append("gone")
                raise

        await Wire(app, "/", {"type": "http.disconnect"}, method="POST").run()
        assert told == ["gone"]

    async def test_a_second_reader_gets_the_same_body(self) -> None:
        async def read_first(request: Request, call_next: Handler) -> Response:
            await request.body()
            return await call_next(request)

        app = echoing(middleware=[read_first])
        for path, body in (("/", b"hello"), ("/stream", b"hello"), ("/json", b'{"name":"a"}')):
            headers = [(b"content-type", b"application/json")]
            wire = Wire(app, path, *chunks(body[:3], body[3:]), method="POST", headers=headers)
            assert (await wire.run()).status == 200
            assert body[1:7] in wire.body

    @pytest.mark.parametrize("read_all", [True, False])
    async def test_a_stream_that_was_read_is_not_an_empty_body(self, read_all: bool) -> None:
        # A middleware that looks at the body must not have the handler see another one.
        app, seen = Oxidite(debug=False), list[bytes]()

        @app.post("/")
        async def read_twice(request: Request) -> None:
            async for _ in request.stream():
                if not read_all:
                    break
            with pytest.raises(RuntimeError, match=r"await request.body\(\)"):
                seen.append(await request.body())
            with pytest.raises(RuntimeError, match=r"await request.body\(\)"):
                seen.extend([chunk async for chunk in request.stream()])

        wire = await Wire(app, "/", *chunks(b"he", b"llo"), method="POST").run()
        assert wire.status == 204
        assert seen == []

    async def test_what_is_left_of_an_interrupted_body_is_not_all_of_it(self) -> None:
        app = Oxidite(debug=False)

        @app.post("/")
        async def read_twice(request: Request) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await request.body()
            wire.messages.append({"type": "http.request", "body": b"llo"})
            with pytest.raises(RuntimeError, match=r"await request.body\(\)"):
                await request.body()

        wire = Wire(app, "/", *chunks(b"he", more=True), method="POST")
        assert (await wire.run()).status == 204

    @pytest.mark.parametrize("how", ["body", "stream"])
    async def test_who_gave_up_waiting_for_a_body_does_not_wait_for_it_any_more(
        self, how: str
    ) -> None:
        app = Oxidite(debug=False)
        app.body_pace = BodyPace(timeout=10)  # a hundred looks, each of which counts for 0.1 s

        @app.post("/")
        async def give_up(request: Request) -> str:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await (request.body() if how == "body" else anext(request.stream()))
            await asyncio.sleep(0.5)
            return "done"

        async with app.running():
            wire = Wire(app, "/", *chunks(b"", more=True), method="POST")
            assert ((await wire.run()).status, wire.body) == (200, b"done")


def _fail(error: Exception) -> None:
    raise error


async def _connection_lost(message: Message) -> None:
    raise ConnectionResetError("the client has gone")


class TestResponse:
    async def test_a_complete_response_is_two_messages(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show() -> dict[str, int]:
            return {"a": 1}

        wire = await Wire(app).run()
        assert wire.sent == [
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"7")],
            },
            {"type": "http.response.body", "body": b'{"a":1}'},
        ]

    @pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 100_000])
    async def test_the_length_is_that_of_the_body(self, size: int) -> None:
        app = Oxidite()

        @app.get("/")
        async def show() -> bytes:
            return b"x" * size

        wire = await Wire(app).run()
        assert (b"content-length", str(size).encode()) in wire.headers
        assert len(wire.body) == size

    async def test_head_has_the_headers_of_get_and_no_body(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show() -> str:
            return "hello"

        get, head = await Wire(app).run(), await Wire(app, method="HEAD").run()
        assert head.headers == get.headers
        assert (b"content-length", b"5") in head.headers
        assert head.body == b""
        assert head.complete

    @pytest.mark.parametrize("status", [204, 304])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("content", [b"", b"forbidden"])
    async def test_204_and_304_have_neither_body_nor_length(
        self, status: int, method: str, content: bytes
    ) -> None:
        # What is sent all the same is the beginning of the next response to a client.
        app = Oxidite()

        @app.get("/")
        async def show() -> Response:
            return Response(content, status)

        wire = await Wire(app, method=method).run()
        assert wire.status == status
        assert wire.body == b""
        assert [name for name, _ in wire.headers if name == b"content-length"] == []
        assert wire.complete

    @pytest.mark.parametrize("slash", ["strict", "ignore", "redirect"])
    async def test_options_of_the_server_itself_are_answered(self, slash: Any) -> None:
        app = Oxidite(trailing_slash=slash)

        @app.get("/{path:path}")
        async def anything(path: str) -> str:
            return path

        asked = await Wire(app, method="OPTIONS", path="*").run()
        assert (asked.status, asked.body, asked.complete) == (204, b"", True)
        assert (await Wire(app, method="GET", path="*").run()).status == 404

    @pytest.mark.parametrize("method", ["POST", "HEAD"])
    @pytest.mark.parametrize("kind", ["complete", "with a length", "stream"])
    async def test_205_has_no_body_and_says_so(self, method: str, kind: str) -> None:
        # Unlike 204 its end is told by its length (RFC 9110 section 15.3.6, RFC 9112 section 6.3).
        app = Oxidite()

        @app.route("/", ["POST", "HEAD"])
        async def reset() -> Response:
            if kind == "stream":
                return StreamingResponse([b"forbidden"], 205)
            length = {"content-length": "9"} if kind == "with a length" else {}
            return Response(b"forbidden", 205, headers=length)

        wire = await Wire(app, method=method).run()
        assert (wire.status, wire.body, wire.complete) == (205, b"", True)
        assert [each for each in wire.headers if each[0] == b"content-length"] == [
            (b"content-length", b"0")
        ]

    @pytest.mark.parametrize("status", [204, 205, 304])
    async def test_a_status_set_by_middleware_takes_the_body_off_too(self, status: int) -> None:
        async def empty(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            response.status = status
            return response

        app = Oxidite(middleware=[empty])

        @app.get("/")
        async def show() -> str:
            return "hello"

        assert (await Wire(app).run()).body == b""

    async def test_a_value_returned_by_a_204_route_is_not_sent(self) -> None:
        app = Oxidite()

        @app.get("/", status=204)
        async def show() -> str:
            return "hello"

        assert (await Wire(app).run()).body == b""

    @pytest.mark.parametrize("status", [204, 304])
    async def test_a_stream_with_204_or_304_sends_nothing_and_is_closed(self, status: int) -> None:
        app, made = Oxidite(), list[bytes]()

        async def produce() -> AsyncIterator[bytes]:
            made.append(b"x")
            yield b"x"

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce(), status)

        wire = await Wire(app).run()
        assert (wire.body, wire.complete) == (b"", True)
        assert made == []

    async def test_head_of_a_stream_makes_none_of_it(self) -> None:
        app, made = Oxidite(), list[bytes]()

        async def produce() -> AsyncIterator[bytes]:
            made.append(b"x")
            yield b"x"

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce(), content_type="text/csv")

        wire = await Wire(app, method="HEAD").run()
        assert (wire.status, wire.body, wire.complete) == (200, b"", True)
        assert (b"content-type", b"text/csv") in wire.headers
        assert made == []

    async def test_a_length_that_a_handler_says_is_not_said_twice(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show() -> Response:
            return Response(b"hello", headers={"Content-Length": "5"})

        wire = await Wire(app).run()
        assert wire.headers == [(b"content-length", b"5")]

    async def test_cookies_are_fields_of_their_own(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show() -> Response:
            response = TextResponse("x")
            response.set_cookie("a", "1")
            response.set_cookie("b", "2")
            response.headers["X-Name"] = "café"
            return response

        wire = await Wire(app).run()
        assert [value[:3] for name, value in wire.headers if name == b"set-cookie"] == [
            b"a=1",
            b"b=2",
        ]
        assert (b"x-name", b"caf\xe9") in wire.headers

    async def test_a_content_type_from_a_request_cannot_add_a_header(self) -> None:
        app = Oxidite(debug=False)

        @app.get("/")
        async def show(kind: str, stream: bool = False) -> Response:
            if stream:
                return StreamingResponse([b"secret"], content_type=kind)
            return Response(b"secret", content_type=kind)

        for query in (b"", b"&stream=1"):
            wire = await Wire(app, query_string=b"kind=a/b%0d%0ax-evil:%201" + query).run()
            assert wire.status == 500
            assert b"secret" not in wire.body
            for name, value in wire.headers:
                assert not set(name + value) & {0, 10, 13}

    async def test_a_middleware_that_returns_nothing_is_a_500_that_names_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def forgetful(request: Request, call_next: Handler) -> Response:
            await call_next(request)
            nothing: Any = None
            answer: Response = nothing
            return answer

        for of_app, of_route in (([forgetful], []), ([], [forgetful])):
            app = Oxidite(debug=False, middleware=of_app)

            @app.get("/", middleware=of_route)
            async def show() -> str:
                return "x"

            wire = await Wire(app).run()
            assert wire.status == 500
            assert "forgetful" in caplog.text
            caplog.clear()

    @pytest.mark.parametrize("sync", [False, True])
    async def test_a_cancelled_error_nobody_asked_for_is_a_500(self, sync: bool) -> None:
        # The handler awaits a task that somebody else has cancelled.
        app = Oxidite(debug=False)

        @app.get("/")
        async def show() -> str:
            task = asyncio.get_running_loop().create_task(asyncio.Event().wait())
            task.cancel()
            if sync:
                raise asyncio.CancelledError
            await task
            return "never"

        wire = await Wire(app).run()
        assert wire.status == 500
        assert wire.cancelling == 0


class TestStream:
    async def test_each_chunk_is_sent_as_it_is_made_and_the_end_is_said_once(self) -> None:
        app = Oxidite()

        async def produce() -> AsyncIterator[bytes | str]:
            yield b"a"
            yield "é"
            yield b""
            yield b"b"

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce(), 201, content_type="text/plain")

        wire = await Wire(app).run()
        assert wire.status == 201
        assert wire.body == "aéb".encode()
        assert wire.complete
        assert sum(not message.get("more_body", False) for message in wire.sent[1:]) == 1
        assert b"content-length" not in dict(wire.headers)

    async def test_a_stream_that_never_waits_lets_others_run(self) -> None:
        app, other = Oxidite(), asyncio.Event()

        def numbers() -> Iterator[bytes]:
            hang = perf() + BOUND
            while not other.is_set():
                assert perf() < hang, "nothing else ran"
                yield b"x"

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(numbers())

        asyncio.get_running_loop().call_later(0.02, other.set)
        wire = await Wire(app).run()
        assert wire.complete

    async def test_a_slow_reader_holds_a_bounded_number_of_chunks(self) -> None:
        app, made, sent, room = Oxidite(), list[int](), asyncio.Event(), asyncio.Semaphore(0)

        async def produce() -> AsyncIterator[bytes]:
            for index in range(1000):
                made.append(index)
                yield b"x" * 1000

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce())

        async def slowly(message: Message) -> None:
            sent.set()
            await room.acquire()

        wire = Wire(app)
        wire.before_send = slowly
        wire.start()
        for taken in range(50):
            await settled(sent)
            await asyncio.sleep(0)
            assert len(made) <= taken + 1
            sent.clear()
            room.release()
        wire.before_send = None
        room.release()
        await wire.ended()
        assert len(wire.body) == 1_000_000

    @pytest.mark.parametrize(
        "failure",
        [ValueError("x"), OSError("disk"), ConnectionResetError("database"), OxiditeError("x")],
    )
    async def test_one_that_raises_midway_never_ends_cleanly(
        self, failure: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        app, closed = Oxidite(debug=False), list[str]()

        async def produce() -> AsyncIterator[bytes]:
            try:
                yield b"half"
                raise failure
            finally:
                closed.append("closed")

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce())

        wire = await Wire(app).start().ended()
        assert wire.body == b"half"
        assert not wire.complete
        assert closed == ["closed"]
        # A server closes the connection of an application that raises, and logs what it raised.
        assert wire.raised is failure

    async def test_one_that_raises_before_its_first_chunk_never_ends_cleanly(self) -> None:
        app = Oxidite(debug=False)

        async def produce() -> AsyncIterator[bytes]:
            _fail(ValueError("x"))
            yield b""

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce())

        wire = await Wire(app).start().ended()
        assert isinstance(wire.raised, ValueError)
        assert not wire.complete

    @pytest.mark.parametrize("wrong", [None, 7, {"a": 1}])
    async def test_a_chunk_that_is_no_bytes_never_ends_cleanly(self, wrong: Any) -> None:
        app = Oxidite(debug=False)

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse([b"a", wrong])

        wire = await Wire(app).start().ended()
        assert wire.raised is not None
        assert all(isinstance(message["body"], bytes) for message in wire.sent[1:])

    async def test_an_iterable_that_makes_a_generator_is_closed_too(self) -> None:
        app, closed = Oxidite(), asyncio.Event()

        class Rows:
            async def __aiter__(self) -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield b"row"
                finally:
                    closed.set()

        rows = Rows()

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(rows)

        wire = Wire(app)

        async def break_off(message: Message) -> None:
            if len(wire.sent) == 3:
                raise ConnectionResetError

        wire.before_send = break_off
        await wire.run()
        assert closed.is_set(), "at once, not when the memory is cleaned up"

    async def test_an_iterator_that_cannot_be_closed_is_streamed_too(self) -> None:
        class Countdown:
            left = 3

            def __aiter__(self) -> Countdown:
                return self

            async def __anext__(self) -> bytes:
                if not self.left:
                    raise StopAsyncIteration
                self.left -= 1
                return str(self.left).encode()

        app = Oxidite()

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(Countdown())

        wire = await Wire(app).run()
        assert (wire.body, wire.complete) == (b"210", True)

    async def test_one_that_awaits_what_somebody_else_cancelled_never_ends_cleanly(self) -> None:
        async def produce() -> AsyncIterator[bytes]:
            yield b"x"
            task = asyncio.create_task(asyncio.Event().wait())
            task.cancel()
            await task

        app = Oxidite()

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce())

        wire = await Wire(app).start().ended()
        assert isinstance(wire.raised, RuntimeError)
        assert "awaited a task or a future that was cancelled" in str(wire.raised)
        assert not wire.complete

    async def test_a_stream_may_read_the_request_while_it_answers(self) -> None:
        app = Oxidite()

        @app.post("/")
        async def shout(request: Request) -> Response:
            async def produce() -> AsyncIterator[bytes]:
                async for chunk in request.stream():
                    yield chunk.upper()

            return StreamingResponse(produce())

        wire = await Wire(app, "/", *chunks(b"a", b"b", b"c"), method="POST").run()
        assert [message["body"] for message in wire.sent[1:]] == [b"A", b"B", b"C", b""]


class TestDisconnect:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_it_cancels_a_safe_handler(self, method: str) -> None:
        app, began, ended = Oxidite(), asyncio.Event(), list[str]()

        @app.get("/")
        async def wait(request: Request) -> str:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append(f"cancelled, gone={request.gone}")
                raise
            return "never"

        wire = Wire(app, method=method).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert ended == ["cancelled, gone=True"]
        assert wire.raised is None
        assert wire.cancelling == 0
        assert wire.sent == []

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    async def test_it_lets_an_unsafe_handler_end(self, method: str) -> None:
        app, began, go, ended = Oxidite(), asyncio.Event(), asyncio.Event(), list[str]()

        @app.route("/", [method])
        async def work(request: Request) -> str:
            await request.body()
            began.set()
            await go.wait()
            ended.append("done")
            return "done"

        wire = Wire(app, method=method).start()
        await settled(began)
        wire.leave()
        await looked_twice()
        assert ended == []
        go.set()
        await wire.ended()
        assert ended == ["done"]
        assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_a_route_may_ask_to_be_cancelled(self) -> None:
        app, began, cancelled = Oxidite(), asyncio.Event(), asyncio.Event()

        @app.post("/", cancel=True)
        async def work(request: Request) -> None:
            await request.body()
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        wire = Wire(app, "/", *chunks(b"a", b"b"), method="POST").start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert cancelled.is_set()
        assert (wire.raised, wire.cancelling, wire.sent) == (None, 0, [])

    async def test_a_route_may_ask_not_to_be(self) -> None:
        app, began, go = Oxidite(), asyncio.Event(), asyncio.Event()

        @app.get("/", cancel=False)
        async def work() -> str:
            began.set()
            await go.wait()
            return "done"

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await looked_twice()
        go.set()
        await wire.ended()
        assert (wire.raised, wire.cancelling) == (None, 0)
        assert wire.body == b"done"

    async def test_a_body_still_being_read_is_not_taken_away(self) -> None:
        app, began, go = Oxidite(), asyncio.Event(), asyncio.Event()

        @app.post("/", cancel=True)
        async def read(request: Request) -> bytes:
            began.set()
            await go.wait()
            return await request.body()

        headers = [(b"content-length", b"4")]
        wire = Wire(app, "/", *chunks(b"ab", b"cd"), method="POST", headers=headers).start()
        await settled(began)
        await looked_twice()
        go.set()
        await wire.ended()
        assert wire.body == b"abcd"

    async def test_a_watched_get_can_still_ask_for_its_body(self) -> None:
        app, began, go = Oxidite(), asyncio.Event(), asyncio.Event()

        @app.get("/")
        async def read(request: Request) -> str:
            began.set()
            await go.wait()
            return repr(await request.body())

        wire = Wire(app).start()
        await settled(began)
        await looked_twice()
        assert wire.received == 2, "it is watched"
        go.set()
        await wire.ended()
        assert wire.body == b"b''"

    async def test_a_handler_that_swallows_it_does_no_harm(self) -> None:
        app, began = Oxidite(), asyncio.Event()

        @app.get("/")
        async def stubborn() -> str:
            began.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return "all the same"

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_one_that_swallows_it_may_write_to_nobody(self) -> None:
        app, began = Oxidite(), asyncio.Event()

        @app.get("/")
        async def stubborn() -> str:
            began.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return "all the same"

        wire = Wire(app)
        wire.before_send = _connection_lost
        wire.start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_one_that_turns_it_into_an_error_does_no_harm(self) -> None:
        app, began = Oxidite(debug=False), asyncio.Event()

        @app.get("/")
        async def translating() -> str:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as exc:
                raise RuntimeError("interrupted") from exc
            return "never"

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_a_clean_up_that_awaits_is_waited_for(self) -> None:
        app, began, log = Oxidite(), asyncio.Event(), list[str]()

        @app.get("/")
        async def tidy() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                for step in range(3):
                    await asyncio.sleep(0)
                    log.append(f"step {step}")

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert log == ["step 0", "step 1", "step 2"]
        assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_a_time_limit_in_the_handler_is_not_confused_with_it(self) -> None:
        app, began, got = Oxidite(), asyncio.Event(), list[type[BaseException]]()

        @app.get("/")
        async def limited() -> None:
            began.set()
            try:
                async with asyncio.timeout(60):
                    await asyncio.Event().wait()
            except BaseException as exc:
                got.append(type(exc))
                raise

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert got == [asyncio.CancelledError]
        assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_tasks_of_the_handler_end_with_it(self) -> None:
        app, began, ended = Oxidite(), asyncio.Event(), list[int]()

        @app.get("/")
        async def parallel() -> None:
            async def part(index: int) -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(index)

            async with asyncio.TaskGroup() as group:
                for index in range(3):
                    group.create_task(part(index))
                await asyncio.sleep(0)
                began.set()

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert sorted(ended) == [0, 1, 2]
        assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_a_thread_ends_by_itself_and_nobody_waits_for_it(self) -> None:
        app, began, go, ended = Oxidite(), threading.Event(), threading.Event(), threading.Event()

        @app.get("/")
        def blocking() -> str:
            began.set()
            go.wait(BOUND)
            ended.set()
            return "x"

        async with app.lifespan:
            wire = Wire(app).start()
            await asyncio.to_thread(began.wait, BOUND)
            wire.leave()
            await wire.ended()
            assert not ended.is_set()
            assert (wire.raised, wire.cancelling, wire.sent) == (None, 0, [])
            go.set()
        assert ended.is_set()

    async def test_the_cancel_of_the_server_is_the_servers(self) -> None:
        app, began, cleaned = Oxidite(), asyncio.Event(), list[str]()

        @app.get("/")
        async def wait(request: Request) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(f"gone={request.gone}")

        wire = Wire(app).start()
        await settled(began)
        assert wire.task is not None
        wire.task.cancel()
        await wire.ended()
        assert cleaned == ["gone=False"]
        assert isinstance(wire.raised, asyncio.CancelledError)
        assert wire.cancelling == 1

    async def test_the_cancel_of_the_server_is_not_lost_when_the_client_leaves_too(self) -> None:
        app, began, again = Oxidite(), asyncio.Event(), asyncio.Event()

        @app.get("/")
        async def wait() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                again.set()
                await asyncio.Event().wait()

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await settled(again)
        assert wire.task is not None
        wire.task.cancel()
        await wire.ended()
        assert isinstance(wire.raised, asyncio.CancelledError)
        assert wire.cancelling == 1

    async def test_the_disconnect_that_follows_an_answer_cancels_nothing(self) -> None:
        # Hypercorn says http.disconnect while the last message is still being written.
        app, began, go, log = Oxidite(), asyncio.Event(), asyncio.Event(), list[str]()

        @app.get("/")
        async def show() -> str:
            began.set()
            await go.wait()
            return "hello"

        @app.get("/stream")
        async def stream() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                began.set()
                await go.wait()
                yield b"hello"

            return StreamingResponse(produce())

        for path in ("/", "/stream"):
            began.clear()
            go.clear()
            log.clear()
            wire = Wire(app, path)

            async def flush(message: Message, wire: Wire = wire) -> None:
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    wire.leave()
                    try:
                        await looked_twice()
                    except asyncio.CancelledError:
                        log.append("cancelled in the middle of a write")
                        raise

            wire.before_send = flush
            wire.start()
            await settled(began)
            await looked_twice()  # it is watched by now
            go.set()
            await wire.ended()
            assert log == []
            assert wire.complete
            assert wire.body == b"hello"
            assert (wire.raised, wire.cancelling) == (None, 0)

    async def test_a_complete_answer_to_nobody_is_no_error(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        # ASGI 2.4: `send` raises OSError once the client has gone.
        app = Oxidite()

        @app.get("/")
        async def show() -> str:
            return "hello"

        for fails_at in ("http.response.start", "http.response.body"):
            wire = Wire(app)

            async def lost(message: Message, fails_at: str = fails_at) -> None:
                if message["type"] == fails_at:
                    raise BrokenPipeError

            wire.before_send = lost
            await wire.run()
        assert caplog.records == []

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_it_ends_a_stream_whatever_the_method(self, method: str) -> None:
        # POST too: a chat completion that nobody reads must not run on.
        app, began, closed = Oxidite(), asyncio.Event(), list[str]()

        @app.route("/", [method])
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                try:
                    yield b"first"
                    began.set()
                    await asyncio.Event().wait()
                finally:
                    closed.append("closed")

            return StreamingResponse(produce())

        wire = Wire(app, method=method).start()
        await settled(began)
        wire.leave()
        try:
            await wire.ended()
        except TimeoutError:
            assert wire.task is not None
            wire.task.cancel()
            pytest.fail("the stream ran on")
        assert closed == ["closed"]
        assert (wire.raised, wire.cancelling) == (None, 0)
        assert not wire.complete

    @pytest.mark.parametrize("kind", ["asynchronous", "plain"])
    async def test_it_ends_a_stream_that_never_waits(self, kind: str) -> None:
        # Servers drop what is sent to nobody, and return at once.
        app, ended = Oxidite(), list[str]()

        def numbers() -> Generator[bytes, None, None]:
            hang = perf() + BOUND
            try:
                while perf() < hang:
                    yield b"x"
                ended.append("ran on")
            finally:
                ended.append("closed")

        async def produce() -> AsyncIterator[bytes]:
            with contextlib.closing(numbers()) as found:
                for each in found:
                    yield each

        @app.get("/")
        async def show() -> Response:
            return StreamingResponse(produce() if kind == "asynchronous" else numbers())

        wire = Wire(app)
        wire.leave()
        await wire.run()
        assert ended == ["closed"]
        assert not wire.complete

    async def test_a_write_that_fails_ends_a_stream(self) -> None:
        app, closed = Oxidite(), list[str]()

        @app.get("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield b"x"
                except GeneratorExit:
                    closed.append("closed")
                    raise

            return StreamingResponse(produce())

        wire = Wire(app)

        async def lost(message: Message) -> None:
            if len(wire.sent) == 4:
                raise ConnectionResetError

        wire.before_send = lost
        await wire.run()
        assert closed == ["closed"]
        assert len(wire.sent) == 4

    async def test_a_write_that_fails_at_the_start_of_a_stream_closes_it(self) -> None:
        app, started = Oxidite(), list[str]()

        @app.get("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                started.append("started")
                yield b"x"

            return StreamingResponse(produce())

        wire = Wire(app)
        wire.before_send = _connection_lost
        await wire.run()
        assert started == []
        assert wire.sent == []

    async def test_no_watcher_is_left_behind(self) -> None:
        app, began = Oxidite(), asyncio.Event()

        @app.get("/")
        async def wait() -> None:
            began.set()
            await asyncio.Event().wait()

        before = asyncio.all_tasks()
        for _ in range(5):
            began.clear()
            wire = Wire(app).start()
            await settled(began)
            wire.leave()
            await wire.ended()
        async with asyncio.timeout(BOUND):
            while app.in_flight.loop is not None:  # noqa: ASYNC110 - its sleep is no event
                await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == before
        assert len(app.in_flight) == 0


def recorder(log: list[str], name: str) -> Callable[[], AsyncIterator[str]]:
    """Make a dependency that notes whether it was closed, and with what."""

    async def dependency() -> AsyncIterator[str]:
        try:
            yield name
        except BaseException as exc:
            log.append(f"{name} rolled back: {type(exc).__name__}")
            raise
        log.append(f"{name} committed")

    return dependency


class TestScopes:
    @pytest.mark.parametrize("scope", ["handler", "request", "stream"])
    async def test_a_cancelled_request_closes_what_it_opened_and_commits_nothing(
        self, scope: Any
    ) -> None:
        app, log, began = Oxidite(), list[str](), asyncio.Event()

        @app.get("/")
        async def wait(value: str = Depends(recorder(log, "it"), scope=scope)) -> None:
            began.set()
            await asyncio.Event().wait()

        wire = Wire(app).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        assert log == ["it rolled back: CancelledError"]
        assert (wire.raised, wire.cancelling) == (None, 0)

    @pytest.mark.parametrize("scope", ["handler", "request", "stream"])
    async def test_a_request_that_the_server_cancels_commits_nothing(self, scope: Any) -> None:
        app, log, began = Oxidite(), list[str](), asyncio.Event()

        @app.post("/")
        async def wait(value: str = Depends(recorder(log, "it"), scope=scope)) -> None:
            began.set()
            await asyncio.Event().wait()

        wire = Wire(app, method="POST").start()
        await settled(began)
        assert wire.task is not None
        wire.task.cancel()
        await wire.ended()
        assert log == ["it rolled back: CancelledError"]

    async def test_they_end_in_order_after_handler_response_and_last_byte(self) -> None:
        app, log = Oxidite(), list[str]()

        @app.get("/")
        async def show(
            a: str = Depends(recorder(log, "stream"), scope="stream"),
            b: str = Depends(recorder(log, "request"), scope="request"),
            c: str = Depends(recorder(log, "handler"), scope="handler"),
        ) -> str:
            log.append("returned")
            return "x"

        wire = Wire(app)

        async def note(message: Message) -> None:
            log.append(message["type"])

        wire.before_send = note
        await wire.run()
        assert log == [
            "returned",
            "handler committed",
            "request committed",
            "http.response.start",
            "http.response.body",
            "stream committed",
        ]

    async def test_a_stream_keeps_what_it_uses_until_its_end(self) -> None:
        app, log = Oxidite(), list[str]()

        @app.get("/")
        async def show(
            a: str = Depends(recorder(log, "stream"), scope="stream"),
            b: str = Depends(recorder(log, "request"), scope="request"),
            c: str = Depends(recorder(log, "handler"), scope="handler"),
        ) -> Response:
            async def produce() -> AsyncIterator[bytes]:
                yield b"x"
                log.append("last chunk")

            return StreamingResponse(produce())

        await Wire(app).run()
        assert log == ["handler committed", "last chunk", "request committed", "stream committed"]

    @pytest.mark.parametrize("scope", ["request", "stream"])
    async def test_a_stream_that_raises_commits_nothing(self, scope: Any) -> None:
        app, log = Oxidite(debug=False), list[str]()

        @app.get("/")
        async def show(a: str = Depends(recorder(log, "it"), scope=scope)) -> Response:
            async def produce() -> AsyncIterator[bytes]:
                yield b"x"
                raise ValueError("midway")

            return StreamingResponse(produce())

        wire = await Wire(app).start().ended()
        assert isinstance(wire.raised, ValueError)
        assert log == ["it rolled back: ValueError"]

    @pytest.mark.parametrize("scope", ["request", "stream"])
    async def test_a_stream_that_nobody_reads_any_more_closes_what_it_uses(
        self, scope: Any
    ) -> None:
        app, log = Oxidite(debug=False), list[str]()

        @app.get("/")
        async def show(a: str = Depends(recorder(log, "it"), scope=scope)) -> Response:
            async def produce() -> AsyncIterator[bytes]:
                while True:
                    yield b"x"

            return StreamingResponse(produce())

        wire = Wire(app)

        async def lost(message: Message) -> None:
            if len(wire.sent) == 2:
                raise ConnectionResetError

        wire.before_send = lost
        await wire.run()
        assert len(log) == 1

    @pytest.mark.parametrize("answer", ["complete", "stream"])
    async def test_a_clean_up_that_fails_late_keeps_no_other_from_running(
        self, answer: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        app, log = Oxidite(debug=False), list[str]()

        async def failing() -> AsyncIterator[int]:
            yield 1
            raise ValueError("clean-up failed")

        @app.get("/")
        async def show(
            request: Request,
            a: str = Depends(recorder(log, "stream"), scope="stream"),
            b: int = Depends(failing, scope="request" if answer == "stream" else "stream"),
        ) -> Response:
            request.after_response(log.append, "after")
            return StreamingResponse([b"x"]) if answer == "stream" else Response(b"x")

        async with app.running():
            wire = await Wire(app).start().ended()
        assert wire.complete
        assert wire.body == b"x"
        assert sorted(entry.split()[0] for entry in log) == ["after", "stream"]
        assert "clean-up failed" in caplog.text + str(wire.raised)

    async def test_a_dependency_of_one_call_is_made_anew_for_the_next(self) -> None:
        # A middleware that tries again must not hand the handler what was closed.
        async def twice(request: Request, call_next: Handler) -> Response:
            await call_next(request)
            return await call_next(request)

        app, log = Oxidite(middleware=[twice]), list[str]()

        @app.get("/")
        async def show(a: str = Depends(recorder(log, "session"), scope="handler")) -> str:
            log.append("used")
            return a

        await Wire(app).run()
        assert log == ["used", "session committed", "used", "session committed"]


class TestAfterResponse:
    async def test_it_runs_after_the_last_byte_in_order(self) -> None:
        app, log, done = Oxidite(), list[str](), asyncio.Event()

        async def later(what: str) -> None:
            await asyncio.sleep(0)
            log.append(what)

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(later, "one")
            request.after_response(log.append, "two")
            request.after_response(later, what="three")
            request.after_response(done.set)
            log.append("returned")
            return "x"

        wire = Wire(app)

        async def note(message: Message) -> None:
            log.append(message["type"])

        wire.before_send = note
        await wire.run()
        await settled(done)
        assert log == [
            "returned",
            "http.response.start",
            "http.response.body",
            "one",
            "two",
            "three",
        ]

    async def test_it_does_not_hold_up_the_server(self) -> None:
        app, go, done = Oxidite(), asyncio.Event(), asyncio.Event()

        async def later() -> None:
            await go.wait()
            done.set()

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(later)
            return "x"

        await Wire(app).run()
        assert not done.is_set()
        go.set()
        await settled(done)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_it_survives_a_client_that_leaves(self, method: str) -> None:
        app, began, go, done = Oxidite(), asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def later() -> None:
            await go.wait()
            done.set()

        @app.route("/", [method], cancel=True)
        async def show(request: Request) -> None:
            request.after_response(later)
            await request.body()
            began.set()
            await asyncio.Event().wait()

        wire = Wire(app, method=method).start()
        await settled(began)
        wire.leave()
        await wire.ended()
        await looked_twice()
        go.set()
        await settled(done)

    async def test_a_failure_is_logged_and_does_not_stop_the_rest(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        app, done = Oxidite(), asyncio.Event()

        async def broken() -> None:
            raise ValueError("mail server away")

        def broken_at_once() -> None:
            raise KeyError("no such user")

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(broken)
            request.after_response(broken_at_once)
            request.after_response(done.set)
            return "x"

        assert (await Wire(app).run()).status == 200
        await settled(done)
        assert "mail server away" in caplog.text
        assert "no such user" in caplog.text

    async def test_work_may_leave_more_work(self) -> None:
        app, done = Oxidite(), asyncio.Event()

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(request.after_response, done.set)
            return "x"

        await Wire(app).run()
        await settled(done)

    async def test_middleware_may_leave_work_for_an_answer_of_its_own(self) -> None:
        done = asyncio.Event()

        async def short(request: Request, call_next: Handler) -> Response:
            request.after_response(done.set)
            return TextResponse("short")

        await Wire(Oxidite(middleware=[short])).run()
        await settled(done)

    async def test_shutdown_waits_for_it_while_the_resources_are_open(self) -> None:
        log, go = list[str](), asyncio.Event()

        class Database:
            async def __aenter__(self) -> Database:
                log.append("open")
                return self

            async def __aexit__(self, *exc_info: object) -> None:
                log.append("closed")

        app = Oxidite(resources=[Database()])

        async def later() -> None:
            await go.wait()
            log.append("worked")

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(later)
            return "x"

        async with app.running():
            await Wire(app).run()
            asyncio.get_running_loop().call_soon(go.set)
        assert log == ["open", "worked", "closed"]

    async def test_shutdown_does_not_wait_for_ever(self, caplog: pytest.LogCaptureFixture) -> None:
        app, cancelled = Oxidite(), asyncio.Event()
        app.background.grace = 0.01

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(endless)
            return "x"

        async with asyncio.timeout(BOUND):
            async with app.running():
                await Wire(app).run()
        assert cancelled.is_set()
        assert "did not end in time" in caplog.text


class TestLifespan:
    async def talk(self, app: Oxidite) -> list[Message]:
        sent, messages = list[Message](), ["lifespan.startup", "lifespan.shutdown"]

        async def receive() -> Message:
            return {"type": messages.pop(0)}

        async def send(message: Message) -> None:
            sent.append(message)
            if message["type"] == "lifespan.startup.complete":
                assert app.lifespan.is_open

        async with asyncio.timeout(BOUND):
            await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
        assert not app.lifespan.is_open
        return sent

    async def test_it_starts_and_stops_and_starts_again(self) -> None:
        app = Oxidite()
        for _ in range(2):
            assert await self.talk(app) == [
                {"type": "lifespan.startup.complete"},
                {"type": "lifespan.shutdown.complete"},
            ]

    async def test_a_failed_start_is_told_and_what_was_open_is_closed(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = list[str]()
        app = Oxidite(resources=[Noting(log, "a"), Noting(log, "b", fail_at="open")])
        (message,) = await self.talk(app)
        assert message["type"] == "lifespan.startup.failed"
        assert message["message"] == "RuntimeError: b fails to open"
        assert log == ["a open", "a close"]
        assert "startup failed" in caplog.text

    async def test_a_mistake_is_told_without_a_traceback(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(missing: Noting) -> None:
            """Ask for a resource that nobody added."""

        await self.talk(app)
        [record] = [each for each in caplog.records if each.levelname == "ERROR"]
        assert record.getMessage().startswith("startup failed: tests/unit/protocols/test_asgi.py:")
        assert record.exc_info is None

    async def test_a_failed_stop_is_told_and_the_rest_is_closed(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = list[str]()
        app = Oxidite(resources=[Noting(log, "a"), Noting(log, "b", fail_at="close")])
        complete, failed = await self.talk(app)
        assert complete["type"] == "lifespan.startup.complete"
        assert failed["type"] == "lifespan.shutdown.failed"
        assert failed["message"] == "RuntimeError: b fails to close"
        assert log == ["a open", "b open", "a close"]
        assert "shutdown failed" in caplog.text

    async def test_a_route_that_cannot_work_keeps_it_from_starting(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(missing: Noting) -> None:
            """Ask for a resource that nobody added."""

        (message,) = await self.talk(app)
        assert message["type"] == "lifespan.startup.failed"
        assert "RouteError" in message["message"]
        assert "'missing'" in message["message"]

    async def test_requests_are_answered_without_it(self) -> None:
        # `uvicorn --lifespan off`
        app, done = Oxidite(), asyncio.Event()

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(done.set)
            return "x"

        assert (await Wire(app).run()).body == b"x"
        await settled(done)


class Noting:
    """A resource that notes when it is opened and closed."""

    def __init__(self, log: list[str], name: str, *, fail_at: str = "") -> None:
        self.log = log
        self.name = name
        self.fail_at = fail_at

    async def __aenter__(self) -> Noting:
        self.note("open")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.note("close")

    def note(self, what: str) -> None:
        if self.fail_at == what:
            raise RuntimeError(f"{self.name} fails to {what}")
        self.log.append(f"{self.name} {what}")


class TestWebSocket:
    def wire(self, app: Oxidite, path: str) -> Wire:
        wire = Wire(app, path, {"type": "websocket.connect"}, type="websocket", scheme="ws")
        del wire.scope["method"]
        del wire.scope["http_version"]
        return wire

    async def test_it_is_refused_where_nothing_is_mounted(self) -> None:
        wire = await self.wire(Oxidite(), "/nowhere").run()
        assert [message["type"] for message in wire.sent] == ["websocket.close"]

    async def test_it_does_not_run_the_handler_of_a_page(self) -> None:
        app, log = Oxidite(), list[str]()

        @app.get("/")
        async def page(value: str = Depends(recorder(log, "it"))) -> str:
            log.append("ran")
            return "x"

        wire = await self.wire(app, "/").run()
        assert [message["type"] for message in wire.sent] == ["websocket.close"]
        assert log == []

    async def test_it_leaves_nothing_open_and_no_work_undone(self) -> None:
        done = asyncio.Event()

        async def note(request: Request, call_next: Handler) -> Response:
            request.after_response(done.set)
            return await call_next(request)

        await self.wire(Oxidite(middleware=[note]), "/").run()
        await settled(done)


def test_an_application_can_be_used_in_one_event_loop_after_another() -> None:
    # As a module-level application is in a test suite: what watches must not stay with the first.
    app, cancelled = Oxidite(), list[bool]()

    async def ask() -> None:
        began = asyncio.Event()
        app.lifespan.override(asyncio.Event, began)
        async with app.running():
            wire = Wire(app).start()
            await settled(began)
            wire.leave()
            try:
                await wire.ended()
            except TimeoutError:
                assert wire.task is not None
                wire.task.cancel()

    @app.get("/")
    async def wait(request: Request) -> None:
        request.resources.get(asyncio.Event).set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(request.gone)

    for _ in range(2):
        asyncio.run(ask())
    assert cancelled == [True, True]
