"""A store of which only who has the secret can read what the jobs in it are about."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from msgspec import structs

from oxidite.queue.base import (
    Asked,
    BatchState,
    Claim,
    Count,
    Filter,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    Pushed,
    QueueState,
    Ready,
    Schedule,
    Signal,
    StoredJob,
    TaskMinute,
    WorkerState,
)
from oxidite.queue.sealing import Sealing

__all__ = ["SealedStore", "sealing_of"]


class SealedStore(JobStore):
    """Encrypts what goes into another store, whichever that is, and reads what comes out of it.

    Schedules pass as they are: whoever makes their plans encrypts the arguments in them.
    """

    def __init__(self, store: JobStore, sealing: Sealing) -> None:
        self.store: JobStore = store
        self.sealing: Sealing = sealing
        self._look()

    def _look(self) -> None:
        """Be what the other store is; some of that is known once it is open."""
        self.is_shared: bool = self.store.is_shared
        self.is_durable: bool = self.store.is_durable
        self.address: str | None = self.store.address
        self.place: str = self.store.place

    async def __aenter__(self) -> Self:
        await self.store.__aenter__()
        self._look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.store.__aexit__(kind, exc, tb)

    async def now(self) -> float:
        """Return the time of the store."""
        return await self.store.now()

    def joins(self, database: object) -> bool:
        """Tell whether the other store is in that database."""
        return self.store.joins(database)

    # Pushing

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        """Keep jobs."""
        return await self.store.push(*self.sealed(jobs, batch))

    def sealed(
        self, jobs: Sequence[NewJob], batch: NewBatch | None = None
    ) -> tuple[list[NewJob], NewBatch | None]:
        """Return what a push gives to the other store."""
        return [self.sealing.new(job) for job in jobs], batch and self.sealing.batch(batch)

    # Working

    async def enter(self, worker: str, about: bytes, lease: float) -> None:
        """Make a worker known."""
        await self.store.enter(worker, about, lease)

    async def beat(self, worker: str, lease: float) -> Asked:
        """Prolong a lease."""
        return await self.store.beat(worker, lease)

    async def exit(self, worker: str) -> None:
        """Forget a worker."""
        await self.store.exit(worker)

    async def exchange(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Claim:
        """Take over outcomes and claim jobs."""
        sealed = [self.sealing.outcome(each) for each in outcomes]
        claim = await self.store.exchange(worker, sealed, queues, limit)
        return Claim([self.sealing.ready(each) for each in claim.jobs], claim.refused)

    async def wait(
        self, queues: Sequence[str], within: float, *, worker: str = "", limit: int = 0
    ) -> Sequence[Ready]:
        """Return when there may be something to claim, or jobs that the worker was given meanwhile."""
        given = await self.store.wait(queues, within, worker=worker, limit=limit)
        return [self.sealing.ready(each) for each in given]

    async def rescue(self, poison: int) -> int:
        """Have the jobs of lost workers run again."""
        return await self.store.rescue(poison)

    async def save(
        self, id: UUID, attempt: int, *, progress: bytes | None = None, state: bytes | None = None
    ) -> bool:
        """Keep how far a job is."""
        seal = self.sealing.seal
        return await self.store.save(
            id,
            attempt,
            progress=None if progress is None else seal(progress, "progress", id.bytes),
            state=None if state is None else seal(state, "state", id.bytes),
        )

    # Events

    async def signal(self, signal: Signal) -> int:
        """Keep an event, and wake the jobs that wait for it."""
        return await self.store.signal(self.sealing.signal(signal))

    async def listen(
        self, id: UUID, attempt: int, event: bytes, about: bytes, within: float
    ) -> bytes | None:
        """Return the value of an event, or have a job given it."""
        sealed = self.sealing.seal(about, "waits", id.bytes)
        value = await self.store.listen(id, attempt, event, sealed, within)
        return None if value is None else self.sealing.open(value, "event", event)

    # Looking and changing

    async def get(self, ids: Sequence[UUID]) -> list[StoredJob | None]:
        """Return jobs."""
        found = await self.store.get(ids)
        return [None if job is None else self.sealing.stored(job) for job in found]

    async def find(self, filter: Filter) -> AsyncIterator[StoredJob]:
        """Go through jobs."""
        jobs = self.store.find(filter)
        try:
            async for job in jobs:
                yield self.sealing.stored(job)
        finally:
            # Else it would be closed after its store is.
            if isinstance(jobs, AsyncGenerator):
                await jobs.aclose()

    async def counts(self, filter: Filter) -> list[Count]:
        """Count jobs."""
        return await self.store.counts(filter)

    async def cancel(self, filter: Filter) -> int:
        """Cancel jobs."""
        return await self.store.cancel(filter)

    async def retry(
        self,
        filter: Filter,
        *,
        args: bytes | None = None,
        version: int | None = None,
        saved: bytes | None = None,
        attempt: int | None = None,
    ) -> int:
        """Let jobs run again; with other data, which each has for itself, in a step for each."""
        if args is None and saved is None:
            return await self.store.retry(filter, version=version, attempt=attempt)
        retried = 0
        for job in [job async for job in self.store.find(filter)]:
            retried += await self.store.retry(
                structs.replace(filter, ids=(job.id,)),
                args=None if args is None else self.sealing.args_of(job, args),
                version=version,
                saved=None if saved is None else self.sealing.seal(saved, "state", job.id.bytes),
                attempt=attempt,
            )
        return retried

    async def delete(self, filter: Filter) -> int:
        """Forget jobs."""
        return await self.store.delete(filter)

    async def prune(self) -> int:
        """Forget what was kept long enough."""
        return await self.store.prune()

    # Queues

    async def queues(self) -> list[QueueState]:
        """Return the queues."""
        return await self.store.queues()

    async def pause(self, queue: str, *, paused: bool) -> None:
        """Pause a queue, or let it go on."""
        await self.store.pause(queue, paused=paused)

    async def limit(self, queue: str, limits: Limits) -> None:
        """Set what a queue allows."""
        await self.store.limit(queue, limits)

    async def workers(self) -> list[WorkerState]:
        """Return the workers."""
        return await self.store.workers()

    async def statistics(self, since: float) -> list[TaskMinute]:
        """Return what happened."""
        return await self.store.statistics(since)

    # Batches

    async def batch(self, id: UUID) -> BatchState | None:
        """Tell how far a batch is."""
        found = await self.store.batch(id)
        return None if found is None else self.sealing.batch_state(found)

    # Schedules

    async def schedules(self) -> list[Schedule]:
        """Return the schedules."""
        return await self.store.schedules()

    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule."""
        await self.store.save_schedule(schedule)

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule."""
        return await self.store.remove_schedule(name)

    async def fire(self, name: str, slot: float, jobs: Sequence[NewJob]) -> bool:
        """Push the jobs of a slot."""
        return await self.store.fire(name, slot, self.sealed(jobs)[0])

    async def lead(self, role: str, worker: str, lease: float) -> bool:
        """Tell whether a worker has a role."""
        return await self.store.lead(role, worker, lease)

    async def results(self, ids: Sequence[UUID], within: float) -> Mapping[UUID, StoredJob]:
        """Wait until one of these has ended."""
        found = await self.store.results(ids, within)
        return {id: self.sealing.stored(job) for id, job in found.items()}


def sealing_of(store: JobStore) -> Sealing | None:
    """Return what a store encrypts with, if it does."""
    return store.sealing if isinstance(store, SealedStore) else None
