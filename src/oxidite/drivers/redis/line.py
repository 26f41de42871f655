"""What is on its way to the server: gathered, sent together, and given up when it takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from oxidite.drivers.redis.keeper import Keeper
from oxidite.drivers.redis.options import RedisOptions
from oxidite.drivers.redis.wire import Command, Wire
from oxidite.errors import BackendTimeoutError, BackendUnavailableError

__all__ = ["Line"]


class Line:
    """One connection that all tasks share, made anew when it breaks."""

    def __init__(self, options: RedisOptions, connected: Callable[[], object] | None) -> None:
        self._options = options
        self._connected = connected
        self._keeper = Keeper(options, self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused: Exception | None = BackendUnavailableError("This Redis is not open.")
        self._queue: list[Command] = []
        self._unsent = 0
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self.wire: Wire | None = None

    async def open(self) -> None:
        """Connect; a server that is away is waited for behind the scenes."""
        self._loop = asyncio.get_running_loop()
        self._refused = None
        await self._keeper.start()

    async def close(self) -> None:
        """Close, and let nobody wait."""
        wire, self.wire = self.wire, None
        self._refused = BackendUnavailableError("This Redis was closed.")
        await self._keeper.stop()
        for command in [*(wire.waiting if wire else ()), *self._queue]:
            command.fail(self._refused)
        self._queue.clear()
        self._unsent = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def put(self, packed: bytes, *, safe: bool, count: int = 0) -> asyncio.Future[object]:
        """Send a command with what else is asked for in this turn of the loop.

        ``count``: it is that many commands, and the replies are a list.
        """
        loop = self._loop
        if self._refused is not None or loop is None:
            raise _unavailable(self._refused)
        self._take_room(len(packed))
        future: asyncio.Future[object] = loop.create_future()
        deadline = loop.time() + self._options.timeout
        self._queue.append(Command(packed, future, deadline, safe=safe, count=count))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush)
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._check)
        return future

    def _take_room(self, size: int) -> None:
        pending = len(self._queue) + (0 if self.wire is None else len(self.wire.waiting))
        unsent = self._unsent + size
        # One large command is let through: it would be in memory anyway.
        is_too_much = unsent > self._options.max_unsent and self._unsent > 0
        if pending >= self._options.max_pending or is_too_much:
            raise BackendUnavailableError(
                f"{self._options.place} does not keep up: {pending} commands wait for an answer, "
                f"and {self._unsent} bytes to be sent."
            )
        self._unsent = unsent

    def _flush(self) -> None:
        self._scheduled = False
        wire = self.wire
        if wire is None or wire.is_paused or not self._queue:
            return
        # What nobody waits for any more was not sent yet, and need not be.
        wanted = [command for command in self._queue if not command.future.done()]
        self._queue.clear()
        self._unsent = 0
        wire.send(wanted)

    def _check(self) -> None:
        """Tell those who have waited long enough, and leave a connection on which nothing comes."""
        self._timer = None
        if self._loop is None:
            return
        now, wire = self._loop.time(), self.wire
        due = self._expire(now)
        if wire is not None and wire.waiting:
            silent_at = wire.heard_at + self._options.timeout
            if silent_at <= now:
                wire.abort(BackendTimeoutError(self._late()))
            else:
                due = silent_at if due is None else min(due, silent_at)
        if due is not None:
            self._timer = self._loop.call_at(due, self._check)

    def _expire(self, now: float) -> float | None:
        """End what is late, and return when the next will be. All have the same time, so it is the first."""
        for command in [*(self.wire.waiting if self.wire else ()), *self._queue]:
            due: float = command.deadline
            if due > now:
                return due
            command.fail(BackendTimeoutError(self._late()))
        return None

    def _late(self) -> str:
        return f"{self._options.place} did not answer within {self._options.timeout:g} seconds."

    # What the keeper and the connection tell.

    def up(self, wire: Wire) -> None:
        """Send what has waited for a connection."""
        self.wire = wire
        self._refused = None
        if self._connected is not None:
            self._connected()
        self._flush()

    def down(self, wire: Wire, error: Exception) -> None:
        """Let those who can be sent again wait for the next connection."""
        self.wire = None
        again: list[Command] = []
        for command in wire.waiting:
            if command.safe and not command.future.done():
                command.safe = False  # once: a command that ends the server must not end each one
                command.replies.clear()
                again.append(command)
            else:
                command.fail(_broken(error))
        wire.waiting.clear()
        self._queue[:0] = again
        self._unsent += sum(len(command.packed) for command in again)

    def refused(self, error: Exception) -> None:
        """Refuse what waits, and what comes, until there is a connection."""
        self._refused = error
        for command in self._queue:
            command.fail(_unavailable(error))
        self._queue.clear()
        self._unsent = 0

    def writable(self) -> None:
        """Send on."""
        self._flush()

    def pushed(self, message: list[object]) -> None:
        """Ignore what nobody subscribed to."""


def _unavailable(error: Exception | None) -> BackendUnavailableError:
    # One for each who waits: a traceback grows on it.
    made = BackendUnavailableError(str(error))
    made.__cause__ = error
    return made


def _broken(error: Exception) -> BackendUnavailableError:
    made = BackendUnavailableError(
        "The connection to Redis broke before the answer came, and nobody knows whether the command was "
        f"run: {error}"
    )
    made.__cause__ = error
    return made
