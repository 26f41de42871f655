"""A MariaDB server of our own, which is killed, restarted and cut off; and TLS and its socket."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from oxidite.db import Col, Database, Model, col
from oxidite.errors import BackendUnavailableError, ConfigError

pytestmark = pytest.mark.service("mariadb")


class Note(Model, table="notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str] = col(max_length=100)


class Server:
    """A server in a folder of its own, on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.socket = folder / "server.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mariadb://app:geheim%C3%A4@127.0.0.1:{self.port}/app"

    def install(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(self.folder / "other.pem"))
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        issued.cert_chain_pems[0].write_to_path(str(self.folder / "cert.pem"))
        (self.folder / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS app;\n"
            "CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'geheim\u00e4';\n"
            "GRANT ALL ON *.* TO 'app'@'%';\n",
            encoding="utf-8",
        )
        if os.getuid() == 0:
            owner = pwd.getpwnam("mysql")
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", *self._common(), "--skip-test-db"],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                "mariadbd",
                "--no-defaults",
                *self._common(),
                f"--socket={self.socket}",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                f"--pid-file={self.folder / 'pid'}",
                f"--init-file={self.folder / 'init.sql'}",
                f"--ssl-ca={self.folder / 'ca.pem'}",
                f"--ssl-cert={self.folder / 'cert.pem'}",
                f"--ssl-key={self.folder / 'key.pem'}",
                "--character-set-server=utf8mb4",
                "--innodb-buffer-pool-size=32M",
                "--max-connections=20",
                "--max-allowed-packet=64M",
                "--innodb-log-file-size=256M",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 30
        while not _listens(self.port):
            assert self._process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not listen"
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def _common(self) -> list[str]:
        user = ["--user=mysql"] if os.getuid() == 0 else []
        return [f"--datadir={self.folder / 'data'}", *user]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def installed() -> Iterator[Server]:
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("mariadbd is not installed")
    folder = Path(tempfile.mkdtemp(prefix="oxidite-mariadb-"))
    server = Server(folder)
    try:
        server.install()
        yield server
    finally:
        server.end(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(installed: Server) -> Iterator[Server]:
    installed.start()
    yield installed
    installed.end(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_restart_needs_none_of_the_application(
    server: Server, number: signal.Signals
) -> None:
    async with Database.from_url(server.url) as db:
        await db.push(Note)
        before = await Note.count()
        # Several connections, so that many are stale afterwards.
        await asyncio.gather(*(Note.create(text=f"{each}") for each in range(8)))

        async def lose() -> None:
            async with db.transaction():
                await Note.create(text="lost")
                server.end(number)
                await Note.create(text="lost too")

        with pytest.raises(BackendUnavailableError):
            await lose()
        with pytest.raises(BackendUnavailableError, match="cannot be reached"):
            await Note.count()

        server.start()
        counted = await asyncio.gather(*(Note.count() for _ in range(20)))
        assert counted == [before + 8] * 20
        await Note.create(text="after")


async def test_a_connection_that_is_ended_undoes_its_transaction(server: Server) -> None:
    async with (
        Database.from_url(server.url) as db,
        Database.from_url(server.url, name="other") as other,
    ):
        await db.push(Note)
        before = await Note.count()

        async def lose() -> None:
            async with db.transaction() as transaction:
                await Note.create(text="lost")
                async with transaction.statement() as connection:
                    rows = await connection.fetch("SELECT CONNECTION_ID()", ())
                async with other.driver.connection(write=True) as connection:
                    await connection.run(f"KILL CONNECTION {rows[0][0]}", ())
                await Note.create(text="lost too")

        with pytest.raises(BackendUnavailableError):
            await lose()
        assert await Note.count() == before
        # One that idles is replaced without a word.
        async with db.driver.connection(write=True) as connection:
            rows = await connection.fetch("SELECT CONNECTION_ID()", ())
        async with other.driver.connection(write=True) as connection:
            await connection.run(f"KILL CONNECTION {rows[0][0]}", ())
        await asyncio.sleep(0)
        assert await Note.count() == before


async def test_a_server_without_room_is_unavailable(server: Server) -> None:
    async with Database.from_url(f"{server.url}?pool_size=30") as db:

        async def hold() -> None:
            async with db.driver.connection(write=True) as connection:
                await connection.fetch("SELECT SLEEP(0.3)", ())

        results = await asyncio.gather(*(hold() for _ in range(30)), return_exceptions=True)
        failed = [each for each in results if each is not None]
        assert failed
        assert {type(each) for each in failed} == {BackendUnavailableError}
        assert "Too many connections" in str(failed[0])
        await hold()


async def test_a_row_of_more_than_a_packet(server: Server) -> None:
    """Packets have 16 MB; what is longer goes on in the next one, at the very edge in an empty one."""
    edge = 0xFFFFFF
    async with (
        Database.from_url(server.url) as db,
        db.driver.connection(write=True) as connection,
    ):
        for size in (
            edge - 10,
            edge - 9,
            edge - 8,
            edge - 4,
            edge,
            edge + 1,
            20_000_000,
            2 * edge - 9,
        ):
            sql = f"SELECT REPEAT('x', {size}) UNION ALL SELECT 'y'"
            rows = await connection.fetch(sql, ())
            assert [len(text) for (text,) in rows] == [size, 1]
        text = "\u00e4'" * 7_000_000
        assert await connection.fetch("SELECT ?", (text,)) == [(text,)]


async def test_a_socket(server: Server) -> None:
    url = f"mysql://app:geheim%C3%A4@localhost/app?socket={server.socket}"
    async with Database.from_url(url) as db:
        assert db.dialect.product == "MariaDB"


class TestTLS:
    async def test_it_is_used_and_checked(self, server: Server) -> None:
        url = server.url.replace("127.0.0.1", "localhost")
        for options in ("sslmode=require", f"sslrootcert={server.folder}/ca.pem"):
            async with (
                Database.from_url(f"{url}?{options}") as db,
                db.driver.connection(write=False) as connection,
            ):
                rows = await connection.fetch("SHOW STATUS LIKE 'Ssl_version'", ())
                assert rows[0][1].startswith("TLSv1")

    async def test_a_certificate_of_somebody_else_is_refused(self, server: Server) -> None:
        for options in (
            f"sslmode=verify-full&sslrootcert={server.folder}/other.pem",
            f"sslmode=verify-ca&sslrootcert={server.folder}/other.pem",
            "sslmode=verify-full",
        ):
            url = f"{server.url.replace('127.0.0.1', 'localhost')}?{options}"
            with pytest.raises(BackendUnavailableError, match=r"certificate|cannot be reached"):
                async with Database.from_url(url):
                    pass

    async def test_the_name_counts_unless_it_is_said_not_to(self, server: Server) -> None:
        root = f"sslrootcert={server.folder}/ca.pem"
        with pytest.raises(BackendUnavailableError):
            async with Database.from_url(f"{server.url}?sslmode=verify-full&{root}"):
                pass
        async with Database.from_url(f"{server.url}?sslmode=verify-ca&{root}") as db:
            assert db.dialect.name == "mariadb"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root@localhost", "names no database"),
        ("mysql://root@localhost/app?charset=latin1", "option .charset., which nobody knows"),
        ("mysql://root@localhost/app?sslmode=maybe", "sslmode=maybe is none of"),
        ("mysql://root@localhost/app?sslrootcert=/nowhere.pem", "cannot be read"),
        ("mysql://root@localhost/app?pool_size=0", "pool_size=0: a pool has one"),
        ("mysql://root@localhost/app?pool_timeout=soon", "pool_timeout=soon"),
        ("mysql://root@localhost:99999/app", "Port out of range"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Database.from_url(url)
