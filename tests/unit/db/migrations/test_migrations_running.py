"""What migrations promise when something goes wrong: as a whole, or resumed where they stopped."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from oxidite.db import Col, Database, DatabaseError, Model, col
from oxidite.db.migrations import History, HistoryError, MigrationError, MigrationFailedError
from oxidite.db.migrations.lock import LockTimeoutError
from oxidite.db.migrations.migrator import Migrator
from oxidite.db.migrations.push import push_tables
from oxidite.db.migrations.runner import Progress

from .support import (
    AGE,
    FILL,
    USERS,
    add_migration,
    add_users,
    fetch,
    killed_amid_rows,
    start,
    write_history,
)


@pytest.mark.only_on("memory", "file", "postgresql")
async def test_a_failing_statement_leaves_the_schema_as_it_was(
    db: Database, tmp_path: Path
) -> None:
    broken = (
        "broken",
        """op.add_column("users", column("age", "integer", nullable=True))
        op.create_table("posts", column("id", "integer", primary_key=True))
        op.execute("INSERT INTO nowhere VALUES (1)")""",
        "",
    )
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, broken))

    with pytest.raises(MigrationFailedError, match=r"0002_broken failed: .*nowhere") as failed:
        await migrator.up()

    assert "Nothing of it was done." in failed.value.message
    assert [line.state for line in await migrator.status()] == ["applied", "pending"]
    assert await migrator.drift() == []
    with pytest.raises(DatabaseError):
        await fetch(db, "SELECT age FROM users")


async def test_what_was_changed_after_it_was_applied_is_noticed(
    db: Database, tmp_path: Path
) -> None:
    await Migrator(db, write_history(tmp_path / "m", USERS)).up()
    file = tmp_path / "m" / "0001_users.py"
    file.write_text(file.read_text() + "# something else\n")
    changed = Migrator(db, History.load(tmp_path / "m"))

    assert [line.state for line in await changed.status()] == ["changed"]
    with pytest.raises(HistoryError, match="Changed after it was applied: 0001_users"):
        await changed.up()

    assert await changed.up(accept_changes=True) == []
    assert [line.state for line in await changed.status()] == ["applied"]


async def test_line_ends_are_no_change(db: Database, tmp_path: Path) -> None:
    await Migrator(db, write_history(tmp_path / "m", USERS)).up()
    file = tmp_path / "m" / "0001_users.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    assert await Migrator(db, History.load(tmp_path / "m")).up() == []


async def test_an_applied_migration_without_a_file_is_noticed(db: Database, tmp_path: Path) -> None:
    await Migrator(db, write_history(tmp_path / "m", USERS, AGE)).up()
    older = Migrator(db, write_history(tmp_path / "older", USERS))

    assert [line.state for line in await older.status()] == ["applied", "missing"]
    with pytest.raises(HistoryError, match="without a file here: 0002_age"):
        await older.up()


async def test_back_by_steps_by_batch_and_to_one(db: Database, tmp_path: Path) -> None:
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, AGE, *_empties(3)))
    await migrator.up(to="0002")
    await migrator.up()

    assert [row.id for row in await migrator.down()] == ["0005"]
    assert [row.id for row in await migrator.down(batch=True)] == ["0004", "0003"]
    assert [row.id for row in await migrator.down(to="1")] == ["0002"]
    assert [row.id for row in await migrator.down(to="0")] == ["0001"]
    assert await migrator.down() == []


def _empties(count: int) -> list[tuple[str, str, str]]:
    return [(f"empty_{number}", "pass", "pass") for number in range(count)]


async def test_without_a_way_back_nothing_goes_back(db: Database, tmp_path: Path) -> None:
    write_history(tmp_path / "m", USERS, AGE)
    add_migration(tmp_path / "m", 3, "no_down", "pass", None)
    add_migration(tmp_path / "m", 4, "last", "pass", "pass")
    migrator = Migrator(db, History.load(tmp_path / "m"))
    await migrator.up()

    with pytest.raises(MigrationError, match="0003 has no down"):
        await migrator.down(steps=3)

    assert [line.state for line in await migrator.status()] == ["applied"] * 4


async def test_the_plan_is_what_is_run(db: Database, tmp_path: Path) -> None:
    history = write_history(tmp_path / "m", USERS, AGE)
    planned = await Migrator(db, history).plan()

    async with db.driver.connection(write=True) as connection:
        for migration in planned:
            for sql in migration.statements:
                await connection.run(sql, ())

    assert [each.name for each in planned] == ["0001_users", "0002_age"]
    await fetch(db, "SELECT id, name, age FROM users")


async def test_tables_that_were_pushed_are_adopted(db: Database, tmp_path: Path) -> None:
    class User(Model, table="users"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(max_length=50)

    await push_tables(db, [User.__table__])
    await add_users(db, 2)
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, AGE))

    assert len(await migrator.up()) == 2
    assert await fetch(db, "SELECT count(*), sum(age) FROM users") == [(2, 2)]


async def test_tables_that_are_others_are_not_adopted(db: Database, tmp_path: Path) -> None:
    await fetch(db, "CREATE TABLE users (id INTEGER PRIMARY KEY)")
    migrator = Migrator(db, write_history(tmp_path / "m", USERS))

    with pytest.raises(MigrationError, match=r"column users\.name is missing"):
        await migrator.up()


# Step by step.


@pytest.mark.only_on("postgresql", "mariadb")
async def test_a_migration_by_statements_goes_on_where_it_failed(
    db: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    write_history(folder, USERS)
    body = """op.add_column("users", column("age", "integer", nullable=True))
    op.execute("INSERT INTO {table} (name) VALUES ('x')")
    op.add_column("users", column("town", "text", nullable=True))"""
    options = ", transactional=False"
    add_migration(folder, 2, "bits", body.format(table="nowhere"), "pass", options=options)
    with pytest.raises(MigrationFailedError, match="These stay done") as failed:
        await Migrator(db, History.load(folder)).up()
    assert "ADD COLUMN age" in failed.value.message
    assert (await Migrator(db, History.load(folder)).status())[1].state == "unfinished"
    with pytest.raises(MigrationError, match="is not finished"):
        await Migrator(db, History.load(folder)).down()

    add_migration(folder, 2, "bits", body.format(table="users"), "pass", options=options)
    await Migrator(db, History.load(folder)).up()

    assert await fetch(db, "SELECT name, age, town FROM users") == [("x", None, None)]
    assert (await Migrator(db, History.load(folder)).status())[1].state == "applied"


@pytest.mark.only_on("postgresql", "mariadb")
async def test_what_is_done_may_not_change_before_the_rest_is(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    write_history(folder, USERS)
    body = """op.add_column("users", column("{name}", "integer", nullable=True))
    op.execute("INSERT INTO nowhere VALUES (1)")"""
    options = ", transactional=False"
    add_migration(folder, 2, "bits", body.format(name="age"), "pass", options=options)
    with pytest.raises(MigrationFailedError):
        await Migrator(db, History.load(folder)).up()

    add_migration(folder, 2, "bits", body.format(name="size"), "pass", options=options)
    with pytest.raises(MigrationFailedError, match="stopped after 1 of its steps"):
        await Migrator(db, History.load(folder)).up()


@pytest.mark.only_on("postgresql")
async def test_an_index_that_could_not_be_made_concurrently_is_made_later(
    db: Database, tmp_path: Path
) -> None:
    unique = (
        "unique",
        """op.create_index("uq", "users", ["name"], unique=True, concurrently=True)""",
        """op.drop_index("uq", "users", concurrently=True)""",
    )
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, unique))
    await migrator.up(to="1")
    await fetch(db, "INSERT INTO users (name) VALUES ('a'), ('a')")
    with pytest.raises(MigrationFailedError, match="0002_unique failed"):
        await migrator.up()

    await fetch(db, "DELETE FROM users WHERE id = 2")
    await migrator.up()

    found = await fetch(
        db, "SELECT indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname = 'uq'"
    )
    assert (True,) in found
    await migrator.down()
    assert await migrator.drift() == []


# Several at once, and ends without a warning.


@pytest.fixture
def server_url(db: Database, request: pytest.FixtureRequest) -> str:
    """The URL of the database, for another process."""
    path = getattr(db.driver, "path", None)
    if path is not None:
        return f"sqlite:///{path}"
    dsn: str | None = getattr(db.driver, "_dsn", None)
    if dsn is None:
        return str(request.getfixturevalue("url"))
    return dsn


@pytest.mark.only_on("file", "postgresql", "mariadb")
async def test_of_two_at_once_one_migrates_and_the_other_waits(
    db: Database, server_url: str, tmp_path: Path
) -> None:
    slow = ("slow", """op.backfill("users", {"age": "age + 1"}, batch=5, pause=0.05)""", "pass")
    history = write_history(tmp_path / "m", USERS, AGE, slow)
    await Migrator(db, history).up(to="0001")
    await add_users(db, 50)

    runners = [start(server_url, tmp_path / "m") for _ in range(3)]
    outputs = [await asyncio.to_thread(runner.communicate, timeout=60) for runner in runners]

    assert [runner.returncode for runner in runners] == [0, 0, 0]
    done = sorted(re.findall(r"done (\d)", "".join(out for out, _ in outputs)))
    assert done == ["0", "0", "2"]
    assert await fetch(db, "SELECT min(age), max(age) FROM users") == [(2, 2)]


@pytest.mark.only_on("file", "postgresql", "mariadb")
async def test_killed_in_the_middle_it_goes_on_the_next_time(
    db: Database, server_url: str, tmp_path: Path
) -> None:
    history = write_history(tmp_path / "m", USERS, AGE, FILL, *_empties(1))
    await Migrator(db, history).up(to="0001")
    await add_users(db, 200)
    await killed_amid_rows(server_url, tmp_path / "m")

    done = await Migrator(db, history).up()

    assert [row.id for row in done] == ["0003", "0004"]
    assert await fetch(db, "SELECT min(age), max(age) FROM users") == [(2, 2)]
    assert await Migrator(db, history).drift() == []


@pytest.mark.only_on("file", "postgresql")
async def test_killed_in_a_transaction_it_is_as_if_it_had_not_begun(
    db: Database, server_url: str, tmp_path: Path
) -> None:
    slow = "(SELECT count(*) FROM generate_series(1, 100000000))"
    if db.dialect.name == "sqlite":
        slow = (
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000000) "
            "SELECT count(*) FROM n)"
        )
    long = (
        "long",
        f"""op.add_column("users", column("age", "integer"), fill=5)
        op.execute("INSERT INTO users (name, age) SELECT 'x', {slow}")""",
        "pass",
    )
    history = write_history(tmp_path / "m", USERS, long)
    await Migrator(db, history).up(to="0001")
    killed = start(server_url, tmp_path / "m")
    assert killed.stdout is not None
    assert "began 0002" in await asyncio.to_thread(killed.stdout.readline)
    await asyncio.sleep(0.5)
    os.kill(killed.pid, signal.SIGKILL)
    await asyncio.to_thread(killed.wait, 10)
    killed.stdout.close()

    assert await Migrator(db, history).up(to="0001") == []  # once the server has noticed
    assert await Migrator(db, history).drift() == []
    await Migrator(db, write_history(tmp_path / "m", USERS, ("long", AGE[1], AGE[2]))).up()

    assert await fetch(db, "SELECT age FROM users") == []


@pytest.mark.only_on("file", "postgresql", "mariadb")
async def test_who_waits_for_too_long_is_told(
    db: Database, server_url: str, tmp_path: Path
) -> None:
    slow = ("slow", """op.backfill("users", {"age": "age + 1"}, batch=1, pause=0.2)""", "pass")
    history = write_history(tmp_path / "m", USERS, AGE, slow)
    await Migrator(db, history).up(to="0001")
    await add_users(db, 50)
    other = start(server_url, tmp_path / "m")
    assert other.stdout is not None
    while "rows" not in await asyncio.to_thread(other.stdout.readline):
        pass
    try:
        with pytest.raises(LockTimeoutError, match="Another process has been changing the schema"):
            await Migrator(db, history, wait=0.3).up()
    finally:
        other.kill()
        await asyncio.to_thread(other.communicate)


@pytest.mark.only_on("postgresql")
async def test_a_table_that_is_in_use_is_tried_again(db: Database, tmp_path: Path) -> None:
    history = write_history(tmp_path / "m", USERS, AGE)
    again: list[str | None] = []
    free = asyncio.Event()

    def told(progress: Progress) -> None:
        again.append(progress.again)
        free.set()

    migrator = Migrator(db, history, lock_timeout=0.2, told=told)
    await migrator.up(to="0001")

    held = asyncio.Event()

    async def hold() -> None:
        async with db.transaction() as transaction, transaction.statement() as connection:
            await connection.run("LOCK TABLE users IN ACCESS SHARE MODE", ())
            held.set()
            await free.wait()

    holder = asyncio.ensure_future(hold())
    await held.wait()
    await migrator.up()
    await holder

    assert again
    assert "holds the lock" in str(again[0])


# What SQLite does by making a table anew.


@pytest.mark.only_on("memory", "file")
async def test_a_table_made_anew_keeps_what_no_history_knows_of(
    db: Database, tmp_path: Path
) -> None:
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, AGE))
    await migrator.up(to="0001")
    await fetch(db, "ALTER TABLE users ADD COLUMN extra TEXT DEFAULT 'e'")
    await fetch(db, "CREATE INDEX by_hand ON users (lower(name))")
    await fetch(db, "CREATE TABLE log (name TEXT)")
    await fetch(
        db,
        "CREATE TRIGGER noted AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.name); END",
    )
    await fetch(db, "CREATE VIEW names AS SELECT name FROM users")
    await fetch(db, "INSERT INTO users (name) VALUES ('a')")

    await migrator.up()
    await fetch(db, "INSERT INTO users (name, age) VALUES ('b', 2)")

    assert await fetch(db, "SELECT name, age, extra FROM users") == [("a", 1, "e"), ("b", 2, "e")]
    assert await fetch(db, "SELECT name FROM log") == [("a",), ("b",)]
    assert await fetch(db, "SELECT name FROM names") == [("a",), ("b",)]
    assert await fetch(db, "SELECT 1 FROM sqlite_master WHERE name = 'by_hand'") == [(1,)]


async def test_rows_that_would_refer_to_nothing_stop_it(db: Database, tmp_path: Path) -> None:
    refer = (
        "refer",
        """op.add_column("users", column("boss_id", "integer", nullable=True, references="users.id"), fill=99)""",
        "pass",
    )
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, refer))
    await migrator.up(to="0001")
    await add_users(db, 1)

    with pytest.raises(MigrationFailedError, match=r"refer to nothing|foreign key constraint"):
        await migrator.up()

    if db.dialect.transactional_ddl:
        assert await migrator.drift() == []
