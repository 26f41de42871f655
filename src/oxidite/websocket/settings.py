"""The options of a WebSocket route, checked once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from oxidite.errors import RouteError
from oxidite.http.request import Request
from oxidite.http.websocket import MessageFormat, WebSocketOptions
from oxidite.websocket.errors import InvalidSubprotocolError
from oxidite.websocket.origin import parse_origin

__all__ = ["Settings", "offered_subprotocols"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_MOST_OFFERED = 100
_FORMATS = ("json", "msgpack")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What holds for the sockets of one route; see ``WebSocketOptions``."""

    origins: tuple[str, ...] = ()
    require_origin: bool = False
    subprotocols: tuple[str, ...] = ()
    formats: Mapping[str, MessageFormat]
    """The format of messages where a sub-protocol decides it."""
    format: MessageFormat = "json"
    max_message: int = 1024 * 1024
    rate: float | None = None
    burst: int = 1
    idle: float | None = None
    send_timeout: float | None = 30.0
    grace: float = 5.0

    @classmethod
    def of(cls, options: WebSocketOptions, where: str) -> Settings:
        """Check the options; ``where`` says whose they are.

        Raises:
            RouteError: a value cannot work.
        """
        try:
            return cls._of(options)
        except ValueError as exc:
            raise RouteError(f"{where}: {exc}") from None

    @classmethod
    def _of(cls, options: WebSocketOptions) -> Settings:
        spoken, origins = options.get("subprotocols", ()), options.get("origins", ())
        for name, value in (("subprotocols", spoken), ("origins", origins)):
            if isinstance(value, str):
                raise ValueError(f"{name}={value!r} is one text. Write [{value!r}].")
        for name in spoken:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"subprotocols: {name!r} is not a name such as 'chat.v1'.")
        formats = dict(spoken) if isinstance(spoken, Mapping) else {}
        for format_ in (options.get("format", "json"), *formats.values()):
            if format_ not in _FORMATS:
                raise ValueError(f"{format_!r} is not a format of messages: 'json' or 'msgpack'.")
        for limit in ("max_message", "rate", "burst", "idle", "send_timeout", "grace"):
            _check_positive(limit, options.get(limit))
        rate, burst = options.get("rate"), options.get("burst")
        return cls(
            origins=tuple(map(parse_origin, origins)),
            require_origin=options.get("require_origin", False),
            subprotocols=tuple(spoken),
            formats=formats,
            format=options.get("format", "json"),
            max_message=options.get("max_message", 1024 * 1024),
            rate=rate,
            burst=burst or max(1, math.ceil(rate or 1)),
            idle=options.get("idle"),
            send_timeout=options.get("send_timeout", 30.0),
            grace=options.get("grace", 5.0),
        )

    def choose(self, offered: tuple[str, ...]) -> str | None:
        """Return the sub-protocol to speak, by our order; ``None`` if one side names none.

        Raises:
            InvalidSubprotocolError: there is none in common. A browser would give up anyway.
        """
        for name in self.subprotocols:
            if name in offered:
                return name
        if offered and self.subprotocols:
            raise InvalidSubprotocolError(
                f"None of the sub-protocols offered is spoken here. Spoken: {', '.join(self.subprotocols)}."
            )
        return None


def _check_positive(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name}={value!r} is not a number above 0.")


def offered_subprotocols(request: Request) -> tuple[str, ...]:
    """Return what the client offers to speak, in its order.

    Raises:
        InvalidSubprotocolError: it is no list of names (RFC 6455 section 4.1).
    """
    # From the field: servers have read it in ways of their own.
    fields = request.headers.get_all("sec-websocket-protocol")
    names = [name.strip(" \t") for field in fields for name in field.split(",")]
    if len(names) > _MOST_OFFERED or not all(map(_TOKEN.fullmatch, names)):
        raise InvalidSubprotocolError("Sec-WebSocket-Protocol is not a list of names.")
    return tuple(names)
