"""``oxidite.testing.live``."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from oxidite import Oxidite, StreamingResponse
from oxidite.errors import RouteError
from oxidite.testing.live import LiveServer


class Store:
    """A resource that remembers where it was open."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __aenter__(self) -> Store:
        self.seen.append(f"open in {threading.current_thread().name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.seen.append("closed")


def hello() -> Oxidite:
    app = Oxidite()

    @app.get("/")
    async def index() -> str:
        return "hello"

    return app


def test_a_real_client_gets_an_answer() -> None:
    with LiveServer(hello()) as server:
        response = httpx2.get(f"{server.url}/", trust_env=False)

    assert (response.status_code, response.text) == (200, "hello")


async def test_it_runs_beside_the_loop_of_an_async_test() -> None:
    async with LiveServer(hello()) as server, httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{server.url}/")

    assert response.text == "hello"


def test_resources_are_open_in_its_own_thread_and_closed_at_the_end() -> None:
    store = Store()
    with LiveServer(Oxidite(resources=[store])):
        assert store.seen == ["open in LiveServer"]

    assert store.seen[-1] == "closed"


def test_two_servers_of_one_test_have_different_ports() -> None:
    with LiveServer(hello()) as one, LiveServer(hello()) as other:
        assert one.port != other.port


def test_it_can_be_entered_again() -> None:
    server = LiveServer(hello())
    for _ in range(2):
        with server:
            assert httpx2.get(server.url, trust_env=False).text == "hello"


def test_an_error_at_startup_is_raised_as_it_is() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        await asyncio.sleep(0)
        if not ended_well:
            raise LookupError("no database")
        yield

    ended_well = False
    with pytest.raises(LookupError, match="no database"), LiveServer(Oxidite(resources=[broken()])):
        pass


def test_a_route_that_needs_a_missing_resource_stops_the_start() -> None:
    app = Oxidite()

    @app.get("/")
    async def index(store: Store) -> str:
        return "never"

    with pytest.raises(RouteError, match="Store"), LiveServer(app):
        pass


def test_nothing_listens_after_the_end() -> None:
    with LiveServer(hello()) as server:
        pass
    with socket.socket() as client:
        refused = client.connect_ex((server.host, server.port))

    assert refused != 0


def test_an_open_stream_does_not_hold_the_end() -> None:
    app = Oxidite()

    @app.get("/")
    async def forever() -> StreamingResponse:
        async def ticks() -> AsyncIterator[str]:
            while True:
                yield "tick\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(ticks())

    with (
        httpx2.Client(trust_env=False) as client,
        LiveServer(app, grace=0.6) as server,
        client.stream("GET", server.url) as response,
    ):
        lines = response.iter_lines()
        assert next(lines) == "tick"
        server.__exit__(None, None, None)

    assert "LiveServer" not in {thread.name for thread in threading.enumerate()}


def test_a_resource_that_does_not_close_is_cancelled() -> None:
    ended = threading.Event()

    @asynccontextmanager
    async def stubborn() -> AsyncIterator[None]:
        yield
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with LiveServer(Oxidite(resources=[stubborn()]), grace=0.3):
        pass

    assert ended.is_set()


def test_it_cannot_be_entered_while_it_runs() -> None:
    with LiveServer(hello()) as server, pytest.raises(RuntimeError, match="runs already"):
        server.__enter__()


@pytest.mark.parametrize("when", ["start", "end"])
def test_what_ends_its_loop_is_raised_in_the_test(when: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt("of a callback")

    @asynccontextmanager
    async def interrupting() -> AsyncIterator[None]:
        if when == "end":
            yield
        asyncio.get_running_loop().call_soon(interrupt)
        await asyncio.Event().wait()
        if when == "start":
            yield

    with (
        pytest.raises(KeyboardInterrupt, match="of a callback"),
        LiveServer(Oxidite(resources=[interrupting()])),
    ):
        assert when == "end"


def test_an_application_that_blocks_its_loop_does_not_hold_the_test() -> None:
    free = threading.Event()
    threads: list[threading.Thread] = []

    @asynccontextmanager
    async def blocking() -> AsyncIterator[None]:
        threads.append(threading.current_thread())
        try:
            yield
        finally:
            free.wait()

    with (
        pytest.raises(RuntimeError, match=r"did not stop within 0\.1 s: something in it blocks"),
        LiveServer(Oxidite(resources=[blocking()]), grace=0.1),
    ):
        pass
    free.set()
    for thread in threads:
        thread.join(10)

    assert [thread.is_alive() for thread in threads] == [False]
