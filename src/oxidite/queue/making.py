"""What batches and schedules need of a queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from oxidite.queue.base import NewBatch, NewJob
from oxidite.queue.task import Call

__all__ = ["JobMaker", "JobPusher"]


class JobMaker(Protocol):
    """Makes a job of a call."""

    def new_job(self, call: Call[Any], /, *, batch: UUID | None = None) -> NewJob:
        """Return the job, as a store takes it."""
        ...


class JobPusher(JobMaker, Protocol):
    """Pushes jobs, too."""

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None, /) -> None:
        """Push jobs, in one step."""
        ...
