"""Another primary key: of a larger type, of more columns or of fewer, and what is left to a person."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oxidite.db import Database
from oxidite.db.migrations import (
    ColumnSpec,
    History,
    MigrationError,
    MigrationFailedError,
    Migrator,
    Schema,
    TableSpec,
    column,
)
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.difference import Change, difference
from oxidite.db.migrations.operations import ChangeKey
from oxidite.db.migrations.shadow import verify
from oxidite.db.migrations.writing import write_migration

from .support import add_migration, answers, tried

ID = column("id", "integer", primary_key=True, generated=True, bits=32)
CODE = column("code", "text", primary_key=True, max_length=20)
PLACE = column("place", "integer", primary_key=True)
NAME = column("name", "text", max_length=20)


def table(name: str, *columns: ColumnSpec) -> Schema:
    return {name: TableSpec(name=name, columns=columns)}


def referring(bits: int | None) -> Schema:
    """Return tables that refer to ``users``, before and behind it in the alphabet, and to themselves."""
    owner = column("owner", "integer", bits=bits, references="users.id", on_delete="cascade")
    boss = replace(owner, name="boss", nullable=True, on_delete="set null")
    key = replace(ID, bits=bits)
    return {
        **table("cars", key, owner),
        **table("users", key, NAME, boss),
        **table("works", key, replace(owner, nullable=True)),
    }


async def run(db: Database, sql: str) -> list[tuple[Any, ...]]:
    async with db.driver.connection(write=True) as connection:
        return [tuple(row) for row in await connection.fetch(sql, ())]


async def migrated(db: Database, folder: Path, old: Schema, new: Schema, *rows: str) -> Migrator:
    """Make ``old``, put rows in, and make ``new`` of it."""
    write_migration(History(folder), difference({}, old, answers()), "old")
    await Migrator(db, History.load(folder)).up()
    for sql in rows:
        await run(db, sql)
    change = difference(old, new, answers(fills={"t.place": 1}))
    write_migration(History.load(folder), change, "new")
    migrator = Migrator(db, History.load(folder))
    await migrator.up()
    return migrator


CHANGES = {
    "a key is larger, and what refers to it": (referring(32), referring(None)),
    "a key is smaller": (referring(None), referring(32)),
    "a text that is a key is longer": (
        {**table("t", CODE), **table("u", ID, replace(NAME, references="t.code"))},
        {
            **table("t", replace(CODE, max_length=40)),
            **table("u", ID, replace(NAME, max_length=40, references="t.code")),
        },
    ),
    "a new column is in the key": (table("t", CODE, NAME), table("t", CODE, NAME, PLACE)),
    "a column is in the key, too": (
        table("t", CODE, replace(PLACE, primary_key=False)),
        table("t", CODE, PLACE),
    ),
    "a column that could be empty is in the key": (
        table("t", CODE, replace(PLACE, primary_key=False, nullable=True)),
        table("t", CODE, PLACE),
    ),
    "a column is in the key no more": (
        table("t", CODE, PLACE),
        table("t", CODE, replace(PLACE, primary_key=False)),
    ),
    "a column of the key is gone": (table("t", CODE, PLACE), table("t", CODE)),
    "another column is the key": (
        table("t", CODE, replace(PLACE, primary_key=False)),
        table("t", replace(CODE, primary_key=False), PLACE),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_key_is_changed_and_changed_back(db: Database, tmp_path: Path, name: str) -> None:
    old, new = CHANGES[name]

    await tried(db, tmp_path, old, new, answers(fills={"t.place": 1}))


async def test_a_larger_key_keeps_its_rows_and_counts_on(db: Database, tmp_path: Path) -> None:
    await migrated(
        db,
        tmp_path,
        referring(32),
        referring(None),
        "INSERT INTO users (name) VALUES ('a'), ('b')",
        "INSERT INTO cars (owner) VALUES (1), (2)",
    )

    large = 3_000_000_000
    await run(db, "INSERT INTO users (name) VALUES ('c')")
    await run(db, f"INSERT INTO users (id, name) VALUES ({large}, 'd')")
    await run(db, f"INSERT INTO cars (owner) VALUES ({large})")
    await run(db, "DELETE FROM users WHERE id = 2")

    assert await run(db, "SELECT id, name FROM users ORDER BY id") == [
        (1, "a"),
        (3, "c"),
        (large, "d"),
    ]
    assert await run(db, "SELECT owner FROM cars ORDER BY owner") == [(1,), (large,)]


@pytest.mark.only_on("postgresql")  # elsewhere what counts is no thing of its own
async def test_a_larger_key_is_counted_as_far_as_it_goes(db: Database, tmp_path: Path) -> None:
    await migrated(db, tmp_path, referring(32), referring(None))

    await run(db, "SELECT setval('users_id_seq', 2147483647)")
    await run(db, "INSERT INTO users (name) VALUES ('a')")

    assert await run(db, "SELECT id FROM users") == [(2147483648,)]


async def test_rows_may_be_alike_in_a_part_of_the_new_key(db: Database, tmp_path: Path) -> None:
    old, new = CHANGES["a new column is in the key"]
    migrator = await migrated(
        db, tmp_path, old, new, "INSERT INTO t (code, name) VALUES ('a', 'x')"
    )

    await run(db, "INSERT INTO t (code, name, place) VALUES ('a', 'y', 2)")
    assert await run(db, "SELECT code, place FROM t ORDER BY place") == [("a", 1), ("a", 2)]

    with pytest.raises(MigrationFailedError):  # two rows are alike without it
        await migrator.down()
    assert await run(db, "SELECT count(*) FROM t") == [(2,)]


async def test_a_key_that_is_another_one_is_drift(db: Database, tmp_path: Path) -> None:
    await migrated(db, tmp_path, {}, table("t", CODE, replace(PLACE, primary_key=False)))
    wanted = table("t", CODE, PLACE)

    async with db.driver.connection(write=True) as connection:
        found = await differences(connection, db.dialect, wanted)

    assert "the primary key of t is (code), and should be (code, place)" in found


def test_a_key_that_others_refer_to_stays() -> None:
    old = {**table("t", CODE), **table("u", ID, replace(NAME, references="t.code"))}
    new = {**old, **table("t", CODE, PLACE)}

    with pytest.raises(MigrationError, match=r"u\.name refers to t\.code\. Take that"):
        difference(old, new, answers(fills={"t.place": 1}))


def test_a_key_is_of_columns_that_are_there_and_never_empty() -> None:
    schema = table("t", ID, replace(NAME, nullable=True))

    for columns, message in (
        ((), "needs a primary key"),
        (("id", "nothing"), "has no column 'nothing'"),
        (("id", "name"), r"t\.name may be empty"),
    ):
        with pytest.raises(MigrationError, match=message):
            ChangeKey("t", columns).after(schema)
    with pytest.raises(MigrationError, match=r"makes the values of t\.id"):
        ChangeKey("t", ("name",)).after(table("t", ID, NAME))


async def test_what_is_said_to_be_done_by_hand_works(db: Database, tmp_path: Path) -> None:
    old, new = table("t", ID, NAME), table("t", replace(NAME, primary_key=True))
    write_migration(History(tmp_path), difference({}, old, answers()), "old")
    await Migrator(db, History.load(tmp_path)).up()
    await run(db, "INSERT INTO t (name) VALUES ('a'), ('b')")

    with pytest.raises(MigrationError, match="Make a migration by hand") as refused:
        difference(old, new, answers())
    said = textwrap.dedent(refused.value.message.split("\n\n")[1])
    add_migration(tmp_path, 2, "by_hand", "run(op)", None)
    file = tmp_path / "0002_by_hand.py"
    file.write_text(
        f"{file.read_text()}\n\ndef run(op: Ops) -> None:\n{textwrap.indent(said, '    ')}"
    )
    history = History.load(tmp_path)
    await verify(db, history, Change((), ()), new)
    await Migrator(db, history).up()

    assert await Migrator(db, history).drift() == []
    assert await run(db, "SELECT name FROM t ORDER BY name") == [("a",), ("b",)]


def test_a_key_whose_values_the_database_makes_is_not_changed_in_place() -> None:
    free = replace(ID, generated=False)
    for old, new in (
        (table("t", ID), table("t", free)),
        (table("t", free), table("t", ID)),
        (table("t", ID, NAME), table("t", replace(NAME, primary_key=True))),
        (table("t", replace(NAME, primary_key=True)), table("t", ID, NAME)),
    ):
        with pytest.raises(MigrationError, match=r"(?s)primary key of t.*op\.rename_table"):
            difference(old, new, answers())
