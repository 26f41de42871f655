"""Sync functions in threads, and work that outlives the call that started it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

__all__ = ["BackgroundTasks", "ThreadPool", "call", "current_task", "finished"]

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("oxidite")

current_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[object] | None]
"""Return the task that runs now in a loop."""
if sys.version_info >= (3, 12):
    current_task = asyncio.current_task
else:
    # PERF: a Python function there, around this dictionary; benchmark `json`.
    current_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]  # noqa: SLF001


class ThreadPool:
    """Runs sync functions so that they do not hold up the event loop.

    A resource: open it with ``async with``. At most ``size`` functions run at once; more wait. A
    function sees the context variables of its caller. Cancelling the caller abandons the wait, but a
    running function cannot be stopped: it ends by itself, and closing waits for it.
    """

    def __init__(self, size: int = 40) -> None:
        self.size = size
        self._executor: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in a thread and return what it returns."""
        if self._executor is None:
            # Made on first use: an application without sync handlers starts no thread.
            self._executor = ThreadPoolExecutor(self.size, thread_name_prefix="oxidite")
        context = contextvars.copy_context()

        def work() -> T:
            return context.run(_finite, functools.partial(function, *args, **kwargs))

        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _finite(function: Callable[[], T]) -> T:
    try:
        return function()
    except StopIteration as exc:
        # A future cannot carry it: who waits for the answer would wait for ever.
        raise RuntimeError("the function raised StopIteration") from exc


left_behind: list[contextvars.ContextVar[Any]] = []
"""Variables that background work begins without, such as the open transaction: they become ``None``."""


seeing_alone: list[Callable[[], bool]] = []
"""Each tells whether its caller may see what others do not, such as what a transaction has not committed."""


def sees_alone() -> bool:
    """Tell whether what is read here is not to be handed to others."""
    return any(each() for each in seeing_alone)


def context_behind() -> contextvars.Context:
    """Return the context of now as background work begins with it."""
    context = contextvars.copy_context()
    for each in left_behind:
        context.run(each.set, None)
    return context


class BackgroundTasks:
    """Work that goes on after the response was sent, and is waited for at shutdown.

    A resource. Failures are logged, never raised. On closing, tasks get ``grace`` seconds to end, those
    that they start included, and are cancelled then.
    """

    def __init__(self, grace: float = 10.0) -> None:
        self.grace = grace
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        # For all of them together: work that always starts more would go on for ever.
        due = loop.time() + self.grace
        while self._tasks and (left := due - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        late = [task for task in self._tasks if not task.done()]
        for task in late:
            _logger.warning("background task %s did not end in time", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self.grace)

    def spawn(self, work: Coroutine[object, object, object], *, name: str | None = None) -> None:
        """Start ``work``, independent of whoever started it: it is in no transaction of theirs."""
        task = asyncio.get_running_loop().create_task(
            _logged(work), name=name, context=context_behind()
        )
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._ended(task, work))

    def _ended(self, task: asyncio.Task[None], work: Coroutine[object, object, object]) -> None:
        self._tasks.discard(task)
        work.close()  # one that was cancelled before it began, or Python would warn of it


async def _logged(work: Coroutine[object, object, object]) -> None:
    try:
        await work
    except Exception:
        _logger.exception("background work failed")


@overload
async def call(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...
@overload
async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...
async def call(
    function: Callable[P, Awaitable[object] | object], *args: P.args, **kwargs: P.kwargs
) -> object:
    """Call a function that may be async."""
    result = function(*args, **kwargs)
    if isinstance(result, Awaitable):
        return await result
    return result


async def finished(task: asyncio.Task[T], *, cancel: bool) -> None:
    """Wait until a task is done, also through cancellations, and raise the last one then.

    ``cancel`` hands them on to the task. What it uses is not taken from it before it has ended.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as exc:
            cancelled = exc
            if cancel:
                task.cancel()
    if cancelled is not None:
        raise cancelled
