"""What a reader costs that takes a kilobyte in a second, of two hundred megabytes.

How fast it reads is the subject here, so these tests take their time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx2
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived
from h2.settings import SettingCodes, Settings

TOTAL = 200 * 2**20
BOUND = 16 * 2**20
"""Far more than any server needs for one reader, and far less than it would need without a bound."""

BITE = 100  # bytes
PACE = 0.1  # seconds between two of them
BITES = 30
PATIENCE = 5.0  # seconds in which everybody is answered, on a busy machine too


class Running(Protocol):
    """What the fixture ``server`` is."""

    @property
    def url(self) -> str: ...
    @property
    def port(self) -> int: ...


class Eventually(Protocol):
    """What the fixture ``eventually`` is."""

    def __call__(self, condition: Callable[[], bool]) -> None: ...


class Memory:
    """How much more of it a process has, in bytes, than it had when this was made; Linux only."""

    def __init__(self, pid: int) -> None:
        self._process = Path("/proc") / str(pid)
        (self._process / "clear_refs").write_text("5")  # the peak is what it is now; proc(5)
        self._before = self._bytes("VmRSS")

    @property
    def growth(self) -> int:
        return self._bytes("VmRSS") - self._before

    @property
    def peak(self) -> int:
        """The most there was at any time, which no look from outside could miss."""
        return self._bytes("VmHWM") - self._before

    def _bytes(self, field: str) -> int:
        for line in (self._process / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.removesuffix("kB")) * 1024
        raise LookupError(field)


class Reader(contextlib.AbstractAsyncContextManager["Reader"]):
    """A client over HTTP/1.1 that has asked for a path and takes a little of the answer at a time.

    Leaving, it closes the connection with most of the answer unread.
    """

    def __init__(self, port: int, path: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = ("127.0.0.1", port)
        self._path = path
        self._sock = socket.socket()
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def __aenter__(self) -> Reader:
        await self._loop.sock_connect(self._sock, self._address)
        await self._loop.sock_sendall(self._sock, self._request())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sock.close()

    async def bite(self) -> int:
        """Wait a little, take a little, and return how much."""
        await asyncio.sleep(PACE)
        async with asyncio.timeout(PATIENCE):
            return await self._take()

    async def _take(self) -> int:
        return len(await self._loop.sock_recv(self._sock, BITE))

    def _request(self) -> bytes:
        return f"GET {self._path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


class HTTP2Reader(Reader):
    """The same over HTTP/2: the connection is read, but the window of the stream opens slowly."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(port, path)
        self._connection = H2Connection(H2Configuration())
        self._connection.local_settings = Settings(
            client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: BITE}
        )

    async def _take(self) -> int:
        taken = 0
        while not taken:
            data = await self._loop.sock_recv(self._sock, 65_536)
            assert data, "the server closed the connection"
            for event in self._connection.receive_data(data):
                if isinstance(event, DataReceived):
                    taken += len(event.data)
        self._connection.increment_flow_control_window(taken, 1)
        await self._loop.sock_sendall(self._sock, self._connection.data_to_send())
        return taken

    def _request(self) -> bytes:
        self._connection.initiate_connection()
        self._connection.send_headers(
            1,
            [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", self._path)],
            end_stream=True,
        )
        return self._connection.data_to_send()


@pytest.fixture
def memory(client: httpx2.Client) -> Memory:
    """The memory of the process that runs the application."""
    return Memory(client.get("/producer").json()["pid"])


readers = pytest.mark.parametrize(
    ("server", "reader"),
    [
        ("uvicorn-h11", Reader),
        ("uvicorn-httptools", Reader),
        ("granian-asgi", Reader),
        ("granian-asgi", HTTP2Reader),
        ("hypercorn", Reader),
        ("hypercorn", HTTP2Reader),
    ],
    indirect=["server"],
)
"""All who stream, over all that they speak."""


@readers
async def test_the_slowest_reader_costs_a_bounded_buffer(
    server: Running,
    reader: type[Reader],
    client: httpx2.Client,
    memory: Memory,
    eventually: Eventually,
) -> None:
    await read_slowly(server, reader, "/large", client, memory, eventually)


@pytest.mark.parametrize("path", ["/large-events", "/large-lines"])
@pytest.mark.parametrize(
    ("server", "reader"),
    [("uvicorn-httptools", Reader), ("granian-asgi", Reader), ("hypercorn", HTTP2Reader)],
    indirect=["server"],
)
async def test_so_it_does_of_typed_items(
    path: str,
    server: Running,
    reader: type[Reader],
    client: httpx2.Client,
    memory: Memory,
    eventually: Eventually,
) -> None:
    await read_slowly(server, reader, path, client, memory, eventually)


async def read_slowly(
    server: Running,
    reader: type[Reader],
    path: str,
    client: httpx2.Client,
    memory: Memory,
    eventually: Eventually,
) -> None:
    async with (
        httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=PATIENCE) as other,
        reader(server.port, path) as slow,
    ):
        for _ in range(BITES):
            assert 0 < await slow.bite() <= BITE
            assert (await other.get("/")).text == "hello"
        producer = (await other.get("/producer")).json()
        grown = memory.growth

    assert grown < BOUND
    assert memory.peak < BOUND
    assert 0 < producer["yielded"] < BOUND
    assert not producer["ended"]
    eventually(lambda: bool(client.get("/producer").json()["ended"]))
    # It was cut off; it did not run to its end for nobody.
    assert client.get("/producer").json()["yielded"] < TOTAL


@pytest.mark.parametrize(
    ("server", "reader"),
    [
        ("uvicorn-h11", Reader),
        ("uvicorn-httptools", Reader),
        ("granian-asgi", Reader),
        ("granian-asgi", HTTP2Reader),
        ("granian-rsgi", Reader),
        ("granian-rsgi", HTTP2Reader),
        ("hypercorn", Reader),
        ("hypercorn", HTTP2Reader),
    ],
    indirect=["server"],
)
async def test_a_file_costs_its_slowest_reader_a_bounded_buffer(
    server: Running, reader: type[Reader], memory: Memory
) -> None:
    async with (
        httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=PATIENCE) as other,
        reader(server.port, "/file/large") as slow,
    ):
        for _ in range(BITES // 3):
            assert 0 < await slow.bite() <= BITE
            assert (await other.get("/")).text == "hello"

    assert memory.peak < BOUND


@pytest.mark.parametrize(
    ("server", "reader"),
    [("granian-asgi", HTTP2Reader), ("hypercorn", HTTP2Reader)],
    indirect=["server"],
)
async def test_what_waits_for_a_window_goes_with_its_reader(
    server: Running, reader: type[Reader], memory: Memory, eventually: Eventually
) -> None:
    async with reader(server.port, "/whole") as slow:
        assert await slow.bite()
        assert memory.growth > TOTAL - BOUND

    eventually(lambda: memory.growth < BOUND)


rsgi = pytest.mark.parametrize("server", ["granian-rsgi"], indirect=True)


@rsgi
def test_a_stream_that_was_promised_not_to_be_one_is_refused_before_it_is_made(
    client: httpx2.Client, memory: Memory
) -> None:
    began = time.perf_counter()
    response = client.get("/promised")

    assert time.perf_counter() - began < PATIENCE
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "internal"
    assert memory.peak < BOUND
    assert client.get("/producer").json()["yielded"] == 0


@rsgi
async def test_a_complete_body_is_held_once_for_a_slow_reader_and_twice_at_its_start(
    server: Running, memory: Memory, eventually: Eventually
) -> None:
    # Granian copies what it is given. Ours goes with the request, its own with the last byte.
    async with Reader(server.port, "/whole") as slow:
        for _ in range(BITES // 3):
            assert await slow.bite()
        assert TOTAL - BOUND < memory.growth < TOTAL + BOUND

    assert memory.peak < 2 * TOTAL + BOUND
    eventually(lambda: memory.growth < BOUND)
