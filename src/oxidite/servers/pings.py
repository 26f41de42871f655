"""Hypercorn's WebSockets with pings that are waited for.

Its own begin at once, ask nobody for an answer, and hold a connection that has ended until the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hypercorn.protocol.events import Body, Data, Event, StreamClosed
from hypercorn.protocol.ws_stream import WSStream
from wsproto.events import CloseConnection, Ping

from oxidite.servers.base import PING_INTERVAL

if TYPE_CHECKING:
    from hypercorn.typing import ASGISendEvent, WebsocketAcceptEvent

__all__ = ["PingingStream"]

_INTERNAL_ERROR = 1011
_REASON = "keepalive ping timeout"
"""What uvicorn says, too."""


class PingingStream(WSStream):
    """Pings its client, and gives it as long again to say anything."""

    ping_interval: float = PING_INTERVAL
    _heard: float = 0.0
    _pinging: asyncio.Task[None] | None = None

    async def handle(self, event: Event) -> None:
        """Deal with what came from the connection."""
        if isinstance(event, StreamClosed):
            self._stop_pinging()
        elif isinstance(event, Body | Data):
            # Whatever it says, it is there.
            self._heard = asyncio.get_running_loop().time()
        await super().handle(event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Deal with what comes from the application."""
        if message is None:
            self._stop_pinging()
        await super().app_send(message)

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        await super()._accept(message)
        if not self.closed:
            self._pinging = asyncio.get_running_loop().create_task(self._ping())

    def _stop_pinging(self) -> None:
        task = self._pinging
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        asked = self._heard = loop.time()
        while self._heard >= asked:
            await _pause(self.ping_interval)
            asked = loop.time()
            with contextlib.suppress(TimeoutError):
                # A client that takes nothing does not get it, and is not waited for.
                async with asyncio.timeout(self.ping_interval):
                    await self._send_wsproto_event(Ping())
                    await loop.create_future()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.ping_interval):
                await self._send_wsproto_event(CloseConnection(_INTERNAL_ERROR, _REASON))
        await self.send(StreamClosed(stream_id=self.stream_id))


async def _pause(seconds: float) -> None:
    # Real time: it is about real connections, whatever clock a test has set.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_future()
