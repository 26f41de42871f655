"""What is done for workers: leases, claims, outcomes, and what becomes of the jobs of one that is gone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush
from uuid import UUID

from oxidite import clock
from oxidite.queue.base import Asked, Claim, JobState, Outcome, Ready, TaskMinute
from oxidite.queue.stores.memory.due import Entry
from oxidite.queue.stores.memory.jobs import Job, Queue, Worker
from oxidite.queue.stores.memory.pushing import Pushing
from oxidite.queue.telling import until_told

__all__ = ["Working"]

_ERRORS = 10  # of one job that are kept


class Working(Pushing):
    """What runs, and who runs it."""

    def __init__(self) -> None:
        super().__init__()
        self._running: dict[str, set[UUID]] = defaultdict(set)
        self._workers: dict[str, Worker] = {}
        self._minutes: dict[tuple[float, str, str], TaskMinute] = {}

    async def enter(self, worker: str, about: bytes, lease: float) -> None:
        """Make a worker known."""
        self._workers[worker] = Worker(about, clock.timestamp() + lease)

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

    def _claim(self, worker: str, queue: Queue, limit: int, now: float, jobs: list[Ready]) -> None:
        if queue.paused:
            return
        self._bring_due(queue, now)
        due = queue.due.taken(self._is_valid)
        while len(jobs) < limit and (entry := next(due, None)) is not None:
            id = entry[3]
            job = self._jobs[id]
            wait = queue.gate.enter(job.new.group, now)
            if wait is None:
                queue.due.began(job.new.group)
                jobs.append(self._start(worker, job, now))
            elif wait:
                # Due again when it may be: so it stands in nobody's way until then.
                job.place = next(self._places)
                heappush(queue.later, (now + wait, job.place, id))
            else:
                queue.parked[queue.gate.full_of(job.new.group)].append(id)

    def _is_valid(self, entry: Entry) -> bool:
        """Tell whether a place is that of a job which waits there, and was not left behind."""
        _, _, place, id = entry
        job = self._jobs.get(id)
        return job is not None and job.place == place and job.state is JobState.WAITING

    def _bring_due(self, queue: Queue, now: float) -> None:
        while queue.later and queue.later[0][0] <= now:
            _, place, id = heappop(queue.later)
            job = self._jobs.get(id)
            if job is not None and job.place == place:
                queue.due.push(job.new.group, (-job.new.priority, job.due_at, place, id))

    def _start(self, worker: str, job: Job, now: float) -> Ready:
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
            self._wait_or_cancel(job, now + self._park(job, outcome))
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

    def _park(self, job: Job, outcome: Outcome) -> float:
        """Let an event wake a job that waits for it; return after how many seconds it runs without that."""
        awaited = job.listening
        if not outcome.waits or awaited is None:
            return outcome.delay
        awaited.parked = job.attempt
        return outcome.delay if awaited.value is None else 0.0

    def _stop(self, job: Job) -> None:
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
        self, job: Job, state: JobState, now: float, keep: float | None, *, goes_on: bool = False
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

    def _give_back(self, job: Job) -> None:
        self._stop(job)
        self._wait_or_cancel(job, job.due_at)

    def _wait_or_cancel(self, job: Job, due: float) -> None:
        if job.cancel_asked:
            self._end(job, JobState.CANCELLED, clock.timestamp(), None)
        else:
            self._wait(job, due)

    def _forget(self, job: Job) -> None:
        del self._jobs[job.new.id]
        if job.new.unique is not None:
            left = self._unique[job.new.unique.key]
            left.remove(job.new.id)
            if not left:
                del self._unique[job.new.unique.key]

    def _count(self, job: Job, outcome: Outcome, now: float, waited: float) -> None:
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
