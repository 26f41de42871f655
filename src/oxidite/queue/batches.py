"""Jobs that belong together, and what is to happen once all of them have ended."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from oxidite.ids import uuid7
from oxidite.queue.base import NewBatch, NewJob
from oxidite.queue.making import JobPusher
from oxidite.queue.task import Call

__all__ = ["Batch"]


class Batch:
    """Collects jobs, and pushes them together at the end of ``async with``; nothing if that raises.

    ::

        async with queue.batch(success=report.job()) as batch:
            for id in ids:
                batch.add(resize.job(id))
        state = await queue.batch_state(batch.id)

    ``success`` is pushed when all were completed, ``failure`` when one was not, ``always`` either way; what
    they run finds the id as ``job.batch``.
    """

    def __init__(
        self,
        queue: JobPusher,
        *,
        success: Call[Any] | None = None,
        failure: Call[Any] | None = None,
        always: Call[Any] | None = None,
    ) -> None:
        self.id: UUID = uuid7()
        self._queue = queue
        self._calls: list[Call[Any]] = []
        self._success = success
        self._failure = failure
        self._always = always

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, *calls: Call[Any]) -> None:
        """Add jobs."""
        self._calls += [each.renewed() for each in calls]

    async def __aenter__(self) -> Batch:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.push()

    async def push(self) -> None:
        """Push the jobs; done at the end of ``async with``."""
        jobs = [self._queue.new_job(call, batch=self.id) for call in self._calls]
        batch = NewBatch(
            self.id,
            len(jobs),
            self._made(self._success),
            self._made(self._failure),
            self._made(self._always),
        )
        await self._queue.push(jobs, batch)

    def _made(self, call: Call[Any] | None) -> tuple[NewJob, ...]:
        return () if call is None else (self._queue.new_job(call.renewed(), batch=self.id),)
