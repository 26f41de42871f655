"""procrastinate. Jobs of a killed worker run again by a periodic task, which its manual has one write."""

import asyncio
import os

import marks
from procrastinate import App, PsycopgConnector

IS_HASTY = "BENCH_HASTY" in os.environ
worker = {"update_heartbeat_interval": 1, "stalled_worker_timeout": 3} if IS_HASTY else {}
app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_URL"]), worker_defaults=worker)


@app.task(name="no_op")
async def no_op(number):
    marks.begun(number)


@app.task(name="sleeps")
async def sleeps(number):
    marks.begun(number)
    await asyncio.sleep(2)


@app.periodic(cron="* * * * * */2" if IS_HASTY else "*/10 * * * *")
@app.task(name="retry_stalled_jobs", queueing_lock="retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context, timestamp):
    manager = app.job_manager
    seconds = 3 if IS_HASTY else 30
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
        await manager.retry_job(job)


async def start():
    await app.open_async()
    # The other tables are empty, and this is there, once it was applied.
    if not await app.check_connection_async():
        await app.schema_manager.apply_schema_async()


async def stop():
    await app.close_async()


async def one(number):
    await no_op.defer_async(number=number)


async def many(numbers):
    await no_op.batch_defer_async(*({"number": number} for number in numbers))


async def slow(number):
    await sleeps.defer_async(number=number)
