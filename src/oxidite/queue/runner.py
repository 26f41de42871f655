"""Runs one job, or a chunk of them, and says what became of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from oxidite import clock
from oxidite.carried import restored, together
from oxidite.encoding import encode_msgpack
from oxidite.instrument import span
from oxidite.lifespan import Lifespan
from oxidite.queue.base import JobStore, Outcome, OutcomeKind, Ready
from oxidite.queue.chunks import Chunk
from oxidite.queue.context import JobContext, entered
from oxidite.queue.errors import JobArgumentsError, JobTimeoutError, JobUnreadableError
from oxidite.queue.failures import Failure
from oxidite.queue.flow import next_of
from oxidite.queue.processes import Processes
from oxidite.queue.sealing import check_readable
from oxidite.queue.task import Task
from oxidite.queue.tasks import Tasks, UnknownTaskError
from oxidite.queue.verdicts import Cancel, Discard, RetryAt, Snooze

__all__ = ["Runner", "Running"]

_logger = logging.getLogger("oxidite.queue")


class Running:
    """A job, or a chunk, that runs: its task in the event loop, and why that was cancelled, if it was.

    ``ready`` is the first of ``jobs``. ``deadline`` is when its time is over, by ``clock.perf``.
    """

    def __init__(self, jobs: Sequence[Ready], context: JobContext) -> None:
        self.ready: Ready = jobs[0]
        self.jobs: Sequence[Ready] = jobs
        self.context: JobContext = context
        self.task: asyncio.Task[list[Outcome]] | None = None
        self.end: OutcomeKind | None = None
        self.asked: dict[UUID, OutcomeKind] = {}
        """The jobs of a chunk that are to end, while others are not."""
        self.timeout: float = (
            jobs[0].timeout if len(jobs) == 1 else min(each.timeout for each in jobs)
        )
        self.deadline: float = clock.perf() + self.timeout
        self.is_abandoned: bool = False
        self.error: str | None = None
        """The kind of error that it ended by."""
        self.sleeps: float = 0.0
        """For how many seconds the job sleeps, if that is why it was cancelled."""
        self.waits: bool = False
        """Whether an event is to wake it."""
        context.leave = self._leave

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more, its thread included."""
        return (self.task is None or self.task.done()) and not self.context.is_in_thread

    def cancel(self, end: OutcomeKind, id: UUID | None = None) -> None:
        """End it: ``cancelled`` or ``returned``; a chunk only when all its jobs are asked to end.

        Until then one that is asked to, by its ``id``, is only not tried again.
        """
        if id is not None:
            self.asked[id] = end
            if len(self.asked) < len(self.jobs):
                return
        if self.end is None and self.task is not None:
            self.end = end
            self.task.cancel()

    def _leave(self, seconds: float, waits: bool) -> None:
        self.sleeps, self.waits = seconds, waits
        self.end = self.end or "snooze"
        if self.task is not None:
            self.task.cancel()


class Runner:
    """Runs jobs, by one call each, or by one for all of a chunk."""

    def __init__(
        self,
        tasks: Tasks,
        resources: Lifespan,
        store: Callable[[], JobStore],
        max_size: int,
        processes: Processes | None = None,
    ) -> None:
        self._tasks = tasks
        self._resources = resources
        self._store = store
        self._max_size = max_size
        self._processes = Processes() if processes is None else processes

    def chunk_of(self, ready: Ready) -> tuple[Hashable, Chunk] | None:
        """Return with which others a job is run together, and how many; ``None`` for one that runs alone."""
        try:
            task = self._tasks.find(ready.task)
        except Exception:  # noqa: BLE001 - it is run, and says then what is wrong
            return None
        if task.chunk is None:
            return None
        return (task.name, together(ready.context)), task.chunk

    def running(self, *jobs: Ready) -> Running:
        """Return a job, or the jobs of a chunk, about to run."""
        return Running(jobs, JobContext(jobs[0], self._store(), self._max_size))

    async def run(self, running: Running) -> list[Outcome]:
        """Run a job, or a chunk, to its end, and return what became of each job. It raises nothing."""
        ready = running.ready
        count = len(running.jobs)
        began = clock.perf()
        with span("queue.job", task=ready.task, queue=ready.queue, attempt=ready.attempt) as work:
            try:
                outcomes = await self._outcomes(running)
            except Exception as exc:
                # Whatever it is, the store has to hear that the attempt is over: else it would run for ever.
                _logger.exception(
                    "what became of job %s of %s cannot be told", ready.id, ready.task
                )
                failure = Failure.said("unheard_of", type(exc).__name__, ready.attempt)
                outcomes = [_dead(each, failure, None) for each in running.jobs]
            work.set("outcome", outcomes[0].kind)
            if count > 1:
                work.set("jobs", count)
            if running.error is not None:
                work.set("error", running.error)
        seconds = (clock.perf() - began) / count
        return [replace(each, seconds=seconds) for each in outcomes]

    async def _outcomes(self, running: Running) -> list[Outcome]:
        outcomes: list[Outcome] = []
        calls: list[tuple[Ready, dict[str, object]]] = []
        task: Task[Any, Any] | None = None
        for ready in running.jobs:
            try:
                check_readable(ready)
                task = self._tasks.find(ready.task)
                calls.append((ready, task.upgraded(ready.args, ready.version)))
            except (JobUnreadableError, UnknownTaskError, JobArgumentsError) as exc:
                # No other try will find more than this one did.
                failure = Failure.said(exc.code, exc.message, ready.attempt)
                outcomes.append(_dead(ready, failure, None))
            except Exception as exc:  # noqa: BLE001 - an import may raise anything
                outcomes.append(_dead(ready, Failure.of(exc, ready.attempt), None))
        if task is None or not calls:
            return outcomes
        jobs = [ready for ready, _ in calls]
        try:
            if task.chunk is None:
                returned = await self._call(task, calls[0][1], running)
                return [self._said(task, jobs[0], returned)]
            many = task.signature.gathered([arguments for _, arguments in calls])
            returned = await self._call(task, many, running)
            return outcomes + self._each_said(task, jobs, returned)
        except asyncio.CancelledError as exc:
            if running.end is not None:
                return outcomes + [_cancelled(running, each) for each in jobs]
            # Nobody asked for that: given back it would run again at once, and for ever.
            error: BaseException = _StrayCancelError().caused_by(exc)
        except BaseException as exc:  # noqa: BLE001 - whatever a job raises is its failure
            running.error = type(exc).__name__
            error = exc
        return outcomes + [
            _ended(each, running.asked[each.id])
            if len(jobs) > 1 and each.id in running.asked
            else self._failure(task, each, error)
            for each in jobs
        ]

    async def _call(
        self, task: Task[Any, Any], arguments: dict[str, object], running: Running
    ) -> object:
        context = running.ready.context
        if task.chunk is not None:
            context = together(context)
        limit = asyncio.timeout(running.timeout)
        try:
            with restored(context), entered(running.context, is_alone=task.chunk is None):
                async with limit:
                    if task.run == "process":
                        return await self._processes.run(task, arguments, context)
                    return await task.signature.call(arguments, running.context, self._resources)
        except TimeoutError as exc:
            if limit.expired():
                raise _late(running) from exc
            raise

    def late(self, running: Running) -> list[Outcome]:
        """Return what becomes of jobs that go on beyond their time limit, whatever they do."""
        jobs = running.jobs
        try:
            task = self._tasks.find(running.ready.task)
        except UnknownTaskError as exc:
            return [
                _dead(each, Failure.said(exc.code, exc.message, each.attempt), None)
                for each in jobs
            ]
        return [self._failure(task, each, _late(running)) for each in jobs]

    def _each_said(
        self, task: Task[Any, Any], jobs: Sequence[Ready], returned: object
    ) -> list[Outcome]:
        """Return what a chunk has said of its jobs."""
        if returned is None:
            return [self._said(task, each, None) for each in jobs]
        if not isinstance(returned, list | tuple) or len(returned) != len(jobs):
            said = f"{len(returned)}" if isinstance(returned, list | tuple) else repr(returned)
            # It has done its work, and would only do it again.
            reason = f"the chunk of {len(jobs)} jobs returned {said:.100}, not one result for each"
            return [
                _dead(each, Failure.said("job_result", reason, each.attempt), task) for each in jobs
            ]
        return [
            self._failure(task, ready, value)
            if isinstance(value, Exception)
            else self._said(task, ready, value)
            for ready, value in zip(jobs, returned, strict=True)
        ]

    def _said(self, task: Task[Any, Any], ready: Ready, returned: object) -> Outcome:
        if isinstance(returned, Snooze):
            return _ended(ready, "snooze", delay=max(returned.delay, 0.0))
        if isinstance(returned, Cancel):
            return _ended(ready, "cancelled", keep=task.defaults.keep)
        if isinstance(returned, Discard):
            failure = Failure.said("discarded", returned.reason, ready.attempt)
            return _dead(ready, failure, task)
        if isinstance(returned, RetryAt):
            return self._again_at(task, ready, returned)
        if returned is None:
            return _ended(ready, "completed", then=next_of(ready, None))
        try:
            result = encode_msgpack(returned)
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            # It has done its work, and would only do it again.
            reason = f"its result cannot be kept: {exc}"
            return _dead(ready, Failure.said("job_result", reason, ready.attempt), task)
        if len(result) > self._max_size:
            reason = (
                f"its result has {len(result)} bytes, and a job carries {self._max_size} at most"
            )
            return _dead(ready, Failure.said("job_too_large", reason, ready.attempt), task)
        return _ended(ready, "completed", result=result, then=next_of(ready, returned))

    def _again_at(self, task: Task[Any, Any], ready: Ready, wish: RetryAt) -> Outcome:
        failure = Failure.said("retry_at", wish.reason, ready.attempt)
        if ready.failures >= task.retry.times:
            return _dead(ready, failure, task)
        delay = max((wish.when - clock.now()).total_seconds(), 0.0)
        return _ended(ready, "retry", delay=delay, error=failure.encoded())

    def _failure(self, task: Task[Any, Any], ready: Ready, error: BaseException) -> Outcome:
        failure = Failure.of(error, ready.attempt)
        age = max(clock.timestamp() - ready.pushed_at, 0.0)
        pause = task.retry.pause(error, failures=ready.failures, age=age)
        if pause is None:
            _logger.error("job %s of %s has failed for good", ready.id, ready.task, exc_info=error)
            return _dead(ready, failure, task)
        _logger.warning(
            "job %s of %s failed and is tried again in %.1f s: %s",
            ready.id,
            ready.task,
            pause,
            failure.summary,
        )
        return _ended(ready, "retry", delay=pause, error=failure.encoded())


class _StrayCancelError(RuntimeError):
    def __init__(self) -> None:
        super().__init__(
            "something that the job awaited was cancelled, and not by the job's worker"
        )

    def caused_by(self, error: BaseException) -> _StrayCancelError:
        self.__cause__ = error
        return self


def _late(running: Running) -> JobTimeoutError:
    return JobTimeoutError(f"The job has not ended within its time limit of {running.timeout:g} s.")


def _cancelled(running: Running, ready: Ready) -> Outcome:
    """Return what becomes of a job that was cancelled because it was to end."""
    end = running.asked.get(ready.id, running.end or "returned")
    if end != "snooze":
        return _ended(ready, end)
    return _ended(ready, end, delay=running.sleeps, waits=running.waits)


def _ended(ready: Ready, kind: OutcomeKind, **settings: Any) -> Outcome:  # Any: fields of Outcome
    return Outcome(id=ready.id, attempt=ready.attempt, kind=kind, **settings)


def _dead(ready: Ready, failure: Failure, task: Task[Any, Any] | None) -> Outcome:
    keep = 30 * 86_400.0 if task is None else task.defaults.keep_dead
    return _ended(ready, "dead", error=failure.encoded(), keep=keep)
