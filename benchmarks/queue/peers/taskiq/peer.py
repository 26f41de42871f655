"""taskiq on Redis: its stream, which acknowledges, or its list, which does not."""

import asyncio
import os

import marks
from taskiq_redis import ListQueueBroker, RedisStreamBroker

IS_HASTY = "BENCH_HASTY" in os.environ
url = os.environ["BENCH_URL"]
if os.environ["BENCH_VARIANT"] == "list":
    broker = ListQueueBroker(url)
else:
    # From the first message on: by itself it would leave out what was pushed before a worker came. The lock
    # of a worker that was killed would be held for ever.
    broker = RedisStreamBroker(
        url,
        consumer_id="0",
        idle_timeout=4_000 if IS_HASTY else 600_000,
        unacknowledged_lock_timeout=5.0 if IS_HASTY else 60.0,
    )


@broker.task
async def no_op(number: int) -> None:
    marks.begun(number)


@broker.task
async def sleeps(number: int) -> None:
    marks.begun(number)
    await asyncio.sleep(2)


async def start():
    await broker.startup()


async def stop():
    await broker.shutdown()


async def one(number):
    await no_op.kiq(number)


async def many(numbers):
    # It has no call for many: twenty at a time.
    for first in range(numbers.start, numbers.stop, 20):
        await asyncio.gather(*map(one, range(first, min(first + 20, numbers.stop))))


async def slow(number):
    await sleeps.kiq(number)
