"""WSGI applications mounted in an ASGI one: what they are told, what they may do, when they end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, MutableMapping
from typing import Any, cast
from wsgiref.simple_server import demo_app
from wsgiref.types import StartResponse, WSGIApplication
from wsgiref.validate import validator

import pytest

from oxidite import Oxidite
from oxidite.errors import ConfigError
from oxidite.protocols.wsgi import WSGI
from oxidite.testing.client import Client

Message = MutableMapping[str, Any]
Environ = dict[str, Any]
OK = "200 OK"


class Server:
    """The server's side of one request: gives ``body`` in pieces, keeps what is sent."""

    def __init__(self, *, body: Iterable[bytes] = (b"",), **scope: object) -> None:
        self.scope: Message = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/",
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "client": ("203.0.113.9", 50000),
            "server": ("example.com", 8080),
            **scope,
        }
        self.sent: list[Message] = []
        self.received = 0
        self.gone = asyncio.Event()
        self.arrived = asyncio.Event()
        """Set when something was sent."""
        self.reached = asyncio.Event()
        """Set when something is about to be sent, or waits to be."""
        self.writable = asyncio.Event()
        self.writable.set()
        self._body = list(body)

    async def receive(self) -> Message:
        if self._body and not self.gone.is_set():
            self.received += 1
            chunk = self._body.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._body)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.reached.set()
        await self.writable.wait()
        self.sent.append(message)
        self.arrived.set()

    async def run(self, app: WSGI) -> Server:
        async with asyncio.timeout(20):
            await app(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return cast("int", self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        assert [each["type"] for each in self.sent[1:]] == ["http.response.body"] * (
            len(self.sent) - 1
        )
        assert [each["more_body"] for each in self.sent[1:]] == [True] * (len(self.sent) - 2) + [
            False
        ]
        return b"".join(each["body"] for each in self.sent[1:])


@contextlib.asynccontextmanager
async def running(app: WSGIApplication, *, threads: int = 10) -> AsyncIterator[WSGI]:
    """An application with its lifespan, so that its threads end with the test."""
    wsgi = WSGI(app, threads=threads)
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.create_task(wsgi({"type": "lifespan"}, to_app.get, from_app.put))
    async with asyncio.timeout(30):
        await to_app.put({"type": "lifespan.startup"})
        assert (await from_app.get())["type"] == "lifespan.startup.complete"
        yield wsgi
        await to_app.put({"type": "lifespan.shutdown"})
        assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
        await task


async def ask(app: WSGIApplication, **scope: Any) -> Server:
    server = Server(**scope)
    async with running(app) as wsgi:
        return await server.run(wsgi)


async def environ_for(**scope: Any) -> Environ:
    """What an application is told of a request."""
    told: Environ = {}

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        told.update(environ)
        start_response(OK, [])
        return []

    await ask(app, **scope)
    return told


def answering(
    *chunks: bytes, status: str = OK, headers: Iterable[tuple[str, str]] = ()
) -> WSGIApplication:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, list(headers))
        return iter(chunks)

    return app


class Chunks:
    """An iterable that knows whether it was closed, and how far it came."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.made = 0
        self.second = threading.Event()
        """Set when the second chunk was asked for."""
        self.closed = threading.Event()
        self.times_closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.made += 1
            if self.made == 2:
                self.second.set()
            yield chunk

    def close(self) -> None:
        self.times_closed += 1
        self.closed.set()


def returning(chunks: Chunks) -> WSGIApplication:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(OK, [("Content-Type", "text/plain")])
        return chunks

    return app


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 1000


# Whole applications.


async def test_the_demonstration_application_of_the_standard_library_answers() -> None:
    server = await ask(cast("WSGIApplication", demo_app), path="/demo", query_string=b"a=1")

    assert server.status == 200
    assert server.headers["content-type"] == "text/plain; charset=utf-8"
    assert server.body.startswith(b"Hello world!")
    assert b"PATH_INFO = '/demo'" in server.body
    assert b"QUERY_STRING = 'a=1'" in server.body


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
async def test_the_validator_of_the_standard_library_has_no_complaint(method: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        lines = [body.readline(), body.read(3), *body]
        environ["wsgi.errors"].write("")
        environ["wsgi.errors"].flush()
        write = start_response(OK, [("Content-Type", "text/plain")])
        write(b"first ")
        return [b"|".join(lines)]

    server = await ask(
        validator(app),
        method=method,
        path="/legacy/säge",
        root_path="/legacy",
        body=(b"one\ntw", b"o\nthree\n", b"four"),
        headers=[(b"content-type", b"text/plain"), (b"content-length", b"17"), (b"host", b"a")],
    )

    expected = b"" if method == "HEAD" else b"first one\n|two|\n|three\n|four"
    assert server.body == expected


async def test_an_application_can_be_mounted() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("201 Created", [("Content-Type", "text/plain"), ("X-Old", "1")])
        told = [environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["QUERY_STRING"]]
        return ["|".join(told).encode("latin-1"), b"|", environ["wsgi.input"].read(100)]

    outer = Oxidite()
    outer.mount("/legacy", WSGI(validator(app)))

    async with Client(outer) as client:
        response = await client.post("/legacy/caf%C3%A9/x?q=1", content=b"hello")

    assert response.status_code == 201
    assert response.headers["x-old"] == "1"
    assert response.text == "/legacy|/café/x|q=1|hello"


async def test_it_runs_without_the_lifespan_protocol() -> None:
    wsgi = WSGI(answering(b"hello"))
    server = await Server().run(wsgi)
    await wsgi._pool.__aexit__(None, None, None)

    assert server.body == b"hello"


# What the application is told.


async def test_the_path_is_told_as_latin_1_below_the_mount() -> None:
    environ = await environ_for(root_path="/alt/ä", path="/alt/ä/café/x y")

    assert environ["SCRIPT_NAME"].encode("latin-1").decode() == "/alt/ä"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/café/x y"


@pytest.mark.parametrize(
    ("root_path", "path", "script_name", "path_info"),
    [
        ("", "/", "", "/"),
        ("/a", "/a", "/a", ""),
        ("/a", "/a/", "/a", "/"),
        ("/a/", "/a/b", "/a", "/b"),
        ("/", "/b", "", "/b"),
        ("/a", "/b", "/a", "/b"),
        ("/a", "/ab", "/a", "/ab"),
    ],
)
async def test_script_name_and_path_info_make_the_path(
    root_path: str, path: str, script_name: str, path_info: str
) -> None:
    environ = await environ_for(root_path=root_path, path=path)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


async def test_header_fields_are_joined() -> None:
    environ = await environ_for(
        headers=[
            (b"host", b"example.com"),
            (b"Accept", b"text/html"),
            (b"accept", b"text/plain"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"x-umlaut", b"\xe4"),
            (b"content-type", b"text/plain"),
            (b"content-length", b"0"),
        ]
    )

    assert environ["HTTP_HOST"] == "example.com"
    assert environ["HTTP_ACCEPT"] == "text/html,text/plain"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_UMLAUT"] == "ä"
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["CONTENT_LENGTH"] == "0"
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


async def test_fields_that_would_pass_for_others_are_left_out() -> None:
    environ = await environ_for(
        headers=[(b"x-real-ip", b"1"), (b"x_real_ip", b"2"), (b"proxy", b"http://evil.example")]
    )

    assert environ["HTTP_X_REAL_IP"] == "1"
    assert "HTTP_PROXY" not in environ


async def test_without_a_body_no_length_is_told() -> None:
    environ = await environ_for()

    assert "CONTENT_LENGTH" not in environ
    assert "CONTENT_TYPE" not in environ
    assert environ["wsgi.input_terminated"] is True


async def test_both_ends_of_the_connection_are_told() -> None:
    environ = await environ_for(scheme="https", http_version="2")

    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PROTOCOL"] == "HTTP/2"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("example.com", "8080")
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("203.0.113.9", "50000")


@pytest.mark.parametrize(
    ("server", "scheme", "port"),
    [(None, "http", "80"), (None, "https", "443"), (("/run/app.sock", None), "http", "80")],
)
async def test_a_socket_without_an_address_has_a_name_nevertheless(
    server: object, scheme: str, port: str
) -> None:
    environ = await environ_for(server=server, scheme=scheme, client=None)

    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", port)
    assert "REMOTE_ADDR" not in environ


async def test_context_variables_of_the_request_are_seen() -> None:
    user = contextvars.ContextVar("user", default="nobody")

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(OK, [])
        return (name.encode() for name in [user.get()])

    async with running(app) as wsgi:
        user.set("ann")
        server = await Server().run(wsgi)

    assert server.body == b"ann"


# The request's body.


async def test_the_body_is_read_in_every_way_a_file_is() -> None:
    got: list[object] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body: io.BufferedReader = environ["wsgi.input"]
        got.extend((body.read(2), body.readline(), body.readline(2), body.readlines(1)))
        got.extend((list(body), body.read(), body.read(1), body.readline()))
        start_response(OK, [])
        return []

    await ask(app, body=(b"a", b"", b"bc\n", b"line\nx", b"y\nlast", b""))

    assert got == [b"ab", b"c\n", b"li", [b"ne\n"], [b"xy\n", b"last"], b"", b"", b""]


async def test_the_body_is_pulled_as_it_is_read() -> None:
    step, read = threading.Semaphore(0), threading.Semaphore(0)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        for _ in range(3):
            step.acquire()
            environ["wsgi.input"].read(1000)
            read.release()
        start_response(OK, [])
        return []

    server = Server(body=[b"x" * 1000] * 1000, method="POST")
    async with running(app) as wsgi:
        task = asyncio.create_task(server.run(wsgi))
        for number in range(1, 4):
            step.release()
            await asyncio.to_thread(read.acquire)
            # What was read, what waits to be, and what waits for the place of that.
            assert server.received <= number + 2
        await task

    assert server.received <= 5


async def test_a_body_that_is_not_read_is_not_asked_for() -> None:
    # To ask is to send 100-continue: the client would send what nobody wants.
    server = await ask(answering(status="413 Too Large"), body=[b"x"] * 100)

    assert server.received == 0
    assert server.status == 413


async def test_a_large_chunk_is_read_in_linear_time() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        size = sum(len(line) for line in environ["wsgi.input"])
        start_response(OK, [])
        return [str(size).encode()]

    server = await ask(app, body=[b"0123456\n" * 4_000_000])

    assert server.body == b"32000000"


async def test_a_client_that_leaves_half_way_fails_the_read() -> None:
    got: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as exc:
            got.append(exc)
            raise
        raise AssertionError("there was more to come")

    server = Server(method="POST")
    pieces = iter([b"x", b"y"])

    async def receive() -> Message:
        for piece in pieces:
            return {"type": "http.request", "body": piece, "more_body": True}
        return {"type": "http.disconnect"}

    async with running(app) as wsgi:
        await wsgi(server.scope, receive, server.send)

    assert isinstance(got[0], ConnectionError)
    assert server.sent == []


# The response.


async def test_status_and_headers_are_passed_on() -> None:
    headers = [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=ä")]
    server = await ask(answering(b"x", status="418 I'm a teapot", headers=headers))

    assert server.status == 418
    assert server.sent[0]["headers"] == [
        (b"content-type", b"text/plain"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", "b=ä".encode("latin-1")),
    ]


async def test_a_status_may_come_without_its_phrase() -> None:
    assert (await ask(answering(status="202"))).status == 202


async def test_fields_about_the_connection_are_the_servers() -> None:
    headers = [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "1")]
    server = await ask(answering(b"x", headers=headers))

    assert server.headers == {}


async def test_a_body_in_one_piece_has_its_length() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(OK, [])
        return [b"hello"]

    server = await ask(app)

    assert server.headers == {"content-length": "5"}
    assert [each["type"] for each in server.sent] == ["http.response.start", "http.response.body"]


async def test_no_body_at_all_has_length_zero() -> None:
    server = await ask(answering())

    assert server.headers == {"content-length": "0"}
    assert server.body == b""


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_a_body_stays_without(status: str) -> None:
    server = await ask(answering(b"not to be sent", status=status))

    assert server.headers == {}
    assert server.body == b""


@pytest.mark.parametrize("fields", [[], [("Content-Length", "14")]])
async def test_reset_content_has_a_length_of_zero(fields: list[tuple[str, str]]) -> None:
    server = await ask(answering(b"not to be sent", status="205 Reset Content", headers=fields))

    assert server.headers == {"content-length": "0"}
    assert server.body == b""


async def test_a_body_of_an_unknown_length_is_streamed() -> None:
    server = await ask(answering(b"one", b"", b"two"))

    assert server.headers == {}
    assert [each["body"] for each in server.sent[1:]] == [b"one", b"two", b""]


async def test_write_sends_at_once_and_before_what_is_returned() -> None:
    seen: list[int] = []
    server = Server()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response(OK, [])
        write(b"one ")
        seen.append(len(server.sent))
        write(b"two ")
        seen.append(len(server.sent))
        return [b"three"]

    async with running(app) as wsgi:
        await server.run(wsgi)

    assert seen == [2, 3]
    assert server.body == b"one two three"


async def test_head_has_the_headers_and_stops_the_application() -> None:
    chunks = Chunks(endless())

    server = await ask(returning(chunks), method="HEAD")

    assert server.headers == {"content-type": "text/plain"}
    assert server.body == b""
    assert (chunks.made, chunks.times_closed) == (1, 1)


async def test_head_keeps_the_length_of_what_get_would_send() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(OK, [("Content-Length", "5")] if environ["PATH_INFO"] == "/own" else [])
        return [b"hello"]

    for path in ("/own", "/counted"):
        server = await ask(app, method="HEAD", path=path)
        assert server.headers == {"content-length": "5"}
        assert server.body == b""


async def test_writing_to_an_answer_without_a_body_does_nothing() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response(OK, [])
        write(b"one")
        write(b"two")
        return [b"three"]

    assert (await ask(app, method="HEAD")).body == b""


async def test_the_application_waits_until_its_bytes_were_sent() -> None:
    chunks = Chunks(b"x" * 100_000 for _ in range(100))
    server = Server()
    async with running(returning(chunks)) as wsgi:
        server.writable.clear()
        task = asyncio.create_task(server.run(wsgi))
        await server.reached.wait()
        assert not await asyncio.to_thread(chunks.second.wait, 0.1)
        server.writable.set()
        await task

    assert chunks.made == 100
    assert len(server.body) == 10_000_000


# Replacing an answer, and failing.


async def test_an_answer_can_be_replaced_before_it_was_sent() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(OK, [("X-First", "1")])
        try:
            raise ValueError("half-way")
        except ValueError as exc:
            info = (ValueError, exc, exc.__traceback__)
            start_response("500 Oops", [("X-Second", "1")], info)  # type: ignore[arg-type]
        return [b"sorry"]

    server = await ask(app)

    assert server.status == 500
    assert server.headers == {"x-second": "1", "content-length": "5"}


async def test_replacing_an_answer_too_late_raises_the_original_error() -> None:
    chunks = Chunks([])

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response(OK, [])
        write(b"sent")
        try:
            raise ValueError("half-way")
        except ValueError as exc:
            info = (ValueError, exc, exc.__traceback__)
            start_response("500 Oops", [], info)  # type: ignore[arg-type]
        return chunks

    server = Server()
    async with running(app) as wsgi:
        with pytest.raises(ValueError, match="half-way"):
            await server.run(wsgi)

    assert server.sent[-1]["more_body"] is True


def _twice(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response(OK, [])
    start_response(OK, [])
    return []


def _never(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return [b"x"]


def _text(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response(OK, [])
    return ["text"]  # type: ignore[list-item]


def _exit(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise SystemExit(1)


def _stop(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise StopIteration


def _cancel(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("app", "error", "message"),
    [
        (_twice, RuntimeError, "start_response was called twice"),
        (_never, RuntimeError, "without calling start_response"),
        (_text, TypeError, "sends bytes, not str"),
        (_exit, RuntimeError, "raised SystemExit"),
        (_stop, RuntimeError, "raised StopIteration"),
        (_cancel, RuntimeError, "raised CancelledError"),
        (answering(status="OK"), ValueError, "'OK' is not a status"),
        (answering(status="100 Continue"), ValueError, "is not a status"),
        (answering(status="200 OK\r\nX: 1"), ValueError, "is not a status"),
        (answering(headers=[("X", "a\r\nY: b")]), ValueError, "may not contain"),
        (answering(headers=[("X\r\nY", "a")]), ValueError, "not a header name"),
        (answering(headers=[("X", "\u20ac")]), ValueError, "may not contain"),
        (answering(b"123", headers=[("Content-Length", "2")]), RuntimeError, "more bytes than"),
    ],
)
async def test_an_application_that_breaks_the_rules_fails_before_anything_is_sent(
    app: WSGIApplication, error: type[Exception], message: str
) -> None:
    server = Server()
    async with running(app) as wsgi:
        with pytest.raises(error, match=message):
            await server.run(wsgi)

    assert server.sent == []


@pytest.mark.parametrize("chunks", [[b"1"], [b"12", b"3"]])
async def test_an_answer_is_held_to_the_length_it_announced(chunks: list[bytes]) -> None:
    server = Server()
    async with running(answering(*chunks, headers=[("Content-Length", "2")])) as wsgi:
        with pytest.raises(RuntimeError, match="Content-Length 2"):
            await server.run(wsgi)

    assert server.sent[-1]["more_body"] is True  # the connection is cut, not ended


async def test_an_exception_before_the_first_byte_leaves_the_answer_to_others() -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(OK, [])
        raise KeyError("early")

    server = Server()
    async with running(app) as wsgi:
        with pytest.raises(KeyError, match="early"):
            await server.run(wsgi)

    assert server.sent == []


async def test_an_exception_after_the_first_byte_cuts_the_answer_and_closes() -> None:
    def fail() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("late")

    chunks = Chunks(fail())
    server = Server()
    async with running(returning(chunks)) as wsgi:
        with pytest.raises(KeyError, match="late"):
            await server.run(wsgi)

    assert [each.get("more_body") for each in server.sent] == [None, True]
    assert chunks.times_closed == 1


async def test_close_is_called_once_after_a_whole_answer() -> None:
    chunks = Chunks([b"one", b"two"])

    await ask(returning(chunks))

    assert chunks.times_closed == 1


async def test_an_error_of_send_reaches_the_application_and_closes() -> None:
    chunks = Chunks(endless())
    server = Server()

    async def refuse(message: Message) -> None:
        raise ValueError("the protocol does not allow this")

    async with running(returning(chunks)) as wsgi:
        with pytest.raises(ValueError, match="does not allow this"):
            await wsgi(server.scope, server.receive, refuse)

    assert chunks.times_closed == 1


# Clients that go away, servers that stop.


async def test_a_client_that_leaves_stops_the_application_and_closes() -> None:
    chunks = Chunks(endless())
    server = Server()
    async with running(returning(chunks)) as wsgi:
        task = asyncio.create_task(server.run(wsgi))
        await server.arrived.wait()
        server.gone.set()
        await task

    assert chunks.times_closed == 1


class Pausing(Chunks):
    """Two chunks, and between them work that nobody can interrupt."""

    def __init__(self) -> None:
        super().__init__([b"one", b"two", b"three"])
        self.resume = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in super().__iter__():
            if self.made == 2:
                self.resume.wait(10)
            yield chunk


async def test_a_busy_application_ends_at_its_next_write_after_the_client_left() -> None:
    chunks = Pausing()
    server = Server()
    async with running(returning(chunks)) as wsgi:
        task = asyncio.create_task(server.run(wsgi))
        await server.arrived.wait()
        server.gone.set()
        await asyncio.sleep(0.05)  # the loop hears of it; the thread cannot yet
        chunks.resume.set()
        await task

    assert chunks.made == 2
    assert chunks.times_closed == 1


def test_a_busy_application_ends_at_its_next_write_after_the_loop_ended() -> None:
    chunks = Pausing()
    wsgi = WSGI(returning(chunks))

    async def serve() -> None:
        server = Server()
        task = asyncio.create_task(server.run(wsgi))
        await server.arrived.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(serve())
    chunks.resume.set()

    assert chunks.closed.wait(10)
    assert chunks.made == 2
    asyncio.run(wsgi._pool.__aexit__(None, None, None))


async def test_a_server_that_says_so_when_sending_stops_the_application_too() -> None:
    chunks = Chunks(endless())
    server = Server()

    async def send(message: Message) -> None:
        if len(server.sent) > 3:
            raise BrokenPipeError
        await server.send(message)

    async with running(returning(chunks)) as wsgi:
        await wsgi(server.scope, server.receive, send)

    assert chunks.times_closed == 1


async def test_cancelling_the_request_stops_the_application() -> None:
    chunks = Chunks(endless())
    server = Server()
    async with running(returning(chunks)) as wsgi:
        task = asyncio.create_task(server.run(wsgi))
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(chunks.closed.wait, 10)

    assert chunks.times_closed == 1


async def test_shutdown_ends_threads_that_wait_for_a_client() -> None:
    ended = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        finally:
            ended.set()
        return []

    asked = asyncio.Event()

    async def receive() -> Message:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    server = Server(method="POST")
    async with running(app) as wsgi:
        task = asyncio.create_task(wsgi(server.scope, receive, server.send))
        await asked.wait()
    await task

    assert ended.is_set()
    assert server.sent == []


async def test_shutdown_ends_threads_that_wait_for_a_slow_reader() -> None:
    chunks = Chunks(endless())
    server = Server()
    async with running(returning(chunks)) as wsgi:
        server.writable.clear()
        task = asyncio.create_task(server.run(wsgi))
        await server.reached.wait()
    server.writable.set()
    await task

    assert chunks.times_closed == 1


async def test_no_more_requests_run_at_once_than_there_are_threads() -> None:
    lock, barrier = threading.Lock(), threading.Barrier(3)
    now = most = 0

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        barrier.wait(timeout=10)  # passes when three are here, so three do run at once
        with lock:
            now -= 1
        start_response(OK, [])
        return [threading.current_thread().name.encode()]

    async with running(app, threads=3) as wsgi:
        servers = await asyncio.gather(*(Server().run(wsgi) for _ in range(9)))

    assert most <= 3
    assert len({server.body for server in servers}) <= 3


async def test_threads_end_with_the_lifespan() -> None:
    names: list[threading.Thread] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        names.append(threading.current_thread())
        start_response(OK, [])
        return []

    await ask(app)

    assert not names[0].is_alive()


# What it is not.


async def test_a_websocket_is_refused() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await WSGI(answering())({"type": "websocket"}, receive, send)

    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_another_kind_of_connection_is_an_error() -> None:
    server = Server(type="telepathy")
    with pytest.raises(ValueError, match="telepathy"):
        await server.run(WSGI(answering()))


@pytest.mark.parametrize("make", [lambda: WSGI(cast("Any", 7)), lambda: WSGI(_text, threads=0)])
def test_what_cannot_run_is_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()
