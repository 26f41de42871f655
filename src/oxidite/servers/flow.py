"""Hypercorn with mends: for readers that are slow or have left, for bodies nobody reads, for the end.

Its HTTP/2 goes on as soon as less than a frame could be sent, which is also so when the reader's window
is shut: the whole of a stream is then in memory. And what is waiting for a window when the
connection ends waits for ever, with its body and its task. A body that goes on after the answer ends
the connection, with all the other requests on it. Its HTTP/1 closes connections when it
stops, but does not say so in the last answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import sys
from dataclasses import replace
from typing import ClassVar

import h2.events
import h11
import hypercorn.asyncio.run
import hypercorn.protocol
import hypercorn.protocol.h2
import hypercorn.protocol.h11
import hypercorn.protocol.ws_stream
from h2.errors import ErrorCodes
from h2.events import DataReceived
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, Event, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response
from hypercorn.protocol.h2 import BUFFER_LOW_WATER, H2Protocol, StreamBuffer
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from priority.priority import PriorityError

from oxidite.servers.base import PING_INTERVAL, Settings
from oxidite.servers.deflate import BoundedDeflate
from oxidite.servers.pings import PingingStream
from oxidite.servers.strict import StrictConnection

_PATIENCE = 0.2
"""Seconds for a request that is on its way."""

__all__ = ["FarewellProtocol", "FlowBuffer", "FlowProtocol", "PatientServer", "install_flow"]


class FlowBuffer(StreamBuffer):
    """Lets its writer go on when what is left is little, not when what was taken is."""

    async def pop(self, max_length: int) -> bytes:
        """Take at most so many bytes from the front."""
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data


class FlowProtocol(H2Protocol):
    """Ends what still waits for the reader when the connection has ended.

    A client with so many streams that their priorities are no longer kept is told to calm down, and not
    a failure to be logged.
    """

    async def handle(self, event: Event) -> None:
        """Deal with what came from the connection."""
        await super().handle(event)
        if isinstance(event, Closed):
            for buffer in list(self.stream_buffers.values()):
                await buffer.close()

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        # One by one, as a stream may end in between.
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # It has been answered without its body; the connection is for others too.
                size = event.flow_controlled_length
                self.connection.acknowledge_received_data(size, event.stream_id)
                await self._flush()
                continue
            try:
                await super()._handle_events([event])
            except PriorityError:
                self.connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                await self._flush()
                await self.send(Closed())
                return


class FarewellProtocol(H11Protocol):
    """Announces the end of the connection in an answer that is its last; RFC 9112 section 9.6."""

    connection: h11.Connection | H11WSConnection

    async def initiate(self) -> None:
        """Begin."""
        size = self.config.h11_max_incomplete_size
        self.connection = StrictConnection(h11.SERVER, max_incomplete_event_size=size)
        await super().initiate()

    async def stream_send(self, event: StreamEvent) -> None:
        """Deal with what comes from the application."""
        if (
            isinstance(event, Response)
            and event.status_code >= http.HTTPStatus.OK
            and self.context.terminated.is_set()
        ):
            event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)


class PatientServer(TCPServer):
    """Lets a request come that is on its way when it stops, before it closes an idle connection.

    A connection beyond ``most`` is closed at once: with HTTP/2 nothing else says that there are too many.
    """

    most: ClassVar[int] = sys.maxsize
    _open: ClassVar[int] = 0

    async def run(self) -> None:
        """Serve the connection."""
        cls = type(self)
        if cls._open >= cls.most:
            self.writer.close()
            return
        cls._open += 1
        try:
            await super().run()
        finally:
            cls._open -= 1

    async def protocol_send(self, event: Event) -> None:
        """Send; a connection whose client has gone is not kept for another request."""
        if isinstance(event, Updated) and event.idle and self.reader.at_eof():
            event = Updated(idle=False)
        await super().protocol_send(event)

    async def _read_data(self) -> None:
        await super()._read_data()
        # It would be counted, and take memory, until it had been idle long enough.
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        stops = self.context.terminated
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.keep_alive_timeout):
                await stops.wait()
            async with asyncio.timeout(_PATIENCE):
                # Real time: it is about real connections. A request ends this task.
                await asyncio.get_running_loop().create_future()
        await asyncio.shield(self._initiate_server_close())


def install_flow(settings: Settings) -> None:
    """Have Hypercorn use them, in all of this process."""
    PatientServer.most = settings.connections
    PingingStream.ping_interval = settings.ping_interval or PING_INTERVAL
    # It has no setting for any; these are the modules that make them.
    for module, name, ours in (
        (hypercorn.protocol, "H11Protocol", FarewellProtocol),
        (hypercorn.asyncio.run, "TCPServer", PatientServer),
        (hypercorn.protocol.ws_stream, "PerMessageDeflate", BoundedDeflate),
        (hypercorn.protocol.h11, "WSStream", PingingStream),
        (hypercorn.protocol.h2, "WSStream", PingingStream),
        (hypercorn.protocol.h2, "StreamBuffer", FlowBuffer),
        (hypercorn.protocol, "H2Protocol", FlowProtocol),
    ):
        setattr(module, name, ours)
