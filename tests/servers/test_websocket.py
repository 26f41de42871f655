"""WebSockets over every server, with a real client."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx2
import msgspec
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RemoteSettingsChanged, ResponseReceived
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

PATIENCE = 5.0
MEGABYTE = 2**20


class Running(Protocol):
    """What the fixture ``server`` is."""

    kind: str
    log: Path

    @property
    def url(self) -> str: ...
    @property
    def port(self) -> int: ...
    def exchange(self, data: bytes, *, half_close: bool = False) -> bytes: ...
    def connect(self) -> socket.socket: ...


Eventually = Callable[[Callable[[], bool]], None]


APPLICATION = "sockets"
ASGI = ("uvicorn-h11", "uvicorn-httptools", "granian-asgi", "hypercorn")

on_asgi = pytest.mark.parametrize("server", ASGI, indirect=True, scope="module")
on_rsgi = pytest.mark.parametrize("server", ["granian-rsgi"], indirect=True, scope="module")


def open_socket(
    server: Running, path: str, *, subprotocols: list[str] | None = None, **fields: str
) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{server.port}{path}",
        subprotocols=subprotocols,  # type: ignore[arg-type]  # a NewType of str
        additional_headers={name.replace("_", "-"): value for name, value in fields.items()},
        proxy=None,
        max_size=None,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
    )


def closing_of(connection: ClientConnection) -> tuple[int, str]:
    """Read until the server closes; return its code and reason."""
    try:
        while True:
            connection.recv(PATIENCE)
    except ConnectionClosed as exc:
        return (exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else (1006, "")


def denial_of(server: Running, path: str, **fields: str) -> tuple[int, dict[str, object]]:
    """Return status and document of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as caught:
        open_socket(server, path, subprotocols=None, **fields)
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}")


def lines(server: Running) -> list[str]:
    found: list[str] = httpx2.get(f"{server.url}/lines", trust_env=False).json()
    return found


def is_alive(server: Running) -> bool:
    with open_socket(server, "/echo") as connection:
        connection.send("still there")
        return connection.recv(PATIENCE) == "still there"


@on_asgi
class TestMessages:
    def test_text_and_bytes_come_back(self, server: Running) -> None:
        with open_socket(server, "/echo") as connection:
            for message in ("hello", "", "grüße 🎉", b"\x00\xff", b""):
                connection.send(message)
                assert connection.recv(PATIENCE) == message

    def test_large_messages_come_back_whole_one_after_the_other(self, server: Running) -> None:
        with open_socket(server, "/echo") as connection:
            # Together they are more than one message may be.
            for number in range(20):
                connection.send(b"%d" % number * MEGABYTE)
                assert connection.recv(PATIENCE) == b"%d" % number * MEGABYTE

    def test_fragments_are_one_message(self, server: Running) -> None:
        with open_socket(server, "/echo") as connection:
            connection.send(["a", "b", "c"])
            assert connection.recv(PATIENCE) == "abc"

    def test_they_are_typed(self, server: Running) -> None:
        with open_socket(server, "/typed/den") as connection:
            connection.send('{"type":"say","text":"hi"}')
            assert connection.recv(PATIENCE) == '{"text":"line den hi"}'
            connection.send('{"type":"shout","text":"hi"}')
            assert connection.recv(PATIENCE) == '{"text":"HI"}'

    def test_a_sub_protocol_decides_their_format(self, server: Running) -> None:
        offered = ["chat.unknown", "chat.text", "chat.packed"]
        with open_socket(server, "/typed/den", subprotocols=offered) as connection:
            assert connection.subprotocol == "chat.packed"
            connection.send(msgspec.msgpack.encode({"type": "shout", "text": "hi"}))
            answer = connection.recv(PATIENCE)
            assert isinstance(answer, bytes)
            assert msgspec.msgpack.decode(answer) == {"text": "HI"}

    def test_one_of_another_shape_ends_it_with_1007(self, server: Running) -> None:
        with open_socket(server, "/typed/den") as connection:
            connection.send('{"type":"say","text":"much too long"}')
            code, reason = closing_of(connection)
        assert (code, reason[:6]) == (1007, "/text:")

    def test_one_that_is_too_large_ends_it_with_1009(self, server: Running) -> None:
        with open_socket(server, "/small") as connection:
            connection.send("x" * 1000)
            assert connection.recv(PATIENCE) == "1000"
            connection.send("x" * 1001)
            assert closing_of(connection)[0] == 1009
        with open_socket(server, "/small") as connection:
            connection.send("ü" * 501)
            assert closing_of(connection)[0] == 1009

    def test_too_many_end_it_with_1008(self, server: Running) -> None:
        with open_socket(server, "/rated") as connection:
            for _ in range(5):
                connection.send("x")
                assert connection.recv(PATIENCE) == "x"
            connection.send("x")
            assert closing_of(connection)[0] == 1008


@on_asgi
class TestHandshake:
    def test_a_page_of_the_same_host_may(self, server: Running) -> None:
        with open_socket(server, "/echo", origin=server.url) as connection:
            connection.send("x")
            assert connection.recv(PATIENCE) == "x"

    @pytest.mark.parametrize(
        "origin", ["http://elsewhere.example", "http://127.0.0.1:1", "null", "http://127.0.0.1"]
    )
    def test_a_page_from_elsewhere_may_not(self, server: Running, origin: str) -> None:
        status, problem = denial_of(server, "/echo", origin=origin)
        assert (status, problem["code"]) == (403, "origin")

    def test_what_a_handler_raises_first_is_an_answer(self, server: Running) -> None:
        status, problem = denial_of(server, "/typed/none")
        assert (status, problem["detail"]) == (404, "There is no such room.")
        assert denial_of(server, "/forbidden")[0] == 403
        assert denial_of(server, "/nothing-here")[0] == 404

    def test_arguments_are_checked(self, server: Running) -> None:
        status, problem = denial_of(server, "/number/3?count=0")
        assert status == 422
        assert problem["errors"]
        with open_socket(server, "/number/3?count=2") as connection:
            assert connection.recv(PATIENCE) == "6"
            assert closing_of(connection) == (1000, "")

    def test_a_refusal_is_no_error_in_the_log(self, server: Running) -> None:
        before = server.log.read_text()
        denial_of(server, "/forbidden")
        assert is_alive(server)
        assert server.log.read_text() == before

    def test_middleware_adds_fields_to_it(self, server: Running) -> None:
        with pytest.raises(InvalidStatus) as caught, open_socket(server, "/forbidden"):
            pass
        assert caught.value.response.headers["x-stamp"] == "GET 403"
        with open_socket(server, "/closes") as connection:
            assert connection.response is not None
            fields = connection.response.headers
        # Granian leaves out what an application adds to a handshake that succeeds.
        granian = server.kind == "granian-asgi"
        assert fields.get("x-stamp") == (None if granian else "GET 101")
        assert fields.get("x-own") == (None if granian else "here")

    def test_without_a_common_sub_protocol_it_fails(self, server: Running) -> None:
        with pytest.raises(InvalidStatus) as caught:
            open_socket(server, "/typed/den", subprotocols=["a", "b"])
        assert caught.value.response.status_code == 400

    def test_a_page_is_told_to_upgrade(self, server: Running) -> None:
        response = httpx2.get(f"{server.url}/echo", trust_env=False)
        assert response.status_code == 426
        assert response.headers["upgrade"] == "websocket"


@on_asgi
class TestTheEnd:
    def test_a_failure_is_1011_and_logged_once(self, server: Running) -> None:
        before = len(server.log.read_text())
        with open_socket(server, "/fails") as connection:
            connection.send("x")
            assert closing_of(connection) == (1011, "")
        assert is_alive(server)
        log = server.log.read_text()[before:]
        assert log.count("RuntimeError: hidden detail") == 1
        assert log.count("Traceback") == 1

    def test_a_handler_chooses_code_and_reason(self, server: Running) -> None:
        with open_socket(server, "/own-code") as connection:
            connection.send("x")
            assert closing_of(connection) == (4321, "ünter")

    def test_a_long_reason_is_cut(self, server: Running) -> None:
        with open_socket(server, "/closes") as connection:
            assert closing_of(connection) == (4000, "x" * 120 + "…")

    def test_a_client_that_leaves_ends_the_loop(
        self, server: Running, eventually: Eventually
    ) -> None:
        with open_socket(server, "/echo") as connection:
            connection.close(4002)
        eventually(lambda: "echo ended 4002" in lines(server))

    def test_a_connection_that_breaks_ends_the_loop(
        self, server: Running, eventually: Eventually
    ) -> None:
        before = len(lines(server))
        connection = open_socket(server, "/echo")
        connection.socket.shutdown(socket.SHUT_RDWR)
        eventually(lambda: any("echo ended 100" in line for line in lines(server)[before:]))

    def test_a_handler_that_only_sends_is_told(
        self, server: Running, eventually: Eventually
    ) -> None:
        before = len(lines(server))
        with open_socket(server, "/ticks") as connection:
            assert connection.recv(PATIENCE) == "tick"
        eventually(lambda: "ticks ended" in lines(server)[before:])

    def test_a_handler_that_waits_for_something_else_is_cancelled(
        self, server: Running, eventually: Eventually
    ) -> None:
        before = len(lines(server))
        with open_socket(server, "/waits") as connection:
            assert connection.recv(PATIENCE) == "begun"
            assert "stopped waiting" not in lines(server)[before:]
        eventually(lambda: "stopped waiting" in lines(server)[before:])

    def test_silence_ends_it(self, server: Running) -> None:
        with open_socket(server, "/idle") as connection:
            connection.send("x")
            assert connection.recv(PATIENCE) == "x"
            assert closing_of(connection) == (1001, "No message for 0.3 seconds.")


@on_asgi
class TestHostileClients:
    def memory(self, server: Running, what: str = "VmRSS") -> int:
        pid = httpx2.get(f"{server.url}/pid", trust_env=False).json()
        for line in (Path("/proc") / str(pid) / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == what:
                return int(value.removesuffix("kB")) * 1024
        raise LookupError(what)

    def test_one_that_does_not_read_costs_little_and_is_let_go(
        self, server: Running, eventually: Eventually
    ) -> None:
        before, said = self.memory(server), len(lines(server))
        with shaken(server, "/torrent"):
            eventually(lambda: "torrent 1013 True" in lines(server)[said:])
            assert self.memory(server) - before < 16 * MEGABYTE

    def test_one_that_sends_to_a_deaf_handler_is_held_up(
        self, server: Running, eventually: Eventually
    ) -> None:
        before, said = self.memory(server), len(lines(server))
        with shaken(server, "/deaf") as sock:
            eventually(lambda: "deaf" in lines(server)[said:])
            sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                sock.sendall(message(b"x" * 60_000) * 1000)
            assert self.memory(server) - before < 16 * MEGABYTE
        assert is_alive(server)

    @pytest.mark.parametrize(
        "data",
        [
            b"\x82\xff" + struct.pack(">Q", 2**63) + b"mask",
            b"\x81\x05hello",  # not masked
            b"\xf2\x80mask",  # reserved bits
            b"\x8f\x80mask",  # an opcode that there is not
            b"\x89\xfe\x00\x7e" + b"mask" + bytes(126),  # a ping that is too long
            b"\x80\x80mask",  # the continuation of nothing
            b"\x88\x81mask\x00",  # half a close code
            b"\x81\x82mask" + bytes(a ^ b for a, b in zip(b"\xc3\x28", b"mask", strict=False)),
        ],
    )
    def test_malformed_frames_end_that_connection_only(self, server: Running, data: bytes) -> None:
        with shaken(server, "/small") as sock:
            sock.sendall(data)
            while recv(sock):
                pass  # a close frame, or nothing
        assert is_alive(server)

    def test_a_frame_that_says_to_be_endless_reserves_nothing(self, server: Running) -> None:
        before = self.memory(server)
        with shaken(server, "/small") as sock:
            sock.sendall(b"\x82\xff" + struct.pack(">Q", 2**63 - 1) + b"mask")
            assert self.memory(server) - before < MEGABYTE
        assert is_alive(server)

    def test_endless_fragments_end_at_the_limit(self, server: Running) -> None:
        first, more = fragments(1, b"\x01"), fragments(10_000, b"\x00")
        before = self.memory(server)
        with shaken(server, "/small") as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(first)
                for _ in range(20):
                    sock.sendall(more)
            assert self.memory(server) - before < 32 * MEGABYTE
        assert is_alive(server)

    def growth_by(self, server: Running, path: str, frames: bytes, times: int) -> int:
        """Send frames, read nothing of what is answered, and return what that costs the server."""
        before = self.memory(server)
        with shaken(server, path) as sock:
            sock.settimeout(1.0)
            # It may be held up or let go.
            with contextlib.suppress(OSError):
                for _ in range(times):
                    sock.sendall(frames)
            return self.memory(server) - before

    @pytest.mark.parametrize("path", ["/echo", "/deaf"])
    def test_a_flood_of_pings_is_held_up_except_by_granian(
        self, server: Running, path: str
    ) -> None:
        growth = self.growth_by(server, path, control(b"\x89") * 1000, 500)
        if server.kind == "granian-asgi":
            # Its answers wait in a buffer without a bound; docs/reference/protocol-support.md says so.
            assert growth > 16 * MEGABYTE
        else:
            assert growth < 16 * MEGABYTE
        assert is_alive(server)

    def test_a_message_that_becomes_huge_is_stopped_on_the_way(self, server: Running) -> None:
        bomb = deflated(200 * MEGABYTE)
        assert len(bomb) < MEGABYTE
        pid = httpx2.get(f"{server.url}/pid", trust_env=False).json()
        (Path("/proc") / str(pid) / "clear_refs").write_text("5")  # the peak is what it is now
        before = self.memory(server, "VmHWM")
        offer = b"Sec-WebSocket-Extensions: permessage-deflate"
        with shaken(server, "/small", offer) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(b"\xc2\xff" + struct.pack(">Q", len(bomb)) + bytes(4) + bomb)
            while sock.recv(65_536):
                pass  # a close frame, or nothing

        assert self.memory(server, "VmHWM") - before < 64 * MEGABYTE
        assert is_alive(server)

    @pytest.mark.parametrize("path", ["/echo", "/deaf"])
    def test_a_flood_of_pongs_costs_little(self, server: Running, path: str) -> None:
        assert self.growth_by(server, path, control(b"\x8a") * 1000, 200) < 16 * MEGABYTE
        assert is_alive(server)

    @pytest.mark.parametrize("path", ["/echo", "/deaf", "/rated"])
    def test_a_flood_of_messages_costs_little(self, server: Running, path: str) -> None:
        assert self.growth_by(server, path, message(b"") * 10_000, 20) < 16 * MEGABYTE
        assert is_alive(server)

    @pytest.mark.parametrize(
        "field",
        [
            b"Sec-WebSocket-Protocol: \xff\xfe",
            b"Sec-WebSocket-Protocol: a b, c",
            b"Sec-WebSocket-Protocol: " + b",".join(b"p%d" % n for n in range(500)),
            b"Origin: \xff",
            b"Origin: http://[",
        ],
    )
    def test_odd_fields_are_refused(self, server: Running, field: bytes) -> None:
        with server.connect() as sock:
            sock.sendall(handshake(server, "/echo", field))
            answer = recv(sock)
        assert b" 101 " not in answer
        assert is_alive(server)


def handshake(server: Running, path: str, *fields: bytes) -> bytes:
    return b"\r\n".join(
        (
            f"GET {path} HTTP/1.1".encode(),
            f"Host: 127.0.0.1:{server.port}".encode(),
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Version: 13",
            *fields,
            b"\r\n",
        )
    )


@contextlib.contextmanager
def shaken(server: Running, path: str, *fields: bytes) -> Iterator[socket.socket]:
    """A connection after its handshake, with nothing else read of it."""
    with server.connect() as sock:
        sock.sendall(handshake(server, path, *fields))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            assert byte, head
            head += byte
        assert b" 101 " in head
        yield sock


def fragments(count: int, first: bytes) -> bytes:
    """A byte of a message each, and none of them the last."""
    return (first + b"\x81\x00\x00\x00\x00a") * count


def deflated(size: int) -> bytes:
    """So many zeros, compressed as a message is; RFC 7692 section 7.2.1."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [stream.compress(bytes(MEGABYTE)) for _ in range(size // MEGABYTE)]
    return b"".join((*pieces, stream.flush(zlib.Z_SYNC_FLUSH)))[:-4]


def control(kind: bytes) -> bytes:
    """A masked control frame as large as there is."""
    return kind + b"\xfd" + bytes(4) + b"x" * 125


def message(data: bytes) -> bytes:
    """A masked binary message, with a mask of zeros."""
    length = (
        bytes((len(data) | 128,)) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    )
    return b"\x82" + length + bytes(4) + data


def recv(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65_536)
    except ConnectionError:
        return b""


class Tunnel:
    """A client over HTTP/2 without TLS, one stream of which is a WebSocket (RFC 8441)."""

    def __init__(self, server: Running) -> None:
        self._authority = f"127.0.0.1:{server.port}"
        self._sock = server.connect()
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.initiate_connection()

    def __enter__(self) -> Tunnel:
        self.wait(RemoteSettingsChanged)
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    @property
    def is_offered(self) -> bool:
        return self._h2.remote_settings.enable_connect_protocol == 1

    def open(self, path: str, **fields: str) -> dict[str, str]:
        asked = {
            ":method": "CONNECT",
            ":protocol": "websocket",
            ":scheme": "http",
            ":path": path,
            ":authority": self._authority,
            "sec-websocket-version": "13",
            **fields,
        }
        self._h2.send_headers(1, list(asked.items()))
        event = self.wait(ResponseReceived)
        assert isinstance(event, ResponseReceived)
        return {str(name): str(value) for name, value in event.headers or ()}

    def send(self, data: bytes) -> None:
        self._h2.send_data(1, data)

    def wait(self, kind: type[Event]) -> Event:
        while True:
            self._sock.sendall(self._h2.data_to_send())
            data = self._sock.recv(65_536)
            assert data, "the server has closed"
            for event in self._h2.receive_data(data):
                if isinstance(event, kind):
                    return event


@pytest.mark.parametrize("server", ["granian-asgi", "hypercorn"], indirect=True, scope="module")
class TestOfferOverHTTP2:
    def test_hypercorn_offers_it_and_granian_does_not(self, server: Running) -> None:
        with Tunnel(server) as tunnel:
            assert tunnel.is_offered is (server.kind == "hypercorn")


@pytest.mark.parametrize("server", ["hypercorn"], indirect=True, scope="module")
class TestOverHTTP2:
    def test_it_is_the_same_conversation(self, server: Running) -> None:
        with Tunnel(server) as tunnel:
            fields = tunnel.open("/echo", origin=server.url)
            assert (fields[":status"], fields["x-stamp"]) == ("200", "GET 101")
            tunnel.send(message(b"hello"))
            data = tunnel.wait(DataReceived)
            assert isinstance(data, DataReceived)
            assert data.data == b"\x82\x05hello"

    def test_it_has_the_same_refusals(self, server: Running) -> None:
        with Tunnel(server) as tunnel:
            assert tunnel.open("/echo", origin="http://evil.example")[":status"] == "403"


@on_rsgi
def test_rsgi_has_no_websockets(server: Running) -> None:
    """``oxidite serve`` chooses ASGI for an application that has some."""
    with pytest.raises(InvalidStatus) as caught:
        open_socket(server, "/echo")
    assert caught.value.response.status_code == 426
