"""Celery on Redis: acknowledged when a job has ended, and given again after the visibility timeout; or as it is set."""

import os
import time

import marks
from celery import Celery

app = Celery("peer", broker=os.environ["BENCH_URL"])
app.conf.task_ignore_result = True
if os.environ["BENCH_VARIANT"] == "late":
    app.conf.task_acks_late = True
    app.conf.task_reject_on_worker_lost = True
    app.conf.broker_transport_options = {"visibility_timeout": 3600}
    if "BENCH_HASTY" in os.environ:
        app.conf.broker_transport_options = {
            "visibility_timeout": 4,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        }


@app.task
def no_op(number):
    marks.begun(number)


@app.task
def sleeps(number):
    marks.begun(number)
    time.sleep(2)


async def start():
    pass


async def stop():
    app.close()


async def one(number):
    no_op.delay(number)


async def many(numbers):
    # It has no call for many; one connection for all of them is what its manual has.
    with app.producer_pool.acquire(block=True) as producer:
        for number in numbers:
            no_op.apply_async((number,), producer=producer)


async def slow(number):
    sleeps.delay(number)
