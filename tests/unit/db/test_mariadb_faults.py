"""A MariaDB server of our own, which is killed, restarted and cut off; and TLS and its socket."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest
from tests.mariadb_server import MariaDBServer, mariadb_server

from oxidite.db import Col, Database, Model, col
from oxidite.errors import BackendUnavailableError, ConfigError

pytestmark = pytest.mark.service("mariadb")


class Note(Model, table="notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str] = col(max_length=100)


@pytest.fixture(scope="module")
def installed() -> Iterator[MariaDBServer]:
    with mariadb_server() as server:
        yield server


@pytest.fixture
def server(installed: MariaDBServer) -> Iterator[MariaDBServer]:
    installed.start()
    yield installed
    installed.end(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_restart_needs_none_of_the_application(
    server: MariaDBServer, number: signal.Signals
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


async def test_a_connection_that_is_ended_undoes_its_transaction(server: MariaDBServer) -> None:
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


async def test_a_server_without_room_is_unavailable(server: MariaDBServer) -> None:
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


async def test_a_row_of_more_than_a_packet(server: MariaDBServer) -> None:
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


async def test_a_socket(server: MariaDBServer) -> None:
    url = f"mysql://app:geheim%C3%A4@localhost/app?socket={server.socket}"
    async with Database.from_url(url) as db:
        assert db.dialect.product == "MariaDB"


class TestTLS:
    async def test_it_is_used_and_checked(self, server: MariaDBServer) -> None:
        url = server.url.replace("127.0.0.1", "localhost")
        for options in ("sslmode=require", f"sslrootcert={server.folder}/ca.pem"):
            async with (
                Database.from_url(f"{url}?{options}") as db,
                db.driver.connection(write=False) as connection,
            ):
                rows = await connection.fetch("SHOW STATUS LIKE 'Ssl_version'", ())
                assert rows[0][1].startswith("TLSv1")

    async def test_a_certificate_of_somebody_else_is_refused(self, server: MariaDBServer) -> None:
        for options in (
            f"sslmode=verify-full&sslrootcert={server.folder}/other.pem",
            f"sslmode=verify-ca&sslrootcert={server.folder}/other.pem",
            "sslmode=verify-full",
        ):
            url = f"{server.url.replace('127.0.0.1', 'localhost')}?{options}"
            with pytest.raises(BackendUnavailableError, match=r"certificate|cannot be reached"):
                async with Database.from_url(url):
                    pass

    async def test_the_name_counts_unless_it_is_said_not_to(self, server: MariaDBServer) -> None:
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
