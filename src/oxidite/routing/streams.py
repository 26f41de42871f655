"""Handlers that yield: how one is called, and which cannot work."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TypeVar, cast

from oxidite.concurrency import ThreadPool, finished
from oxidite.errors import RouteError
from oxidite.extract.base import is_generator, location
from oxidite.extract.plan import Plan
from oxidite.extract.streams import Streamed, streamed
from oxidite.http.request import Request
from oxidite.http.response import Response

__all__ = ["check_stream", "stream_call"]

T = TypeVar("T")

_END = object()


def check_stream(plan: Plan) -> None:
    """Refuse a handler that yields without saying how, or what cannot be sent so.

    Raises:
        RouteError: with what to write.
    """
    found = streamed(plan.returns)
    if found is None or found.format is None:
        if is_generator(plan.function):
            raise RouteError(
                f"{location(plan.function)} yields, and its return annotation does not say how that is "
                "sent. Write Events[T] for server-sent events, Lines[T] for JSON Lines or Rows[T] for "
                "CSV: `-> Lines[Item]`, with the type of one item."
            )
    elif problem := found.format.problem(found.item):
        name = getattr(found.item, "__name__", repr(found.item))
        raise RouteError(f"{location(plan.function)} yields {name}, but {problem}.")


def stream_call(plan: Plan, status: int) -> Callable[[Request], Awaitable[object]] | None:
    """Return what calls a handler and makes a response of what it yields; ``None`` for any other."""
    found = streamed(plan.returns)
    if found is None or found.format is None:
        return None
    function, yields = plan.function, is_generator(plan.function)

    async def call(request: Request) -> object:
        args, kwargs = await plan.arguments(request)
        threads = request.resources.get(ThreadPool)
        if plan.is_async:
            items = await cast("Awaitable[object]", function(*args, **kwargs))
        elif yields:
            items = function(*args, **kwargs)  # nothing of it runs yet
        else:
            items = await threads.run(function, *args, **kwargs)
        if isinstance(items, Response):
            return items
        return await _respond(request, found, _iterable(plan, items, threads), status)

    return call


def _iterable(plan: Plan, items: object, threads: ThreadPool) -> AsyncIterable[object]:
    if isinstance(items, AsyncIterable):
        return items
    if isinstance(items, Iterable):
        return _in_threads(iter(items), threads)
    raise TypeError(
        f"{location(plan.function)} returned a {type(items).__name__}, but its annotation says that there is "
        "something to iterate"
    )


async def _respond(
    request: Request, found: Streamed, items: AsyncIterable[object], status: int
) -> Response:
    from oxidite.http.streams.feed import Feed

    assert found.format is not None  # noqa: S101 - `stream_call` has looked
    response = found.format.respond(items, found.item)
    response.status = status
    scopes = request.scopes
    # The handler runs on until the stream ends, and so does what was made for its call.
    scopes.request.push_async_exit(scopes.handler.pop_all())
    feed = response.content
    if found.format.waits and isinstance(feed, Feed):
        scopes.request.push_async_callback(feed.aclose)
        await feed.first()
    return response


async def _in_threads(items: Iterator[T], threads: ThreadPool) -> AsyncIterator[T]:
    """Yield what a sync iterator yields, each step in a thread and one at a time; close it after."""
    # One context for all steps: a generator may set a variable before a `yield` and reset it after.
    context = contextvars.copy_context()
    running: asyncio.Task[object] | None = None

    def step() -> object:
        return context.run(lambda: next(items, _END))

    try:
        while True:
            running = asyncio.get_running_loop().create_task(threads.run(step))
            item = await asyncio.shield(running)
            if item is _END:
                return
            yield cast("T", item)
    finally:
        # A thread cannot be stopped, and closing must not meet it.
        try:
            if running is not None:
                await finished(running, cancel=False)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                await threads.run(context.run, close)
