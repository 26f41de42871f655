"""Runs one job, and says what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Protocol

from msgspec.structs import replace

from oxidite import clock
from oxidite.carried import restored
from oxidite.encoding import encode_msgpack
from oxidite.instrument import span
from oxidite.lifespan import Lifespan
from oxidite.queue.base import Outcome, OutcomeKind, Ready
from oxidite.queue.context import JobContext, entered
from oxidite.queue.errors import JobArgumentsError, JobTimeoutError
from oxidite.queue.failures import Failure
from oxidite.queue.flow import next_of
from oxidite.queue.processes import Processes
from oxidite.queue.task import Task
from oxidite.queue.tasks import Tasks, UnknownTaskError
from oxidite.queue.verdicts import Cancel, Discard, RetryAt, Snooze

__all__ = ["Runner", "Running"]

_logger = logging.getLogger("oxidite.queue")


class Save(Protocol):
    """Keeps how far a job is."""

    def __call__(
        self, job: Ready, *, progress: bytes | None = None, state: bytes | None = None
    ) -> Awaitable[bool]:
        """Return whether it counted."""
        ...


class Running:
    """A job that runs: its task in the event loop, and why that was cancelled, if it was.

    ``deadline`` is when its time is over, by ``clock.perf``.
    """

    def __init__(self, ready: Ready, context: JobContext) -> None:
        self.ready: Ready = ready
        self.context: JobContext = context
        self.task: asyncio.Task[Outcome] | None = None
        self.end: OutcomeKind | None = None
        self.deadline: float = clock.perf() + ready.timeout
        self.is_abandoned: bool = False
        self.error: str | None = None
        """The kind of error that it ended by."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs any more, its thread included."""
        return (self.task is None or self.task.done()) and not self.context.is_in_thread

    def cancel(self, end: OutcomeKind) -> None:
        """End it: ``cancelled`` or ``returned``."""
        if self.end is None and self.task is not None:
            self.end = end
            self.task.cancel()


class Runner:
    """Runs jobs, one call each."""

    def __init__(
        self,
        tasks: Tasks,
        resources: Lifespan,
        save: Save,
        max_size: int,
        processes: Processes | None = None,
    ) -> None:
        self._tasks = tasks
        self._resources = resources
        self._save = save
        self._max_size = max_size
        self._processes = Processes() if processes is None else processes

    def running(self, ready: Ready) -> Running:
        """Return a job that is about to run."""

        async def save(progress: bytes | None, state: bytes | None) -> bool:
            return await self._save(ready, progress=progress, state=state)

        return Running(ready, JobContext(ready, save))

    async def run(self, running: Running) -> Outcome:
        """Run a job to its end, and return what became of it. It raises nothing."""
        ready = running.ready
        began = clock.perf()
        with span("queue.job", task=ready.task, queue=ready.queue, attempt=ready.attempt) as work:
            try:
                outcome = await self._outcome(running)
            except Exception as exc:
                # Whatever it is, the store has to hear that the attempt is over: else it would run for ever.
                _logger.exception(
                    "what became of job %s of %s cannot be told", ready.id, ready.task
                )
                failure = Failure.said("unheard_of", type(exc).__name__, ready.attempt)
                outcome = _dead(ready, failure, None)
            work.set("outcome", outcome.kind)
            if running.error is not None:
                work.set("error", running.error)
        return replace(outcome, seconds=clock.perf() - began)

    async def _outcome(self, running: Running) -> Outcome:
        ready = running.ready
        try:
            task = self._tasks.find(ready.task)
            arguments = task.upgraded(ready.args, ready.version)
        except (UnknownTaskError, JobArgumentsError) as exc:
            # No other try will find more than this one did.
            return _dead(ready, Failure.said(exc.code, exc.message, ready.attempt), None)
        except Exception as exc:  # noqa: BLE001 - an import may raise anything
            return _dead(ready, Failure.of(exc, ready.attempt), None)
        try:
            returned = await self._call(task, arguments, running)
            return self._said(task, ready, returned)
        except asyncio.CancelledError as exc:
            if running.end is not None:
                return _ended(ready, running.end)
            # Nobody asked for that: given back it would run again at once, and for ever.
            return self._failure(task, ready, _StrayCancelError().caused_by(exc))
        except BaseException as exc:  # noqa: BLE001 - whatever a job raises is its failure
            running.error = type(exc).__name__
            return self._failure(task, ready, exc)

    async def _call(
        self, task: Task[Any, Any], arguments: dict[str, object], running: Running
    ) -> object:
        ready = running.ready
        limit = asyncio.timeout(ready.timeout)
        try:
            with restored(ready.context), entered(running.context):
                async with limit:
                    if task.run == "process":
                        return await self._processes.run(task, arguments)
                    return await task.signature.call(arguments, running.context, self._resources)
        except TimeoutError as exc:
            if limit.expired():
                raise _late(ready) from exc
            raise

    def late(self, running: Running) -> Outcome:
        """Return what becomes of a job that goes on beyond its time limit, whatever it does."""
        ready = running.ready
        try:
            task = self._tasks.find(ready.task)
        except UnknownTaskError as exc:
            return _dead(ready, Failure.said(exc.code, exc.message, ready.attempt), None)
        return self._failure(task, ready, _late(ready))

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


def _late(ready: Ready) -> JobTimeoutError:
    return JobTimeoutError(f"The job has not ended within its time limit of {ready.timeout:g} s.")


def _ended(ready: Ready, kind: OutcomeKind, **settings: Any) -> Outcome:  # Any: fields of Outcome
    return Outcome(id=ready.id, attempt=ready.attempt, kind=kind, **settings)


def _dead(ready: Ready, failure: Failure, task: Task[Any, Any] | None) -> Outcome:
    keep = 30 * 86_400.0 if task is None else task.defaults.keep_dead
    return _ended(ready, "dead", error=failure.encoded(), keep=keep)
