"""arq. A job stays in Redis until it has ended; that of a killed worker runs again after `job_timeout` and ten seconds."""

import asyncio
import os

import marks
from arq import create_pool
from arq.connections import RedisSettings

# What its command would log of each job is not written.
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}


async def no_op(ctx, number):
    marks.begun(number)


async def sleeps(ctx, number):
    marks.begun(number)
    await asyncio.sleep(2)


class WorkerSettings:
    functions = [no_op, sleeps]
    redis_settings = RedisSettings.from_dsn(os.environ["BENCH_URL"])
    max_jobs = int(os.environ.get("BENCH_CONCURRENCY", "10"))
    job_timeout = 4 if "BENCH_HASTY" in os.environ else 300
    log_results = False


async def start():
    global pool
    pool = await create_pool(WorkerSettings.redis_settings)


async def stop():
    await pool.aclose()


async def one(number):
    await pool.enqueue_job("no_op", number)


async def many(numbers):
    # It has no call for many, and as many connections as calls at once: twenty at a time.
    for first in range(numbers.start, numbers.stop, 20):
        await asyncio.gather(*map(one, range(first, min(first + 20, numbers.stop))))


async def slow(number):
    await pool.enqueue_job("sleeps", number)
