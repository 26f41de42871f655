"""WebSockets: the same routes, arguments, middleware and errors, and then a conversation.

::

    @app.websocket("/chat/{room}")
    async def chat(room: str, socket: WebSocket[Incoming, Outgoing]) -> None:
        async for message in socket:
            await socket.send(Outgoing(room, message.text))

RFC 6455; over HTTP/2 RFC 8441, where the server has it.
"""

from oxidite.http.websocket import MessageFormat, WebSocketOptions
from oxidite.websocket.codes import CloseCode, Closing
from oxidite.websocket.conversation import WebSocketResponse
from oxidite.websocket.errors import (
    ClosedError,
    InvalidMessageError,
    InvalidSubprotocolError,
    MessageTooLargeError,
    OriginError,
    RateExceededError,
    SlowClientError,
    WebSocketError,
)
from oxidite.websocket.socket import WebSocket

__all__ = [
    "CloseCode",
    "ClosedError",
    "Closing",
    "InvalidMessageError",
    "InvalidSubprotocolError",
    "MessageFormat",
    "MessageTooLargeError",
    "OriginError",
    "RateExceededError",
    "SlowClientError",
    "WebSocket",
    "WebSocketError",
    "WebSocketOptions",
    "WebSocketResponse",
]
