"""The queue, as applications use it: what pushes jobs, and sees what becomes of them.

::

    queue = Queue.from_url("db", tasks=["shop.jobs"])
    app = Oxidite(resources=[db, queue])

    handle = await queue.enqueue(send_welcome, user_id=7)
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload
from uuid import UUID

from msgspec import structs

from oxidite.carried import captured
from oxidite.encoding import encode_msgpack
from oxidite.errors import ConfigError
from oxidite.ids import uuid7
from oxidite.instrument import span
from oxidite.queue.base import (
    BatchState,
    Count,
    Filter,
    JobState,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Pushed,
    QueueState,
    StoredJob,
    TaskMinute,
    Unique,
    WorkerState,
)
from oxidite.queue.batches import Batch
from oxidite.queue.errors import (
    JobNotFoundError,
    JobTooLargeError,
    JobUnreadableError,
    TaskError,
)
from oxidite.queue.events import Event, EventKey, signals
from oxidite.queue.flow import encoded
from oxidite.queue.groups import group_of
from oxidite.queue.handle import Handle
from oxidite.queue.options import Uniqueness
from oxidite.queue.schedules import Missed, Overlap, Schedules
from oxidite.queue.sealing import Sealing, is_sealed
from oxidite.queue.stores import stores
from oxidite.queue.stores.sealed import SealedStore, sealing_of
from oxidite.queue.task import Call, Task
from oxidite.queue.tasks import Tasks
from oxidite.queue.transactional import AfterCommit
from oxidite.security import SecretLike

__all__ = ["Queue"]

P = ParamSpec("P")
R = TypeVar("R")

_LONGEST = 10_000_000_000.0  # seconds, about 300 years
_IS_DB = re.compile(r"db(?::|$)", re.IGNORECASE)
_DEAD = frozenset((JobState.DEAD,))


class Queue:
    """Pushes jobs into a store, and looks at them there; a resource.

    ``tasks`` are the packages, modules and tasks that a worker may run, by name; those of the package that
    makes the queue unless said. ``max_size`` is what the arguments, or the result, of a job may have, in
    bytes. ``address`` is the URL of the store, if it has one that others can open it by. Queues of one
    application that have different stores have different names: by it other processes know where to push what
    was enqueued in a transaction of a database that the store is not in.

    With a ``secret`` of 16 random bytes or more, what jobs are about is encrypted in the store
    (``oxidite[encryption]``); of several the first writes, and all read. Jobs that are not encrypted are dead
    letters then, unless the queue is to ``allow_plain`` ones.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        tasks: Iterable[str | Task[Any, Any]] | None = None,
        max_size: int = 1_000_000,
        address: str | None = None,
        name: str = "default",
        secret: SecretLike | Sequence[SecretLike] | None = None,
        allow_plain: bool = False,
    ) -> None:
        if max_size < 1:
            raise ConfigError(f"max_size={max_size} leaves no room for arguments.")
        if secret is not None:
            store = SealedStore(store, Sealing(secret, allow_plain=allow_plain))
        elif allow_plain:
            raise ConfigError(
                "allow_plain=True is for a queue with a secret=; others take no other jobs."
            )
        self.store: JobStore = store
        self.max_size: int = max_size
        self._address = address
        self.tasks: Tasks = Tasks([_caller()] if tasks is None else tasks)
        self.name: str = name
        self.schedules: Schedules = Schedules(store, self)
        self._after_commit = AfterCommit(store, name)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        tasks: Iterable[str | Task[Any, Any]] | None = None,
        max_size: int = 1_000_000,
        name: str = "default",
        resources: Sequence[object] = (),
        secret: SecretLike | Sequence[SecretLike] | None = None,
        allow_plain: bool = False,
    ) -> Self:
        """Make a queue whose store is at ``url``: ``memory://``, ``db``, ``sqlite:///``, ``postgresql://``, ``redis://``.

        Raises:
            ConfigError: the URL cannot be read, what it needs is not installed, or a secret is too short.
        """
        known = [_caller()] if tasks is None else tasks
        store = stores.create(url, resources=resources)
        return cls(
            store,
            tasks=known,
            max_size=max_size,
            address=url,
            name=name,
            secret=secret,
            allow_plain=allow_plain,
        )

    @property
    def address(self) -> str | None:
        """The URL by which another process, or the loop of another thread, opens the same store.

        ``None`` if there is no such URL: then a worker keeps its lease in its own event loop.
        """
        if not self.store.is_shared:
            return None
        if self.store.address is not None:
            return self.store.address
        # A ``db`` means a database that only this application knows.
        return None if self._address is None or _IS_DB.match(self._address) else self._address

    async def __aenter__(self) -> Self:
        await self.store.__aenter__()
        try:
            await self.schedules.open()
            await self._after_commit.open()
        except BaseException as exc:
            await self._after_commit.close()
            await self.store.__aexit__(type(exc), exc, exc.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._after_commit.close()
        await self.store.__aexit__(kind, exc, tb)

    def use(self, store: JobStore) -> JobStore:
        """Put another store into the place of this one, and return this one; for tests."""
        before, self.store = self.store, store
        self.schedules.use(store)
        self._after_commit.use(store)
        return before

    # Pushing

    @overload
    async def enqueue(self, task: Call[R], /) -> Handle[R]: ...
    @overload
    async def enqueue(
        self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[R]: ...
    async def enqueue(self, task: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Push a job, and return its handle: with the commit, if a transaction of a database is open.

        A task and its arguments, or what ``task.job(…)`` made of them. The handle of a chain is of all its jobs:
        its id and its result are those of the last one.

        Raises:
            JobArgumentsError: the arguments do not fit the task.
            JobTooLargeError: they are larger than a job may carry.
        """
        # Any above, as no checker joins the two forms; here it is told apart.
        call: Call[Any] = task if isinstance(task, Call) else task.job(*args, **kwargs)
        (handle,) = await self.enqueue_many([call])
        return handle

    async def enqueue_many(self, calls: Iterable[Call[R]]) -> list[Handle[R]]:
        """Push many jobs in one step, and return their handles.

        ``await queue.enqueue_many(resize.job(id) for id in ids)``

        Raises:
            JobTooLargeError: arguments are larger than a job may carry; none is pushed then.
        """
        known = [each.renewed() for each in calls]
        with span("queue.enqueue", jobs=len(known)) as work:
            if len(known) == 1:
                work.set("task", known[0].task.name)
            pushed = await self._push([self.new_job(call) for call in known])
        return [self._handle(each, call) for each, call in zip(pushed, known, strict=True)]

    def _handle(self, pushed: Pushed, call: Call[R]) -> Handle[R]:
        chain = [pushed.id]
        if pushed.is_new:
            chain += [link.id for link in call.links]
        *before, last = chain
        return Handle(self.store, last, call.last, is_new=pushed.is_new, before=before)

    def batch(
        self,
        *,
        success: Call[Any] | None = None,
        failure: Call[Any] | None = None,
        always: Call[Any] | None = None,
    ) -> Batch:
        """Return a batch, to collect jobs in that belong together; see ``Batch``."""
        return Batch(self, success=success, failure=failure, always=always)

    def new_job(self, call: Call[Any], *, batch: UUID | None = None) -> NewJob:
        """Return the job of a call, as a store takes it; for extensions.

        Raises:
            JobArgumentsError: what ``group_by`` says cannot be the name of a group.
            JobTooLargeError: its arguments are larger than a job may carry.
            TaskError: no worker would find the task.
        """
        task, options = call.task, call.options
        if len(call.args) > self.max_size:
            raise JobTooLargeError(_too_large(call, self.max_size))
        if task.name.startswith("__main__:"):
            raise TaskError(
                f"{task.name} is in the program that was started, which no worker can import. Move it "
                "into a module of its own, or start the program by its name."
            )
        self.tasks.check(task)
        return NewJob(
            id=uuid7(),
            queue=options.queue,
            task=task.name,
            args=call.args,
            version=task.version,
            priority=options.priority,
            delay=options.delay,
            at=None if options.at is None else options.at.timestamp(),
            timeout=options.timeout,
            keep=options.keep,
            unique=_unique(task, call.args, options.unique, sealing_of(self.store)),
            group=group_of(call),
            batch=batch,
            context=captured(),
            flow=encoded(call.links),
        )

    async def push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> None:
        """Push jobs as a store takes them; for extensions."""
        await self._push(jobs, batch)

    async def _push(self, jobs: Sequence[NewJob], batch: NewBatch | None = None) -> list[Pushed]:
        later = await self._after_commit.push(jobs, batch)
        return await self.store.push(jobs, batch) if later is None else later

    async def signal(
        self, name: str, *, key: EventKey = "", value: object = True, keep: float = 7 * 86_400.0
    ) -> int:
        """Tell that something has happened, and wake the jobs that wait for it: ``job.wait_for(name, …, key=key)``.

        All that wait get the ``value``, which is data, and so does each job that waits for the first time within
        ``keep`` seconds from now, unless it was signalled anew by then. So what happens more than once has a key for
        each time. Inside a transaction it goes with the commit. Returns how many jobs it woke, as far as that is
        known now: those of the queue's own database, or of its store if no transaction is open.

        Raises:
            JobTooLargeError: the value is larger than a job may carry.
            ConfigError: the name or the key is too long or not printable, the value is ``None``, or ``keep`` is no
                time.
        """
        event = Event.of(name, key)
        told = signals(
            event,
            value,
            keep=keep,
            max_size=self.max_size,
            sealing=sealing_of(self.store),
        )
        with span("queue.signal", event=name) as work:
            woken = 0
            if not await self._after_commit.signal(told):
                woken = sum([await self.store.signal(each) for each in told])
            work.set("woken", woken)
        return woken

    def cron(
        self,
        expression: str,
        call: Call[Any],
        *,
        name: str | None = None,
        zone: str = "UTC",
        jitter: float = 0.0,
        missed: Missed = "latest",
        overlap: Overlap = "allow",
        expected: float | None = None,
    ) -> None:
        """Have a job pushed by the clock: ``queue.cron("0 3 * * *", nightly.job(), zone="Europe/Berlin")``.

        For ``expression`` and ``zone`` see ``Cron``. Each job runs up to ``jitter`` seconds later, by chance.
        ``missed`` says what becomes of slots that no worker was there for, ``overlap`` what a slot does
        when the job of the one before has not ended. When the job of a slot is not completed within
        ``expected`` seconds, that is logged as an error and told as the event ``cron.late``. The name is
        that of the task unless said.

        Raises:
            ConfigError: something cannot be read, or there is another schedule of that name.
        """
        self.schedules.declare(
            expression,
            call,
            name=name,
            zone=zone,
            jitter=jitter,
            missed=missed,
            overlap=overlap,
            expected=expected,
        )

    # Looking

    def handle(self, id: UUID, task: Task[Any, R] | None = None) -> Handle[R]:
        """Return the handle of a job by its id; ``task`` tells the type of its result."""
        return Handle(self.store, id, task)

    async def get(self, id: UUID) -> StoredJob:
        """Return what is known of a job.

        Raises:
            JobNotFoundError: there is none with that id, or it was pruned.
        """
        (found,) = await self.store.get([id])
        if found is None:
            raise JobNotFoundError(f"There is no job {id}, or it is no longer kept.")
        return found

    def find(self, filter: Filter | None = None) -> AsyncIterator[StoredJob]:
        """Go through jobs, the newest first."""
        return self.store.find(filter or Filter())

    async def counts(self, filter: Filter | None = None) -> list[Count]:
        """Count jobs by queue, task and state."""
        return await self.store.counts(filter or Filter())

    async def queues(self) -> list[QueueState]:
        """Return the queues: jobs by state, limits, whether they pause."""
        return await self.store.queues()

    async def workers(self) -> list[WorkerState]:
        """Return the workers."""
        return await self.store.workers()

    async def statistics(self, seconds: float = 3600.0) -> list[TaskMinute]:
        """Return what happened in the last ``seconds``, by minute, queue and task."""
        return await self.store.statistics(await self.store.now() - seconds)

    async def batch_state(self, id: UUID) -> BatchState | None:
        """Tell how far a batch is."""
        return await self.store.batch(id)

    # Changing

    async def cancel(self, filter: Filter) -> int:
        """Cancel jobs: at once what waits, and what runs as soon as its worker hears of it."""
        return await self.store.cancel(filter)

    async def retry(self, filter: Filter | None = None) -> int:
        """Let dead letters run again, all of them unless a filter says which; return how many.

        With ``states`` or ``ids``, any that have ended, and those that wait run now.
        """
        found = filter or Filter()
        if found.states is None and found.ids is None:
            found = structs.replace(found, states=_DEAD)
        return await self.store.retry(found)

    async def edit(self, id: UUID, task: Task[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Let an ended job, or one that waits, run with other arguments, and without its steps of before.

        Raises:
            JobArgumentsError: they do not fit the task.
            JobNotFoundError: there is no such job, or it is not one that has ended or waits.
            JobUnreadableError: it is encrypted with a secret that this queue does not have.
            TaskError: it is a job of another task.
        """
        await self.edit_job(id, task.job(*args, **kwargs))

    async def edit_job(self, id: UUID, call: Call[Any]) -> None:
        """Let an ended job run again with the arguments of a call; see ``edit``."""
        task, found = call.task, await self.get(id)
        if found.task not in (task.name, *task.aliases):
            raise TaskError(
                f"The job {id} is of {found.task}, and the arguments are those of {task.name}."
            )
        if len(call.args) > self.max_size:
            raise JobTooLargeError(_too_large(call, self.max_size))
        if sealing_of(self.store) is None and is_sealed((await self.get(id)).args):
            raise JobUnreadableError(
                f"The job {id} is encrypted, and this queue has no secret: who has it would not run the job "
                "with arguments that are not encrypted."
            )
        filter = Filter(ids=(id,))
        if not await self.store.retry(filter, args=call.args, version=call.task.version):
            raise JobNotFoundError(f"There is no job {id} that has ended or waits.")

    async def delete(self, filter: Filter) -> int:
        """Forget jobs that do not run; return how many."""
        return await self.store.delete(filter)

    async def pause(self, queue: str = "default") -> None:
        """Let no worker begin jobs of a queue; those that run go on."""
        await self.store.pause(queue, paused=True)

    async def resume(self, queue: str = "default") -> None:
        """Let workers begin jobs of a queue again."""
        await self.store.pause(queue, paused=False)

    async def limit(self, queue: str, limits: Limits) -> None:
        """Set what a queue allows, over all workers, from now on.

        Raises:
            ConfigError: they allow nothing, or a time is not one.
        """
        _check_limits(limits)
        await self.store.limit(queue, limits)


def _caller() -> str:
    """Return the package, or the module, of whoever makes a queue."""
    frame = sys._getframe(1)  # noqa: SLF001 - what every library does to know its caller
    while frame.f_back is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _check_limits(limits: Limits) -> None:
    # Workers could not claim by others, from any of their queues.
    for name, most in (("running", limits.running), ("each", limits.each)):
        if most is not None and most < 1:
            raise ConfigError(
                f"{name}={most} lets no job run. It is from 1; a queue that is to rest is paused: queue.pause(…)."
            )
    for name, rate in (("rate", limits.rate), ("each_rate", limits.each_rate)):
        if rate is not None and not (rate.count >= 1 and 0 < rate.per <= _LONGEST):
            raise ConfigError(
                f"{name}={rate!r} is of at least 1 job in a time above 0, in seconds, of {_LONGEST:,.0f} at most."
            )


def _too_large(call: Call[Any], most: int) -> str:
    return (
        f"The arguments of {call.task.name} have {len(call.args)} bytes, and a job carries {most} at most. "
        "Store what is large, and give the job its key."
    )


def _unique(
    task: Task[Any, Any], args: bytes, uniqueness: Uniqueness | None, sealing: Sealing | None
) -> Unique | None:
    if uniqueness is None:
        return None
    values: Mapping[str, object] = task.signature.decode(args)
    names = task.signature.names if uniqueness.by is None else uniqueness.by
    # Sorted, so that the order in which arguments are written means nothing.
    same = encode_msgpack([task.name, [[name, values[name]] for name in sorted(names)]])
    # Of few possible arguments anybody could try which have that digest.
    key = blake2b(same, digest_size=16).digest() if sealing is None else sealing.digest(same)
    return Unique(key, uniqueness.states, uniqueness.period, uniqueness.conflict)
