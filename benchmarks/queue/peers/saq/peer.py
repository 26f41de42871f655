"""SAQ. A job of a killed worker runs again if `retries` is above 1, once its `timeout` is over and a sweep is due."""

import asyncio
import os

import marks
from saq import Queue

IS_HASTY = "BENCH_HASTY" in os.environ
queue = Queue.from_url(os.environ["BENCH_URL"])
OPTIONS = {"retries": 3, **({"timeout": 4} if IS_HASTY else {})}


async def no_op(ctx, *, number):
    marks.begun(number)


async def sleeps(ctx, *, number):
    marks.begun(number)
    await asyncio.sleep(2)


settings = {
    "queue": queue,
    "functions": [no_op, sleeps],
    "concurrency": int(os.environ.get("BENCH_CONCURRENCY", "10")),
    "timers": {"sweep": 1} if IS_HASTY else None,
}


async def start():
    await queue.connect()


async def stop():
    await queue.disconnect()


async def one(number):
    await queue.enqueue("no_op", number=number, **OPTIONS)


async def many(numbers):
    # It has no call for many; of those made at once it does twenty at a time.
    await asyncio.gather(*(one(number) for number in numbers))


async def slow(number):
    await queue.enqueue("sleeps", number=number, **OPTIONS)
