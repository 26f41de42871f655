"""ASGI 3: scope, receive and send to a Request and from a Response; lifespan; mounted applications.

https://asgi.readthedocs.io/en/stable/specs/www.html, HTTP message format 2.5.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias, cast

from oxidite.errors import PayloadTooLargeError
from oxidite.http.body import ClientDisconnectError, content_length, limited, read_all
from oxidite.http.headers import Headers
from oxidite.http.negotiation import parse_content_type
from oxidite.http.request import Address, Request
from oxidite.http.response import MountedResponse, Response, StreamingResponse
from oxidite.protocols.base import Application, close_request, finish
from oxidite.protocols.inflight import InFlight

__all__ = ["ASGIRequest", "serve_http", "serve_lifespan", "serve_websocket"]

logger = logging.getLogger("oxidite")

Message: TypeAlias = MutableMapping[str, Any]  # the formats of ASGI are open dictionaries
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_NO_BODY = frozenset((204, 304))
# PERF: the fields of almost every response, encoded once; benchmark `json`.
_LENGTHS = tuple((b"content-length", b"%d" % size) for size in range(4096))
_types: dict[str, tuple[bytes, bytes]] = {}
_TYPES_KEPT = 256


class ASGIRequest(Request):
    """A request over ASGI. Looks into the scope when somebody asks."""

    def _load_headers(self) -> Headers:
        return Headers(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in self._scope["headers"]
        )

    def _field(self, name: bytes) -> str | None:
        """Return one field without decoding all."""
        fields = self._fields
        if fields is None:
            # Backwards, so that the first of a repeated field stays, as in `headers`.
            fields = self._fields = dict(reversed(list(self._scope["headers"])))
        value = fields.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query_string(self) -> str:
        """The part of the target after ``?``, still encoded."""
        return cast("bytes", self._scope["query_string"]).decode("latin-1")

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
        value = self._field(b"content-type")
        if value is None or value == "application/json":
            return value
        return parse_content_type(value)[0]

    async def body(self) -> bytes:
        """Return the whole body; it is kept, so ask as often as you like."""
        if self._body is not None or self._consumed:
            return await super().body()
        # PERF: most bodies come in one message; benchmark `items`.
        length = content_length(self._field(b"content-length"))
        if length is not None and length > self.max_body:
            raise PayloadTooLargeError(self.max_body)
        message = await self._source()
        body = _chunk(message)
        # What was announced has come: Granian would say so in a message of its own.
        if message.get("more_body") and len(body) != length:
            body += await read_all(limited(self._receive(), self.max_body - len(body)))
        self._consumed = True
        if len(body) > self.max_body:
            raise PayloadTooLargeError(self.max_body)
        self._body = body
        return body

    async def _receive(self) -> AsyncIterator[bytes]:
        more = not self._consumed
        while more:
            message = await self._source()
            chunk = _chunk(message)
            more = message.get("more_body", False)
            if not more:
                self._consumed = True
            if chunk:
                yield chunk

    def can_be_watched(self) -> bool:
        """Tell whether the body was read and its route wants to be cancelled."""
        route = self.route
        return (self._consumed or not self._has_body()) and route is not None and route.cancel

    def _has_body(self) -> bool:
        length = self._field(b"content-length")
        return length not in (None, "0") or self._field(b"transfer-encoding") is not None

    async def wait_gone(self) -> None:
        """Return when the client has gone away. Only once the body was read."""
        while (await self._source())["type"] != "http.disconnect":
            self._consumed = True


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnectError
    return cast("bytes", message.get("body", b""))


def _request(
    app: Application, scope: Message, receive: Receive, in_flight: InFlight
) -> ASGIRequest:
    loop = in_flight.loop or in_flight.wake()
    path = scope["path"]
    root_path = scope.get("root_path")
    if root_path:
        path = path.removeprefix(root_path) or "/"
    return ASGIRequest(
        scope["method"],
        path,
        app.lifespan,
        app.max_body,
        root_path or "",
        asyncio.current_task(loop),
        scope,
        receive,
    )


async def serve_http(app: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request."""
    in_flight = app.in_flight
    request = _request(app, scope, receive, in_flight)
    in_flight.young.add(request)
    try:
        response = await app.handle(request)
        if request.opened is not None and response.complete:
            response = await close_request(app, request, response)
        if response.complete:
            # PERF: here, not in a coroutine of its own; benchmark `json`.
            body = response.body
            fields = _fields(response, len(body))
            await send(
                {"type": "http.response.start", "status": response.status, "headers": fields}
            )
            await send(
                {"type": "http.response.body", "body": b"" if request.method == "HEAD" else body}
            )
        elif isinstance(response, MountedResponse):
            await _run_mounted(request, response, send)
        else:
            await _stream(request, cast("StreamingResponse", response), send)
    except ClientDisconnectError:
        # Nobody is left to answer.
        request.gone = True
    except asyncio.CancelledError:
        if not request.gone:
            raise
    finally:
        in_flight.young.discard(request)
        if in_flight.old:
            in_flight.forget(request)
        if request.gone and request.task is not None:
            # The cancellation was ours; the server's own task goes on.
            request.task.uncancel()
        if request.opened is not None or request.after is not None:
            await finish(app, request)


def _fields(response: Response, size: int | None) -> list[tuple[bytes, bytes]]:
    made = response.made_headers
    if made is None:
        content_type = response.bare_type
        fields = [] if content_type is None else [_content_type(content_type)]
    else:
        fields = []
        for name, value in made.multi_items():
            if name == "content-length":
                size = None
            fields.append((name.encode(), value.encode("latin-1")))
    if size is not None and response.status not in _NO_BODY:
        fields.append(_LENGTHS[size] if size < 4096 else (b"content-length", b"%d" % size))
    return fields


def _content_type(value: str) -> tuple[bytes, bytes]:
    pair = _types.get(value)
    if pair is None:
        pair = (b"content-type", value.encode("latin-1"))
        if len(_types) < _TYPES_KEPT:
            _types[value] = pair
    return pair


async def _stream(request: ASGIRequest, response: StreamingResponse, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": _fields(response, None),
        }
    )
    content = response.content
    try:
        if request.method != "HEAD":
            async for chunk in content:
                data = chunk.encode() if isinstance(chunk, str) else chunk
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except OSError:
        # The ASGI way to say that the client has gone.
        request.gone = True
    finally:
        close = getattr(content, "aclose", None)
        if close is not None:
            await close()


# Mounted applications.


async def _run_mounted(request: ASGIRequest, response: MountedResponse, send: Send) -> None:
    scope = {
        **request._scope,  # noqa: SLF001 - the scope is this file's
        "root_path": response.root_path,
        "path": response.root_path + response.path,
        "state": dict(response.state),
    }
    extra = [] if response.made_headers is None else _fields(response, None)

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            if extra:
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    await response.app(scope, request._source, forward)  # noqa: SLF001 - as above


async def serve_websocket(app: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Pass a WebSocket on to the application mounted at its path; refuse it if there is none."""
    request = _request(
        app, {**scope, "method": "GET", "http_version": "1.1"}, receive, app.in_flight
    )
    response = await app.handle(request)
    if isinstance(response, MountedResponse):
        request._scope = scope  # noqa: SLF001 - as above
        await _run_mounted(request, response, send)
        return
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": ""})


# Lifespan.


async def serve_lifespan(app: Application, receive: Receive, send: Send) -> None:
    """Open the application's resources when the server starts and close them when it stops."""
    await receive()
    started = False
    try:
        async with app.running():
            await send({"type": "lifespan.startup.complete"})
            started = True
            await receive()
    except Exception as exc:
        phase = "shutdown" if started else "startup"
        logger.exception("%s failed", phase)
        await send({"type": f"lifespan.{phase}.failed", "message": f"{type(exc).__name__}: {exc}"})
    else:
        await send({"type": "lifespan.shutdown.complete"})
