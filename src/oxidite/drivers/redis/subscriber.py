"""Messages of channels, over a connection of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from oxidite.drivers.redis.keeper import Keeper
from oxidite.drivers.redis.options import RedisOptions
from oxidite.drivers.redis.wire import Command, Wire, packed
from oxidite.errors import BackendTimeoutError

__all__ = ["Subscriber"]


class Subscriber(AbstractAsyncContextManager["Subscriber", None]):
    """Hears what is published to ``channels``, from the opening on.

    ``heard`` is called with each message, in the event loop. ``lost`` is called when the connection broke,
    and again when there is one: what was published in between was not heard. Every ``beat`` seconds the
    server is asked for a sign of life; one that gives none until the next is left.
    """

    def __init__(
        self,
        options: RedisOptions,
        channels: Sequence[str],
        *,
        heard: Callable[[bytes], None],
        lost: Callable[[], None],
        beat: float = 5.0,
    ) -> None:
        self._packed = packed(("SUBSCRIBE", *channels))
        self._heard = heard
        self._lost = lost
        self._wanted = len(channels)
        self._subscribed = 0
        self._keeper = Keeper(options, self)
        self._wire: Wire | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ready = asyncio.Event()
        self._patience = options.connect_timeout
        self._every = beat

    async def __aenter__(self) -> Self:
        await self._keeper.start()
        if self._wire is not None:
            # Until then something could be missed; and if it takes longer, `lost` tells of it.
            await self._wait_until_ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stop_beating()
        await self._keeper.stop()
        self._wire = None

    @property
    def is_subscribed(self) -> bool:
        """Whether messages are heard now."""
        return self._ready.is_set()

    async def _wait_until_ready(self) -> None:
        waiting = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait((waiting,), timeout=self._patience)
        finally:
            waiting.cancel()

    # What the keeper and the connection tell.

    def up(self, wire: Wire) -> None:
        """Subscribe."""
        self._wire = wire
        self._subscribed = 0
        wire.write(self._packed)
        # Not yet asked for a sign of life: a reply now is an error, that of the subscription.
        self._timer = asyncio.get_running_loop().call_later(self._every, self._beat, wire)

    def down(self, wire: Wire, error: Exception) -> None:
        """Tell that messages are missed from now on."""
        self._wire = None
        self._stop_beating()
        self._ready.clear()
        self._lost()

    def refused(self, error: Exception) -> None:
        """Do nothing: it was told when the connection broke."""

    def writable(self) -> None:
        """Do nothing: little is ever sent."""

    def pushed(self, message: list[object]) -> None:
        """Hand on a message, or hear that the subscription holds."""
        if message[0] == b"message" and isinstance(message[2], bytes):
            self._heard(message[2])
        elif message[0] == b"subscribe":
            self._subscribed += 1
            if self._subscribed == self._wanted:
                self._ready.set()
                self._lost()

    def _beat(self, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        if wire.waiting:
            wire.abort(BackendTimeoutError(f"Redis said nothing for {self._every:g} seconds."))
            return
        sign: asyncio.Future[object] = loop.create_future()
        sign.add_done_callback(asyncio.Future.exception)  # any answer is one
        wire.send([Command(packed(("PING",)), sign, 0.0, safe=False)])
        self._timer = loop.call_later(self._every, self._beat, wire)

    def _stop_beating(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
