"""One WebSocket: how far it is, what ends it, and what it may cost."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any

from oxidite.concurrency import current_task
from oxidite.http.headers import MutableHeaders
from oxidite.http.websocket import MessageFormat
from oxidite.websocket.ahead import ReadAhead
from oxidite.websocket.codes import CloseCode, Closing, cut_reason
from oxidite.websocket.errors import (
    ClosedError,
    MessageTooLargeError,
    SlowClientError,
)
from oxidite.websocket.messages import Decode
from oxidite.websocket.rate import Bucket
from oxidite.websocket.settings import Settings
from oxidite.websocket.wire import Wire

__all__ = ["Connection"]

_LAST_WORD = 1.0
"""Seconds that a client may take to take the close frame; real time, as it is about a connection."""


class Connection:
    """What the sockets of one request share. It is open from the answer to the handshake on.

    What it is told of a client that left it gets from whoever receives; where nobody does, the sweeper
    of requests in flight reads ahead (``oxidite.protocols.InFlight``).
    """

    __slots__ = (
        "_ahead",
        "_bucket",
        "_grace_timer",
        "_heard",
        "_idle_timer",
        "_is_active",
        "_is_limited",
        "_is_told",
        "_late",
        "_loop",
        "_reader",
        "_send_timer",
        "_settled",
        "_silent",
        "_surely_fits",
        "_wire",
        "_writers",
        "ended",
        "gone",
        "handler",
        "headers",
        "interrupted",
        "offered",
        "settings",
        "subprotocol",
        "task",
        "too_slow",
        "wanted",
    )

    def __init__(
        self, settings: Settings, offered: tuple[str, ...], subprotocol: str | None
    ) -> None:
        self.settings: Settings = settings
        self.offered: tuple[str, ...] = offered
        self.subprotocol: str | None = subprotocol
        self.headers: MutableHeaders = MutableHeaders()
        """What goes into the handshake besides what middleware adds."""
        self.wanted: asyncio.Event = asyncio.Event()
        """Set when the handler wants to speak, or has ended."""
        self.ended: Closing | None = None
        """Why nothing can be received any more."""
        self.handler: asyncio.Task[object] | None = None
        # For the sweeper, which is not to cancel anything: the handler has its grace.
        self.task: asyncio.Task[object] | None = None
        self.gone: bool = False
        self.interrupted: bool = False
        self.too_slow: bool = False
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._settled = asyncio.Event()
        self._silent = False  # nothing can be sent any more
        self._reader: asyncio.Task[object] | None = None
        self._is_active = False  # somebody has received since the sweeper looked
        self._is_told = False  # the reader was cancelled, by us
        self._ahead: ReadAhead | None = None
        self._writers: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._send_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._grace_timer: asyncio.TimerHandle | None = None
        self._heard = 0.0  # when the last message passed, by the loop's time
        rate = settings.rate
        self._bucket = None if rate is None else Bucket(rate, settings.burst)
        self._is_limited = settings.idle is not None or rate is not None
        self._surely_fits = settings.max_message // 4

    @property
    def format(self) -> MessageFormat:
        """How typed messages are written."""
        settings = self.settings
        return settings.formats.get(self.subprotocol or "", settings.format)

    # From the handshake to the first message.

    @property
    def is_accepted(self) -> bool:
        """Whether the handshake was answered with a WebSocket."""
        return self._wire is not None

    async def open(self) -> Wire:
        """Have the handshake answered, if it was not yet, and return the way to the client.

        Raises:
            ClosedError: it was refused, or the client had left.
        """
        if self._wire is None:
            self.wanted.set()
            await self._settled.wait()
            if self._wire is None:
                raise ClosedError(*(self.ended or Closing(CloseCode.ABNORMAL)))
        return self._wire

    def opened(self, wire: Wire) -> None:
        """Let the handler speak."""
        self._wire = wire
        self._settled.set()
        if self.settings.idle is not None:
            self._heard = self._loop.time()
            self._idle_timer = self._loop.call_later(self.settings.idle, self._look_idle)

    def refused(self) -> None:
        """Let the handler know that nothing will come of it."""
        self._silent = True
        self.end(CloseCode.ABNORMAL, "The handshake was refused.")
        self._settled.set()

    # Messages.

    async def read(self, decode: Decode | None = None, *, in_loop: bool = False) -> Any:
        """Return the next message, as ``decode`` makes it; a loop ends where others get an error.

        Raises:
            ClosedError: there will be none.
            MessageTooLargeError: it was too large.
            RateExceededError: it came too soon.
        """
        # PERF: one coroutine between the handler and the server; benchmark `ws`.
        wire = self._wire or await self.open()
        if self._reader is not None:
            raise RuntimeError(
                "Two tasks receive from one WebSocket, and each would get some of the messages. Let one "
                "of them receive."
            )
        if self.ended is not None:
            raise StopAsyncIteration if in_loop else ClosedError(*self.ended)
        self._is_active = True
        self._reader = current_task(self._loop)
        try:
            if self._ahead is None:
                data = wire.content(await wire.receive())
            else:
                data = await self._ahead.receive()
        except ClosedError as exc:
            self._reader = None  # it knows already
            self._client_left(exc)
            if in_loop:
                raise StopAsyncIteration from None
            raise
        except asyncio.CancelledError:
            self._end_told(in_loop=in_loop)
            raise
        finally:
            self._reader = None
        # Text has four bytes at most for each of its characters.
        if self._is_limited or len(data) > self._surely_fits:
            self._look_at(data)
        return data if decode is None else decode(data)

    def _look_at(self, data: str | bytes) -> None:
        settings = self.settings
        size = len(data) if isinstance(data, bytes) else _size(data)
        if size > settings.max_message:
            raise MessageTooLargeError(
                f"A message is larger than the {settings.max_message} bytes allowed here."
            )
        self._heard = self._loop.time()
        if self._bucket is not None:
            self._bucket.take()

    async def write(self, data: str | bytes) -> None:
        """Send a message; wait while the client is slow.

        Raises:
            ClosedError: it has left, or this side closed.
            SlowClientError: it took too long.
        """
        wire = self._wire or await self.open()
        if self._silent:
            raise ClosedError(*(self.ended or Closing(CloseCode.ABNORMAL)))
        task = current_task(self._loop)
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._heard = self._writers[task] = self._loop.time()
        if self._send_timer is None and self.settings.send_timeout is not None:
            timeout = self.settings.send_timeout
            self._send_timer = self._loop.call_later(timeout, self._look_slow, timeout)
        try:
            await wire.send(data)
        except OSError:
            self._client_left(ClosedError(CloseCode.ABNORMAL))
            raise ClosedError(*(self.ended or Closing(CloseCode.ABNORMAL))) from None
        except asyncio.CancelledError:
            if task in self._late:
                self._late.discard(task)
                if task.uncancel() == 0:
                    raise SlowClientError from None
            raise
        finally:
            self._writers.pop(task, None)

    async def close(self, code: int, reason: str) -> None:
        """Send the close frame, once; whoever receives is told."""
        wire = self._wire or await self.open()
        if self._silent:
            return
        self._silent = True
        self._tell(code, reason)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await wire.close(code, cut_reason(reason))

    # The end.

    def end(self, code: int, reason: str = "") -> None:
        """End what can be received; the handler is given its grace and is cancelled then."""
        self._tell(code, reason)
        self._begin_grace()

    def _tell(self, code: int, reason: str) -> None:
        if self.ended is None:
            self.ended = Closing(code, reason)
        if self._reader is not None and not self._is_told:
            self._is_told = True
            self._reader.cancel()

    def release(self) -> None:
        """Let go of the clock; the handler has ended."""
        for timer in (self._idle_timer, self._send_timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        self._silent = True

    def _client_left(self, how: ClosedError) -> None:
        self._silent = True
        self.end(how.close_code, how.reason)

    def _begin_grace(self) -> None:
        handler, grace = self.handler, self.settings.grace
        if self._grace_timer is None and handler is not None and math.isfinite(grace):
            self._grace_timer = self._loop.call_later(grace, handler.cancel)

    def _end_told(self, *, in_loop: bool) -> None:
        """Turn a cancellation that was ours into the end that it stands for."""
        reader = self._reader
        if self._is_told and self.ended is not None and reader is not None:
            self._is_told = False
            if reader.uncancel() == 0:
                raise (StopAsyncIteration if in_loop else ClosedError(*self.ended)) from None

    # The limits.

    def _look_idle(self) -> None:
        idle = self.settings.idle or 0.0
        left = self._heard + idle - self._loop.time()
        if left > 0:
            self._idle_timer = self._loop.call_later(left, self._look_idle)
        else:
            self.end(CloseCode.GOING_AWAY, f"No message for {idle:g} seconds.")

    def _look_slow(self, timeout: float) -> None:
        """Give up on what waits for the client for too long; look again for what does not yet."""
        now = self._loop.time()
        late = [task for task, since in self._writers.items() if now - since >= timeout]
        for task in late:
            del self._writers[task]
            self._late.add(task)
            task.cancel()
        if late:
            self.end(CloseCode.TRY_LATER, "The client reads too slowly.")
        self._send_timer = None
        if self._writers:
            left = min(self._writers.values()) + timeout - now
            self._send_timer = self._loop.call_later(left, self._look_slow, timeout)

    # For the sweeper of requests in flight.

    def starves(self, pace: object) -> bool:
        """Tell that it has no body that could come too slowly; ``idle`` is its own limit."""
        return False

    def can_be_watched(self) -> bool:
        """Tell whether nobody has received since this was asked last."""
        # PERF: whoever is read ahead of pays for it with every message; benchmark `ws`.
        active, self._is_active = self._is_active, False
        return not active and self._reader is None and self.ended is None and self.is_accepted

    def read_ahead(self) -> None:
        """Have whoever receives from now on get what the watcher has read."""
        if self._wire is not None:
            self._ahead = ReadAhead(self._wire)

    async def wait_gone(self) -> None:
        """Return when the client has left."""
        if self._ahead is not None:
            await self._ahead.run()
            if not self._silent:  # else it is the answer to our own close frame
                # What it said before it left can still be received; only then does that end.
                self._silent = True
                self._begin_grace()


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
