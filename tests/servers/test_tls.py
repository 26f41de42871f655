"""TLS as ``oxidite serve`` speaks it, and what it says of files that are wrong."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

SERVERS = ("granian", "uvicorn", "hypercorn")
TIMEOUT = 20.0
HELLO = """
    from oxidite import Oxidite, StreamingResponse

    app = Oxidite()

    @app.get("/")
    async def index() -> StreamingResponse:
        return StreamingResponse(iter(["hello"]))
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

    def __call__(self, source: str, *args: str, environ: Mapping[str, str] = ...) -> Served: ...


class Files:
    """A certificate of an authority of our own, and its key, as files of one directory."""

    def __init__(self, directory: Path, **kwargs: object) -> None:
        self.authority = trustme.CA()
        self.certificate = self.authority.issue_cert("127.0.0.1", "localhost", **kwargs)  # type: ignore[arg-type]  # passed on
        self.cert = directory / "cert.pem"
        self.key = directory / "key.pem"
        self.ca = directory / "ca.pem"
        self.cert.write_bytes(b"".join(each.bytes() for each in self.certificate.cert_chain_pems))
        self.key.write_bytes(self.certificate.private_key_pem.bytes())
        self.ca.write_bytes(self.authority.cert_pem.bytes())

    @property
    def args(self) -> list[str]:
        return ["--tls-cert", str(self.cert), "--tls-key", str(self.key)]

    def encrypt(self, password: str) -> None:
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password.encode()),
            )
        )

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def serving(serve: Serve, *args: str, environ: Mapping[str, str] = {}) -> Served:
    served = serve(HELLO, "--port", "0", *args, environ=environ)
    served.wait_until(lambda: "Serving" in served.said)
    return served


def ask(served: Served, context: ssl.SSLContext) -> tuple[str, str | None, bytes]:
    """Ask once; return the version of TLS, what ALPN found, and the answer."""
    port = int(served.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock,
        context.wrap_socket(sock, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        said = b""
        while chunk := tls.recv(65_536):
            said += chunk
        return tls.version() or "", tls.selected_alpn_protocol(), said


def let_in(served: Served, context: ssl.SSLContext) -> bool:
    """Tell whether there was an answer; in TLS 1.3 a client hears of a refusal only afterwards."""
    try:
        return b"hello" in ask(served, context)[2]
    except (ssl.SSLError, ConnectionError):
        return False


each_server = pytest.mark.parametrize("server", SERVERS)


@each_server
@pytest.mark.parametrize("workers", ["1", "2"])
def test_both_versions_are_spoken(serve: Serve, server: str, workers: str, files: Files) -> None:
    served = serving(serve, "--server", server, "--workers", workers, *files.args)
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        context = files.client()
        context.minimum_version = context.maximum_version = version
        spoken, _, said = ask(served, context)
        assert spoken == name
        assert b"hello" in said


@each_server
def test_the_lowest_version_can_be_raised(serve: Serve, server: str, files: Files) -> None:
    served = serving(serve, "--server", server, "--tls-min", "1.3", *files.args)
    assert ask(served, files.client())[0] == "TLSv1.3"
    context = files.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(served, context)


@each_server
def test_clients_without_the_right_certificate_are_kept_out(
    serve: Serve, server: str, files: Files
) -> None:
    served = serving(serve, "--server", server, "--tls-client-ca", str(files.ca), *files.args)
    assert not let_in(served, files.client())

    stranger = files.client()
    trustme.CA().issue_cert("someone@example.com").configure_cert(stranger)
    assert not let_in(served, stranger)

    friend = files.client()
    files.authority.issue_cert("someone@example.com").configure_cert(friend)
    assert let_in(served, friend)


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_a_client_may_come_without_a_certificate_if_that_is_said(
    serve: Serve, server: str, files: Files
) -> None:
    served = serving(
        serve, "--server", server, "--tls-client-ca", str(files.ca), "--tls-client", "optional",
        *files.args,
    )  # fmt: skip

    assert b"hello" in ask(served, files.client())[2]


def test_granian_says_that_it_cannot_leave_it_open(serve: Serve, files: Files) -> None:
    served = serve(
        HELLO, "--server", "granian", "--tls-client-ca", str(files.ca), "--tls-client", "optional",
        *files.args,
    )  # fmt: skip

    assert served.process.wait(TIMEOUT) == 1
    assert "Use --server uvicorn, or --tls-client required." in served.said


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_an_encrypted_key_is_opened_with_the_password_of_the_environment(
    serve: Serve, server: str, files: Files
) -> None:
    files.encrypt("open sesame")
    served = serving(
        serve, "--server", server, *files.args, environ={"TLS_KEY_PASSWORD": "open sesame"}
    )

    assert b"hello" in ask(served, files.client())[2]
    assert "sesame" not in served.said


def test_granian_says_that_it_cannot_open_a_key(serve: Serve, files: Files) -> None:
    files.encrypt("open sesame")
    environ = {"TLS_KEY_PASSWORD": "open sesame"}
    said = refuse(serve, "--server", "granian", *files.args, environ=environ)
    assert "Granian cannot open an encrypted key. Use --server uvicorn" in said


@each_server
@pytest.mark.parametrize(
    ("http", "expected"), [("auto", {"h2", "http/1.1"}), ("1", {"http/1.1"}), ("2", {"h2"})]
)
def test_alpn_offers_what_is_spoken(
    serve: Serve, server: str, http: str, expected: set[str], files: Files
) -> None:
    if server == "uvicorn":
        expected = expected & {"http/1.1"}
        if http == "2":
            served = serve(HELLO, "--server", server, "--http", http, *files.args)
            assert served.process.wait(TIMEOUT) == 1
            assert "uvicorn speaks no HTTP/2. Use --server granian." in served.said
            return
    served = serving(serve, "--server", server, "--http", http, *files.args)
    port = int(served.url.rpartition(":")[2])
    found = set()
    for protocol in ("h2", "http/1.1"):
        context = files.client()
        context.set_alpn_protocols([protocol])
        try:
            with (
                socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock,
                context.wrap_socket(sock, server_hostname="127.0.0.1") as tls,
            ):
                found.add(tls.selected_alpn_protocol())
        except ssl.SSLError:
            # RFC 7301 section 3.2: none in common may end the handshake.
            pass

    assert found - {None} == expected


def refuse(serve: Serve, *args: str, environ: Mapping[str, str] = {}) -> str:
    served = serve(HELLO, "--port", "0", *args, environ=environ)
    assert served.process.wait(TIMEOUT) == 1
    assert "Traceback" not in served.said
    assert "Serving" not in served.said
    return " ".join(served.said.split())


@each_server
def test_a_key_of_another_certificate_is_refused(
    serve: Serve, server: str, files: Files, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    files.key.write_bytes(Files(tmp_path / "other").key.read_bytes())

    assert f"{files.key} is not the key of {files.cert}." in refuse(
        serve, "--server", server, *files.args
    )


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "is encrypted and needs a password. Set TLS_KEY_PASSWORD"),
        ({"TLS_KEY_PASSWORD": "wrong"}, "is encrypted and has another password."),
    ],
)
def test_an_encrypted_key_needs_its_password(
    serve: Serve, files: Files, environ: dict[str, str], said: str
) -> None:
    files.encrypt("open sesame")

    assert said in refuse(serve, *files.args, environ=environ)


def test_files_that_are_something_else_are_refused(serve: Serve, files: Files) -> None:
    files.cert.write_text("no certificate")
    assert "holds no certificate in the format PEM" in refuse(serve, *files.args)

    files.cert.write_text("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n")
    assert "cannot be used" in refuse(serve, *files.args)


def test_a_key_that_is_none_is_refused(serve: Serve, files: Files) -> None:
    files.key.write_text("no key")

    assert "holds no private key in the format PEM" in refuse(serve, *files.args)


def test_an_authority_that_is_none_is_refused(serve: Serve, files: Files) -> None:
    files.ca.write_text("nothing")

    said = refuse(serve, *files.args, "--tls-client-ca", str(files.ca))
    assert "holds no certificates of authorities" in said


def test_a_certificate_that_has_expired_is_warned_of(serve: Serve, tmp_path: Path) -> None:
    old = Files(tmp_path, not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    served = serving(serve, "--server", "uvicorn", *old.args)

    assert (
        f"WARNING: The certificate {old.cert} has expired: clients will refuse it." in served.said
    )
