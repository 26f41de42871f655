"""How a job is to be run: when, where, for how long, and whether beside another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from oxidite.queue.base import JobState
from oxidite.queue.errors import TaskError

__all__ = ["LONGEST_GROUP", "Options", "Uniqueness", "is_name"]

_LONGEST = (
    10_000_000_000.0  # seconds, about 300 years: a moment that every store, and a date, can tell
)
LONGEST_GROUP = 200  # characters
_CONFLICTS = ("skip", "replace_args", "replace_time", "replace")


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

    def __post_init__(self) -> None:
        if isinstance(self.by, str):
            raise TaskError(f"by= is a tuple of names of arguments: by=({self.by!r},).")
        if self.conflict not in _CONFLICTS:
            raise TaskError(f"conflict={self.conflict!r} is none of {', '.join(_CONFLICTS)}.")
        if self.period is not None and not self.period > 0:
            raise TaskError(f"period={self.period} is a time in seconds, above 0.")


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
    """What limits by key count it under, and what takes turns in a queue that is fair."""
    group_by: str | Callable[[], object] | None = None
    """What the group is unless ``group`` says so: an argument, by name, or what is called where it is pushed."""

    def __post_init__(self) -> None:
        _check_name("The name of a queue", self.queue, 100)
        if self.group is not None:
            _check_name("group=", self.group, LONGEST_GROUP)
        if not -32768 <= self.priority <= 32767:
            raise TaskError(f"priority={self.priority} is not from -32768 to 32767.")
        if not 0 < self.timeout < float("inf"):
            raise TaskError(f"timeout={self.timeout}: every job has one, above 0 and finite.")
        for name in ("delay", "keep", "keep_dead"):
            if not 0 <= getattr(self, name) <= _LONGEST:
                raise TaskError(
                    f"{name}={getattr(self, name)} is a time in seconds, from 0 to {_LONGEST:,.0f}."
                )
        if self.at is not None and self.at.tzinfo is None:
            raise TaskError(f"at={self.at} has no time zone, so it is not known when that is.")


def is_name(name: str, longest: int) -> bool:
    """Tell whether stores can have a name in an index, whose entries have an end; no database takes every character."""
    return 0 < len(name) <= longest and name.isprintable()


def _check_name(what: str, name: str, longest: int) -> None:
    if not is_name(name, longest):
        raise TaskError(f"{what} is printable, of 1 to {longest} characters, not {name!r:.200}.")
