"""Tasks: functions that jobs run.

::

    @task(retry=Retry(times=5), timeout=30)
    async def send_welcome(user_id: int, mailer: Mailer = given()) -> None: ...

    await queue.enqueue(send_welcome, user_id=7)

A task belongs to no queue and needs no connection; called as a function it is one. The name by which jobs
find it is its module and its name, or the one it is given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)
from uuid import UUID

from oxidite.encoding import Codec, codec_for
from oxidite.ids import uuid7
from oxidite.queue.chunks import Chunk
from oxidite.queue.errors import JobArgumentsError, TaskError
from oxidite.queue.options import Options, Uniqueness
from oxidite.queue.retry import Retry
from oxidite.queue.signature import Signature

__all__ = [
    "AsyncTask",
    "Call",
    "ChunkDecorator",
    "ChunkTask",
    "Decorator",
    "Link",
    "SyncTask",
    "Task",
    "Upgrade",
    "given",
    "task",
]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

Upgrade: TypeAlias = Callable[
    [dict[str, Any]], Mapping[str, object]
]  # plain values, of an older version


def given() -> Any:  # Any: it stands for a value of whatever type the parameter has
    """Stand as the default of a parameter that the worker gives, so that callers may leave it out.

    ``mailer: Mailer = given()``: the resource of that type, as a handler has it.
    """
    return _GIVEN


_GIVEN = inspect.Parameter.empty


@dataclass(frozen=True)
class Call(Generic[R]):
    """A task with its arguments: a job that was not pushed yet, and the jobs that follow it.

    ::

        await queue.enqueue(download.job(url).then(parse).then(store, bucket="pages"))
    """

    task: Task[Any, Any]
    args: bytes
    options: Options
    links: tuple[Link, ...] = ()

    @property
    def last(self) -> Task[Any, R]:
        """The task whose result is that of the whole."""
        return self.links[-1].task if self.links else self.task

    def then(self, task: Task[Concatenate[R, Q], S], *args: Q.args, **kwargs: Q.kwargs) -> Call[S]:
        """Let another job follow, once this one is completed: its first argument is the result.

        It is pushed in the step in which the result is taken over. What fails for good ends the chain; if
        it is retried later, the chain goes on.

        Raises:
            JobArgumentsError: the other arguments do not fit.
            TaskError: its group would be the result.
        """
        signature = task.signature
        if not signature.names:
            raise JobArgumentsError(
                task.name, ["it takes none, so not the result of another either"]
            )
        if task.defaults.group is None and task.defaults.group_by == signature.names[0]:
            raise TaskError(
                f"{task.name}: group_by= names {signature.names[0]!r}, which is the result of the job before, "
                f"and not known when the chain is pushed. Say the group: {task.name}.options(group=…)."
            )
        link = Link(task, signature.encode_rest(args, kwargs), task.defaults, signature.names[0])
        return Call(self.task, self.args, self.options, (*self.links, link))

    def after(self, call: Call[S]) -> Call[S]:
        """Let another job follow, once this one is completed, which does not take its result."""
        link = Link(call.task, call.args, call.options, None)
        return Call(self.task, self.args, self.options, (*self.links, link, *call.links))

    def renewed(self) -> Self:
        """Return the same jobs under new ids: a call may be pushed more than once, and a store takes an id once."""
        if not self.links:
            return self
        return replace(self, links=tuple(replace(each, id=uuid7()) for each in self.links))


@dataclass(frozen=True)
class Link:
    """A job that follows another. ``takes`` names the argument that is the result of that one."""

    task: Task[Any, Any]
    args: bytes
    options: Options
    takes: str | None
    id: UUID = field(default_factory=uuid7)


class Task(Generic[P, R]):
    """A function that jobs run; ``R`` is the result of the job. Made by ``task``.

    Raises:
        TaskError: the function cannot be run by a worker.
    """

    def __init__(
        self,
        function: Callable[P, object],
        *,
        name: str | None,
        aliases: Iterable[str],
        version: int,
        upgrades: Mapping[int, Upgrade],
        retry: Retry,
        run: Literal["auto", "process"],
        options: Options,
        chunk: Chunk | None = None,
    ) -> None:
        self.function: Callable[P, object] = function
        self.name: str = name or f"{function.__module__}:{function.__qualname__}"
        self.aliases: frozenset[str] = frozenset(aliases)
        self.version: int = version
        self.upgrades: Mapping[int, Upgrade] = dict(upgrades)
        self.retry: Retry = retry
        self.run: Literal["auto", "process"] = run
        self.defaults: Options = options
        self.chunk: Chunk | None = chunk
        self.signature: Signature = Signature(function, self.name, of_many=chunk is not None)
        self._check()
        self.__doc__ = function.__doc__
        self.__wrapped__: Callable[P, object] = function

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def options(
        self,
        *,
        queue: str | None = None,
        priority: int | None = None,
        delay: float | None = None,
        at: datetime | None = None,
        timeout: float | None = None,
        keep: float | None = None,
        unique: Uniqueness | None = None,
        group: str | None = None,
    ) -> Self:
        """Return the same task with other options: ``queue.enqueue(report.options(delay=60), 7)``."""
        changes = {
            "queue": queue,
            "priority": priority,
            "delay": delay,
            "at": at,
            "timeout": timeout,
            "keep": keep,
            "unique": unique,
            "group": group,
        }
        other: Self = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        said: dict[str, Any] = {key: value for key, value in changes.items() if value is not None}
        other.defaults = replace(self.defaults, **said)
        if unique is not None:
            other._check_unique()
        return other

    def job(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Return a job that may be enqueued, alone, in a chain or in a batch.

        Raises:
            JobArgumentsError: the arguments do not fit.
        """
        return Call(self, self.signature.encode(args, kwargs), self.defaults)

    def job_of(self, json: bytes | str) -> Call[R]:
        """Return a job whose arguments are a JSON object, by name.

        Raises:
            JobArgumentsError: they do not fit.
        """
        return Call(self, self.signature.encode_json(json), self.defaults)

    def upgraded(self, args: bytes, version: int) -> dict[str, object]:
        """Return the arguments of a job that was pushed by ``version`` of the task, as of this one.

        Raises:
            JobArgumentsError: they do not fit, or nothing tells how they would.
        """
        if version == self.version:
            return self.signature.decode(args)
        return self.signature.upgrade(args, version, self.version, self.upgrades)

    @property
    def result_codec(self) -> Codec[object]:
        """What reads a result of it."""
        return codec_for(self.signature.returns)

    def _check(self) -> None:
        if self.version < 1:
            raise TaskError(f"{self.name}: version={self.version} is a number from 1.")
        if len(self.name) > 200 or not self.name.isprintable():
            raise TaskError(
                f"The name {self.name!r} of a task is printable, of at most 200 characters."
            )
        if "<locals>" in self.name:
            raise TaskError(
                f"{self.name} is defined inside a function, where no worker finds it. Define it in its "
                "module, or give it a name= and the queue the task itself: Queue(…, tasks=[…])."
            )
        if self.run == "process" and not self.signature.is_plain:
            raise TaskError(
                f'{self.name}: with run="process" it is called in another process, where there are no '
                "resources, no dependencies and no JobContext. Take them out, or leave run= out."
            )
        if self.run == "process" and inspect.iscoroutinefunction(self.function):
            raise TaskError(f'{self.name}: run="process" is for functions that are not async.')
        self._check_unique()
        by = self.defaults.group_by
        if isinstance(by, str) and by not in self.signature.names:
            raise TaskError(f"{self.name} has no argument {by!r}, which group_by= names.")

    def _check_unique(self) -> None:
        unknown = [
            each
            for each in (self.defaults.unique.by or () if self.defaults.unique else ())
            if each not in self.signature.names
        ]
        if unknown:
            raise TaskError(f"{self.name} has no argument {unknown[0]!r}, which unique= names.")


class AsyncTask(Task[P, R]):
    """An async function that jobs run."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the function, here and now."""
        return cast("Coroutine[Any, Any, R]", self.function(*args, **kwargs))


class SyncTask(Task[P, R]):
    """A function that jobs run in a thread, or in a process."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, here and now."""
        return cast("R", self.function(*args, **kwargs))


class ChunkTask(Task[[T], R], Generic[T, R, Q, S]):
    """A function that runs many jobs by one call; each job carries a ``T``, and ``R`` is its result."""

    def __call__(self, items: list[T], /, *args: Q.args, **kwargs: Q.kwargs) -> S:
        """Call the function, here and now."""
        function = cast("Callable[Concatenate[list[T], Q], S]", self.function)
        return function(items, *args, **kwargs)


class Decorator(Protocol):
    """Makes a function a task."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]  # what an async function returns is an object, too
    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...


class ChunkDecorator(Protocol):
    """Makes a function that takes a list a task whose jobs carry an element each."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[list[T], Q], Coroutine[Any, Any, None]], /
    ) -> ChunkTask[T, None, Q, Coroutine[Any, Any, None]]: ...
    @overload
    def __call__(
        self,
        function: Callable[Concatenate[list[T], Q], Coroutine[Any, Any, Sequence[R | Exception]]],
        /,
    ) -> ChunkTask[T, R, Q, Coroutine[Any, Any, Sequence[R | Exception]]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[list[T], Q], None], /
    ) -> ChunkTask[T, None, Q, None]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[list[T], Q], Sequence[R | Exception]], /
    ) -> ChunkTask[T, R, Q, Sequence[R | Exception]]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]  # what an async function returns is an object, too
@overload
def task(function: Callable[P, R], /) -> SyncTask[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    aliases: Iterable[str] = (),
    version: int = 1,
    upgrades: Mapping[int, Upgrade] | None = None,
    retry: Retry | None = None,
    run: Literal["auto", "process"] = "auto",
    queue: str = "default",
    priority: int = 0,
    timeout: float = 600.0,
    keep: float = 86_400.0,
    keep_dead: float = 30 * 86_400.0,
    unique: Uniqueness | None = None,
    group_by: str | Callable[[], object] | None = None,
) -> Decorator: ...
@overload
def task(
    *,
    chunk: Chunk,
    name: str | None = None,
    aliases: Iterable[str] = (),
    version: int = 1,
    upgrades: Mapping[int, Upgrade] | None = None,
    retry: Retry | None = None,
    run: Literal["auto", "process"] = "auto",
    queue: str = "default",
    priority: int = 0,
    timeout: float = 600.0,
    keep: float = 86_400.0,
    keep_dead: float = 30 * 86_400.0,
    unique: Uniqueness | None = None,
    group_by: str | Callable[[], object] | None = None,
) -> ChunkDecorator: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    aliases: Iterable[str] = (),
    version: int = 1,
    upgrades: Mapping[int, Upgrade] | None = None,
    retry: Retry | None = None,
    run: Literal["auto", "process"] = "auto",
    queue: str = "default",
    priority: int = 0,
    timeout: float = 600.0,
    keep: float = 86_400.0,
    keep_dead: float = 30 * 86_400.0,
    unique: Uniqueness | None = None,
    group_by: str | Callable[[], object] | None = None,
    chunk: Chunk | None = None,
) -> Task[..., Any] | Decorator | ChunkDecorator:
    """Make a function a task.

    An async function runs in the worker's event loop, a sync one in a thread, and with
    ``run="process"`` in a process of its own. ``version`` is that of the arguments: of jobs that were
    pushed by another one, ``upgrades[n]`` makes the arguments of version n + 1 from those of n.
    ``aliases`` are names under which it was known before.

    ``group_by`` says of which group its jobs are, for limits by key and fair queues: the name of an argument, or
    what is called where a job is pushed, such as ``user.get``. It is text, a whole number or a UUID; ``None`` is
    no group.

    With a ``chunk`` the function takes a list, and each job carries one element of it. If it raises, all jobs
    of that call have failed. It may return a list with as many elements: the result of each job, or what
    becomes of it, an error among them for one that has failed.

    Raises:
        TaskError: the function cannot be run by a worker.
    """

    def make(
        function: Callable[..., Any], /
    ) -> Any:  # Any: which of the two is the overloads' to say
        kind: type[Task[..., Any]]
        if chunk is not None:
            kind = ChunkTask
        else:
            kind = AsyncTask if inspect.iscoroutinefunction(function) else SyncTask
        return kind(
            function,
            name=name,
            aliases=aliases,
            version=version,
            upgrades=upgrades or {},
            retry=Retry() if retry is None else retry,
            run=run,
            options=Options(
                queue=queue,
                priority=priority,
                timeout=timeout,
                keep=keep,
                keep_dead=keep_dead,
                unique=unique,
                group_by=group_by,
            ),
            chunk=chunk,
        )

    return make if function is None else make(function)
