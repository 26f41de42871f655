"""How a job is to be run: when, where, for how long, and whether beside another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from oxidite.queue.base import JobState
from oxidite.queue.errors import TaskError

__all__ = ["Options", "Uniqueness"]


@dataclass(frozen=True, kw_only=True)
class Uniqueness:
    """Which jobs of a task are the same: those with the same values of ``by``, all arguments unless said.

    One that waits or runs stands in the way of another, or one in any of ``states``; only for
    ``period`` seconds after it was pushed, if there is one. ``conflict`` is what happens then.
    """

    by: tuple[str, ...] | None = None
    states: frozenset[JobState] = frozenset((JobState.WAITING, JobState.RUNNING))
    period: float | None = None
    conflict: Literal["skip", "replace_args", "replace_time", "replace"] = "skip"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a job is to be run. Times are in seconds."""

    queue: str = "default"
    priority: int = 0
    delay: float = 0.0
    at: datetime | None = None
    timeout: float = 600.0
    keep: float = 86_400.0
    """How long it is kept once it is completed or cancelled."""
    keep_dead: float = 30 * 86_400.0
    """How long it is kept as a dead letter."""
    unique: Uniqueness | None = None
    group: str | None = None
    """What limits by key count it under."""

    def __post_init__(self) -> None:
        if not self.queue or len(self.queue) > 100:
            raise TaskError(f"The name of a queue is 1 to 100 characters, not {self.queue!r}.")
        if not -32768 <= self.priority <= 32767:
            raise TaskError(f"priority={self.priority} is not from -32768 to 32767.")
        if not 0 < self.timeout < float("inf"):
            raise TaskError(f"timeout={self.timeout}: every job has one, above 0 and finite.")
        if min(self.delay, self.keep, self.keep_dead) < 0:
            raise TaskError("delay=, keep= and keep_dead= are times, from 0.")
        if self.at is not None and self.at.tzinfo is None:
            raise TaskError(f"at={self.at} has no time zone, so it is not known when that is.")
