"""MariaDB's own ways: errors, transactions, streams, and what is cut off in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.db.conftest import MARIADB, database_url

from oxidite.db import (
    CheckError,
    Col,
    ConflictingTransactionsError,
    Connection,
    Database,
    DatabaseError,
    DiskFullError,
    InsertStatement,
    LockTimeoutError,
    MissingReferenceError,
    Model,
    NotNullError,
    OverlapError,
    QueryError,
    ReadOnlyError,
    TransactionError,
    UniqueError,
    col,
    excluded,
    index,
)
from oxidite.db.drivers.mysql import MySQLDriver
from oxidite.db.drivers.mysql_errors import typed
from oxidite.errors import BackendTimeoutError, BackendUnavailableError, OxiditeError

pytestmark = pytest.mark.service("mariadb")


class Account(Model, table="accounts", indexes=[index("owner", "name", unique=True)]):
    id: Col[int] = col(pk=True, init=False)
    owner: Col[str] = col(max_length=50)
    name: Col[str] = col(default="", max_length=50)
    cents: Col[int] = col(default=0, ge=0, check=True)


class Entry(Model, table="entries"):
    id: Col[int] = col(pk=True, init=False)
    account_id: Col[int] = col(references=Account.id)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_url("mariadb", tmp_path) as url, Database.from_url(url) as found:
        await found.push(Account, Entry)
        yield found


@contextlib.asynccontextmanager
async def connection(db: Database) -> AsyncIterator[Connection]:
    async with db.driver.connection(write=True) as found:
        yield found


async def threads(db: Database) -> int:
    """How many connections the server has to this database."""
    async with connection(db) as found:
        rows = await found.fetch(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()", ()
        )
    return int(rows[0][0])


async def sleeping(db: Database) -> bool:
    """Whether the server is at a statement that sleeps."""
    async with connection(db) as found:
        rows = await found.fetch(
            "SELECT id FROM information_schema.processlist "
            "WHERE db = DATABASE() AND info LIKE 'SELECT SLEEP%'",
            (),
        )
    return bool(rows)


async def until(db: Database, number: int) -> None:
    """Wait for the server to have this number of connections."""
    async with asyncio.timeout(20):
        while await threads(db) != number:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)


class TestErrors:
    async def test_each_names_the_fields(self, db: Database) -> None:
        account = await Account.create(owner="ann")
        await Entry.create(account_id=account.id)

        with pytest.raises(UniqueError) as unique:
            await Account.create(owner="ann")
        with pytest.raises(MissingReferenceError) as missing:
            await Entry.create(account_id=99)
        with pytest.raises(MissingReferenceError) as referred:
            await account.delete()
        async with connection(db) as found:
            with pytest.raises(NotNullError) as null:
                await found.run("UPDATE accounts SET owner = ?", (None,))
            with pytest.raises(NotNullError) as omitted:
                await found.run("INSERT INTO accounts (name) VALUES (?)", ("x",))
            with pytest.raises(CheckError) as check:
                await found.run("UPDATE accounts SET cents = ?", (-1,))
        told = [
            (caught.value.constraint, [each.pointer for each in caught.value.errors])
            for caught in (unique, missing, referred, null, omitted, check)
        ]
        assert told == [
            ("uq_accounts_owner_name", ["/owner", "/name"]),
            ("fk_entries_account_id", ["/account_id"]),
            ("fk_entries_account_id", [""]),  # it is about the row, not a field
            (None, ["/owner"]),
            (None, ["/owner"]),
            ("ck_accounts_cents_ge", [""]),
        ]

    async def test_what_does_not_fit_is_refused_and_not_cut(self, db: Database) -> None:
        async with connection(db) as found:
            with pytest.raises(CheckError) as caught:
                await found.run(
                    "INSERT INTO accounts (owner, name, cents) VALUES (?, '', 0)", ("x" * 51,)
                )
            assert [(e.pointer, e.code) for e in caught.value.errors] == [("/owner", "max_length")]
            with pytest.raises(QueryError, match="Out of range"):
                await found.run(
                    "INSERT INTO accounts (owner, name, cents) VALUES ('', '', ?)", (2**63,)
                )
            with pytest.raises(QueryError, match=r"more than|max_allowed_packet"):
                await found.run("INSERT INTO accounts (owner) VALUES (?)", ("x" * 17_000_000,))
            with pytest.raises(DatabaseError, match="doesn't exist"):
                await found.fetch("SELECT * FROM nowhere", ())
            with pytest.raises(QueryError, match="1 values do not fit"):
                await found.fetch("SELECT ?, ?", (1,))
            assert await found.fetch("SELECT ?", ("works",)) == [("works",)]
        assert await Account.count() == 0

    async def test_one_statement_is_not_two(self, db: Database) -> None:
        async with connection(db) as found:
            with pytest.raises(DatabaseError, match="syntax"):
                await found.run("SELECT 1; DROP TABLE entries", ())
        assert await Entry.count() == 0


class TestSessions:
    async def test_sql_means_what_it_means_elsewhere(self, db: Database) -> None:
        async with connection(db) as found:
            rows = await found.fetch(
                """SELECT 'a' = 'A', 'a' = 'a ', 'a' || 'b', '\\' || "owner", '?', 5 / 2 -- ?
                FROM accounts /* ? */ WHERE owner LIKE ? AND owner <> '100%?'""",
                ("%",),
            )
            assert rows == []
            assert await found.fetch("SELECT 'a' = 'A', 'a' = 'a ', 'a' || '\\', ?", ("\\'",)) == [
                (0, 0, "a\\", "\\'")
            ]
            assert (await found.fetch("SELECT @@time_zone, @@character_set_client", ()))[0] == (
                "+00:00",
                "utf8mb4",
            )

    async def test_columns_are_set_at_once(self, db: Database) -> None:
        await Account.create(owner="ann", name="bob")
        async with connection(db) as found:
            done = await found.run("UPDATE accounts SET owner = name, name = owner", ())
        assert done.rowcount == 1
        account = (await Account.all())[0]
        assert (account.owner, account.name) == ("bob", "ann")

    async def test_rows_that_stay_the_same_are_counted(self, db: Database) -> None:
        await Account.create(owner="ann")
        async with connection(db) as found:
            assert (await found.run("UPDATE accounts SET owner = 'ann'", ())).rowcount == 1

    async def test_text_is_safe_if_somebody_brings_backslashes_back(self, db: Database) -> None:
        hostile = "\\' OR 1=1 -- "
        async with connection(db) as found:
            await found.run("SET SESSION sql_mode = 'STRICT_ALL_TABLES'", ())
            assert await found.fetch("SELECT ?, '\\'?', ?", (hostile, 1)) == [(hostile, "'?", 1)]
            found.is_broken = True

    async def test_many_rows_at_once(self, db: Database) -> None:
        async with connection(db) as found:
            sql = "INSERT INTO accounts (owner, name, cents) VALUES (?, '', ?)"
            await found.run_many(sql, [(f"{number}", number) for number in range(3000)])
            await found.run_many(
                "UPDATE accounts SET cents = ? WHERE owner = ?", [(7, "1"), (8, "2")]
            )
            await found.run_many(sql, [])
            with pytest.raises(UniqueError):
                await found.run_many(sql, [("new", 1), ("2", 1)])
        assert await Account.count() == 3000
        assert (await Account.where(Account.owner == "2").one()).cents == 8

    async def test_a_statement_that_takes_too_long(self, db: Database) -> None:
        async with connection(db) as found:
            await found.run("SET SESSION max_statement_time = 0.05", ())
            with pytest.raises(BackendTimeoutError, match="MariaDB ended the statement"):
                await found.fetch(
                    "SELECT sum(a.seq * b.seq) FROM seq_1_to_1000000 a, seq_1_to_1000 b", ()
                )
            await found.run("SET SESSION max_statement_time = 0", ())
            assert await found.fetch("SELECT 1", ()) == [(1,)]

    @pytest.mark.parametrize(
        ("number", "error"),
        [
            (1021, DiskFullError),
            (1114, DiskFullError),
            (1205, LockTimeoutError),
            (1290, ReadOnlyError),
            (1836, ReadOnlyError),
            (3024, BackendTimeoutError),
            (3572, LockTimeoutError),
        ],
    )
    def test_what_is_hard_to_bring_about(self, number: int, error: type[OxiditeError]) -> None:
        assert type(typed(number, "It is so.", "MySQL")) is error

    async def test_a_table_that_is_full(self, db: Database) -> None:
        async with connection(db) as found:
            await found.run("CREATE TABLE small (x VARBINARY(60000)) ENGINE=MEMORY", ())
            with pytest.raises(DiskFullError):
                await found.run_many("INSERT INTO small VALUES (?)", [[bytes(60_000)]] * 500)


class TestUpserts:
    async def test_many_at_once_make_each_row_once(self, db: Database) -> None:
        async def count(names: list[str]) -> int:
            done = await Account.upsert(
                [Account(owner=name, cents=1) for name in names],
                on=[Account.owner, Account.name],
                update=[Account.cents.to(Account.cents + excluded(Account.cents))],
            )
            return len(done.inserted)

        names = [f"owner{number}" for number in range(20)]
        made = await asyncio.gather(*(count(names) for _ in range(10)))
        assert sum(made) == await Account.count() == 20
        assert {each.cents for each in await Account.all()} == {10}

    async def test_a_row_that_is_there_is_updated_or_left_alone(self, db: Database) -> None:
        await Account.create(owner="ann", cents=1)

        def insert(cents: int, update: tuple[str, ...]) -> InsertStatement:
            return InsertStatement(
                table=Account.__table__,
                columns=("owner", "name", "cents"),
                rows=[["ann", "", cents], ["bob", "", cents]],
                conflict=("owner", "name"),
                update=update,
                exprs=tuple([excluded(Account.cents) for _ in update]),
                returning=("owner", "cents"),
            )

        assert await db.fetch(insert(2, ("cents",))) == [("ann", 2), ("bob", 2)]
        assert await db.fetch(insert(3, ())) == [("ann", 2), ("bob", 2)]
        with pytest.raises(CheckError):
            await db.fetch(insert(-1, ("cents",)))
        assert [each.cents for each in await Account.all()] == [2, 2]


class TestTransactions:
    async def test_after_a_deadlock_nothing_is_written_outside(self, db: Database) -> None:
        """The server ends the whole transaction, even when it was a savepoint's statement."""
        one, other = await Account.create(owner="a"), await Account.create(owner="b")
        barrier = asyncio.Barrier(2)
        refused: list[type[Exception]] = []

        async def lose(first: Account, second: Account, cents: int) -> None:
            async with db.transaction():
                await Entry.create(account_id=first.id)
                first.cents = cents
                await first.save()
                await barrier.wait()
                try:
                    async with db.transaction():
                        second.cents = cents
                        await second.save()
                except ConflictingTransactionsError:
                    try:
                        await Entry.create(account_id=second.id)
                    except ConflictingTransactionsError as exc:
                        refused.append(type(exc))
                        raise

        async with asyncio.timeout(20):
            results = await asyncio.gather(
                lose(one, other, 1), lose(await Account.get(other.id), await Account.get(one.id), 2),
                return_exceptions=True,
            )  # fmt: skip
        assert sorted(map(str, map(type, results))) == sorted(
            map(str, (type(None), ConflictingTransactionsError))
        )
        assert refused == [ConflictingTransactionsError]
        assert await Entry.count() == 1

    async def test_what_others_have_changed_is_not_overwritten(self, db: Database) -> None:
        account = await Account.create(owner="a")

        async def overwrite() -> None:
            async with db.transaction(isolation="repeatable read"):
                mine = await Account.get(account.id)
                await asyncio.create_task(_add(db, account.id))
                mine.cents += 1
                await mine.save()

        with pytest.raises(ConflictingTransactionsError):
            await overwrite()
        assert (await Account.get(account.id)).cents == 10

    async def test_a_change_of_the_schema_ends_it_and_says_so(self, db: Database) -> None:
        with pytest.raises(TransactionError, match="MariaDB commits before"):
            async with db.transaction() as transaction, transaction.statement() as found:
                await found.run("CREATE TABLE extra (id BIGINT)", ())
        async with db.transaction():
            await Account.create(owner="a")
        assert await Account.count() == 1


async def _add(db: Database, id_: int) -> None:
    async with db.driver.connection(write=True) as found:
        await found.run("UPDATE accounts SET cents = cents + 10 WHERE id = ?", (id_,))


class TestCancelling:
    async def test_a_cancelled_statement_is_ended_on_the_server(self, db: Database) -> None:
        async def sleep() -> None:
            async with connection(db) as found:
                await found.fetch("SELECT SLEEP(60)", ())

        task = asyncio.create_task(sleep())
        async with asyncio.timeout(20):
            while not await sleeping(db):  # noqa: ASYNC110 - another process is waited for
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(db, 1)

    async def test_a_cancelled_transaction_lets_its_locks_go(
        self, db: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        account = await Account.create(owner="a")
        begun = asyncio.Event()

        async def hold() -> None:
            async with db.transaction() as transaction:
                await Account.where(Account.id == account.id).all()
                account.cents = 5
                await account.save()
                begun.set()
                async with transaction.statement() as found:
                    await found.fetch("SELECT SLEEP(60)", ())

        task = asyncio.create_task(hold())
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            await _add(db, account.id)
        assert (await Account.get(account.id)).cents == 10
        assert [record.message for record in caplog.records] == []

    async def test_hundred_cancelled_at_any_point_leave_clean_connections(
        self, db: Database
    ) -> None:
        await Account.create(owner="a", cents=3)

        async def work(number: int) -> None:
            async with db.transaction():
                found = (
                    await Account.where(Account.cents == 3)
                    .select(Account.owner, Account.cents)
                    .all()
                )
                assert found == [("a", 3)]
                await Account.create(owner=f"new {number}")
                raise KeyError  # never kept

        async def cut(number: int) -> None:
            task = asyncio.create_task(work(number))
            await asyncio.wait((task,), timeout=0.0007 * (number % 10))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, KeyError):
                await task

        for start in range(0, 100, 10):
            await asyncio.gather(*(cut(start + number) for number in range(10)))
        assert [(row.owner, row.cents) for row in await Account.all()] == [("a", 3)]


class TestStreams:
    SQL = "SELECT seq, REPEAT('x', 100) FROM seq_1_to_200000"

    async def test_rows_are_read_in_parts(self, db: Database) -> None:
        async with connection(db) as found:
            sizes = [len(rows) async for rows in found.stream(self.SQL, (), 50_000)]
            assert sizes == [50_000] * 4
            assert [rows async for rows in found.stream("SELECT 1 FROM accounts", (), 5)] == []

    async def test_one_may_be_left_early_inside_a_transaction(self, db: Database) -> None:
        async with connection(db) as found:
            await found.begin(isolation=None, read_only=False)
            await found.run("INSERT INTO accounts (owner, name, cents) VALUES ('a', '', 0)", ())
            stream = found.stream(self.SQL.replace("200000", "100000000"), (), 10)
            async for rows in stream:
                assert len(rows) == 10
                break
            await stream.aclose()  # type: ignore[attr-defined]  # an async generator
            await found.commit()
            assert not found.is_broken
        assert await Account.count() == 1

    async def test_another_statement_must_wait(self, db: Database) -> None:
        async with connection(db) as found:
            async for rows in found.stream(self.SQL, (), 150_000):
                with pytest.raises(OverlapError, match="MariaDB sends rows"):
                    await found.fetch("SELECT 1", ())
                assert rows
            assert await found.fetch("SELECT 1", ()) == [(1,)]

    async def test_an_error_in_the_middle_is_told(self, db: Database) -> None:
        async with connection(db) as found:
            with pytest.raises(DatabaseError, match="more than 1 row"):
                async for _ in found.stream(
                    "SELECT IF(seq = 90000, (SELECT seq FROM seq_1_to_2 WHERE seq < seq_1_to_100000.seq), 1) "
                    "FROM seq_1_to_100000",
                    (),
                    1000,
                ):
                    pass
            assert await found.fetch("SELECT 1", ()) == [(1,)]


class TestUnreachable:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("mariadb://root@127.0.0.1:1/test", "cannot be reached"),
            ("mariadb://nobody:wrong@HOST/test", "Access denied"),
            ("mysql://root@HOST/no_such_database", "Unknown database"),
            ("mysql://root@HOST/test?sslmode=require", "has no TLS"),
            ("mysql://root@localhost/test?socket=/nowhere.sock", "cannot be reached"),
        ],
    )
    async def test_it_is_told_at_the_start(self, url: str, message: str) -> None:
        url = url.replace("root@HOST", MARIADB.partition("://")[2])
        url = url.replace("HOST", MARIADB.rpartition("@")[2])
        with pytest.raises(BackendUnavailableError, match=message):
            async with Database.from_url(url):
                pass

    async def test_a_server_that_says_nothing_is_not_waited_for(self) -> None:
        left = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()
            left.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"mariadb://root@127.0.0.1:{port}/test?connect_timeout=0.2"
            with pytest.raises(BackendUnavailableError, match="did not answer in time"):
                async with Database.from_url(url):
                    pass
            await left.wait()


def test_it_is_not_known_before_it_is_open() -> None:
    driver = Database.from_url("mysql://root@127.0.0.1/test").driver
    assert isinstance(driver, MySQLDriver)
    with pytest.raises(DatabaseError, match="known once the database is open"):
        _ = driver.dialect
