"""Values for the rows that are there: in batches, with pauses, and never twice."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from oxidite.clock import TravelClock, use
from oxidite.db import Database
from oxidite.db.migrations import Migrator
from oxidite.db.migrations.runner import Progress

from .support import AGE, FILL, USERS, add_users, fetch, write_history


async def test_a_backfill_that_is_stopped_does_no_row_twice(db: Database, tmp_path: Path) -> None:
    history = write_history(tmp_path / "m", USERS, AGE, FILL)
    await Migrator(db, history).up(to="0001")
    await add_users(db, 105)
    task: asyncio.Task[object]
    seen: list[int] = []

    def told(progress: Progress) -> None:
        seen.append(progress.rows or 0)
        if len(seen) == 4:
            task.cancel()

    task = asyncio.ensure_future(Migrator(db, history, told=told).up())
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert await fetch(db, "SELECT count(*) FROM users WHERE age = 2") == [(40,)]
    assert (await Migrator(db, history).status())[2].state == "unfinished"

    await Migrator(db, history).up()

    assert await fetch(db, "SELECT min(age), max(age) FROM users") == [(2, 2)]


async def test_a_backfill_tells_how_far_it_is_and_pauses_between_batches(
    db: Database, tmp_path: Path
) -> None:
    body = """op.backfill("users", {"age": "age + 1"}, batch=10, pause=3600)"""
    history = write_history(tmp_path / "m", USERS, AGE, ("hourly", body, "pass"))
    await Migrator(db, history).up(to="0001")
    await add_users(db, 25)
    await Migrator(db, history).up(to="0002")
    seen: list[int] = []
    batches = asyncio.Semaphore(0)

    def told(progress: Progress) -> None:
        seen.append(progress.rows or 0)
        batches.release()

    with use(TravelClock()) as clock:
        work = asyncio.ensure_future(Migrator(db, history, told=told).up())
        for done in ([10], [10, 20], [10, 20, 25]):
            await batches.acquire()
            await clock.advance(3599)
            assert seen == done
            assert not work.done()
            await clock.advance(1)
        await work
    assert await fetch(db, "SELECT count(*) FROM users WHERE age = 2") == [(25,)]


async def test_a_backfill_fills_only_the_rows_it_is_for(db: Database, tmp_path: Path) -> None:
    some = (
        "some",
        """op.backfill("users", {"age": "7"}, where="name <> 'user 3'", batch=2, pause=0)""",
        "pass",
    )
    history = write_history(tmp_path / "m", USERS, AGE, some)
    await Migrator(db, history).up(to="0001")
    await add_users(db, 7)
    await Migrator(db, history).up()
    assert await fetch(db, "SELECT name FROM users WHERE age = 1") == [("user 3",)]


async def test_keys_of_text_and_of_bytes_are_gone_through(db: Database, tmp_path: Path) -> None:
    for number, type_ in enumerate(("text", "uuid")):
        table = f"things_{type_}"
        made = (
            f"things_{type_}",
            f"""op.create_table("{table}", column("id", "{type_}", primary_key=True{", max_length=40" * (type_ == "text")}), column("n", "integer"))
            op.execute("INSERT INTO {table} VALUES ('{"a" * 16}', 1), ('{"b" * 16}', 1)", only="sqlite")
            op.execute("INSERT INTO {table} VALUES ('{"a" * 16}', 1), ('{"b" * 16}', 1)", only="mariadb")
            op.execute("INSERT INTO {table} VALUES ('{"a" * 32}', 1), ('{"b" * 32}', 1)", only="postgresql")
            op.backfill("{table}", {{"n": "n + 1"}}, batch=1, pause=0)""",
            "pass",
        )
        folder = tmp_path / f"m{number}"
        if number:
            await fetch(db, "DROP TABLE oxidite_migrations")
        await Migrator(db, write_history(folder, made)).up()
        assert await fetch(db, f"SELECT sum(n) FROM {table}") == [(4,)]
