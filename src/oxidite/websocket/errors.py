"""What ends a conversation, and what keeps one from beginning."""

from __future__ import annotations

from typing import ClassVar

from oxidite.errors import BadRequestError, ForbiddenError, OxiditeError
from oxidite.websocket.codes import CloseCode

__all__ = [
    "ClosedError",
    "InvalidMessageError",
    "InvalidSubprotocolError",
    "MessageTooLargeError",
    "OriginError",
    "RateExceededError",
    "SlowClientError",
    "WebSocketError",
]


class WebSocketError(OxiditeError):
    """The conversation ends here.

    Raised out of a handler it closes the socket with ``close_code``, and the message as the reason.
    """

    code = "websocket"
    default_close_code: ClassVar[int] = CloseCode.POLICY
    """What a class of these closes with unless told otherwise."""

    def __init__(self, message: str | None = None, close_code: int | None = None) -> None:
        super().__init__(message)
        self.close_code: int = self.default_close_code if close_code is None else close_code


class ClosedError(WebSocketError):
    """The WebSocket is closed: the client has left, or this side has ended it.

    ``close_code`` and ``reason`` are what was said at the end; 1005 is a client that gave no code, 1006
    a connection that broke.
    """

    code = "websocket_closed"

    def __init__(self, close_code: int, reason: str = "") -> None:
        said = f" {reason}" if reason else ""
        super().__init__(f"The WebSocket is closed ({close_code}{said}).", close_code)
        self.reason = reason


class InvalidMessageError(WebSocketError):
    """A message is not what this socket takes."""

    code = "invalid_message"
    default_close_code: ClassVar[int] = CloseCode.INVALID_DATA


class MessageTooLargeError(WebSocketError):
    """A message is larger than this socket takes."""

    code = "message_too_large"
    default_close_code: ClassVar[int] = CloseCode.TOO_LARGE


class RateExceededError(WebSocketError):
    """The client sends too many messages."""

    code = "rate_exceeded"
    default_close_code: ClassVar[int] = CloseCode.POLICY


class SlowClientError(WebSocketError):
    """The client does not read what it is sent."""

    code = "slow_client"
    default_close_code: ClassVar[int] = CloseCode.TRY_LATER


class OriginError(ForbiddenError):
    """Pages of this origin may not open a WebSocket here."""

    code = "origin"


class InvalidSubprotocolError(BadRequestError):
    """None of the sub-protocols that the client offers is spoken here."""

    code = "invalid_subprotocol"
