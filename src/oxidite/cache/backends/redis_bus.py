"""What processes tell each other of changes, over a channel of Redis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from secrets import token_hex
from typing import TypeAlias

import msgspec
from msgspec import Struct

from oxidite.cache.base import Epochs, Listener
from oxidite.drivers.redis import RedisOptions
from oxidite.drivers.redis.subscriber import Subscriber

__all__ = ["Bus"]


class _Keys(Struct, frozen=True, array_like=True, tag="keys"):
    origin: str
    keys: list[str]


class _Tags(Struct, frozen=True, array_like=True, tag="tags"):
    origin: str
    tags: list[str]
    epochs: list[tuple[int, int]]


class _Cleared(Struct, frozen=True, array_like=True, tag="cleared"):
    origin: str
    prefix: str


_Message: TypeAlias = _Keys | _Tags | _Cleared
_decode = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.Encoder().encode


class Bus:
    """Tells what this process changes, and hears what others do."""

    def __init__(self, options: RedisOptions, prefix: str) -> None:
        # Channels belong to the whole server, values to one of its databases.
        self.channel: str = f"{prefix}bus:{options.db}"
        self.listener: Listener | None = None
        self._options = options
        self._origin = token_hex(8)
        self._subscriber: Subscriber | None = None

    async def open(self) -> None:
        """Hear what is said from now on, if anybody listens."""
        if self.listener is not None:
            self._subscriber = Subscriber(
                self._options, [self.channel], heard=self._heard, lost=self.listener.lost
            )
            await self._subscriber.__aenter__()

    async def close(self) -> None:
        """Hear nothing more."""
        if self._subscriber is not None:
            await self._subscriber.__aexit__(None, None, None)
            self._subscriber = None

    def keys(self, keys: Iterable[str]) -> bytes:
        """Return what is said when values were set or deleted."""
        return _encode(_Keys(self._origin, list(keys)))

    def cleared(self, prefix: str) -> bytes:
        """Return what is said when all values that begin so were deleted."""
        return _encode(_Cleared(self._origin, prefix))

    def tags_begin(self, tags: Sequence[str]) -> bytes:
        """Return what is said when tags were invalidated, up to their epochs, which the server knows."""
        return _encode(_Tags(self._origin, list(tags), [])).removesuffix(b"]]")

    def _heard(self, data: bytes) -> None:
        listener = self.listener
        if listener is None:
            return
        try:
            message = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            listener.lost()  # somebody changed something, and this version does not know what
            return
        if message.origin == self._origin:
            return
        match message:
            case _Keys():
                listener.keys_changed(message.keys)
            case _Tags():
                pairs = zip(message.tags, message.epochs, strict=False)
                listener.tags_changed({tag: Epochs(*numbers) for tag, numbers in pairs})
            case _Cleared():
                listener.cleared(message.prefix)
