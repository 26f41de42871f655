"""HTTP/3 with aioquic's own client, and as a transport of the client that the tests use elsewhere."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection, H3Stream
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import NetworkAddress, QuicConnection
from aioquic.quic.events import ConnectionTerminated, QuicEvent

__all__ = ["Answer", "H3Client", "H3Transport", "configuration"]

Fields: TypeAlias = list[tuple[bytes, bytes]]
Answer: TypeAlias = tuple[int, Fields, bytes]


class _Connection(H3Connection):
    """aioquic's, which does not know that the answer to HEAD has a length and no content."""

    def __init__(self, quic: QuicConnection) -> None:
        super().__init__(quic)
        self.without_content: set[int] = set()

    def _check_content_length(self, stream: H3Stream) -> None:
        if stream.stream_id not in self.without_content:
            super()._check_content_length(stream)


class H3Client(QuicConnectionProtocol):
    """Asks over one connection."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on
        self._http = _Connection(self._quic)
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._heads: dict[int, Fields] = {}
        self._bodies: dict[int, bytes] = {}

        self.is_deaf = False
        """Whether it takes nothing, and says nothing, of what comes."""

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, trailers: Fields | None = None
    ) -> tuple[int, bytes]:
        status, _, content = await self.send(method, path, [], body, trailers=trailers)
        return status, content

    def begin(self, fields: Fields) -> None:
        """Send a head, whatever it is worth."""
        stream = self._quic.get_next_available_stream_id()
        self._http.send_headers(stream, fields, end_stream=True)
        self.transmit()

    def sent(self, stream: int) -> int:
        """Return how many bytes the server let in."""
        return self._quic._streams[stream].sender.highest_offset

    def datagram_received(self, data: bytes | str, addr: NetworkAddress) -> None:
        if not self.is_deaf:
            super().datagram_received(data, addr)

    async def send(
        self,
        method: str,
        path: str,
        fields: Fields,
        body: bytes,
        authority: str = "localhost",
        trailers: Fields | None = None,
    ) -> Answer:
        stream = self._quic.get_next_available_stream_id()
        if method == "HEAD":
            self._http.without_content.add(stream)
        first = {":method": method, ":scheme": "https", ":authority": authority, ":path": path}
        headers = [(name.encode(), value.encode()) for name, value in first.items()]
        self._http.send_headers(stream, [*headers, *fields], end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=not trailers)
        if trailers:
            self._http.send_headers(stream, trailers, end_stream=True)
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
        if not isinstance(event, HeadersReceived | DataReceived):
            return
        if isinstance(event, HeadersReceived):
            self._heads[event.stream_id] = event.headers
        else:
            self._bodies[event.stream_id] = self._bodies.get(event.stream_id, b"") + event.data
        if event.stream_id not in self._answers:
            return
        if event.stream_ended:
            fields = self._heads[event.stream_id]
            status = int(dict(fields)[b":status"])
            rest = [(name, value) for name, value in fields if not name.startswith(b":")]
            body = self._bodies.get(event.stream_id, b"")
            self._answers[event.stream_id].set_result((status, rest, body))


def configuration(ca: Path | None = None) -> QuicConfiguration:
    """Return how to dial: any certificate is believed, or those of one authority."""
    found = QuicConfiguration(alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
    if ca is not None:
        found.verify_mode = ssl.CERT_REQUIRED
        found.load_verify_locations(str(ca))
    return found


class H3Transport(httpx2.BaseTransport):
    """One connection of HTTP/3, in a thread with a loop of its own."""

    def __init__(self, port: int, ca: Path, timeout: float) -> None:
        self._port, self._ca, self._timeout = port, ca, timeout
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()
        self._client: H3Client | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        left_out = (b"host", b"connection", b"transfer-encoding")
        fields = [
            (name.lower(), value)
            for name, value in request.headers.raw
            if name.lower() not in left_out
        ]
        path = request.url.raw_path.decode("ascii")
        authority = request.url.netloc.decode("ascii")
        status, headers, content = self._run(
            self._ask(request.method, path, fields, body, authority)
        )
        return httpx2.Response(
            status, headers=headers, content=content, extensions={"http_version": b"HTTP/3"}
        )

    def close(self) -> None:
        async def leave() -> None:
            await self._stack.aclose()

        asyncio.run_coroutine_threadsafe(leave(), self._loop).result(self._timeout)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self._timeout)
        self._loop.close()

    def _run(self, asking: Coroutine[Any, Any, Answer]) -> Answer:
        future = asyncio.run_coroutine_threadsafe(asking, self._loop)
        try:
            return future.result(self._timeout)
        except (TimeoutError, ConnectionError) as exc:
            future.cancel()
            raise httpx2.ConnectError(str(exc)) from exc

    async def _ask(
        self, method: str, path: str, fields: Fields, body: bytes, authority: str
    ) -> Answer:
        if self._client is None:
            dialled = connect(
                "127.0.0.1",
                self._port,
                configuration=configuration(self._ca),
                create_protocol=H3Client,
            )
            found = await self._stack.enter_async_context(dialled)
            assert isinstance(found, H3Client)
            self._client = found
        return await self._client.send(method, path, fields, body, authority)
