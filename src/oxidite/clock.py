"""The only time there is: every TTL, token, schedule and back-off asks here, and tests travel in it.

One clock is current in the whole process. ``use`` puts another in its place, and everything that
asks for the time through this module follows. I/O time-outs, waits for a pool, leases' heartbeats
and ``asyncio.timeout`` do not ask here: they measure the real world, and a test that travels must
not make a healthy connection time out. Neither does ``perf``, which measures how long code ran.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeAlias, TypeVar

__all__ = [
    "Clock",
    "TravelClock",
    "current",
    "monotonic",
    "now",
    "perf",
    "process",
    "sleep",
    "timestamp",
    "travelled",
    "use",
]

_SECOND = 1_000_000_000  # in nanoseconds, which is how a TravelClock counts
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOREVER = 1 << 128  # the due time, in nanoseconds, of a sleep that only a cancellation ends

# How long a TravelClock lets the program run before it goes on: a program that never comes to
# rest must not hold time still. A loop that does not show what it has ready gets a fixed share.
_MOST_TURNS = 10_000
_BLIND_TURNS = 50
_IDLE_TURNS = 2

_Sleeper: TypeAlias = "tuple[int, int, asyncio.Future[None]]"  # due, order of arrival, who waits


class Clock:
    """The real time of this machine."""

    def now(self) -> datetime:
        """Return the wall-clock time as an aware datetime in UTC."""
        return datetime.now(UTC)

    def timestamp(self) -> float:
        """Return the wall-clock time in seconds since 1970, for storing and for tokens."""
        return time.time()

    # PERF: without a frame of its own, see `process`.
    monotonic: Callable[[], float] = staticmethod(time.monotonic)
    """Return seconds that never go back; only the difference of two readings has a meaning."""

    def travelled(self) -> float:
        """Return how many seconds this clock is ahead of real time: 0 unless a test moved it."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``; zero or less lets other tasks run once, NaN is a ``ValueError``."""
        _refuse_nan(seconds)
        await asyncio.sleep(seconds)


class TravelClock(Clock):
    """A clock that stands still until a test moves it.

    It starts at ``start``, or at the next whole second of the real time: so nothing goes back when
    it comes into use, and whole seconds added to it stay exact. It counts whole nanoseconds, so ten
    steps of 0.1 s are one second. It serves one event loop.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError(f"A clock starts at an aware datetime; {start} has no time zone.")
        self._wall = _nanoseconds_of(start) if start else math.ceil(time.time()) * _SECOND
        self._started = math.ceil(time.monotonic()) * _SECOND
        self._elapsed = 0
        self._sleepers: list[_Sleeper] = []
        self._arrivals = count()
        self._advancing = False

    @property
    def sleepers(self) -> int:
        """How many sleeps wait for this clock to move."""
        return len(self._sleepers)

    def now(self) -> datetime:
        """Return the time travelled to, cut to whole microseconds."""
        return _EPOCH + timedelta(microseconds=(self._wall + self._elapsed) // 1000)

    def timestamp(self) -> float:
        """Return the time travelled to in seconds since 1970."""
        return (self._wall + self._elapsed) / _SECOND

    def monotonic(self) -> float:
        """Return seconds that grow exactly as far as this clock was moved."""
        return (self._started + self._elapsed) / _SECOND

    def travelled(self) -> float:
        """Return how many seconds this clock is ahead of real time, which goes on while it stands."""
        return self.monotonic() - time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock was moved by ``seconds``; a cancelled sleep leaves nothing behind."""
        _refuse_nan(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        # At least one nanosecond: a tiny sleep in a loop must let time pass.
        due = self._elapsed + max(1, _nanoseconds(seconds))
        sleeper = (due, next(self._arrivals), asyncio.get_running_loop().create_future())
        insort(self._sleepers, sleeper)
        try:
            await sleeper[2]
        finally:
            self._forget(sleeper)

    async def advance(self, seconds: float) -> None:
        """Move by ``seconds``, waking each sleep at its own time.

        Sleeps are woken in the order of their due time, equal ones in the order they began. Each
        woken task runs until everything waits again before the next is woken, and a sleep that
        begins on the way and ends before the destination is woken too. Work in threads and answers
        from other machines are not waited for. Cancelled, the clock stays where it had come to.

        Raises:
            ValueError: ``seconds`` is negative, infinite or not a number.
            RuntimeError: this clock is being advanced already, perhaps by the task that calls.
        """
        destination = self._elapsed + _distance(seconds)
        if self._advancing:
            raise RuntimeError("This clock is being advanced already: await one advance at a time.")
        self._advancing = True
        try:
            await _run_until_idle()  # a task just started must reach its first sleep
            while self._sleepers and self._sleepers[0][0] <= destination:
                self._elapsed = max(self._elapsed, self._sleepers[0][0])
                self._wake_first()
                await _run_until_idle()
            self._elapsed = max(self._elapsed, destination)
        finally:
            self._advancing = False

    def jump(self, seconds: float) -> None:
        """Move by ``seconds`` at once, for code that cannot await.

        As after the machine was suspended: every sleep that came due is woken, in order, and finds
        the clock at the destination. Raises ``ValueError`` as ``advance`` does.
        """
        self._elapsed += _distance(seconds)
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            self._wake_first()

    def _wake_first(self) -> None:
        future = self._sleepers.pop(0)[2]
        if not future.done():  # cancelled, and its task has not run yet
            future.set_result(None)

    def _forget(self, sleeper: _Sleeper) -> None:
        place = bisect_left(self._sleepers, sleeper)
        if place < len(self._sleepers) and self._sleepers[place] is sleeper:
            del self._sleepers[place]


def _refuse_nan(seconds: float) -> None:
    if math.isnan(seconds):
        raise ValueError("A sleep needs a number of seconds, not NaN.")


def _distance(seconds: float) -> int:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"A clock moves forward by a finite time; {seconds} seconds is none.")
    return _nanoseconds(seconds)


def _nanoseconds(seconds: float) -> int:
    return _FOREVER if seconds == math.inf else round(seconds * _SECOND)


def _nanoseconds_of(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000


async def _run_until_idle() -> None:
    # What a loop has ready to run is not public, but asyncio's own loop has kept this name since
    # its beginning, and nothing public tells "all wait" from "one callback is still on its way".
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    if ready is None:
        for _ in range(_BLIND_TURNS):
            await asyncio.sleep(0)
        return
    idle = 0
    for _ in range(_MOST_TURNS):
        await asyncio.sleep(0)  # one turn of the loop, which also looks at the sockets
        idle = 0 if ready else idle + 1
        if idle == _IDLE_TURNS:
            return


_ClockT = TypeVar("_ClockT", bound=Clock)


class _Process:
    """The clock of this process."""

    __slots__ = ("clock", "monotonic")

    def __init__(self, clock: Clock) -> None:
        self.clock: Clock
        self.monotonic: Callable[[], float]
        self.use(clock)

    def use(self, clock: Clock) -> None:
        """Make it another one."""
        self.clock = clock
        self.monotonic = clock.monotonic


process: _Process = _Process(Clock())
"""``process.monotonic()`` is ``monotonic()`` with one call less, for who asks each microsecond: a hit of a cache."""


@contextlib.contextmanager
def use(clock: _ClockT) -> Iterator[_ClockT]:
    """Make ``clock`` the clock of the whole process, and restore the one before at the end.

    A sleep belongs to the clock it began on.
    """
    before = process.clock
    process.use(clock)
    try:
        yield clock
    finally:
        process.use(before)


def current() -> Clock:
    """Return the clock of the process, as for a test that wants to move it."""
    return process.clock


def now() -> datetime:
    """Return the wall-clock time as an aware datetime in UTC."""
    return process.clock.now()


def timestamp() -> float:
    """Return the wall-clock time in seconds since 1970, for storing and for tokens."""
    return process.clock.timestamp()


def monotonic() -> float:
    """Return seconds that never go back; only the difference of two readings has a meaning."""
    return process.monotonic()


def travelled() -> float:
    """Return what is to be added to the time of another machine, so that it travels along: else 0."""
    return process.clock.travelled()


def perf() -> float:
    """Return real seconds of the finest kind, to measure how long code ran; never travels."""
    return time.perf_counter()


async def sleep(seconds: float) -> None:
    """Wait for ``seconds``; zero or less lets other tasks run once, NaN is a ``ValueError``."""
    await process.clock.sleep(seconds)
