"""Jobs of one process, gone with it: for tests, and for what may be lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult
from uuid import UUID

from msgspec import structs

from oxidite import clock
from oxidite.errors import ConfigError
from oxidite.queue.base import (
    BatchState,
    Count,
    Filter,
    JobState,
    JobStore,
    Limits,
    NewJob,
    QueueState,
    Schedule,
    StoredJob,
    TaskMinute,
    WorkerState,
)
from oxidite.queue.stores.memory.due import Due
from oxidite.queue.stores.memory.events import Events
from oxidite.queue.stores.memory.jobs import FINISHED, Job, fits, stored
from oxidite.queue.stores.memory.limits import Gate

__all__ = ["MemoryStore"]

_STATISTICS = 86_400.0  # seconds


class MemoryStore(Events, JobStore):
    """Keeps jobs in this process."""

    is_shared: bool = False
    is_durable: bool = False

    def __init__(self) -> None:
        super().__init__()
        self._schedules: dict[str, Schedule] = {}
        self._leaders: dict[str, tuple[str, float]] = {}

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        """Make one from ``memory://``.

        Raises:
            ConfigError: the URL has something else in it.
        """
        if url.netloc or url.path.strip("/") or url.query:
            raise ConfigError("A queue in memory is memory://, and it has no options.")
        return cls()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        return None

    async def now(self) -> float:
        """Return the time."""
        return clock.timestamp()

    # Looking and changing

    async def get(self, ids: Sequence[UUID]) -> list[StoredJob | None]:
        """Return jobs."""
        found = [self._jobs.get(id) for id in ids]
        return [None if job is None else stored(job) for job in found]

    async def find(self, filter: Filter) -> AsyncIterator[StoredJob]:
        """Go through jobs."""
        for job in sorted(self._that_fit(filter), key=lambda job: job.new.id, reverse=True):
            yield stored(job)

    async def counts(self, filter: Filter) -> list[Count]:
        """Count jobs."""
        counts: dict[tuple[str, str, JobState], int] = defaultdict(int)
        for job in self._that_fit(filter):
            counts[job.new.queue, job.new.task, job.state] += 1
        return [Count(*key, number) for key, number in sorted(counts.items())]

    async def cancel(self, filter: Filter) -> int:
        """Cancel jobs."""
        now = clock.timestamp()
        cancelled = 0
        for job in self._that_fit(filter):
            if job.state is JobState.RUNNING:
                cancelled += not job.cancel_asked
                job.cancel_asked = True
            elif job.state is JobState.WAITING:
                cancelled += 1
                self._end(job, JobState.CANCELLED, now, None)
        self._wake()
        return cancelled

    async def retry(
        self,
        filter: Filter,
        *,
        args: bytes | None = None,
        version: int | None = None,
        saved: bytes | None = None,
        attempt: int | None = None,
    ) -> int:
        """Let jobs run again."""
        now = clock.timestamp()
        retried = 0
        for job in self._that_fit(filter):
            if job.state is JobState.RUNNING or attempt not in (None, job.attempt):
                continue
            retried += 1
            self._uncount(job)
            if args is not None or saved is not None:
                job.saved, job.listening = saved, None
            job.args = job.args if args is None else args
            if version is not None:
                job.new = structs.replace(job.new, version=version)
            job.failures = job.crashes = 0
            job.keep = job.new.keep
            job.ended_at = job.result = job.progress = None
            self._wait(job, now)
        self._wake()
        return retried

    def _uncount(self, job: Job) -> None:
        """Have a batch that has not ended wait again; for a job that another one stands for it does."""
        batch = None if job.new.batch is None else self._batches.get(job.new.batch)
        is_completed = job.state is JobState.COMPLETED
        if batch is None or batch.ended_at is not None or job.state is JobState.WAITING:
            return
        if is_completed and job.new.flow:
            return
        batch.completed -= is_completed
        batch.failed -= not is_completed

    async def delete(self, filter: Filter) -> int:
        """Forget jobs."""
        gone = [job for job in self._that_fit(filter) if job.state is not JobState.RUNNING]
        for job in gone:
            if job.state is JobState.WAITING and job.new.batch is not None:
                self._count_in_batch(job.new.batch, is_completed=False)
            self._forget(job)
        return len(gone)

    async def prune(self) -> int:
        """Forget what was kept long enough."""
        now = clock.timestamp()
        old = [
            job
            for job in self._jobs.values()
            if job.ended_at is not None and job.ended_at + job.keep <= now
        ]
        for job in old:
            self._forget(job)
        self._forget_events(now)
        for key in [key for key in self._minutes if key[0] < now - _STATISTICS]:
            del self._minutes[key]
        return len(old)

    def _that_fit(self, filter: Filter) -> list[Job]:
        if filter.ids is not None:
            found = (self._jobs.get(id) for id in filter.ids)
            jobs = [job for job in found if job is not None]
        else:
            jobs = list(self._jobs.values())
        return [job for job in jobs if fits(job, filter)]

    # Queues

    async def queues(self) -> list[QueueState]:
        """Return the queues."""
        now = clock.timestamp()
        states: dict[str, dict[JobState, int]] = {name: defaultdict(int) for name in self._queues}
        oldest: dict[str, float] = defaultdict(float)
        for job in self._jobs.values():
            name = job.new.queue
            states.setdefault(name, defaultdict(int))[job.state] += 1
            if job.state is JobState.WAITING:
                oldest[name] = max(oldest[name], now - job.due_at)
        return [
            QueueState(
                name,
                self._queues[name].paused,
                self._queues[name].gate.limits,
                dict(counts),
                oldest[name],
            )
            for name, counts in sorted(states.items())
        ]

    async def pause(self, queue: str, *, paused: bool) -> None:
        """Pause a queue, or let it go on."""
        self._queues[queue].paused = paused
        self._wake()

    async def limit(self, queue: str, limits: Limits) -> None:
        """Set what a queue allows."""
        state = self._queues[queue]
        state.gate = Gate(limits)
        for job in self._jobs.values():
            if job.new.queue == queue and job.state is JobState.RUNNING:
                state.gate.count(job.new.group)
        # What waits is looked at anew.
        state.parked, state.due = defaultdict(list), Due(fair=limits.fair, turn=state.due.turn)
        for job in self._jobs.values():
            if job.new.queue == queue and job.state is JobState.WAITING:
                self._wait(job, job.due_at)
        self._wake()

    async def workers(self) -> list[WorkerState]:
        """Return the workers."""
        return [
            WorkerState(name, each.about, each.lease_until, len(self._running[name]))
            for name, each in sorted(self._workers.items())
        ]

    async def statistics(self, since: float) -> list[TaskMinute]:
        """Return what happened."""
        return [each for key, each in sorted(self._minutes.items()) if key[0] >= since // 60 * 60]

    # Batches

    async def batch(self, id: UUID) -> BatchState | None:
        """Tell how far a batch is."""
        found = self._batches.get(id)
        if found is None:
            return None
        new = found.new
        return BatchState(id, new.total, found.completed, found.failed, new.about, found.ended_at)

    # Schedules

    async def schedules(self) -> list[Schedule]:
        """Return the schedules."""
        return [each for _, each in sorted(self._schedules.items())]

    async def save_schedule(self, schedule: Schedule) -> None:
        """Keep a schedule."""
        before = self._schedules.get(schedule.name)
        since = clock.timestamp() if before is None else before.since
        last = schedule.last if before is None else before.last
        self._schedules[schedule.name] = structs.replace(schedule, since=since, last=last)

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule."""
        return self._schedules.pop(name, None) is not None

    async def fire(self, name: str, slot: float, jobs: Sequence[NewJob]) -> bool:
        """Push the jobs of a slot."""
        schedule = self._schedules.get(name)
        if schedule is None or (schedule.last is not None and schedule.last >= slot):
            return False
        self._schedules[name] = structs.replace(schedule, last=slot)
        self._push(jobs)
        return True

    async def lead(self, role: str, worker: str, lease: float) -> bool:
        """Tell whether a worker has a role."""
        now = clock.timestamp()
        leader, until = self._leaders.get(role, (worker, 0.0))
        if leader != worker and until > now:
            return False
        self._leaders[role] = (worker, now + lease)
        return True

    async def results(self, ids: Sequence[UUID], within: float) -> Mapping[UUID, StoredJob]:
        """Wait until one of these has ended."""
        ends = clock.timestamp() + within
        while True:
            found = [job for id in ids if (job := self._jobs.get(id)) is not None]
            ended = {job.new.id: stored(job) for job in found if job.state in FINISHED}
            left = ends - clock.timestamp()
            if ended or left <= 0:
                return ended
            await self.wait((), left)
