"""One of several processes in front of the same handler, whose answers are kept in one store.

It is run with the URL of the store and a file, to which the handler adds a line each time it is asked. For
each line that it reads, ``path count``, it asks so many times at once, and prints what came of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from oxidite import Oxidite, Request, Response
from oxidite.cache import Cache
from oxidite.cache.web import http_cache, http_cache_for
from oxidite.testing import Client

SLOW = 0.4


async def main(url: str, log: str) -> None:
    cache = Cache.from_url(url)
    app = Oxidite(resources=[cache], middleware=[http_cache(cache)])

    def note(what: str) -> str:
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{what}\n".encode())
        os.close(file)
        return f"{what} by {os.getpid()}"

    @app.get("/page", meta=http_cache_for(s_maxage=60))
    async def page() -> str:
        text = note("page")
        await asyncio.sleep(SLOW)
        return text

    @app.get("/slow", meta=http_cache_for(s_maxage=60))
    async def slow() -> str:
        text = note("slow")
        # The first one is killed meanwhile.
        await asyncio.sleep(SLOW if Path(log).stat().st_size > len("slow\n") else 60)  # noqa: ASYNC240 - quick
        return text

    @app.get("/said", meta=http_cache_for(s_maxage=60))
    async def said(request: Request) -> Response:
        text = note(f"said {request.headers.get('accept-language')}")
        await asyncio.sleep(SLOW)
        return Response(text, headers={"vary": "accept-language"})

    loop = asyncio.get_running_loop()
    async with Client(app) as client:
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            path, language, count = line.split()
            answers = await asyncio.gather(
                *(
                    client.get(path, headers={"accept-language": language})
                    for _ in range(int(count))
                )
            )
            told = [(each.status_code, each.text, each.headers["cache-status"]) for each in answers]
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
