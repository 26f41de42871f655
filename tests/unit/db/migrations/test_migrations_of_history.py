"""Migrations make the table of a history and its triggers, and keep both in step with the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oxidite.db import Col, Database, History, Model, ModelError, col
from oxidite.db.migrations import MigrationError, Migrator, Operation, Schema
from oxidite.db.migrations.difference import difference
from oxidite.db.migrations.history import History as Files
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.operations import CreateHistory, DropHistory
from oxidite.db.migrations.push import push_tables
from oxidite.db.migrations.squash import squash
from oxidite.db.migrations.writing import describe, write_migration
from oxidite.db.tables.table import Table

from .support import answers, fetch, same, tried, write_history


def plain() -> Table:
    class Price(Model, table="prices"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(max_length=50, default="")
        amount: Col[int] = col(default=0)

    return Price.__table__


def kept() -> Table:
    class Price(Model, History, table="prices"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(max_length=50, default="")
        amount: Col[int] = col(default=0)

    return Price.__table__


def wider() -> Table:
    class Price(Model, History, table="prices"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(max_length=50, default="")
        amount: Col[int] = col(default=0)
        currency: Col[str] = col(max_length=3, default="EUR")
        note: Col[str | None] = col(default=None)

    return Price.__table__


def renamed() -> Table:
    class Price(Model, History, table="costs"):
        id: Col[int] = col(pk=True, init=False)
        title: Col[str] = col(max_length=50, default="")
        amount: Col[float] = col(default=0)

    return Price.__table__


def schema(db: Database, table: Table) -> Schema:
    return schema_of([table], db.dialect)


async def step(
    db: Database, folder: Path, new: Schema, *, renames: dict[str, str] | None = None, **fills: Any
) -> tuple[Operation, ...]:
    """Write and apply the difference to ``new``; return what it does."""
    history = Files.load(folder)
    fills = {name.replace("__", "."): value for name, value in fills.items()}
    change = difference(history.schema(), new, answers(renames, fills))
    write_migration(history, change, "step")
    await Migrator(db, Files.load(folder)).up()
    assert await Migrator(db, Files.load(folder)).drift() == []
    return change.forth


async def log(db: Database, columns: str, table: str = "prices") -> list[tuple[Any, ...]]:
    return await fetch(db, f"SELECT {columns} FROM {table}_history ORDER BY history_id")


async def test_a_model_gets_a_history_and_loses_it(db: Database, tmp_path: Path) -> None:
    forth = await tried(db, tmp_path, schema(db, plain()), schema(db, kept()), answers())
    assert [describe(each) for each in forth][-1] == "+ history of prices"
    folder = tmp_path / "back"
    back = await tried(db, folder, schema(db, kept()), schema(db, plain()), answers())
    assert isinstance(back[0], DropHistory)
    assert describe(back[-1]) == "- table prices_history"


async def test_rows_that_are_there_get_a_first_version(db: Database, tmp_path: Path) -> None:
    await step(db, tmp_path, schema(db, plain()))
    await fetch(db, "INSERT INTO prices (name, amount) VALUES ('tea', 1)")
    forth = await step(db, tmp_path, schema(db, kept()))
    assert CreateHistory("prices") in forth
    await fetch(db, "UPDATE prices SET amount = 2")
    assert await log(db, "history_change, name, amount") == [
        ("begin", "tea", 1),
        ("update", "tea", 2),
    ]
    migrator = Migrator(db, Files.load(tmp_path))
    await migrator.down(to="1")
    await fetch(db, "UPDATE prices SET amount = 3")


async def test_columns_come_and_go_in_both_tables(db: Database, tmp_path: Path) -> None:
    await step(db, tmp_path, schema(db, kept()))
    await fetch(db, "INSERT INTO prices (name, amount) VALUES ('tea', 1)")
    await step(db, tmp_path, schema(db, wider()), prices__currency="EUR")
    await fetch(db, "UPDATE prices SET currency = 'USD', note = 'x'")
    assert await log(db, "history_change, currency, note") == [
        ("insert", "EUR", None),
        ("update", "USD", "x"),
    ]
    await step(db, tmp_path, schema(db, kept()))
    await fetch(db, "UPDATE prices SET amount = 2")
    await fetch(db, "DELETE FROM prices")
    assert await log(db, "history_change, amount") == [
        ("insert", 1),
        ("update", 1),
        ("update", 2),
        ("delete", 2),
    ]


async def test_a_table_and_its_columns_are_renamed_with_their_history(
    db: Database, tmp_path: Path
) -> None:
    await step(db, tmp_path, schema(db, kept()))
    await fetch(db, "INSERT INTO prices (name, amount) VALUES ('tea', 1)")
    await step(
        db,
        tmp_path,
        schema(db, renamed()),
        renames={"prices": "costs", "costs.name": "title"},
        costs__amount=0,
    )
    await fetch(db, "UPDATE costs SET title = 'milk'")
    assert await log(db, "title, amount", "costs") == [("tea", 1), ("milk", 1)]
    await Migrator(db, Files.load(tmp_path)).down(to="1")
    await fetch(db, "UPDATE prices SET amount = 5")
    assert await log(db, "name, amount") == [("tea", 1), ("milk", 1), ("milk", 5)]


async def test_a_push_makes_the_history_and_keeps_it_in_step(db: Database) -> None:
    await push_tables(db, [plain()])
    await fetch(db, "INSERT INTO prices (name, amount) VALUES ('tea', 1)")
    assert "+ history of prices" in (await push_tables(db, [kept()])).made
    again = await push_tables(db, [kept()])
    assert (again.made, again.left) == ((), ())
    await fetch(db, "UPDATE prices SET amount = 2")
    assert (await push_tables(db, [wider()])).left == ()
    await fetch(db, "UPDATE prices SET currency = 'USD'")
    assert await log(db, "history_change, amount, currency") == [
        ("begin", 1, "EUR"),
        ("update", 2, "EUR"),
        ("update", 2, "USD"),
    ]


async def test_a_missing_trigger_is_a_difference(db: Database, tmp_path: Path) -> None:
    await step(db, tmp_path, schema(db, kept()))
    drop = {
        "sqlite": "DROP TRIGGER ox_history_prices_gone",
        "postgresql": "DROP TRIGGER ox_history_prices_all ON prices",
    }.get(db.dialect.name, "DROP TRIGGER ox_history_prices_gone")
    await fetch(db, drop)
    assert await Migrator(db, Files.load(tmp_path)).drift() == ["the history of prices is missing"]


async def test_a_squash_keeps_the_history(db: Database, tmp_path: Path) -> None:
    await step(db, tmp_path, schema(db, plain()))
    await step(db, tmp_path, schema(db, kept()))
    files = Files.load(tmp_path)
    made = squash(files, files.entries[-1])
    assert CreateHistory("prices") in made.change.forth
    assert same(made.schema, files.schema())


async def test_a_history_by_hand_needs_its_table(db: Database, tmp_path: Path) -> None:
    files = write_history(
        tmp_path / "alone",
        (
            "alone",
            """op.create_table("prices", column("id", "integer", primary_key=True, generated=True))
            op.create_history("prices")""",
            """op.drop_table("prices")""",
        ),
    )
    with pytest.raises(MigrationError, match="no table 'prices_history'"):
        files.schema()


async def test_a_model_has_the_table_that_a_history_needs(db: Database) -> None:
    class Other(Model, table="prices_history"):
        id: Col[int] = col(pk=True, init=False)

    with pytest.raises(ModelError, match="the history of prices needs it"):
        schema_of([kept(), Other.__table__], db.dialect)


@pytest.mark.only_on("mariadb")
async def test_foreign_keys_that_change_rows_are_refused(db: Database) -> None:
    class Owner(Model, table="owners"):
        id: Col[int] = col(pk=True, init=False)

    class Pet(Model, History, table="pets"):
        id: Col[int] = col(pk=True, init=False)
        owner_id: Col[int] = col(references=Owner.id, on_delete="cascade")

    with pytest.raises(ModelError, match="runs no trigger for that"):
        await push_tables(db, [Owner.__table__, Pet.__table__])
