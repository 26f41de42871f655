"""The middleware there is, around a WebSocket."""

from __future__ import annotations

import io
import logging

import pytest

from oxidite import Oxidite, Request
from oxidite.middleware import (
    access_log,
    allowed_hosts,
    compression,
    cors,
    csrf,
    decompression,
    hsts,
    idempotency,
    rate_limit,
    request_id,
    security_headers,
    server_timing,
    timeout,
)
from oxidite.openapi import OpenAPI
from oxidite.routing import Versioning
from oxidite.testing import Client, WebSocketDeniedError
from oxidite.websocket import WebSocket


async def test_everything_at_once_lets_it_pass(caplog: pytest.LogCaptureFixture) -> None:
    log = io.StringIO()
    app = Oxidite(
        secret="not a secret",
        middleware=[
            request_id(),
            access_log(to=log),
            allowed_hosts("testserver"),
            security_headers(),
            hsts(),
            cors(["https://app.example.com"], credentials=True),
            rate_limit("2/minute"),
            compression(),
            decompression(),
            csrf(),
            idempotency(),
            server_timing(show=True),
            timeout(5, total=5),
        ],
        websocket={"origins": ["https://app.example.com"]},
    )

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

    fields = {"origin": "https://app.example.com"}
    async with Client(app, base_url="https://testserver") as client:
        for _ in range(2):
            async with client.websocket("/talk", headers=fields) as socket:
                assert socket.headers["x-request-id"]
                assert "strict-transport-security" in socket.headers
                assert "content-encoding" not in socket.headers
                await socket.send("x" * 10_000)
                assert await socket.receive() == "x" * 10_000
        with pytest.raises(WebSocketDeniedError) as caught:
            await client.websocket("/talk", headers=fields).__aenter__()
    assert caught.value.response.status_code == 429
    lines = log.getvalue().splitlines()
    assert len(lines) == 3
    assert [status for line in lines for status in ("101", "429") if f" {status} " in line] == [
        "101",
        "101",
        "429",
    ]
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_a_document_of_openapi_leaves_it_out() -> None:
    app = Oxidite(plugins=[OpenAPI(title="Talk", version="1")])

    @app.get("/talk")
    async def page() -> str:
        return "page"

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None: ...

    @app.websocket("/other")
    async def other(socket: WebSocket) -> None: ...

    async with Client(app) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert {path: list(item) for path, item in paths.items()} == {"/talk": ["get"]}


async def test_it_comes_from_where_a_trusted_proxy_says() -> None:
    app = Oxidite(trusted_proxies="127.0.0.1")

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        request = socket.request
        await socket.send_json([request.client and request.client.host, str(request.url)])

    fields = {
        "x-forwarded-for": "10.1.2.3",
        "x-forwarded-proto": "https",
        "origin": "https://example.com",
    }
    async with Client(app, base_url="http://example.com") as client:
        async with client.websocket("/talk", headers=fields) as socket:
            assert await socket.receive_json() == ["10.1.2.3", "https://example.com/talk"]
        fields["origin"] = "http://example.com"
        with pytest.raises(WebSocketDeniedError, match="403"):
            await client.websocket("/talk", headers=fields).__aenter__()


async def test_it_may_be_in_an_application_that_has_versions() -> None:
    app = Oxidite(versioning=Versioning(["1", "2"], header="x-version"))

    @app.get("/page", versions="1-2")
    async def page() -> str:
        return "page"

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.send("talk")

    async with Client(app) as client, client.websocket("/talk") as socket:
        assert await socket.receive() == "talk"


async def test_behind_a_proxy_the_client_is_the_one_it_names() -> None:
    app = Oxidite(trusted_proxies="10.0.0.0/8")

    @app.websocket("/who")
    async def who(socket: WebSocket, request: Request) -> None:
        await socket.send(f"{request.client and request.client.host} {request.scheme}")

    named = {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}
    for peer, seen in (("10.1.2.3", "192.0.2.7 https"), ("203.0.113.9", "203.0.113.9 http")):
        async with (
            Client(app, client=(peer, 1)) as client,
            client.websocket("/who", headers=named) as socket,
        ):
            assert await socket.receive() == seen
