"""ASGI 3: scope, receive and send to a Request and from a Response; lifespan; mounted applications.

https://asgi.readthedocs.io/en/stable/specs/www.html, HTTP message format 2.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from oxidite.clock import perf
from oxidite.errors import PayloadTooLargeError
from oxidite.http.body import ClientDisconnectError, content_length, limited, read_all
from oxidite.http.headers import Headers
from oxidite.http.negotiation import parse_content_type
from oxidite.http.request import Address, Request
from oxidite.http.response import (
    MountedResponse,
    Response,
    StoredResponse,
    StreamingResponse,
    stopping,
)
from oxidite.protocols.base import (
    Application,
    cancelled_elsewhere,
    end,
    given_up,
    log_failure,
    prepared,
    too_slow_error,
)
from oxidite.protocols.forwarded import PROXIES, forwarded
from oxidite.protocols.inflight import SWEEP, BodyPace, InFlight, current_task
from oxidite.protocols.readahead import ReadAhead

__all__ = [
    "ASGIRequest",
    "Message",
    "Receive",
    "Send",
    "fields_of",
    "request_of",
    "run_mounted",
    "serve_asgi",
]


Message: TypeAlias = MutableMapping[str, Any]  # the formats of ASGI are open dictionaries
"""A message of ASGI, and the scope of a connection."""

Receive: TypeAlias = Callable[[], Awaitable[Message]]
"""Waits for the server's next message."""

Send: TypeAlias = Callable[[Message], Awaitable[None]]
"""Hands a message to the server."""

Fields: TypeAlias = Sequence[tuple[bytes, bytes]]

_NO_BODY = frozenset((204, 205, 304))
_RESET = 205  # the one without a body whose length clients look at (RFC 9110 section 15.3.6)
_LISTS = frozenset((b"link", b"server-timing", b"set-cookie", b"vary", b"www-authenticate"))
"""Fields of which a response may have several."""
# PERF: the fields of almost every response, encoded once; benchmark `json`.
_LENGTHS = tuple((b"content-length", b"%d" % size) for size in range(4096))
_types: dict[str, tuple[bytes, bytes]] = {}
_TYPES_KEPT = 256
_TURN = 0.005
"""Seconds that a stream may run before the others get a turn, if it never waits."""
_REST = 0.001
"""Seconds of that turn."""


_new = object.__new__


class ASGIHeaders(Headers):
    """Header fields as ASGI has them. One is decoded when it is asked for, all when all are."""

    __slots__ = ("_first_of", "_raw")
    _raw: Iterable[tuple[bytes, bytes]]
    _first_of: dict[bytes, bytes]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return all fields as they came, repeated ones included. Not a copy: do not change it."""
        try:
            return self._items
        except AttributeError:
            self._items = [
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in self._raw
            ]
            return self._items

    def get(self, name: str, default: Any = None, /) -> Any:  # typed by the overloads above it
        """Return the first value of ``name``, or ``default``."""
        # PERF: middleware looks at one field and never at the others; benchmark `mw`.
        key = _wire_names.get(name)
        value = self._first_of.get(_wire_name(name) if key is None else key)
        return default if value is None else value.decode("latin-1")

    def get_all(self, name: str) -> list[str]:
        """Return every value of ``name``, in order; an empty list without one."""
        key = _wire_names.get(name) or _wire_name(name)
        return [value.decode("latin-1") for field, value in self._raw if field == key]


_wire_names: dict[str, bytes] = {}


def _wire_name(name: str) -> bytes:
    wire = name.lower().encode("latin-1", "replace")
    if len(_wire_names) < _TYPES_KEPT:
        _wire_names[name] = wire
    return wire


class ASGIRequest(Request):
    """A request over ASGI. Looks into the scope when somebody asks."""

    _fields: dict[bytes, bytes] | None = None
    _reading: bool = False  # somebody waits for the next piece of the body
    _received: int = 0  # bytes of it
    _waited: float = 0.0  # seconds
    streaming: bool = False
    """Whether the response is being made while it is sent."""

    @property
    def headers(self) -> Headers:
        """The header fields."""
        headers = self._headers
        if headers is None:
            # PERF: without a constructor; benchmark `mw`.
            lazy = _new(ASGIHeaders)
            lazy._raw = self._scope["headers"]  # noqa: SLF001 - made here
            lazy._first_of = self._fields or self._index()  # noqa: SLF001
            headers = self._headers = lazy
        return headers

    def _index(self) -> dict[bytes, bytes]:
        """Fill ``_fields``, the first of each name, and return it."""
        pairs = self._scope["headers"]
        if not isinstance(pairs, list):
            pairs = list(pairs)
        fields = self._fields = dict(pairs)
        if len(fields) != len(pairs):
            # Backwards, so that the first of a repeated field stays.
            fields = self._fields = dict(reversed(pairs))
        return fields

    def _field(self, name: bytes) -> str | None:
        """Return one field without making ``headers``."""
        value = (self._fields or self._index()).get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query_string(self) -> str:
        """The part of the target after ``?``, still encoded."""
        query: bytes = self._scope["query_string"]
        return query.decode("latin-1")

    @property
    def raw_path(self) -> bytes | None:
        """The path before decoding, where the server tells."""
        return cast("bytes | None", self._scope.get("raw_path"))

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return cast("str", self._scope.get("scheme", "http"))

    @property
    def client(self) -> Address | None:
        """Who is on the other end of the connection, if the server knows."""
        client = self._scope.get("client")
        # Granian gives the port as text, and an empty one on a Unix socket.
        return None if client is None else Address(client[0], int(client[1] or 0))

    @property
    def http_version(self) -> str:
        """``1.0``, ``1.1``, ``2`` or ``3``."""
        return cast("str", self._scope["http_version"])

    @property
    def content_type(self) -> str | None:
        """The media type of the body, lower case and without parameters; ``None`` without one."""
        value = (self._fields or self._index()).get(b"content-type")
        if value == b"application/json":
            return "application/json"
        return None if value is None else parse_content_type(value.decode("latin-1"))[0]

    @property
    def proxies(self) -> tuple[Address, ...]:
        """The trusted proxies that it came through, the nearest first."""
        return cast("tuple[Address, ...]", self._scope.get(PROXIES, ()))

    def forward(
        self, client: Address, scheme: str | None, host: str | None, proxies: tuple[Address, ...]
    ) -> None:
        """Be the request that ``client`` sent, for mounted applications too."""
        self._scope = forwarded(self._scope, client, scheme, host, proxies)
        self._headers = self._fields = None

    async def body(self) -> bytes:
        """Return the whole body; it is kept, so ask as often as you like."""
        if self._body is not None or self._consumed or self._streamed:
            return await super().body()
        # PERF: most bodies come in one message; benchmark `items`.
        announced = (self._fields or self._index()).get(b"content-length")
        length: int | None = None
        if announced is not None:
            # As `content_length` would, but for its call; it says what is wrong.
            is_number = announced.isdigit() and len(announced) < 20
            length = int(announced) if is_number else content_length(announced.decode("latin-1"))
            if length is not None and length > self.max_body:
                raise PayloadTooLargeError(self.max_body)
        self._reading = True
        try:
            message = await self._source()
        except asyncio.CancelledError as exc:
            raise given_up(self, exc) from None
        finally:
            # Else a handler that gave up waiting would be taken for one that still waits.
            self._reading = False
        if message["type"] == "http.disconnect":
            raise ClientDisconnectError
        body: bytes = message.get("body", b"")
        if len(body) != length:
            if len(body) > self.max_body:
                raise PayloadTooLargeError(self.max_body)
            # What was announced has come: Granian would say so in a message of its own.
            if message.get("more_body"):
                # Who is interrupted in this must not take what is left for all of it.
                self._streamed = True
                body = await read_all(limited(self._rest(body), self.max_body))
        self._consumed = True
        self._body = body
        return body

    async def _rest(self, first: bytes) -> AsyncIterator[bytes]:
        yield first
        async for chunk in self._receive():
            yield chunk

    async def _receive(self) -> AsyncIterator[bytes]:
        more = not self._consumed
        while more:
            self._reading = True
            try:
                message = await self._source()
            except asyncio.CancelledError as exc:
                raise given_up(self, exc) from None
            finally:
                self._reading = False
            chunk = _chunk(message)
            more = message.get("more_body", False)
            if not more:
                self._consumed = True
            if chunk:
                self._received += len(chunk)
                yield chunk

    def starves(self, pace: BodyPace) -> bool:
        """Tell whether the body has been waited for too long."""
        if not self._reading:
            return False
        self._waited += SWEEP
        return self._waited > pace.timeout + self._received / pace.rate

    def can_be_watched(self) -> bool:
        """Tell whether its route wants to be cancelled, and nobody waits for the body just now."""
        route = self.route
        wanted = self.streaming or (route is not None and route.cancel)
        return wanted and not self._reading

    def _has_body(self) -> bool:
        length = self._field(b"content-length")
        return length not in (None, "0") or self._field(b"transfer-encoding") is not None

    def read_ahead(self) -> None:
        """Have whoever reads the body from now on read what the watcher has read."""
        if not self._consumed and self._has_body():
            self._source = ReadAhead(self._source, has_reader=self._streamed)

    async def wait_gone(self) -> None:
        """Return when the client has gone away."""
        if isinstance(self._source, ReadAhead):
            await self._source.run()
            return
        while (await self._source())["type"] != "http.disconnect":
            self._consumed = True


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnectError
    body: bytes = message.get("body", b"")
    return body


R = TypeVar("R", bound=ASGIRequest)


def request_of(
    app: Application,
    scope: Message,
    receive: Receive,
    in_flight: InFlight,
    kind: type[R],
) -> R:
    """Make the request of a connection that has a method."""
    task = current_task(in_flight.loop or in_flight.wake())
    if task is None:
        # The loop it looked in has ended: a test suite has a new one for every test.
        task = current_task(in_flight.wake())
    path = scope["path"]
    root_path = scope.get("root_path")
    if root_path:
        root_path = root_path.rstrip("/")
        # Only at a slash: "/apix" is not under "/api". A proxy may have taken it off already.
        if path == root_path or path.startswith(root_path + "/"):
            path = path[len(root_path) :] or "/"
    return kind(
        scope["method"],
        path,
        app.lifespan,
        app.max_body,
        root_path or "",
        task,
        scope,
        receive,
    )


async def serve_asgi(app: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request, a WebSocket, or the events of the server's own start and stop."""
    if scope["type"] != "http":
        await _serve_other(app, scope, receive, send)
        return
    in_flight = app.in_flight
    request = request_of(app, scope, receive, in_flight, ASGIRequest)
    in_flight.young.add(request)
    response: Response | None = None
    try:
        response = await app.handle(request)
        if response.complete:
            # Nothing is left to interrupt, and some servers tell of the end as of a disconnect.
            in_flight.young.discard(request)
            if in_flight.old:
                in_flight.forget(request)
            # PERF: here, not in a coroutine of its own; benchmark `json`.
            body, status = response.body, response.status
            fields = fields_of(response, len(body))
            await send({"type": "http.response.start", "status": status, "headers": fields})
            if request.method == "HEAD" or status in _NO_BODY:
                body = b""
            await send({"type": "http.response.body", "body": body})
        elif isinstance(response, MountedResponse):
            await run_mounted(app, request, response, send)
        else:
            response = await prepared(app, request, response)
            if response.complete:
                in_flight.forget(request)
                await _answer(response, send, head=request.method == "HEAD")
            else:
                await _stream(
                    in_flight, request, cast("StreamingResponse | StoredResponse", response), send
                )
    except BaseException as exc:  # noqa: BLE001 - raised again in `_failed` unless it is dealt with
        try:
            await _failed(app, request, response, exc, send)
        finally:
            await end(app, in_flight, request, exc)
    else:
        # PERF: most requests have left nothing behind; benchmark `json`.
        if (
            not response.complete
            or request.opened is not None
            or request.after is not None
            or request.interrupted
        ):
            await end(app, in_flight, request, None)


async def _serve_other(app: Application, scope: Message, receive: Receive, send: Send) -> None:
    kind = scope["type"]
    if kind == "lifespan":
        await _serve_lifespan(app, receive, send)
    elif kind == "websocket":
        await app.serve_websocket(scope, receive, send)
    else:
        raise RuntimeError(f"unknown ASGI scope {kind!r}")


async def _failed(
    app: Application,
    request: ASGIRequest,
    response: Response | None,
    error: BaseException,
    send: Send,
) -> None:
    """Deal with what came out of a request, or raise it again."""
    written = response is not None and response.complete
    if isinstance(error, ClientDisconnectError) or (written and isinstance(error, OSError)):
        # Nobody is left to answer. The OSError is the server's: nothing of ours ran any more.
        request.gone = True
        return
    if not isinstance(error, asyncio.CancelledError) or request.task is None:
        raise error
    cancels = request.task.cancelling()
    if cancels > request.interrupted:
        raise error  # the server's own
    if request.too_slow and response is None:
        # Somebody else reads for the handler.
        await _answer(await app.render_error(request, too_slow_error(request)), send)
    elif cancels == 0:
        # Nobody cancelled us: the handler awaited something that somebody else had cancelled.
        failure = cancelled_elsewhere(error)
        if response is not None:
            raise failure
        await _answer(await app.render_error(request, failure), send)


async def _answer(
    response: Response, send: Send, extra: Fields = (), *, head: bool = False
) -> None:
    """Send a complete answer that did not come out of the application as one."""
    fields = [*fields_of(response, len(response.body)), *extra]
    body = b"" if head or response.status in _NO_BODY else response.body
    await send({"type": "http.response.start", "status": response.status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def fields_of(response: Response, size: int | None) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a response; ``size`` is that of its body, if it is complete."""
    made = response.made_headers
    if made is None:
        content_type = response.bare_type
        # PERF: a call only for the first of each type; benchmark `json`.
        fields = (
            []
            if content_type is None
            else [_types.get(content_type) or _content_type(content_type)]
        )
        if response.fixed is not None:
            fields += response.fixed.wire
    else:
        fields = []
        for name, value in made.multi_items():
            if name == "content-length":
                if response.status == _RESET:
                    continue
                size = None
            fields.append((name.encode(), value.encode("latin-1")))
    if size is not None and response.status not in _NO_BODY:
        fields.append(_LENGTHS[size] if size < 4096 else (b"content-length", b"%d" % size))
    elif response.status == _RESET:
        fields.append(_LENGTHS[0])
    return fields


def _content_type(value: str) -> tuple[bytes, bytes]:
    pair = (b"content-type", value.encode("latin-1"))
    if len(_types) < _TYPES_KEPT:
        _types[value] = pair
    return pair


async def _stream(
    in_flight: InFlight,
    request: ASGIRequest,
    response: StreamingResponse | StoredResponse,
    send: Send,
) -> None:
    request.streaming = True
    stopping.set(in_flight.stopping)
    part = response.file_part if isinstance(response, StoredResponse) else None
    if part is not None and part.is_whole and _sends_files(request):
        await _send_file(in_flight, request, response, part.path, send)
        return
    # What is iterated is what must be closed: an iterable may make a generator.
    content = aiter(response.content)
    status, fields = response.status, fields_of(response, None)
    try:
        await _write(
            request, send, {"type": "http.response.start", "status": status, "headers": fields}
        )
        if request.method != "HEAD" and status not in _NO_BODY:
            others = _Others()
            due = perf() + _TURN
            async for chunk in content:
                data = chunk.encode() if isinstance(chunk, str) else chunk
                await _write(
                    request, send, {"type": "http.response.body", "body": data, "more_body": True}
                )
                if perf() > due:
                    await others.turn()
                    due = perf() + _TURN
        in_flight.forget(request)
        await _write(request, send, {"type": "http.response.body", "body": b""})
    finally:
        # Whoever has left is not to be told of again, in the middle of the clean-up.
        in_flight.forget(request)
        close = getattr(content, "aclose", None)
        if close is not None:
            await close()


class _Others:
    """Everybody else in this process, beside a stream.

    Servers drop what is sent to a reader that has left, and wait for nothing: content that does not
    wait either would keep the loop, and we would never hear of it. A turn of the loop alone is not
    enough: a thread of the server's that has something for it would hardly ever get hold of the
    interpreter.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watch()

    def _watch(self) -> None:
        self._had_a_turn = False
        self._loop.call_soon(self._note)

    def _note(self) -> None:
        self._had_a_turn = True

    async def turn(self) -> None:
        """Let them work, unless they could since this was called last."""
        if not self._had_a_turn:
            # Real time: it is about real threads, whatever clock a test has set.
            over = asyncio.Event()
            timer = self._loop.call_later(_REST, over.set)
            try:
                await over.wait()
            finally:
                timer.cancel()
        self._watch()


def _sends_files(request: ASGIRequest) -> bool:
    extensions = request._scope.get("extensions")  # noqa: SLF001 - the scope is this file's
    return extensions is not None and "http.response.pathsend" in extensions


async def _send_file(
    in_flight: InFlight, request: ASGIRequest, response: Response, path: str, send: Send
) -> None:
    """Have the server send a whole file; it reads it as its reader takes it.

    https://asgi.readthedocs.io/en/stable/extensions.html#path-send
    """
    in_flight.forget(request)
    status, fields = response.status, fields_of(response, None)
    await _write(
        request, send, {"type": "http.response.start", "status": status, "headers": fields}
    )
    await _write(request, send, {"type": "http.response.pathsend", "path": path})


async def _write(request: ASGIRequest, send: Send, message: Message) -> None:
    """Send a part of a stream; an OSError of the server's is the end of it, one of ours is not."""
    try:
        await send(message)
    except OSError:
        request.gone = True
        raise ClientDisconnectError from None


# Mounted applications.


async def run_mounted(
    app: Application, request: ASGIRequest, response: MountedResponse, send: Send
) -> None:
    """Let the other application answer."""
    scope = {
        **request._scope,  # noqa: SLF001 - the scope is this file's
        "root_path": response.root_path,
        "path": response.root_path + response.path,
        "state": dict(response.state),
    }
    extra = fields_of(response, None)
    started = False

    async def forward(message: Message) -> None:
        nonlocal started
        started = True
        if message["type"] == "http.response.start":
            response.status = message["status"]
            if extra:
                message = {**message, "headers": _merged(message.get("headers", ()), extra)}
        await send(message)

    try:
        await response.app(scope, _replayed(request), forward)
    except Exception as exc:
        if started or scope["type"] != "http":
            raise
        answer = await app.render_error(request, exc)
        response.status, response.error = answer.status, exc
        await _answer(answer, send, extra)


def _merged(own: Iterable[tuple[bytes, bytes]], extra: Fields) -> list[tuple[bytes, bytes]]:
    """Add fields to those of the other application, which stay where there can be one only."""
    fields = list(own)
    names = {name.lower() for name, _ in fields} - _LISTS
    return fields + [pair for pair in extra if pair[0] not in names]


def _replayed(request: ASGIRequest) -> Receive:
    """Return a ``receive`` that begins with the body if a middleware has read it."""
    source, body = request._source, request._body  # noqa: SLF001 - as above
    if body is None:
        return cast("Receive", source)
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return left.pop() if left else cast("Message", await source())

    return receive


# Lifespan.


async def _serve_lifespan(app: Application, receive: Receive, send: Send) -> None:
    """Open the application's resources when the server starts and close them when it stops."""
    await receive()
    started = False
    try:
        async with app.running():
            await send({"type": "lifespan.startup.complete"})
            started = True
            await receive()
    except Exception as exc:  # noqa: BLE001 - told, whatever it is
        phase = "shutdown" if started else "startup"
        log_failure(phase, exc)
        await send({"type": f"lifespan.{phase}.failed", "message": f"{type(exc).__name__}: {exc}"})
    else:
        await send({"type": "lifespan.shutdown.complete"})
