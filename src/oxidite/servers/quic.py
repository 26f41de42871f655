"""Hypercorn's HTTP/3 with mends, as what one client does must neither stop nor fill what serves all.

Every datagram of every client passes through one loop, and Hypercorn waits in it: for a handler to read
the body of its request, for the end of a request that has had its answer. Here nothing is waited for, and
a client gets as much room for a body as has been read of it. A handler waits for a client that takes
nothing, and is told when it has gone. At the end connections are closed on which nothing happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

import hypercorn.asyncio.run
import hypercorn.protocol.h3
import hypercorn.protocol.quic
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.connection import MAX_STREAM_DATA_FRAME_CAPACITY, QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    QuicEvent,
    StopSendingReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicFrameType
from hypercorn.asyncio.udp_server import UDPServer
from hypercorn.config import Config
from hypercorn.events import RawData
from hypercorn.protocol.events import Body, Data, EndBody, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h3 import H3Protocol
from hypercorn.protocol.quic import QuicProtocol
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
    TaskGroup,
)

from oxidite.servers.pings import PingingStream

if TYPE_CHECKING:
    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream
    from hypercorn.protocol.quic import _Connection

__all__ = ["ClosingServer", "FlowConnection", "FlowProtocol", "install_quic"]

_logger = logging.getLogger("oxidite")

_NO_ERROR = 0x100
_INTERNAL_ERROR = 0x102
"""H3_NO_ERROR and H3_INTERNAL_ERROR, RFC 9114 section 8.1."""
_LOOK = 0.05
_ROOM = 262_144
"""Bytes of a body that may have come and not been read."""
_AHEAD = 524_288
"""Bytes of an answer that its client may not have acknowledged before the handler waits."""


class FlowConnection(QuicConnection):
    """Gives a client room for what it sends as it is read; RFC 9000 section 4.1."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # passed on
        self.unread: dict[int, int] = {}
        """How many bytes of a stream have come that nobody has read."""

    def waiting(self, stream_id: int) -> int:
        """Return how many bytes the client has not acknowledged yet."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else len(stream.sender._buffer)  # noqa: SLF001 - it tells nobody

    def _write_stream_limits(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream
    ) -> None:
        stream_id = stream.stream_id
        if stream_id is None or stream_id % 4:
            # No request: the streams of HTTP/3 itself.
            super()._write_stream_limits(builder, space, stream)
            return
        room = stream.receiver.highest_offset - self.unread.get(stream_id, 0) + _ROOM
        if room >= stream.max_stream_data_local + _ROOM // 2:
            stream.max_stream_data_local = room
        if stream.max_stream_data_local_sent != stream.max_stream_data_local:
            buffer = builder.start_frame(
                QuicFrameType.MAX_STREAM_DATA,
                capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
                handler=self._on_max_stream_data_delivery,
                handler_args=(stream,),
            )
            buffer.push_uint_var(stream_id)
            buffer.push_uint_var(stream.max_stream_data_local)
            stream.max_stream_data_local_sent = stream.max_stream_data_local


class _Tasks:
    """Starts an application for each request, and tells when it has read a part of the body."""

    def __init__(self, tasks: TaskGroup, taken: Callable[[int, int], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._taken = taken
        self.stream_id = 0
        """Of the request that begins just now."""

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Start it; returns what puts messages into its queue."""
        stream_id = self.stream_id

        async def counted(
            scope: Scope,
            receive: ASGIReceiveCallable,
            send: ASGISendCallable,
            sync_spawn: Callable[..., object],
            call_soon: Callable[..., object],
        ) -> None:
            async def taking() -> ASGIReceiveEvent:
                message = await receive()
                if message["type"] == "http.request" and message["body"]:
                    await self._taken(stream_id, len(message["body"]))
                return message

            await app(scope, taking, send, sync_spawn, call_soon)

        return await self._tasks.spawn_app(counted, config, scope, send)

    def spawn(self, function: Callable[..., object], *args: object) -> None:
        """Start anything else."""
        self._tasks.spawn(function, *args)


class FlowProtocol(H3Protocol):
    """The requests of one connection."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # passed on
        quic = self.connection._quic  # noqa: SLF001 - it is given, and not handed out
        self._quic = cast("FlowConnection", quic)  # see install_quic
        self._tasks = _Tasks(self.task_group, self._taken)
        self.task_group: TaskGroup = cast("TaskGroup", self._tasks)
        self._answered: set[int] = set()
        """The streams that have had their answer and are still sending."""
        self._room = asyncio.Event()

    def made_room(self) -> None:
        """Let those look again who wait for the client."""
        self._room.set()
        self._room = asyncio.Event()

    async def handle(self, quic_event: QuicEvent) -> None:
        """Deal with what came from the connection; never raises."""
        try:
            for event in self.connection.handle_event(quic_event):
                await self._hear(event)
            if isinstance(quic_event, ConnectionTerminated):
                for stream_id in list(self.streams):
                    await self._leave(stream_id)
            elif isinstance(quic_event, StreamReset | StopSendingReceived):
                await self._leave(quic_event.stream_id)
        except Exception:
            _logger.exception("an HTTP/3 connection failed and is closed")
            self._quic.close(error_code=_INTERNAL_ERROR)

    async def _hear(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived):
            return
        stream_id = event.stream_id
        if stream_id in self._answered:
            if event.stream_ended:
                self._answered.discard(stream_id)
        elif stream_id in self.streams:
            await self._go_on(event)
        elif isinstance(event, HeadersReceived) and not self.context.terminated.is_set():
            self._tasks.stream_id = stream_id
            await self._create_stream(event)
            if event.stream_ended and stream_id in self.streams:
                await self.streams[stream_id].handle(EndBody(stream_id=stream_id))

    async def _go_on(self, event: HeadersReceived | DataReceived) -> None:
        stream = self.streams[event.stream_id]
        # What comes in a second head are trailers, and nobody asks for them.
        if isinstance(event, DataReceived) and event.data:
            unread = self._quic.unread
            unread[event.stream_id] = unread.get(event.stream_id, 0) + len(event.data)
            await stream.handle(Body(stream_id=event.stream_id, data=event.data))
        if event.stream_ended:
            self._quic.unread.setdefault(event.stream_id, 0)
            await stream.handle(EndBody(stream_id=event.stream_id))

    async def _leave(self, stream_id: int) -> None:
        """Tell the application that nobody is there any more."""
        self._answered.discard(stream_id)
        stream = self.streams.pop(stream_id, None)
        self._quic.unread.pop(stream_id, None)
        if stream is not None:
            await stream.handle(StreamClosed(stream_id=stream_id))
        self.made_room()

    async def _taken(self, stream_id: int, size: int) -> None:
        if stream_id in self._quic.unread:
            self._quic.unread[stream_id] -= size
            await self.send()

    async def stream_send(self, event: StreamEvent) -> None:
        """Deal with what comes from the application."""
        stream_id = event.stream_id
        if stream_id not in self.streams:
            return
        if isinstance(event, StreamClosed):
            self._close(stream_id)
        await super().stream_send(event)
        if isinstance(event, Body | Data):
            while stream_id in self.streams and self._quic.waiting(stream_id) > _AHEAD:
                await self._room.wait()

    def _close(self, stream_id: int) -> None:
        self._quic.unread.pop(stream_id, None)
        stream = self._quic._streams.get(stream_id)  # noqa: SLF001 - as above
        if stream is not None and not stream.receiver.is_finished:
            # RFC 9114 section 4.1: the rest of the request is of no use.
            self._answered.add(stream_id)
            self._quic.stop_stream(stream_id, _NO_ERROR)


class _FlowQuic(QuicProtocol):
    """All connections."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # passed on
        self.quic_config.max_stream_data = _ROOM

    async def send_all(self, connection: _Connection) -> None:
        """Send what there is to be sent; what has been acknowledged has made room."""
        await super().send_all(connection)
        if isinstance(connection.h3, FlowProtocol):
            connection.h3.made_room()


class ClosingServer(UDPServer):
    """Closes what is idle once it has been told to stop.

    Hypercorn waits for clients to close their connections, who know nothing of the end.
    """

    async def run(self) -> None:
        """Serve until nothing is left."""
        closer = self.loop.create_task(self._close_when_told())
        try:
            await super().run()
        finally:
            closer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await closer

    async def _close_when_told(self) -> None:
        await self.context.terminated.wait()
        while True:
            for each in {id(one): one for one in self.protocol.connections.values()}.values():
                if each.h3 is None or not each.h3.streams:
                    each.quic.close(error_code=_NO_ERROR)
                    await self.protocol.send_all(each)
            # It looks whether anything is left only when something comes.
            with contextlib.suppress(asyncio.QueueFull):
                self.protocol_queue.put_nowait(RawData(b""))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self.loop.create_future()


def install_quic(config: Config) -> None:
    """Have Hypercorn use them, in all of this process, with a configuration that fits."""
    # It has no setting for any; these are the modules that make them.
    for module, name, ours in (
        (hypercorn.asyncio.run, "UDPServer", ClosingServer),
        (hypercorn.protocol.h3, "WSStream", PingingStream),
        (hypercorn.protocol.quic, "H3Protocol", FlowProtocol),
        (hypercorn.protocol.quic, "QuicConnection", FlowConnection),
        (hypercorn.protocol.quic, "QuicProtocol", _FlowQuic),
    ):
        setattr(module, name, ours)
    # Who puts a message there is the one loop; what may wait is bounded above.
    config.max_app_queue_size = 0
