"""One application on every server, over everything that it speaks; and the table that says what that is.

``docs/reference/protocol-support.md`` is compared with what is found here, cell by cell.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import httpx2
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from tests.servers.h3 import H3Transport
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

KINDS = ("granian-asgi", "granian-rsgi", "uvicorn-httptools", "uvicorn-h11", "hypercorn")
TABLE = Path(__file__).parents[2] / "docs/reference/protocol-support.md"
TIMEOUT = 5.0
START_TIMEOUT = 30.0
PING_INTERVAL = 0.5
NO_PING = 2.0
"""Seconds without one, after which there will be none."""

Form: TypeAlias = Literal["plain", "tls", "unix", "quic"]


@dataclass(frozen=True)
class Place:
    """Where a server of one kind answers in one form."""

    form: Form
    port: int
    directory: Path

    @property
    def url(self) -> str:
        return f"http{'s' if self.form in ('tls', 'quic') else ''}://127.0.0.1:{self.port}"

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.directory / "ca.pem"))

    def client(self, version: str) -> httpx2.Client:
        if version == "3":
            quic = H3Transport(self.port, self.directory / "ca.pem", TIMEOUT)
            return httpx2.Client(base_url=self.url, transport=quic)
        uds = str(self.directory / "socket") if self.form == "unix" else None
        transport = httpx2.HTTPTransport(
            http1=version == "1.1", http2=version == "2", uds=uds, verify=self.context()
        )
        return httpx2.Client(base_url=self.url, transport=transport, timeout=TIMEOUT)

    def exchange(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as sock:
            sock.sendall(data)
            return sock.recv(65_536)


class Fleet:
    """Servers, started when somebody first asks for them and kept until the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = contextlib.ExitStack()
        self._places: dict[tuple[str, Form, str], Place] = {}
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        (directory / "cert.pem").write_bytes(b"".join(p.bytes() for p in issued.cert_chain_pems))
        (directory / "key.pem").write_bytes(issued.private_key_pem.bytes())
        (directory / "ca.pem").write_bytes(authority.cert_pem.bytes())

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def place(self, kind: str, form: Form, module: str = "application") -> Place:
        if (kind, form, module) not in self._places:
            self._places[kind, form, module] = self._start(kind, form, module)
        return self._places[kind, form, module]

    def _start(self, kind: str, form: Form, module: str) -> Place:
        directory = self._directory / f"{kind}-{form}-{module}"
        directory.mkdir()
        for name in ("cert.pem", "key.pem", "ca.pem"):
            (directory / name).write_bytes((self._directory / name).read_bytes())
        log = self._stack.enter_context((directory / "log").open("wb"))
        runner = Path(__file__).with_name("run.py")
        places: dict[Form, list[str]] = {
            "plain": [],
            "tls": [str(directory)],
            "unix": [str(directory / "socket")],
            "quic": [str(directory), "3"],
        }
        process = self._stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(runner), kind, module, *places[form]],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                process_group=0,
                env={**os.environ, "PING_INTERVAL": str(PING_INTERVAL)},
            )
        )
        self._stack.callback(_kill, process.pid)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (directory / "log").read_text()
        return Place(form, int(line), directory)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    # A Unix socket has room for a short path only.
    with Fleet(tmp_path_factory.mktemp("m")) as found:
        yield found


# What each of them is asked.

WAYS: list[tuple[str, Form, str]] = [
    *((kind, form, "1.1") for kind in KINDS for form in ("plain", "tls", "unix")),
    *(
        (kind, form, "2")
        for kind in KINDS
        if "uvicorn" not in kind
        for form in ("plain", "tls", "unix")
    ),
    *((kind, "quic", "3") for kind in KINDS),
]


@pytest.mark.parametrize(("kind", "form", "version"), WAYS)
def test_one_application_answers_alike_over_everything(
    fleet: Fleet, kind: str, form: Form, version: str
) -> None:
    with fleet.place(kind, form).client(version) as client:
        seen = client.get("/seen?a=1", headers=[("x-twice", "1"), ("x-twice", "2")]).json()
        assert seen["version"] == version
        assert seen["scheme"] == ("https" if form in ("tls", "quic") else "http")
        assert seen["twice"] == ["1", "2"]
        assert (seen["path"], seen["query"]) == ("/seen", "a=1")

        made = client.post("/posts", json={"title": "first", "tags": ["a"]})
        assert (made.status_code, made.json()) == (201, {"id": 1, "title": "first", "tags": ["a"]})
        assert client.post("/posts", json={"title": ""}).status_code == 422

        assert client.post("/size", content=b"x" * 90_000).json() == 90_000
        assert client.post("/size", content=b"x" * 110_000).status_code == 413

        head = client.head("/page")
        assert (head.content, head.headers["content-length"]) == (b"", "14")
        assert client.get("/empty").status_code == 204
        assert client.get("/nowhere").json()["code"] == "not_found"
        assert client.get("/error").status_code == 500


# What each of them can do.


def speaks(form: Form, version: str) -> Callable[[Fleet, str], bool]:
    def probe(fleet: Fleet, kind: str) -> bool:
        with fleet.place(kind, form).client(version) as client:
            try:
                response = client.get("/seen")
            except httpx2.TransportError:
                return False
            return response.status_code == 200 and response.json()["version"] == version

    return probe


def speaks_tls(version: ssl.TLSVersion) -> Callable[[Fleet, str], bool]:
    def probe(fleet: Fleet, kind: str) -> bool:
        place = fleet.place(kind, "tls")
        context = place.context()
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", place.port), TIMEOUT) as sock:
            try:
                with context.wrap_socket(sock, server_hostname="127.0.0.1"):
                    return True
            except (ssl.SSLError, ConnectionError):
                return False

    return probe


def streams(fleet: Fleet, kind: str) -> bool:
    with fleet.place(kind, "plain").client("1.1") as client:
        return client.get("/stream").text == "0\n1\n2\n3\n4\n"


def takes_chunks_of_anything(fleet: Fleet, kind: str) -> bool:
    with fleet.place(kind, "plain").client("1.1") as client:
        response = client.post("/size", content=iter([b"ab", b"c"]))
        return response.status_code == 200 and response.json() == 3


def mounts(fleet: Fleet, kind: str) -> bool:
    with fleet.place(kind, "plain").client("1.1") as client:
        return client.get("/mounted/x").text == "/mounted /mounted/x"


def continues(fleet: Fleet, kind: str) -> bool:
    head = b"POST /size HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n"
    said = fleet.place(kind, "plain").exchange(head + b"content-type: application/json\r\n\r\n")
    return said.startswith(b"HTTP/1.1 100 ")


def upgrades_to_http2(fleet: Fleet, kind: str) -> bool:
    said = fleet.place(kind, "plain").exchange(
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    return said.startswith(b"HTTP/1.1 101 ")


def counts_hosts(fleet: Fleet, kind: str) -> bool:
    said = fleet.place(kind, "plain").exchange(b"GET / HTTP/1.1\r\n\r\n")
    return said.startswith(b"HTTP/1.1 400 ")


@contextlib.contextmanager
def conversation(fleet: Fleet, kind: str, path: str) -> Iterator[ClientConnection | None]:
    place = fleet.place(kind, "plain", "sockets")
    try:
        found = connect(f"ws://127.0.0.1:{place.port}{path}", proxy=None, open_timeout=TIMEOUT)
    except InvalidStatus:
        yield None
        return
    with found:
        yield found


def talks(fleet: Fleet, kind: str) -> bool:
    with conversation(fleet, kind, "/echo") as found:
        if found is None:
            return False
        found.send("hello")
        return found.recv(TIMEOUT) == "hello"


def talks_compressed(fleet: Fleet, kind: str) -> bool:
    with conversation(fleet, kind, "/echo") as found:
        return found is not None and bool(found.protocol.extensions)


def adds_fields_to_handshakes(fleet: Fleet, kind: str) -> bool:
    with conversation(fleet, kind, "/echo") as found:
        return (
            found is not None and found.response is not None and "x-stamp" in found.response.headers
        )


def pings(fleet: Fleet, kind: str) -> bool:
    port = fleet.place(kind, "plain", "sockets").port
    with (
        socket.create_connection(("127.0.0.1", port), NO_PING) as sock,
        sock.makefile("rb") as file,
    ):
        sock.sendall(
            b"GET /echo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b"".join(iter(file.readline, b"\r\n"))
        with contextlib.suppress(TimeoutError):
            return head.startswith(b"HTTP/1.1 101 ") and file.read(1) == b"\x89"
    return False


def talks_over_http2(fleet: Fleet, kind: str) -> bool:
    h2 = H2Connection(H2Configuration(client_side=True))
    h2.initiate_connection()
    said = fleet.place(kind, "plain", "sockets").exchange(h2.data_to_send())
    with contextlib.suppress(ProtocolError):
        h2.receive_data(said)
    return h2.remote_settings.enable_connect_protocol == 1


PROBES: dict[str, Callable[[Fleet, str], bool]] = {
    "HTTP/1.1": speaks("plain", "1.1"),
    "HTTP/1.1 over TLS": speaks("tls", "1.1"),
    "HTTP/1.1 over a Unix socket": speaks("unix", "1.1"),
    "HTTP/2 over TLS, found by ALPN": speaks("tls", "2"),
    "HTTP/2 without TLS, with prior knowledge": speaks("plain", "2"),
    "HTTP/2 without TLS, by `Upgrade`": upgrades_to_http2,
    "HTTP/3 with `--http3`": speaks("quic", "3"),
    "TLS 1.2": speaks_tls(ssl.TLSVersion.TLSv1_2),
    "TLS 1.3": speaks_tls(ssl.TLSVersion.TLSv1_3),
    "Streamed answers": streams,
    "Chunked bodies of any type": takes_chunks_of_anything,
    "Mounted ASGI applications": mounts,
    "WebSocket": talks,
    "WebSocket with compression (`permessage-deflate`)": talks_compressed,
    "WebSocket with pings from the server": pings,
    "WebSocket over HTTP/2 (RFC 8441)": talks_over_http2,
    "Header fields on the answer to a WebSocket's handshake": adds_fields_to_handshakes,
    "`100 Continue` when the body is read": continues,
    "400 for a request without `Host`": counts_hosts,
}


def rows() -> dict[str, dict[str, str]]:
    """Read the table: what is said of each feature, by kind."""
    measured = TABLE.read_text().partition("\n## ")[0]
    lines = [line for line in measured.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    kinds = cells[0][1:]
    return {row[0]: dict(zip(kinds, row[1:], strict=True)) for row in cells[2:]}


def test_the_table_has_a_row_for_each_probe_and_a_column_for_each_server() -> None:
    found = rows()

    assert set(found) == set(PROBES)
    assert all(tuple(row) == KINDS for row in found.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("feature", list(PROBES))
def test_the_table_tells_the_truth(fleet: Fleet, feature: str, kind: str) -> None:
    began = time.monotonic()
    measured = "yes" if PROBES[feature](fleet, kind) else "no"

    assert rows()[feature][kind] == measured
    assert time.monotonic() - began < START_TIMEOUT
