"""The argument of a handler: a WebSocket, with or without types for its messages."""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, cast, get_args, overload

from oxidite.encoding import DecodeError, MismatchError, codec_for, encode_json
from oxidite.extract.base import Description, Extractor, Marker, Parameter
from oxidite.http.request import Request
from oxidite.websocket.codes import CloseCode, Closing, is_sendable
from oxidite.websocket.connection import Connection
from oxidite.websocket.errors import InvalidMessageError
from oxidite.websocket.messages import (
    Decode,
    Encode,
    as_it_is,
    decoder_for,
    encoder_for,
    want_bytes,
    want_text,
)

if TYPE_CHECKING:
    # For type checkers, which know it without the package: TypeVars have defaults from Python 3.13 on.
    from typing_extensions import TypeVar

    In = TypeVar("In", default=str | bytes)
    Out = TypeVar("Out", default=str | bytes)
elif sys.version_info >= (3, 13):
    from typing import TypeVar

    In = TypeVar("In", default=str | bytes)
    Out = TypeVar("Out", default=str | bytes)
else:
    from typing import TypeVar

    In = TypeVar("In")
    Out = TypeVar("Out")

T = TypeVar("T")

__all__ = ["WebSocket"]


class _SocketMarker:
    """Makes the argument, and reads the types of the messages from the annotation."""

    def bind(self, parameter: Parameter) -> Extractor[object]:
        if not parameter.context.is_websocket:
            raise parameter.refuse(
                "is a WebSocket, which only routes of @app.websocket have. Register the handler there."
            )
        return _SocketExtractor(parameter)


class WebSocket(Generic[In, Out]):
    """A conversation with one client.

    ``socket: WebSocket[Incoming, Outgoing]`` receives and sends values of those types, as JSON or
    MessagePack; ``str`` and ``bytes`` are messages as they are. ``socket: WebSocket`` takes both.

    The handshake is answered when the handler first receives or sends, or calls ``accept``: whatever is
    raised before is an answer over HTTP. One task may receive at a time, any number may send. When the
    handler returns the socket is closed.
    """

    __slots__ = ("_connection", "_decode", "_encode", "request")

    __argument__: ClassVar[Marker] = _SocketMarker()

    request: Request
    """The handshake."""
    _connection: Connection
    _decode: Decode | None
    _encode: Encode

    @classmethod
    def _of(
        cls, request: Request, connection: Connection, decode: Decode | None, encode: Encode
    ) -> Self:
        """Make one; handlers get theirs as an argument."""
        self = cls()
        self.request = request
        self._connection = connection
        self._decode = decode
        self._encode = encode
        return self

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The sub-protocols that the client offers."""
        return self._connection.offered

    @property
    def subprotocol(self) -> str | None:
        """The sub-protocol that is spoken."""
        return self._connection.subprotocol

    @property
    def closing(self) -> Closing | None:
        """Code and reason of the end, once nothing can be received any more."""
        return self._connection.ended

    async def accept(
        self, *, subprotocol: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the handshake now; return when the client can be talked to.

        Raises:
            ClosedError: the client has left.
            RuntimeError: it was answered already.
            ValueError: the client did not offer this sub-protocol.
        """
        connection = self._connection
        if connection.wanted.is_set():
            raise RuntimeError("The handshake was answered already: by accept, receive or send.")
        if subprotocol is not None:
            if subprotocol not in connection.offered:
                raise ValueError(f"the client does not offer the sub-protocol {subprotocol!r}")
            connection.subprotocol = subprotocol
        if headers is not None:
            connection.headers.update(headers)
        await connection.open()

    # Receiving.

    def __aiter__(self) -> Self:
        """Receive until the client leaves, or the server stops."""
        return self

    # PERF: what the handler awaits here is the connection's own coroutine; benchmark `ws`.

    def __anext__(self) -> Coroutine[Any, Any, In]:
        return self._connection.read(self._decode, in_loop=True)

    def receive(self) -> Coroutine[Any, Any, In]:
        """Return the next message.

        Raises:
            ClosedError: the client has left, or the server stops.
            InvalidMessageError: the message is not what was declared. The next may be.
        """
        return self._connection.read(self._decode)

    def receive_text(self) -> Coroutine[Any, Any, str]:
        """Return the next message, which is text."""
        return self._connection.read(want_text)

    def receive_bytes(self) -> Coroutine[Any, Any, bytes]:
        """Return the next message, which is bytes."""
        return self._connection.read(want_bytes)

    @overload
    async def receive_json(self) -> Any: ...  # whatever the client sent
    @overload
    async def receive_json(self, type_: type[T]) -> T: ...
    async def receive_json(self, type_: object = Any) -> Any:
        """Return the next message, decoded from JSON as ``type_``."""
        data = await self._connection.read()
        try:
            return codec_for(type_, finite=True).decode_json(data)
        except (DecodeError, MismatchError) as exc:
            raise InvalidMessageError(exc.message) from None

    # Sending.

    def send(self, message: Out) -> Coroutine[Any, Any, None]:
        """Send a message; wait while the client is slow.

        Raises:
            ClosedError: the client has left, or this side closed.
            SlowClientError: it does not read what it is sent.
        """
        return self._connection.write(self._encode(message))

    def send_text(self, text: str) -> Coroutine[Any, Any, None]:
        """Send text."""
        return self._connection.write(text)

    def send_bytes(self, data: bytes) -> Coroutine[Any, Any, None]:
        """Send bytes."""
        return self._connection.write(data)

    def send_json(self, value: object) -> Coroutine[Any, Any, None]:
        """Send any value that can be encoded, as JSON in a message of text."""
        return self._connection.write(encode_json(value).decode())

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Close; the second time it does nothing. ``reason`` is cut to the 123 bytes there are for it.

        Raises:
            ValueError: ``code`` is not one that may be sent. Your own are 4000 to 4999.
        """
        if not is_sendable(code):
            raise ValueError(
                f"{code} is not a code to close with; use a CloseCode, or 4000 to 4999"
            )
        await self._connection.close(code, reason)

    def __repr__(self) -> str:
        return f"<WebSocket {self.request.path}>"


class _SocketExtractor:
    def __init__(self, parameter: Parameter) -> None:
        self._type = parameter.type
        types = get_args(parameter.type)
        try:
            self._decoders: Mapping[str, Decode | None] = {
                each: decoder_for(types[0], each) if types else None for each in ("json", "msgpack")
            }
        except TypeError as exc:
            raise parameter.refuse(f"cannot be decoded: {exc}.") from None
        self._encoders: Mapping[str, Encode] = {
            each: encoder_for(types[1], each) if types else as_it_is for each in ("json", "msgpack")
        }

    def extract(self, request: Request) -> WebSocket[Any, Any]:
        connection = cast("Connection", request.scopes.values[Connection])
        format_ = connection.format
        decode, encode = self._decoders[format_], self._encoders[format_]
        return WebSocket._of(request, connection, decode, encode)  # noqa: SLF001 - this file's own

    def describe(self) -> Description:
        return Description("websocket", self._type)
