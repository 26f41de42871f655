"""A process that fires schedules while time flies: ``python -m tests.faults.queue.cron_host``.

Arguments: the URL of the store, a prefix of names, from when to when (seconds since 1970), and a step.
"""

from __future__ import annotations

import asyncio
import sys

from tests.faults.queue import worker_app as app
from tests.faults.queue.schedules import declare

from oxidite import clock
from oxidite.queue import Queue

__all__ = ["main"]


async def main(url: str, prefix: str, begin: float, end: float, step: float) -> None:
    time = clock.TravelClock()
    with clock.use(time):
        time.jump(begin - time.timestamp())
        queue = Queue.from_url(url, tasks=[app.__name__])
        declare(queue, prefix)
        async with queue:
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            while time.timestamp() < end:
                time.jump(step)
                await queue.schedules.tick()


if __name__ == "__main__":
    url, prefix, *times = sys.argv[1:]
    begin, end, step = map(float, times)
    asyncio.run(main(url, prefix, begin, end, step))
