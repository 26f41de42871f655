"""Ours, as its guide says: a queue among the resources of an application, and `oxidite queue work`."""

import asyncio
import os

import marks

from oxidite import Oxidite
from oxidite.queue import Queue, task


@task(name="no_op")
async def no_op(number: int) -> None:
    marks.begun(number)


@task(name="sleeps")
async def sleeps(number: int) -> None:
    marks.begun(number)
    await asyncio.sleep(2)


queue = Queue.from_url(os.environ["BENCH_URL"], tasks=[no_op, sleeps])
app = Oxidite(resources=[queue])


async def start() -> None:
    await queue.__aenter__()


async def stop() -> None:
    await queue.__aexit__(None, None, None)


async def one(number: int) -> None:
    await queue.enqueue(no_op, number)


async def many(numbers: range) -> None:
    await queue.enqueue_many(no_op.job(number) for number in numbers)


async def slow(number: int) -> None:
    await queue.enqueue(sleeps, number)
