"""What can be said of a WebSocket route; the sockets themselves are in ``oxidite.websocket``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypedDict

from oxidite.http.types import Middleware

__all__ = ["WEBSOCKET", "MessageFormat", "WebSocketOptions"]

WEBSOCKET = "WEBSOCKET"
"""Stands where other routes have their methods. A handshake itself is a GET."""

MessageFormat: TypeAlias = Literal["json", "msgpack"]
"""How typed messages are written: JSON in text, or MessagePack in binary messages."""


class WebSocketOptions(TypedDict, total=False):
    """What can be said of a WebSocket route beside its path, or of all of an application.

    ``name``, ``tags``, ``middleware``, ``versions`` and ``meta`` are those of any route. ``origins`` may connect
    beside the pages of the same host, ``"*"`` is everybody; ``require_origin`` refuses clients that
    send none. ``subprotocols`` are those spoken here, the preferred one first, or each with its format;
    ``format`` is that of typed messages without one. ``max_message`` is the largest message accepted,
    in bytes. ``rate`` is how many messages may come in a second, of which ``burst`` at once. ``idle`` is
    how many seconds may pass without a message either way, ``send_timeout`` how many a client may
    take to make room for the next one; ``None`` is for ever. ``grace`` is how many seconds a handler
    may go on after its client has left, or after it was told to end.
    """

    name: str
    tags: Sequence[str]
    middleware: Sequence[Middleware]
    meta: Mapping[str, object]
    versions: str | Sequence[str]
    origins: Sequence[str]
    require_origin: bool
    subprotocols: Sequence[str] | Mapping[str, MessageFormat]
    format: MessageFormat
    max_message: int
    rate: float | None
    burst: int | None
    idle: float | None
    send_timeout: float | None
    grace: float
