"""The job that runs, as its function sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar, overload
from uuid import UUID

from oxidite.encoding import Codec, codec_for, encode_msgpack
from oxidite.errors import ConfigError
from oxidite.queue.base import JobStore, Ready
from oxidite.queue.events import Event, EventKey
from oxidite.queue.steps import Steps

__all__ = ["JobContext", "called_for", "current_job", "entered"]

P = ParamSpec("P")
T = TypeVar("T")

_current: ContextVar[JobContext | None] = ContextVar("oxidite_job", default=None)
_called: ContextVar[JobContext | None] = ContextVar("oxidite_called_for", default=None)


class JobContext:
    """The job that runs: who it is, how far it is, and what it goes on from.

    A task takes it by annotation, ``job: JobContext = given()``.
    """

    def __init__(self, ready: Ready, store: JobStore, max_size: int) -> None:
        self._ready = ready
        self._store = store
        self._max_size = max_size
        self._kept: Steps | None = None
        self.stopping: bool = False
        """Whether the worker is stopping: a long job may save its state and return ``Snooze(0)``."""
        self.is_in_thread: bool = False
        """Whether a thread is in the function of the job, which nothing but its end ends."""
        self.leave: Callable[[float, bool], None] | None = None
        """Ends this run, to go on after so many seconds, or with an event; who runs the job sets it."""

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
        # Half a character, as a name of a file may have, is no reason for a job to fail.
        said = encode_msgpack([done / total, note.encode("utf-8", "backslashreplace").decode()])
        return await self._store.save(self.id, self.attempt, progress=said)

    async def save(self, state: object) -> bool:
        """Keep what the next attempt is to go on from, such as a cursor; see ``state``.

        Returns whether it counted: a worker that has lost the job gets ``False``.

        Raises:
            JobTooLargeError: it is larger than a job may carry.
            ConfigError: a transaction is open that the queue takes no part in.
        """
        return await self._steps.save(encode_msgpack(state))

    def state(self, type: type[T]) -> T | None:
        """Return what an earlier attempt has saved, or ``None``.

        Raises:
            DecodeError: it is not of that type.
        """
        if self._steps.state is None:
            return None
        codec: Codec[T] = codec_for(type)
        return codec.decode_msgpack(self._steps.state)

    @overload
    async def step(
        self,
        name: str,
        function: Callable[P, Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T: ...
    @overload
    async def step(
        self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    async def step(
        self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call a function, once over all attempts: ``charge = await job.step("charge", charge_card, order)``.

        What it returns is kept under ``name`` with the job, and an attempt that comes after a failure gets
        that without a call: data, of the type that its annotation says. What raises is not done. A worker
        that ends between the call and the keeping of its result leaves it to be called again; with a queue
        in ``db``, a transaction that is open around the step keeps both or none.

        Raises:
            JobLostError: the job runs elsewhere by now, so nothing here counts.
            JobTooLargeError: the results are larger than a job may carry.
            ConfigError: the job has another step of that name, or a transaction is open that the queue takes
                no part in.
        """
        return await self._steps.run(name, function, args, kwargs)

    async def sleep(self, name: str, seconds: float) -> None:
        """Leave the place, and go on after ``seconds``: ``await job.sleep("reminder", 3 * 86_400)``.

        The job is run anew then, which is no failure. So it begins at its top, steps that are done are not
        done again, and where it slept it goes on. The first call says when the sleep of that ``name``
        ends, whatever becomes of workers. What is running of the job is cancelled, as by a worker that
        stops, so what is not a step may be done twice.

        Raises:
            JobLostError: the job runs elsewhere by now, so nothing here counts.
            ConfigError: the job has another step of that name, or a transaction is open.
        """
        left = await self._steps.sleep(name, seconds)
        if left > 0:
            await self._left(left, waits=False)

    async def wait_for(
        self, name: str, type: type[T], *, key: EventKey = "", within: float
    ) -> T | None:
        """Leave the place until an event is signalled, and return its value; ``None`` after ``within`` seconds.

        ``payment = await job.wait_for("paid", Payment, key=order, within=7 * 86_400)`` goes on when somebody says
        ``await queue.signal("paid", key=order, value=payment)``, or at once if that was said before and is kept
        still. The job is run anew then, as after a ``sleep``. All jobs that wait for the same get it, each once:
        what has come, or that nothing has, is kept as a step called ``name``, or ``name:key`` if there is a key.
        The first call says when its time is over; an event counts that comes before the job has looked. Tasks of
        a job that wait at once do so one after the other.

        Raises:
            MismatchError: what was signalled is not of that type.
            JobLostError: the job runs elsewhere by now, so nothing here counts.
            JobTooLargeError: the results of its steps are larger than a job may carry.
            JobUnreadableError: it was signalled by a queue whose secret this one does not have.
            ConfigError: the job has another step of that name, or a transaction is open.
        """
        left, value = await self._steps.wait_for(Event.of(name, key), codec_for(type), within)
        if left > 0:
            await self._left(left, waits=True)
        return value

    async def _left(self, seconds: float, *, waits: bool) -> None:
        if self.leave is None:
            raise ConfigError("Nobody runs this job who could let it wait.")
        self.leave(seconds, waits)
        # Whatever of the job is waiting here is cancelled with it.
        await asyncio.get_running_loop().create_future()

    @property
    def _steps(self) -> Steps:
        # PERF: most jobs keep nothing.
        if self._kept is None:
            self._kept = Steps(self._ready, self._store, self._max_size)
        return self._kept


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
