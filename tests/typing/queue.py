"""Tasks keep the types of their functions, on the way into a queue and out of it again."""

from __future__ import annotations

from typing import assert_type

from oxidite.queue import (
    AsyncTask,
    Call,
    Chunk,
    Handle,
    JobContext,
    Queue,
    SyncTask,
    Task,
    given,
    task,
)


@task
async def measure(page: str, scale: float = 1.0) -> int:
    """An async one."""
    return int(len(page) * scale)


@task(queue="slow", timeout=60.0)
def render(size: int, job: JobContext = given()) -> str:
    """A sync one, with settings."""
    return "x" * size


@task(chunk=Chunk(size=50))
async def store(pages: list[str], mark: int = given()) -> None:
    """A chunk."""


@task(chunk=Chunk())
async def weigh(pages: list[str]) -> list[int | Exception]:
    """A chunk that says what became of each."""
    return [len(page) for page in pages]


@task(chunk=Chunk())
def count(pages: list[str]) -> list[int]:
    """A sync one."""
    return [len(page) for page in pages]


assert_type(render(3), str)
of_many: Task[[str], None] = store
with_results: Task[[str], int] = weigh
is_async: AsyncTask[[str], int] = measure
is_sync: SyncTask[[int], str] = render


async def right(queue: Queue) -> None:
    """What is meant."""
    assert_type(await measure("page"), int)
    assert_type(await queue.enqueue(measure, "page"), Handle[int])
    assert_type(await queue.enqueue(measure, page="page", scale=2.0), Handle[int])
    assert_type(await queue.enqueue(render, 7), Handle[str])
    assert_type(await queue.enqueue(render.options(delay=5.0), size=7), Handle[str])
    assert_type(await (await queue.enqueue(render, 7)).result(), str)
    assert_type(render.job(7), Call[str])
    assert_type(render.job(7).then(measure, scale=2.0), Call[int])
    assert_type(await queue.enqueue(render.job(7).then(measure)), Handle[int])
    assert_type(await queue.enqueue(store, "page"), Handle[None])
    assert_type(await queue.enqueue(weigh, "page"), Handle[int])
    assert_type(await queue.enqueue(count.options(delay=1.0), "page"), Handle[int])
    assert_type(render.job(7).then(weigh), Call[int])
    await store(["page"], mark=1)
    assert_type(await queue.enqueue_many(render.job(each) for each in range(3)), list[Handle[str]])


async def wrong(queue: Queue) -> None:
    """What is not: each line is refused."""
    await queue.enqueue(measure, 7)  # type: ignore[call-overload]
    await queue.enqueue(measure)  # type: ignore[call-overload]
    await queue.enqueue(measure, "page", size=1)  # type: ignore[call-arg]
    measure.job(page=7)  # type: ignore[arg-type]
    render.options(size=7)  # type: ignore[call-arg]
    measure.job("page").then(measure)  # type: ignore[arg-type]
    queue.cron("@daily", measure)  # type: ignore[arg-type]
    await queue.enqueue(store, ["page"])  # type: ignore[call-overload]
    await queue.enqueue(store, "page", mark=1)  # type: ignore[call-arg]
    await store("page")  # type: ignore[arg-type]
    text: str = await (await queue.enqueue(measure, "page")).result()  # type: ignore[assignment]
    print(text)
