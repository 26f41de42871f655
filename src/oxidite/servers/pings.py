"""Hypercorn's WebSockets with mends: for pings, and for how a conversation ends.

Its own pings ask nobody for an answer, and hold a connection that has ended until the next one. It keeps the
close code of a client to itself, and says nothing to one whose frames cannot be read.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from hypercorn.protocol.events import Body, Data, Event, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.frame_protocol import CloseReason

from oxidite.servers.base import PING_INTERVAL

if TYPE_CHECKING:
    from hypercorn.typing import ASGISendEvent, WebsocketAcceptEvent

__all__ = ["PingingStream"]

_REASON = "keepalive ping timeout"
"""What uvicorn says, too."""


class PingingStream(WSStream):
    """Pings its client, and gives it as long again to say anything; tells what it says at the end."""

    ping_interval: float = PING_INTERVAL
    _heard: float = 0.0
    _holds_up: bool = False
    """Whether a message waits for the handler, so that no answer to a ping could be read."""
    _pinging: asyncio.Task[None] | None = None
    _farewell: CloseConnection | None = None
    """What the client said when it closed."""

    async def handle(self, event: Event) -> None:
        """Deal with what came from the connection."""
        if isinstance(event, StreamClosed):
            self._stop_pinging()
            if self._farewell is not None and self.app_put is not None and not self.closed:
                self.closed = True
                code, reason = int(self._farewell.code), self._farewell.reason
                await self.app_put({"type": "websocket.disconnect", "code": code, "reason": reason})
        elif isinstance(event, Body | Data):
            # Whatever it says, it is there.
            self._heard = asyncio.get_running_loop().time()
            self._holds_up = True
        try:
            await super().handle(event)
        finally:
            self._holds_up = False

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Deal with what comes from the application."""
        if message is None:
            self._stop_pinging()
        await super().app_send(message)

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        await super()._accept(message)
        if not self.closed:
            self._pinging = asyncio.get_running_loop().create_task(self._ping())

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                if not await self._take(event):
                    return
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                await self._end(event)

    async def _take(self, message: Message[Any]) -> bool:  # Any: text or bytes, handed on
        """Hand on a message that is whole; return whether there may be another one."""
        try:
            self.buffer.extend(message)
        except FrameTooLargeError:
            await self._send_wsproto_event(CloseConnection(CloseReason.MESSAGE_TOO_BIG))
            return False
        if message.message_finished and self.app_put is not None:
            await self.app_put(self.buffer.to_message())
            self.buffer.clear()
        return True

    async def _end(self, event: CloseConnection) -> None:
        if self.connection.state is ConnectionState.REMOTE_CLOSING:
            self._farewell = event
            await self._send_wsproto_event(event.response())
        elif self.connection.state is ConnectionState.OPEN:
            # Nobody has closed: it is what is wrong with a frame.
            await self._send_wsproto_event(CloseConnection(event.code, event.reason))
        await self.send(StreamClosed(stream_id=self.stream_id))

    def _stop_pinging(self) -> None:
        task = self._pinging
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        asked = self._heard = loop.time()
        await _pause(self.ping_interval)
        while self._heard >= asked or self._holds_up:
            asked = loop.time()
            with contextlib.suppress(TimeoutError):
                # A client that takes nothing does not get it, and is not waited for.
                async with asyncio.timeout(self.ping_interval):
                    await self._send_wsproto_event(Ping())
                    await loop.create_future()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.ping_interval):
                await self._send_wsproto_event(CloseConnection(CloseReason.INTERNAL_ERROR, _REASON))
        await self.send(StreamClosed(stream_id=self.stream_id))


async def _pause(seconds: float) -> None:
    # Real time: it is about real connections, whatever clock a test has set.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_future()
