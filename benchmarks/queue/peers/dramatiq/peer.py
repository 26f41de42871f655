"""Dramatiq on Redis. What a worker has that is gone goes back when it has not been heard for a minute."""

import os
import time

import dramatiq
import marks
from dramatiq.brokers.redis import RedisBroker

IS_HASTY = "BENCH_HASTY" in os.environ
hasty = {"heartbeat_timeout": 4_000, "maintenance_chance": 1_000_000} if IS_HASTY else {}
broker = RedisBroker(url=os.environ["BENCH_URL"], **hasty)
dramatiq.set_broker(broker)


@dramatiq.actor
def no_op(number):
    marks.begun(number)


@dramatiq.actor
def sleeps(number):
    marks.begun(number)
    time.sleep(2)


async def start():
    pass


async def stop():
    broker.close()


async def one(number):
    no_op.send(number)


async def many(numbers):
    dramatiq.group([no_op.message(number) for number in numbers]).run()


async def slow(number):
    sleeps.send(number)
