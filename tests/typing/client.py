"""The test client is typed like the client it is, and takes what stands in for the real things."""

from __future__ import annotations

from typing import assert_type

import httpx2

from oxidite import Oxidite
from oxidite.testing import Client

app = Oxidite()


class Store: ...


def provider() -> int:
    return 1


async def use() -> None:
    async with Client(
        app, resources={Store: Store()}, dependencies={provider: lambda: 2}, raise_errors=False
    ) as client:
        assert_type(client, Client)
        response = await client.get("/", headers={"accept": "text/html"})
        assert_type(response, httpx2.Response)
        assert_type(response.status_code, int)
        assert_type(client.app, Oxidite)
        async with client.stream("GET", "/") as streamed:
            async for chunk in streamed.aiter_bytes():
                assert_type(chunk, bytes)


Client("module:app")  # type: ignore[arg-type]
Client(app, raise_error=False)  # type: ignore[call-arg]
Client(app, dependencies={provider: 2})  # type: ignore[dict-item]
