"""The job that runs, as its function sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar
from uuid import UUID

from oxidite.encoding import Codec, codec_for, encode_msgpack
from oxidite.errors import ConfigError
from oxidite.queue.base import Ready

__all__ = ["JobContext", "called_for", "current_job", "entered"]

T = TypeVar("T")

_current: ContextVar[JobContext | None] = ContextVar("oxidite_job", default=None)
_called: ContextVar[JobContext | None] = ContextVar("oxidite_called_for", default=None)


class JobContext:
    """The job that runs: who it is, how far it is, and what it goes on from.

    A task takes it by annotation, ``job: JobContext = given()``.
    """

    def __init__(
        self, ready: Ready, save: Callable[[bytes | None, bytes | None], Awaitable[bool]]
    ) -> None:
        self._ready = ready
        self._save = save
        self.stopping: bool = False
        """Whether the worker is stopping: a long job may save its state and return ``Snooze(0)``."""
        self.is_in_thread: bool = False
        """Whether a thread is in the function of the job, which nothing but its end ends."""

    @property
    def id(self) -> UUID:
        """The id of the job."""
        return self._ready.id

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self._ready.queue

    @property
    def attempt(self) -> int:
        """The number of this run, from 1; no two runs of a job have the same."""
        return self._ready.attempt

    @property
    def failures(self) -> int:
        """How many runs have failed before."""
        return self._ready.failures

    @property
    def batch(self) -> UUID | None:
        """The id of the batch that it belongs to."""
        return self._ready.batch

    async def progress(self, done: float, total: float = 1.0, note: str = "") -> bool:
        """Tell how far it is; whoever has the handle of the job can see it.

        Returns whether it counted: a worker that has lost the job gets ``False``.
        """
        if total <= 0:
            raise ConfigError(f"total={total} of a progress is above 0.")
        return await self._save(encode_msgpack([done / total, note]), None)

    async def save(self, state: object) -> bool:
        """Keep what the next attempt is to go on from, such as a cursor; see ``state``."""
        return await self._save(None, encode_msgpack(state))

    def state(self, type: type[T]) -> T | None:
        """Return what an earlier attempt has saved, or ``None``.

        Raises:
            DecodeError: it is not of that type.
        """
        if self._ready.state is None:
            return None
        codec: Codec[T] = codec_for(type)
        return codec.decode_msgpack(self._ready.state)


def current_job() -> JobContext | None:
    """Return the job that this code runs in, if it runs in one; in a chunk there is none that it would be."""
    return _current.get()


def called_for() -> JobContext | None:
    """Return what a thread is noted in: the job, or the first of a chunk."""
    return _called.get()


@contextlib.contextmanager
def entered(job: JobContext, *, is_alone: bool = True) -> Iterator[None]:
    """Be in a job, or in a chunk that it is the first of."""
    before = _current.get(), _called.get()
    _current.set(job if is_alone else None)
    _called.set(job)
    try:
        yield
    finally:
        _current.set(before[0])
        _called.set(before[1])
