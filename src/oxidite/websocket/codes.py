"""Close codes (RFC 6455 section 7.4 and the registry of IANA), and what fits beside one."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

__all__ = ["CloseCode", "Closing", "cut_reason", "is_sendable"]

_LONGEST_REASON = 123
"""Bytes: a control frame has 125, and two are the code (RFC 6455 section 5.5)."""


class CloseCode(IntEnum):
    """Why a WebSocket was closed. Your own codes are 4000 to 4999."""

    NORMAL = 1000
    """All is said."""
    GOING_AWAY = 1001
    """The page was left, or nothing came for too long."""
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    """Text where bytes are wanted, or the other way round."""
    NO_CODE = 1005
    """The client gave no code. Never sent."""
    ABNORMAL = 1006
    """The connection broke. Never sent."""
    INVALID_DATA = 1007
    """A message is not what was declared."""
    POLICY = 1008
    """Not allowed, or too many messages."""
    TOO_LARGE = 1009
    """A message is too large."""
    MISSING_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    """The handler failed."""
    RESTART = 1012
    """The server stops: connect again in a moment."""
    TRY_LATER = 1013
    """The client reads too slowly, or there is too much to do."""
    BAD_GATEWAY = 1014


class Closing(NamedTuple):
    """The code and the reason of an end."""

    code: int
    reason: str = ""


def is_sendable(code: int) -> bool:
    """Tell whether a close frame may carry ``code``."""
    return code in _SENDABLE or 3000 <= code <= 4999


_SENDABLE = frozenset(CloseCode) - {
    CloseCode.NO_CODE,
    CloseCode.ABNORMAL,
    CloseCode.MISSING_EXTENSION,
}


def cut_reason(reason: str) -> str:
    """Return as much of ``reason`` as a close frame can hold, in whole characters."""
    data = reason.encode("utf-8", "replace")
    if len(data) > _LONGEST_REASON:
        data = data[: _LONGEST_REASON - 3]
        return data.decode("utf-8", "ignore") + "…"
    return data.decode()
