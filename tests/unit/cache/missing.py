"""One of several processes that miss the same key of one store at the same moment.

It is run with the URL of the store, a file to which the factory adds a line each time it runs, and how many
ask at once. It prints that it is ready, waits for a line, and prints the values that they got.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from oxidite.cache import Cache


async def main(url: str, log: str, count: str) -> None:
    async def factory() -> int:
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, b"made\n")
        os.close(file)
        await asyncio.sleep(0.4)
        return os.getpid()

    async with Cache.from_url(url) as cache:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        asking = (cache.get_or_set("key", factory, ttl=60) for _ in range(int(count)))
        print(json.dumps(await asyncio.gather(*asking)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
