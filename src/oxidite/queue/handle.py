"""A job that was pushed, as whoever pushed it sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from msgspec import Struct

from oxidite import clock
from oxidite.encoding import Codec, codec_for
from oxidite.errors import BackendTimeoutError
from oxidite.queue.base import Filter, JobState, JobStore, StoredJob
from oxidite.queue.errors import (
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    JobUnreadableError,
)
from oxidite.queue.failures import last_failure
from oxidite.queue.sealing import is_sealed
from oxidite.queue.steps import rewound
from oxidite.queue.task import Task

__all__ = ["Handle", "JobUpdate", "Progress"]

R = TypeVar("R")

_codec: Codec[tuple[float, str]] = codec_for(tuple[float, str])
_LOOKS = 0.5  # seconds between two looks at how far a job is


class Progress(Struct, frozen=True):
    """How far a job is, from 0 to 1, and what it says of that."""

    done: float
    note: str = ""


class JobUpdate(Struct, Generic[R], frozen=True):
    """How a job is: what a browser may see of it. ``result`` is there once it is completed.

    Why it failed is not in it, as errors may say more than a user is to know.
    """

    state: JobState
    done: float
    note: str = ""
    result: R | None = None


class Handle(Generic[R]):
    """A job by its id: its state, its progress, its result.

    ``is_new`` is false if another one stood in the way of it, and then it is that one's handle. That of a chain
    is of all its jobs: ``before`` are those that come before the one of this ``id``.
    """

    def __init__(
        self,
        store: JobStore,
        id: UUID,
        task: Task[Any, R] | None,
        *,
        is_new: bool = False,
        before: Sequence[UUID] = (),
    ) -> None:
        self._store = store
        self.id: UUID = id
        self.task: Task[Any, R] | None = task
        self.is_new: bool = is_new
        self._chain = (*before, id)

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"

    async def job(self) -> StoredJob:
        """Return everything that is known of the job; of a chain, that of the job to which it has come.

        Raises:
            JobNotFoundError: it is no longer kept.
        """
        found = [each for each in await self._store.get(self._chain) if each is not None]
        if not found:
            raise JobNotFoundError(f"There is no job {self.id}, or it is no longer kept.")
        return found[-1]

    async def state(self) -> JobState:
        """Return where the job is."""
        return (await self.job()).state

    async def cancel(self) -> bool:
        """Cancel the job, or ask its worker to; return whether there was something to cancel."""
        return await self._store.cancel(Filter(ids=self._chain)) > 0

    async def rerun(self, *, from_step: str) -> None:
        """Let a job that has ended, or waits, run anew from a step on: that one and those after it are forgotten.

        What the steps before it came to is kept, in the order in which they were done; sleeps and events that it
        waited for are steps, too. What ``save`` kept stays if that was before the step. Of a chain it is the job to
        which that has come.

        Raises:
            JobNotFoundError: it runs just now, or is no longer kept.
            JobStepNotFoundError: it has not come to such a step; the message says to which.
            JobUnreadableError: it is encrypted with a secret that the queue does not have.
        """
        job = await self.job()
        if job.saved is not None:
            _check(job, job.saved)
        saved = rewound(job.saved, from_step)
        # Not if it has run meanwhile: its new steps would be forgotten, and done twice.
        count = await self._store.retry(Filter(ids=(job.id,)), saved=saved, attempt=job.attempt)
        if not count:
            raise JobNotFoundError(
                f"The job {job.id} runs just now, or is no longer kept. Cancel it first, or wait for its end."
            )

    async def result(self, within: float = 60.0) -> R:
        """Wait for the result of the job, for so many seconds.

        Raises:
            JobFailedError: it failed for good, or one before it in a chain did; the message has the last error.
            JobCancelledError: it, or one before it, was cancelled.
            JobNotFoundError: it is no longer kept, or its result is not.
            JobUnreadableError: its result is encrypted with a secret that the queue does not have.
            BackendTimeoutError: it has not ended in time.
        """
        ends = clock.monotonic() + within
        left = self._chain
        while True:
            ended = await self._store.results(left, max(ends - clock.monotonic(), 0.0))
            for id in left:
                if id in ended:
                    self._check(ended[id])
            if self.id in ended:
                return self._result_of(ended[self.id])
            if not ended:
                await self.job()
                raise BackendTimeoutError(
                    f"The job {self.id} has not ended within {within:g} seconds."
                )
            # What follows them was pushed when they ended.
            left = tuple(id for id in left if id not in ended)

    def _check(self, ended: StoredJob) -> None:
        if ended.state is JobState.CANCELLED:
            raise JobCancelledError(f"The job {ended.id} was cancelled.")
        if ended.state is JobState.DEAD:
            failure = last_failure(ended)
            raise JobFailedError(f"The job {ended.id} has failed: {failure.summary}")

    def _result_of(self, job: StoredJob) -> R:
        if job.result is None:
            return cast("R", None)
        _check(job, job.result)
        codec = codec_for(object) if self.task is None else self.task.result_codec
        return cast("R", codec.decode_msgpack(job.result))

    async def progress(self) -> Progress:
        """Return how far the job is."""
        return _progress(await self.job())

    async def follow(self) -> AsyncIterator[Progress]:
        """Yield how far the job is, each time that it has changed, until it has ended.

        Raises:
            JobNotFoundError: it is no longer kept.
        """
        before: Progress | None = None
        async for update in self.updates():
            now = Progress(update.done, update.note)
            if now != before:
                before = now
                yield now

    async def updates(self) -> AsyncIterator[JobUpdate[R]]:
        """Yield how the job is, each time that it has changed, until it has ended: with its result then.

        A handler sends them to a browser by ``EventStream(handle.updates())``, after ``await handle.job()``,
        so that a job which is not there is a 404. Whether somebody may see the job is for the handler to
        ask: whoever knows its id could.

        Raises:
            JobNotFoundError: it is no longer kept.
        """
        before: JobUpdate[R] | None = None
        while True:
            job = await self.job()
            far = _progress(job)
            is_done = job.state is JobState.COMPLETED and job.id == self.id
            result = self._result_of(job) if is_done else None
            now = JobUpdate(job.state, far.done, far.note, result)
            if now != before:
                before = now
                yield now
            if job.ended_at is not None:
                return
            await self._store.results([job.id], _LOOKS)


def _progress(job: StoredJob) -> Progress:
    if job.progress is None:
        return Progress(1.0 if job.state is JobState.COMPLETED else 0.0)
    _check(job, job.progress)
    return Progress(*_codec.decode_msgpack(job.progress))


def _check(job: StoredJob, data: bytes) -> None:
    if is_sealed(data):
        raise JobUnreadableError(
            f"The job {job.id} is encrypted with a secret that this queue does not have: secret=[…]."
        )
