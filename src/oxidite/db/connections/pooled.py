"""What a pool holds, and what it tells of itself."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from oxidite.clock import perf

__all__ = ["Kept", "PoolStats", "Pooled"]


class Pooled(Protocol):
    """What a pool needs of a connection."""

    @property
    def is_broken(self) -> bool:
        """Whether it must not be used again."""
        ...

    async def ping(self) -> None:
        """Ask the database for a sign of life; raises if there is none."""
        ...

    async def close(self) -> None:
        """Close it; never raises."""
        ...


C = TypeVar("C", bound=Pooled)


class PoolStats(Struct, frozen=True, kw_only=True):
    """How a pool is, and what it did since it was opened. Times are in seconds."""

    size: int
    open: int
    idle: int
    in_use: int
    waiting: int
    opened: int
    closed: int
    waits: int
    wait_time: float
    timeouts: int


class Kept(Generic[C]):
    """A connection, and what the pool knows of it."""

    __slots__ = ("connection", "is_reported", "rested", "since", "task", "until")

    def __init__(self, connection: C, until: float) -> None:
        self.connection: C = connection
        self.until: float = until
        self.rested: float = perf()
        self.since: float = 0.0
        self.task: asyncio.Task[object] | None = None
        self.is_reported: bool = False
