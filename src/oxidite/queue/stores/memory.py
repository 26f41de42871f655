"""Jobs of one process, gone with it: for tests, and for what may be lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult
from uuid import UUID

from msgspec import Struct, structs

from oxidite import clock
from oxidite.errors import ConfigError
from oxidite.queue.base import (
    Asked,
    BatchState,
    Claim,
    Count,
    Filter,
    JobState,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    Pushed,
    QueueState,
    Ready,
    Schedule,
    StoredJob,
    TaskMinute,
    Unique,
    WorkerState,
)
from oxidite.queue.stores.memory_limits import Gate
from oxidite.queue.telling import until_told

__all__ = ["MemoryStore"]

_ERRORS = 10  # of one job that are kept
_STATISTICS = 86_400.0  # seconds
_FINISHED = frozenset((JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD))


class _Job(Struct, kw_only=True):
    new: NewJob
    args: bytes
    state: JobState
    pushed_at: float
    due_at: float
    place: int = -1
    """Which entry of the heaps is its own: those of other numbers were left behind."""
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    worker: str | None = None
    cancel_asked: bool = False
    progress: bytes | None = None
    saved: bytes | None = None
    result: bytes | None = None
    errors: list[bytes] = []
    keep: float = 0.0


class _Worker(Struct):
    about: bytes
    lease_until: float


class _Batch(Struct):
    new: NewBatch
    completed: int = 0
    failed: int = 0
    ended_at: float | None = None


class _Queue:
    """What of a queue can be claimed: by priority and time what is due, by time what is not yet."""

    def __init__(self) -> None:
        self.due: list[tuple[int, float, int, UUID]] = []
        self.later: list[tuple[float, int, UUID]] = []
        self.parked: dict[str | None, list[UUID]] = defaultdict(list)
        self.paused = False
        self.gate = Gate(Limits())


class MemoryStore(JobStore):
    """Keeps jobs in this process."""

    is_shared: bool = False
    is_durable: bool = False

    def __init__(self) -> None:
        self._jobs: dict[UUID, _Job] = {}
        self._queues: dict[str, _Queue] = defaultdict(_Queue)
        self._unique: dict[bytes, list[UUID]] = defaultdict(list)
        self._running: dict[str, set[UUID]] = defaultdict(set)
        self._workers: dict[str, _Worker] = {}
        self._batches: dict[UUID, _Batch] = {}
        self._schedules: dict[str, Schedule] = {}
        self._leaders: dict[str, tuple[str, float]] = {}
        self._minutes: dict[tuple[float, str, str], TaskMinute] = {}
        self._places = count()
        self._waiting: set[asyncio.Event] = set()

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

    # Pushing

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        """Keep jobs."""
        if batch is not None and batch.id not in self._batches:
            self._batches[batch.id] = _Batch(batch)
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
        job = _Job(
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

    def _in_the_way(self, unique: Unique, now: float) -> _Job | None:
        for id in reversed(self._unique.get(unique.key, [])):
            job = self._jobs.get(id)
            if job is None or job.state not in unique.states:
                continue
            if unique.period is None or job.pushed_at > now - unique.period:
                return job
        return None

    def _replace(self, job: _Job, new: NewJob, due: float) -> None:
        assert new.unique is not None  # noqa: S101 - the caller asked
        conflict = new.unique.conflict
        if conflict == "skip" or job.state is not JobState.WAITING:
            return
        if conflict != "replace_time":
            job.args = new.args
        if conflict != "replace_args":
            self._wait(job, due)

    def _wait(self, job: _Job, due: float) -> None:
        """Put a job where it is claimed from, and take it from where it was."""
        job.state = JobState.WAITING
        job.due_at = due
        job.place = next(self._places)
        heappush(self._queues[job.new.queue].later, (due, job.place, job.new.id))

    # Working

    async def enter(self, worker: str, about: bytes, lease: float) -> None:
        """Make a worker known."""
        self._workers[worker] = _Worker(about, clock.timestamp() + lease)

    async def beat(self, worker: str, lease: float) -> Asked:
        """Prolong a lease."""
        now = clock.timestamp()
        known = self._workers.get(worker)
        if known is None or known.lease_until <= now:
            return Asked([], [], lost=True)
        known.lease_until = now + lease
        cancel = [id for id in self._running[worker] if self._jobs[id].cancel_asked]
        return Asked(cancel, [name for name, queue in self._queues.items() if queue.paused])

    async def exit(self, worker: str) -> None:
        """Forget a worker."""
        for id in list(self._running[worker]):
            self._give_back(self._jobs[id])
        self._workers.pop(worker, None)
        self._running.pop(worker, None)
        self._wake()

    async def exchange(
        self, worker: str, outcomes: Sequence[Outcome], queues: Sequence[str], limit: int
    ) -> Claim:
        """Take over outcomes and claim jobs."""
        now = clock.timestamp()
        refused = [each.id for each in outcomes if not self._take_over(each, now)]
        jobs: list[Ready] = []
        known = self._workers.get(worker)
        if known is not None and known.lease_until > now:
            for name in queues:
                if len(jobs) < limit and name in self._queues:
                    self._claim(worker, self._queues[name], limit, now, jobs)
        if outcomes:
            self._wake()
        return Claim(jobs, refused)

    def _claim(self, worker: str, queue: _Queue, limit: int, now: float, jobs: list[Ready]) -> None:
        if queue.paused:
            return
        self._bring_due(queue, now)
        while queue.due and len(jobs) < limit:
            _, _, place, id = heappop(queue.due)
            job = self._jobs.get(id)
            if job is None or job.place != place or job.state is not JobState.WAITING:
                continue
            wait = queue.gate.enter(job.new.group, now)
            if wait is None:
                jobs.append(self._start(worker, job, now))
            elif wait:
                # Due again when it may be: so it stands in nobody's way until then.
                job.place = next(self._places)
                heappush(queue.later, (now + wait, job.place, id))
            else:
                queue.parked[queue.gate.full_of(job.new.group)].append(id)

    def _bring_due(self, queue: _Queue, now: float) -> None:
        while queue.later and queue.later[0][0] <= now:
            _, place, id = heappop(queue.later)
            job = self._jobs.get(id)
            if job is not None and job.place == place:
                heappush(queue.due, (-job.new.priority, job.due_at, place, id))

    def _start(self, worker: str, job: _Job, now: float) -> Ready:
        job.state = JobState.RUNNING
        job.attempt += 1
        job.started_at = now
        job.worker = worker
        self._running[worker].add(job.new.id)
        return Ready(
            id=job.new.id,
            queue=job.new.queue,
            task=job.new.task,
            args=job.args,
            version=job.new.version,
            attempt=job.attempt,
            failures=job.failures,
            crashes=job.crashes,
            priority=job.new.priority,
            timeout=job.new.timeout,
            group=job.new.group,
            batch=job.new.batch,
            context=job.new.context,
            flow=job.new.flow,
            pushed_at=job.pushed_at,
            due_at=job.due_at,
            state=job.saved,
        )

    def _take_over(self, outcome: Outcome, now: float) -> bool:
        job = self._jobs.get(outcome.id)
        if job is None or job.state is not JobState.RUNNING or job.attempt != outcome.attempt:
            return False
        started = job.started_at or now
        self._stop(job)
        if outcome.error is not None:
            job.errors = [*job.errors, outcome.error][-_ERRORS:]
        self._count(job, outcome, now, waited=max(started - job.due_at, 0.0))
        if outcome.kind in ("retry", "snooze", "returned"):
            job.failures += outcome.kind == "retry"
            self._wait_or_cancel(job, now + outcome.delay)
        elif job.cancel_asked and outcome.then:
            # It was too late for this job, and not for what follows it.
            self._end(job, JobState.CANCELLED, now, None)
            return True
        else:
            job.failures += outcome.kind == "dead"
            job.result = outcome.result
            goes_on = any(each.batch == job.new.batch for each in outcome.then)
            self._end(job, JobState(outcome.kind), now, outcome.keep, goes_on=goes_on)
        self._push(outcome.then)
        return True

    def _stop(self, job: _Job) -> None:
        """Let a job no longer run, and what waited for its place go on."""
        queue = self._queues[job.new.queue]
        self._running[job.worker or ""].discard(job.new.id)
        job.worker = None
        queue.gate.leave(job.new.group)
        for name in (None, job.new.group):
            for id in queue.parked.pop(name, ()):
                parked = self._jobs.get(id)
                if parked is not None and parked.state is JobState.WAITING:
                    self._wait(parked, parked.due_at)

    def _end(
        self,
        job: _Job,
        state: JobState,
        now: float,
        keep: float | None,
        *,
        goes_on: bool = False,
    ) -> None:
        job.state = state
        job.ended_at = now
        job.cancel_asked = False
        job.keep = job.keep if keep is None else keep
        # If it goes on in another job of its batch, that is counted.
        if job.new.batch is not None and not goes_on:
            self._count_in_batch(job.new.batch, is_completed=state is JobState.COMPLETED)
        if not job.keep:
            self._forget(job)

    def _give_back(self, job: _Job) -> None:
        self._stop(job)
        self._wait_or_cancel(job, job.due_at)

    def _wait_or_cancel(self, job: _Job, due: float) -> None:
        if job.cancel_asked:
            self._end(job, JobState.CANCELLED, clock.timestamp(), None)
        else:
            self._wait(job, due)

    def _forget(self, job: _Job) -> None:
        del self._jobs[job.new.id]
        if job.new.unique is not None:
            left = self._unique[job.new.unique.key]
            left.remove(job.new.id)
            if not left:
                del self._unique[job.new.unique.key]

    def _count(self, job: _Job, outcome: Outcome, now: float, waited: float) -> None:
        if outcome.kind in ("snooze", "returned"):
            return
        key = (now // 60 * 60, job.new.queue, job.new.task)
        before = self._minutes.get(key) or TaskMinute(*key, 0, 0, 0, 0.0, 0.0, 0.0)
        self._minutes[key] = TaskMinute(
            *key,
            before.completed + (outcome.kind == "completed"),
            before.retried + (outcome.kind == "retry"),
            before.dead + (outcome.kind == "dead"),
            before.seconds + outcome.seconds,
            max(before.slowest, outcome.seconds),
            before.waited + waited,
        )

    async def wait(
        self, queues: Sequence[str], within: float, *, worker: str = "", limit: int = 0
    ) -> Sequence[Ready]:
        """Return when there may be something to claim."""
        now = clock.timestamp()
        open_queues = [
            self._queues[name]
            for name in queues
            if name in self._queues and not self._queues[name].paused
        ]
        due = min((each.later[0][0] for each in open_queues if each.later), default=now + within)
        told = asyncio.Event()
        self._waiting.add(told)
        try:
            await until_told(told, min(due - now, within))
        finally:
            self._waiting.remove(told)
        return ()

    def _wake(self) -> None:
        for told in self._waiting:
            told.set()

    async def rescue(self, poison: int) -> int:
        """Have the jobs of lost workers run again."""
        now = clock.timestamp()
        rescued = 0
        for name, worker in list(self._workers.items()):
            if worker.lease_until > now:
                continue
            for id in list(self._running[name]):
                job = self._jobs[id]
                job.crashes += 1
                rescued += 1
                if job.crashes >= poison:
                    self._stop(job)
                    self._end(job, JobState.DEAD, now, None)
                else:
                    self._give_back(job)
            del self._workers[name]
            self._running.pop(name, None)
        self._wake()
        return rescued

    async def save(
        self, id: UUID, attempt: int, *, progress: bytes | None = None, state: bytes | None = None
    ) -> bool:
        """Keep how far a job is."""
        job = self._jobs.get(id)
        if job is None or job.state is not JobState.RUNNING or job.attempt != attempt:
            return False
        job.progress = job.progress if progress is None else progress
        job.saved = job.saved if state is None else state
        return True

    # Looking and changing

    async def get(self, ids: Sequence[UUID]) -> list[StoredJob | None]:
        """Return jobs."""
        found = [self._jobs.get(id) for id in ids]
        return [None if job is None else _stored(job) for job in found]

    async def find(self, filter: Filter) -> AsyncIterator[StoredJob]:
        """Go through jobs."""
        for job in sorted(self._that_fit(filter), key=lambda job: job.new.id, reverse=True):
            yield _stored(job)

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
        self, filter: Filter, *, args: bytes | None = None, version: int | None = None
    ) -> int:
        """Let jobs run again."""
        now = clock.timestamp()
        retried = 0
        for job in self._that_fit(filter):
            if job.state not in _FINISHED and job.state is not JobState.WAITING:
                continue
            retried += 1
            self._uncount(job)
            job.args = job.args if args is None else args
            if version is not None:
                job.new = structs.replace(job.new, version=version)
            job.failures = job.crashes = 0
            job.keep = job.new.keep
            job.ended_at = job.result = job.progress = None
            self._wait(job, now)
        self._wake()
        return retried

    def _uncount(self, job: _Job) -> None:
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
        for key in [key for key in self._minutes if key[0] < now - _STATISTICS]:
            del self._minutes[key]
        return len(old)

    def _that_fit(self, filter: Filter) -> list[_Job]:
        if filter.ids is not None:
            found = (self._jobs.get(id) for id in filter.ids)
            jobs = [job for job in found if job is not None]
        else:
            jobs = list(self._jobs.values())
        return [job for job in jobs if _fits(job, filter)]

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
        parked, state.parked = state.parked, defaultdict(list)
        for id in [id for each in parked.values() for id in each]:
            self._wait(self._jobs[id], self._jobs[id].due_at)
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
            ended = {job.new.id: _stored(job) for job in found if job.state in _FINISHED}
            left = ends - clock.timestamp()
            if ended or left <= 0:
                return ended
            await self.wait((), left)


def _fits(job: _Job, filter: Filter) -> bool:
    wanted = (
        (filter.queue, job.new.queue),
        (filter.task, job.new.task),
        (filter.batch, job.new.batch),
        (filter.group, job.new.group),
    )
    if any(wish is not None and wish != value for wish, value in wanted):
        return False
    return filter.states is None or job.state in filter.states


def _stored(job: _Job) -> StoredJob:
    return StoredJob(
        id=job.new.id,
        queue=job.new.queue,
        task=job.new.task,
        state=job.state,
        args=job.args,
        version=job.new.version,
        priority=job.new.priority,
        attempt=job.attempt,
        failures=job.failures,
        crashes=job.crashes,
        pushed_at=job.pushed_at,
        due_at=job.due_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        worker=job.worker,
        group=job.new.group,
        batch=job.new.batch,
        timeout=job.new.timeout,
        cancel_asked=job.cancel_asked,
        progress=job.progress,
        result=job.result,
        errors=list(job.errors),
        context=job.new.context,
        flow=job.new.flow,
    )
