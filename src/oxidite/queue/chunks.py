"""Chunks: jobs of one task that are run together, by one call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from uuid import UUID

from oxidite import clock
from oxidite.queue.base import Ready
from oxidite.queue.errors import TaskError

__all__ = ["Chunk", "Chunks"]

_MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """How many jobs of a task are run together: up to ``size``, collected for ``within`` seconds at most.

    The time counts from when the worker claimed the first of them; each worker collects its own.
    """

    size: int = 100
    within: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.size <= _MOST:
            raise TaskError(f"size={self.size} of a chunk is from 1 to {_MOST}.")
        if not 0 <= self.within < float("inf"):
            raise TaskError(f"within={self.within} of a chunk is a time in seconds, from 0.")


class _Open:
    """A chunk that is being collected."""

    def __init__(self, chunk: Chunk, timer: asyncio.TimerHandle) -> None:
        self.chunk = chunk
        self.timer = timer
        self.jobs: list[Ready] = []


class Chunks:
    """The jobs of a worker that wait for others to be run with; ``closed`` is told when time is up for some."""

    def __init__(self, closed: Callable[[], None]) -> None:
        self.full: deque[tuple[list[Ready], float]] = deque()
        """Chunks that are only to be run, and since when, by ``clock.perf``."""
        self._closed = closed
        self._open: dict[Hashable, _Open] = {}

    def __iter__(self) -> Iterator[Ready]:
        for jobs, _ in self.full:
            yield from jobs
        for each in self._open.values():
            yield from each.jobs

    def add(self, key: Hashable, chunk: Chunk, job: Ready) -> None:
        """Add a job to those of its key; at most so many are collected in all."""
        found = self._open.get(key)
        if found is None:
            timer = asyncio.get_running_loop().call_later(chunk.within, self._time_is_up, key)
            found = self._open[key] = _Open(chunk, timer)
        found.jobs.append(job)
        if len(found.jobs) >= chunk.size:
            self._close(key)
        elif sum(len(each.jobs) for each in self._open.values()) > _MOST:
            # As with very many tenants: the memory of the worker has an end.
            self._close(next(iter(self._open)))

    def remove(self, id: UUID) -> Ready | None:
        """Take out a job, if it is here."""
        for jobs in (
            *(jobs for jobs, _ in self.full),
            *(each.jobs for each in self._open.values()),
        ):
            for job in jobs:
                if job.id == id:
                    jobs.remove(job)
                    return job
        return None

    def clear(self) -> list[Ready]:
        """Take out all of them."""
        found = list(self)
        for each in self._open.values():
            each.timer.cancel()
        self._open.clear()
        self.full.clear()
        return found

    def _time_is_up(self, key: Hashable) -> None:
        self._close(key)
        self._closed()

    def _close(self, key: Hashable) -> None:
        found = self._open.pop(key)
        found.timer.cancel()
        if found.jobs:  # not one that was cancelled meanwhile
            self.full.append((found.jobs, clock.perf()))
