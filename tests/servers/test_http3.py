"""HTTP/3 over real UDP, with aioquic's own client."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import httpx2
import pytest
import trustme
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent

SERVERS = ("granian", "uvicorn", "hypercorn")
TIMEOUT = 20.0
APP = """
    import asyncio, os, pathlib
    from oxidite import Oxidite, Request, Response

    app = Oxidite()

    @app.get("/")
    async def index(request: Request) -> dict[str, object]:
        return {"version": request.http_version, "pid": os.getpid(), "scheme": request.scheme}

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

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


class H3Client(QuicConnectionProtocol):
    """Asks over one connection."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on
        self._http = H3Connection(self._quic)
        self._answers: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._heads: dict[int, int] = {}
        self._bodies: dict[int, bytes] = {}

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        stream = self._quic.get_next_available_stream_id()
        fields = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path}
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        self._http.send_headers(stream, headers, end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self._answers[stream] = asyncio.get_running_loop().create_future()
        self.transmit()
        return await self._answers[stream]

    def quic_event_received(self, event: QuicEvent) -> None:
        for each in self._http.handle_event(event):
            self._hear(each)
        if isinstance(event, ConnectionTerminated):
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionError(event.reason_phrase))

    def _hear(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self._heads[event.stream_id] = int(dict(event.headers)[b":status"])
        elif isinstance(event, DataReceived):
            self._bodies[event.stream_id] = self._bodies.get(event.stream_id, b"") + event.data
        if isinstance(event, HeadersReceived | DataReceived) and event.stream_ended:
            body = self._bodies.get(event.stream_id, b"")
            self._answers[event.stream_id].set_result((self._heads[event.stream_id], body))


def dial(served: Served) -> object:
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
    port = int(served.url.rpartition(":")[2])
    return connect("127.0.0.1", port, configuration=configuration, create_protocol=H3Client)


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
