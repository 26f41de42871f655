"""How jobs come into the memory, and how batches of them end."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import heappush
from itertools import count
from uuid import UUID

from msgspec import structs

from oxidite import clock
from oxidite.queue.base import JobState, NewBatch, NewJob, Pushed, Unique
from oxidite.queue.stores.memory.jobs import Batch, Job, Queue

__all__ = ["Pushing"]


class Pushing:
    """What is there, and what is pushed."""

    def __init__(self) -> None:
        self._jobs: dict[UUID, Job] = {}
        self._queues: dict[str, Queue] = defaultdict(Queue)
        self._unique: dict[bytes, list[UUID]] = defaultdict(list)
        self._batches: dict[UUID, Batch] = {}
        self._places = count()
        self._waiting: set[asyncio.Event] = set()

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        """Keep jobs."""
        if batch is not None and batch.id not in self._batches:
            self._batches[batch.id] = Batch(batch)
            self._end_batch(batch.id)
        return self._push(jobs)

    def _push(self, jobs: Iterable[NewJob]) -> list[Pushed]:
        now = clock.timestamp()
        pushed = [self._push_one(job, now) for job in jobs]
        self._wake()
        return pushed

    def _push_one(self, new: NewJob, now: float) -> Pushed:
        if new.id in self._jobs:
            return Pushed(new.id, False)
        due = now + new.delay if new.at is None else new.at
        if new.unique is not None:
            other = self._in_the_way(new.unique, now)
            if other is not None:
                self._replace(other, new, due)
                self._forget_of_batch(new)
                return Pushed(other.new.id, False)
            self._unique[new.unique.key].append(new.id)
        job = Job(
            new=new,
            args=new.args,
            state=JobState.WAITING,
            pushed_at=now,
            due_at=due,
            keep=new.keep,
        )
        self._jobs[new.id] = job
        self._wait(job, due)
        return Pushed(new.id, True)

    def _forget_of_batch(self, new: NewJob) -> None:
        """Count a job that was dropped as one that was done: nobody else will."""
        if new.batch is not None:
            self._count_in_batch(new.batch, is_completed=True)

    def _in_the_way(self, unique: Unique, now: float) -> Job | None:
        for id in reversed(self._unique.get(unique.key, [])):
            job = self._jobs.get(id)
            if job is None or job.state not in unique.states:
                continue
            if unique.period is None or job.pushed_at > now - unique.period:
                return job
        return None

    def _replace(self, job: Job, new: NewJob, due: float) -> None:
        assert new.unique is not None  # noqa: S101 - the caller asked
        conflict = new.unique.conflict
        if conflict == "skip" or job.state is not JobState.WAITING:
            return
        if conflict != "replace_time":
            job.args = new.args
            job.new = structs.replace(job.new, version=new.version)
            job.saved = job.listening = None
        if conflict != "replace_args":
            self._wait(job, due)

    def _wait(self, job: Job, due: float) -> None:
        """Put a job where it is claimed from, and take it from where it was."""
        job.state = JobState.WAITING
        job.due_at = due
        job.place = next(self._places)
        heappush(self._queues[job.new.queue].later, (due, job.place, job.new.id))

    def _wake(self) -> None:
        for told in self._waiting:
            told.set()

    def _count_in_batch(self, id: UUID, *, is_completed: bool) -> None:
        batch = self._batches.get(id)
        if batch is None or batch.ended_at is not None:
            return
        batch.completed += is_completed
        batch.failed += not is_completed
        self._end_batch(id)

    def _end_batch(self, id: UUID) -> None:
        batch = self._batches[id]
        if batch.completed + batch.failed < batch.new.total:
            return
        batch.ended_at = clock.timestamp()
        by_end = batch.new.failure if batch.failed else batch.new.success
        self._push((*by_end, *batch.new.always))
