"""Redis, and what speaks its protocol: one connection for all tasks of a process.

::

    async with Redis.from_url("redis://127.0.0.1:6379/0") as redis:
        await redis.run("SET", "greeting", "hello")
        value = await redis.run("GET", "greeting", safe=True)

What tasks ask for in one turn of the event loop leaves as one write, and the answers are handed out in
their order: a hundred tasks cost little more than one.
"""

from oxidite.drivers.redis.client import Redis
from oxidite.drivers.redis.errors import RedisFullError
from oxidite.drivers.redis.options import RedisOptions
from oxidite.drivers.redis.scripts import Script
from oxidite.drivers.redis.wire import Argument

__all__ = ["Argument", "Redis", "RedisFullError", "RedisOptions", "Script"]
