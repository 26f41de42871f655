"""WebSockets over ASGI: the answer to the handshake, and the messages that follow it.

https://asgi.readthedocs.io/en/stable/specs/www.html#websocket, and the extension Websocket Denial
Response. Server libraries answer pings and put fragments together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast

from oxidite.clock import sleep
from oxidite.http.response import (
    MountedResponse,
    Response,
    StoredResponse,
    StreamingResponse,
)
from oxidite.protocols.asgi import (
    ASGIRequest,
    Message,
    Receive,
    Send,
    fields_of,
    request_of,
    run_mounted,
)
from oxidite.protocols.base import Application, finish, prepared
from oxidite.websocket import CloseCode, ClosedError, WebSocketResponse
from oxidite.websocket.conversation import conclude, conversation_of

__all__ = ["ASGIHandshake", "ASGIWire", "serve_websocket"]

_SCHEMES = {"ws": "http", "wss": "https"}
_DENIAL = "websocket.http.response"
_CLOSING_TURNS = 3

_OF_THE_SERVER = frozenset(
    (
        b"connection",
        b"content-length",
        b"content-type",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Fields of a handshake that are not the application's to send."""


class ASGIHandshake(ASGIRequest):
    """The request that a WebSocket begins with. It has no body."""

    _consumed: bool = True

    @property
    def is_websocket(self) -> bool:
        """That it is."""
        return True

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as a URL of the same place has it."""
        scheme = super().scheme
        return _SCHEMES.get(scheme, scheme)

    @property
    def http_version(self) -> str:
        """``1.1``, ``2`` or ``3``."""
        return cast("str", self._scope.get("http_version", "1.1"))

    async def wait_gone(self) -> None:
        """Return when the client has gone away, without having had an answer."""
        while (await self._source())["type"] != "websocket.disconnect":
            pass  # it has to wait for the answer before it may say anything


class ASGIWire:
    """One client, as a server tells of it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive: Receive = receive
        self._send = send

    async def accept(self, subprotocol: str | None, headers: list[tuple[bytes, bytes]]) -> None:
        """Complete the handshake; Granian leaves the header fields out."""
        await self._send(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers}
        )

    def content(self, message: Message) -> str | bytes:
        """Return the message."""
        if message["type"] == "websocket.receive":
            text: str | None = message.get("text")
            if text is not None:
                return text
            data: bytes = message["bytes"]
            return data
        raise ClosedError(message.get("code", CloseCode.NO_CODE), message.get("reason") or "")

    def send(self, data: str | bytes) -> Awaitable[None]:
        """Send a message."""
        if isinstance(data, str):
            return self._send({"type": "websocket.send", "text": data})
        return self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int, reason: str) -> None:
        """Say that it is over."""
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


async def serve_websocket(app: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Answer one handshake and, if that succeeds, have the conversation."""
    connect = await receive()  # it comes before any answer
    in_flight = app.in_flight
    # Without a version where the server is older than ASGI 2.3.
    request = request_of(app, {**scope, "method": "GET"}, receive, in_flight, ASGIHandshake)
    in_flight.young.add(request)
    error: BaseException | None = None
    try:
        try:
            response = await app.handle_websocket(request)
        finally:
            # Who receives from now on is somebody else.
            in_flight.forget(request)
        if isinstance(response, MountedResponse):
            del request._scope["method"]  # noqa: SLF001 - the scope is this package's
            request._source = _replayed(connect, receive)  # noqa: SLF001 - as above
            await run_mounted(app, request, response, send)
        elif isinstance(response, WebSocketResponse):
            await _converse(app, response, ASGIWire(receive, send))
        else:
            await _deny(app, request, scope, response, send)
    except BaseException as exc:
        error = exc
        if not _has_left(request, exc):
            raise
        request.gone = True
    finally:
        if request.interrupted and request.task is not None:
            # The cancellation was ours; the server's own task goes on.
            request.task.uncancel()
        await conclude(request)
        await finish(app, request, error)
        error = None  # it knows this frame, which knows it


def _has_left(request: ASGIHandshake, error: BaseException) -> bool:
    """Tell whether an exception stands for the client's leaving."""
    if isinstance(error, OSError):
        return True  # the server's: of ours nothing runs here any more
    task = request.task
    ours = request.interrupted and task is not None and task.cancelling() <= 1
    return ours and isinstance(error, asyncio.CancelledError)


def _replayed(connect: Message, receive: Receive) -> Receive:
    left = [connect]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


async def _converse(app: Application, response: WebSocketResponse, wire: ASGIWire) -> None:
    conversation = conversation_of(response)
    connection, in_flight = conversation.connection, app.in_flight
    fields = [pair for pair in fields_of(response, None) if pair[0] not in _OF_THE_SERVER]
    await wire.accept(connection.subprotocol, fields)
    in_flight.young.add(connection)
    in_flight.conversations.add(connection)
    try:
        failure = await conversation.go_on(wire, in_flight.stopping)
    finally:
        in_flight.conversations.discard(connection)
        in_flight.forget(connection)
    if failure is not None:
        response.error = failure.error


async def _deny(
    app: Application, request: ASGIHandshake, scope: Message, response: Response, send: Send
) -> None:
    if _DENIAL not in (scope.get("extensions") or {}):
        # What the server makes of it is 403.
        await send({"type": "websocket.close", "code": CloseCode.POLICY, "reason": ""})
        return
    response = await prepared(app, request, response)
    size = len(response.body) if response.complete else None
    fields = fields_of(response, size)
    await send({"type": f"{_DENIAL}.start", "status": response.status, "headers": fields})
    if isinstance(response, StreamingResponse | StoredResponse):
        async for chunk in response.content:
            data = chunk.encode() if isinstance(chunk, str) else chunk
            await send({"type": f"{_DENIAL}.body", "body": data, "more_body": True})
    await send({"type": f"{_DENIAL}.body", "body": response.body, "more_body": False})
    # uvicorn logs an error about a handshake without an answer, unless the connection has closed.
    for _ in range(_CLOSING_TURNS):
        await sleep(0)
