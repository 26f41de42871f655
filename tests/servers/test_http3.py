"""HTTP/3 over real UDP, with aioquic's own client."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import httpx2
import pytest
import trustme
from aioquic.asyncio.client import connect
from tests.servers.h3 import H3Client, configuration

SERVERS = ("granian", "uvicorn", "hypercorn")
TIMEOUT = 20.0
APP = """
    import asyncio, os, pathlib
    from oxidite import Oxidite, Request, Response, StreamingResponse

    app = Oxidite()

    @app.get("/")
    async def index(request: Request) -> dict[str, object]:
        return {"version": request.http_version, "pid": os.getpid(), "scheme": request.scheme}

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    held = asyncio.Event()

    @app.post("/hold", max_body=5_000_000)
    async def hold(request: Request) -> int:
        await held.wait()
        return len(await request.body())

    @app.post("/let-go")
    async def let_go() -> None:
        held.set()

    @app.post("/small", max_body=1000)
    async def small(request: Request) -> int:
        return len(await request.body())

    counts = {"yielded": 0, "ended": 0}

    @app.get("/torrent")
    async def torrent() -> StreamingResponse:
        async def zeros():
            try:
                while True:
                    counts["yielded"] += 65536
                    yield bytes(65536)
            finally:
                counts["ended"] += 1
        return StreamingResponse(zeros())

    @app.get("/yielded")
    async def yielded() -> int:
        return counts["yielded"]

    @app.get("/ended")
    async def ended() -> int:
        return counts["ended"]

    @app.get("/slow")
    async def slow() -> str:
        pathlib.Path("slow-begun").touch()
        await app.in_flight.stopping.wait()
        await asyncio.sleep(0.2)
        return "the whole answer"
"""


class Served(Protocol):
    """A running ``oxidite serve``."""

    process: subprocess.Popen[str]

    @property
    def said(self) -> str: ...
    @property
    def url(self) -> str: ...
    def wait_until(self, condition: Callable[[], bool]) -> None: ...


class Serve(Protocol):
    """What the fixture ``serve`` is."""

    def __call__(self, source: str, *args: str) -> Served: ...


def dial(served: Served) -> object:
    port = int(served.url.rpartition(":")[2])
    return connect("127.0.0.1", port, configuration=configuration(), create_protocol=H3Client)


@pytest.fixture
def tls(tmp_path: Path) -> list[str]:
    issued = trustme.CA().issue_cert("127.0.0.1", "localhost")
    (tmp_path / "cert.pem").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    return ["--tls-cert", "cert.pem", "--tls-key", "key.pem"]


def serving(serve: Serve, server: str, tls: list[str], *args: str) -> Served:
    served = serve(APP, "--server", server, "--port", "0", "--http3", *tls, *args)
    served.wait_until(lambda: "Serving" in served.said)
    return served


async def answered(client: H3Client, path: str, condition: Callable[[int], bool]) -> None:
    while not condition(int((await client.ask("GET", path))[1])):  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


each_server = pytest.mark.parametrize("server", SERVERS)


@each_server
async def test_the_same_application_answers_over_tcp_and_over_udp(
    serve: Serve, server: str, tls: list[str]
) -> None:
    served = serving(serve, server, tls)
    over_tcp = httpx2.get(served.url, verify=False, trust_env=False)
    port = served.url.rpartition(":")[2]

    assert over_tcp.headers["alt-svc"] == f'h3=":{port}"; ma=3600'
    async with asyncio.timeout(TIMEOUT), dial(served) as connection:  # type: ignore[attr-defined]  # a client
        client = cast("H3Client", connection)
        status, body = await client.ask("GET", "/")
        assert status == 200
        assert b'"version":"3"' in body
        assert b'"scheme":"https"' in body
        assert await client.ask("POST", "/size", b"x" * 300_000) == (200, b"300000")
        assert (await client.ask("GET", "/nowhere"))[0] == 404


async def test_a_running_request_gets_its_answer_at_the_end(
    serve: Serve, tls: list[str], tmp_path: Path
) -> None:
    served = serving(serve, "granian", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as connection:  # type: ignore[attr-defined]  # a client
        client = cast("H3Client", connection)
        slow = asyncio.ensure_future(client.ask("GET", "/slow"))
        while not (tmp_path / "slow-begun").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        served.process.send_signal(signal.SIGTERM)
        assert await slow == (200, b"the whole answer")
        # It is closed by the server, although nobody asks for that here.
        code = await asyncio.to_thread(served.process.wait, TIMEOUT)

    assert code == 0
    assert "killed" not in served.said


async def test_a_body_that_nobody_reads_holds_nobody_else_up(serve: Serve, tls: list[str]) -> None:
    served = serving(serve, "uvicorn", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as one, dial(served) as other:  # type: ignore[attr-defined]  # clients
        first, second = cast("H3Client", one), cast("H3Client", other)
        held = asyncio.ensure_future(first.ask("POST", "/hold", b"x" * 3_000_000))
        for _ in range(20):
            assert (await second.ask("GET", "/"))[0] == 200
        # Nor the connection itself.
        assert (await first.ask("GET", "/"))[0] == 200
        assert not held.done()

        assert (await second.ask("POST", "/let-go"))[0] == 204
        assert await held == (200, b"3000000")


async def test_a_body_is_let_in_as_it_is_read(serve: Serve, tls: list[str]) -> None:
    served = serving(serve, "uvicorn", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as one:  # type: ignore[attr-defined]  # a client
        client = cast("H3Client", one)
        held = asyncio.ensure_future(client.ask("POST", "/hold", b"x" * 3_000_000))
        await asyncio.sleep(0.5)  # real time: datagrams are on their way
        sent = client.sent(0)

        assert 200_000 < sent < 1_000_000
        assert (await client.ask("POST", "/let-go"))[0] == 204
        assert await held == (200, b"3000000")


async def test_an_answer_without_its_body_ends_neither_connection_nor_server(
    serve: Serve, tls: list[str]
) -> None:
    served = serving(serve, "uvicorn", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as one:  # type: ignore[attr-defined]  # a client
        client = cast("H3Client", one)
        for _ in range(3):
            assert (await client.ask("POST", "/small", b"x" * 2_000_000))[0] == 413
            assert (await client.ask("GET", "/"))[0] == 200
    async with asyncio.timeout(TIMEOUT), dial(served) as other:  # type: ignore[attr-defined]  # a client
        assert (await cast("H3Client", other).ask("GET", "/"))[0] == 200
    assert "failed" not in served.said


async def test_a_client_that_takes_nothing_is_waited_for(serve: Serve, tls: list[str]) -> None:
    served = serving(serve, "uvicorn", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as one, dial(served) as other:  # type: ignore[attr-defined]  # clients
        deaf, client = cast("H3Client", one), cast("H3Client", other)
        asking = asyncio.ensure_future(deaf.ask("GET", "/torrent"))
        await asyncio.sleep(0.05)
        deaf.is_deaf = True
        await asyncio.sleep(0.5)  # real time: datagrams are on their way
        _, before = await client.ask("GET", "/yielded")
        await asyncio.sleep(0.5)
        _, after = await client.ask("GET", "/yielded")

        assert 0 < int(before) == int(after) < 50_000_000
        deaf.is_deaf = False
        asking.cancel()


async def test_a_client_that_leaves_ends_its_stream(serve: Serve, tls: list[str]) -> None:
    served = serving(serve, "uvicorn", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as other:  # type: ignore[attr-defined]  # a client
        client = cast("H3Client", other)
        async with dial(served) as one:  # type: ignore[attr-defined]  # a client
            asking = asyncio.ensure_future(cast("H3Client", one).ask("GET", "/torrent"))
            await answered(client, "/yielded", lambda found: found > 0)
            assert await client.ask("GET", "/ended") == (200, b"0")
        asking.cancel()
        await answered(client, "/ended", lambda found: found == 1)


@pytest.mark.parametrize(
    "fields",
    [
        {":method": "CONNECT", ":authority": "localhost"},
        {":method": "GET", ":scheme": "https", ":authority": "localhost"},
        {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "*"},
        {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "/\xff%00"},
    ],
)
async def test_what_one_client_sends_never_ends_the_server(
    serve: Serve, tls: list[str], fields: dict[str, str]
) -> None:
    served = serving(serve, "uvicorn", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as one, dial(served) as other:  # type: ignore[attr-defined]  # clients
        cast("H3Client", one).begin([(k.encode(), v.encode("latin-1")) for k, v in fields.items()])
        await asyncio.sleep(0.3)  # real time: datagrams are on their way
        _, body = await cast("H3Client", other).ask("GET", "/")
        assert b'"version":"3"' in body
    assert "ended by" not in served.said


async def test_trailers_are_no_second_request(serve: Serve, tls: list[str]) -> None:
    served = serving(serve, "uvicorn", tls)
    async with asyncio.timeout(TIMEOUT), dial(served) as one:  # type: ignore[attr-defined]  # a client
        client = cast("H3Client", one)
        answer = await client.ask("POST", "/size", b"xyz", trailers=[(b"x-sum", b"1")])
        assert answer == (200, b"3")
        assert (await client.ask("GET", "/"))[0] == 200


async def test_when_it_dies_it_is_reported_and_started_again(serve: Serve, tls: list[str]) -> None:
    served = serving(serve, "granian", tls)

    async def pid() -> int:
        async with asyncio.timeout(TIMEOUT), dial(served) as connection:  # type: ignore[attr-defined]  # a client
            _, body = await cast("H3Client", connection).ask("GET", "/")
        return int(body.partition(b'"pid":')[2].partition(b",")[0])

    before = await pid()
    os.kill(before, signal.SIGKILL)
    served.wait_until(lambda: f"Worker {before} was ended by SIGKILL." in served.said)

    assert await pid() != before


def test_a_client_certificate_cannot_be_asked_for(
    serve: Serve, tls: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    served = serve(APP, "--server", "uvicorn", "--http3", "--tls-client-ca", "ca.pem", *tls)

    assert served.process.wait(TIMEOUT) == 1
    assert "Over HTTP/3 nobody would ask clients for a certificate" in served.said
