"""An application behind a proxy, with the middleware that cares for that; see test_middleware.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from oxidite import Oxidite, Request, StreamingResponse
from oxidite.http import TrustedProxies
from oxidite.middleware import (
    RequestID,
    access_log,
    allowed_hosts,
    hsts,
    https_redirect,
    request_id,
    security_headers,
    timeout,
)

HOSTS = ["example.com", "127.0.0.1"]

app = Oxidite(
    trusted_proxies=TrustedProxies(networks=["127.0.0.1", "unix"], host=True, prefix=True),
    middleware=[
        request_id(),
        access_log("json", to=Path(os.environ["ACCESS_LOG"])),
        allowed_hosts(HOSTS),
        https_redirect(HOSTS, exclude=["/plain/*"]),
        hsts(),
        security_headers(),
        timeout(0.2),
    ],
)


@app.get("/plain/seen")
@app.get("/seen")
async def seen(request: Request, id: RequestID) -> dict[str, object]:
    return {
        "client": None if request.client is None else request.client.host,
        "url": str(request.url),
        "proxies": len(request.proxies),
        "id": id,
    }


@app.get("/plain/slow")
async def slow() -> None:
    await asyncio.Event().wait()


@app.get("/plain/stream")
async def stream() -> StreamingResponse:
    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"tick\n"
            await asyncio.sleep(0.02)

    return StreamingResponse(ticks())


@app.post("/plain/size")
async def size(request: Request) -> int:
    return len(await request.body())
