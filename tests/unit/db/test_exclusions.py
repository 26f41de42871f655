"""Exclusion constraints: a second row that is in the way of the first one is refused, whoever writes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.unit.db.conftest import POSTGRES, database_url
from tests.unit.db.inspection.support import imported, inspected, tables_in
from tests.unit.db.migrations.support import answers, fetch, tried, write_history

from oxidite import Json, Oxidite
from oxidite.db import (
    Col,
    Database,
    ExclusionError,
    Index,
    Model,
    ModelError,
    Range,
    SoftDeletes,
    col,
    exclude,
)
from oxidite.db.migrations import (
    IndexSpec,
    MigrationFailedError,
    Migrator,
    TableSpec,
    column,
    index,
)
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.history import History
from oxidite.db.migrations.lint import lint
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.operations import AddColumn, CreateIndex, DropIndex, RenameTable
from oxidite.db.migrations.push import push_tables
from oxidite.db.migrations.writing import write_migration
from oxidite.db.sql.schema import create_statements
from oxidite.db.values.dialects import MARIADB, POSTGRESQL, SQLITE
from oxidite.testing import Client

KINDS = ["memory", "file", pytest.param("postgresql", marks=pytest.mark.service("postgres"))]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Booking(Model, table="bookings", indexes=[exclude(room="=", during="&&")]):
    id: Col[int] = col(pk=True, init=False)
    room: Col[int | None]
    during: Col[Range[datetime] | None]


class Shift(
    Model,
    SoftDeletes,
    table="shifts",
    indexes=[exclude({"name": "="}, days="&&")],
):
    key: Col[str] = col(pk=True, max_length=10)
    name: Col[str] = col(max_length=20)
    days: Col[Range[date]]


class Offer(
    Model,
    table="offers",
    indexes=[
        exclude(
            amounts="&&", where=lambda offer: offer.state == "it's on", name="one offer at a time"
        )
    ],
):
    id: Col[int] = col(pk=True, init=False)
    amounts: Col[Range[Decimal]]
    state: Col[str] = col(default="it's on", max_length=20)


@pytest.fixture(params=KINDS)
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "postgresql":
        await extension()
    async with database_url(request.param, tmp_path) as url, Database.from_url(url) as found:
        yield found


async def extension() -> None:
    """Make the extension for the whole database, so that it is no test's own."""
    async with Database.from_url(POSTGRES, name="server") as server, server.transaction():
        await server.sql("SELECT pg_advisory_xact_lock(20260131)").all()
        await fetch(server, "CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public")


def hours(begin: float, end: float | None, bounds: Any = "[)") -> Range[datetime]:
    return Range(NOON + begin * HOUR, None if end is None else NOON + end * HOUR, bounds=bounds)


async def test_what_overlaps_is_refused_and_told_of_its_field(db: Database) -> None:
    await db.push(Booking)
    await Booking(room=1, during=hours(0, 1)).save()
    with pytest.raises(ExclusionError) as caught:
        await Booking(room=1, during=hours(0.5, 2)).save()
    (error,) = caught.value.errors
    assert (error.pointer, error.code) == ("/during", "exclusion")
    assert error.message == "is in the way of another row"
    assert caught.value.constraint == "ex_bookings_room_during"
    assert await Booking.query().count() == 1


@pytest.mark.parametrize(
    "other",
    [
        Booking(room=1, during=hours(1, 2)),
        Booking(room=1, during=hours(-1, 0)),
        Booking(room=2, during=hours(0, 1)),
        Booking(room=None, during=hours(0, 1)),
        Booking(room=1, during=None),
        Booking(room=1, during=Range(empty=True)),
    ],
    ids=str,
)
async def test_what_does_not_overlap_stays(other: Booking, db: Database) -> None:
    await db.push(Booking)
    await Booking(room=1, during=hours(0, 1)).save()
    await Booking(room=other.room, during=other.during).save()
    await Booking(room=other.room, during=hours(10, 11)).save()
    assert await Booking.query().count() == 3


@pytest.mark.parametrize(
    "during", [hours(1, 2, "[]"), hours(-1, None), Range(None, None), hours(0.2, 0.3)], ids=str
)
async def test_ends_that_touch_and_endless_ones_overlap(
    during: Range[datetime], db: Database
) -> None:
    await db.push(Booking)
    await Booking(room=1, during=hours(0, 1, "[]")).save()
    with pytest.raises(ExclusionError):
        await Booking(room=1, during=during).save()


async def test_each_way_to_write_is_watched(db: Database) -> None:
    await db.push(Booking)
    first, second = await Booking.create_many(
        [Booking(room=1, during=hours(0, 1)), Booking(room=2, during=hours(0, 1))]
    )
    second.room = 1
    with pytest.raises(ExclusionError):
        await second.save()
    with pytest.raises(ExclusionError):
        await Booking.query().update(room=3)
    with pytest.raises(ExclusionError):
        await Booking.create_many([Booking(room=5, during=hours(0, each)) for each in (1, 2)])
    with pytest.raises(ExclusionError):
        await Booking.load_many([Booking(room=1, during=hours(0, each)) for each in (1, 2)])

    async def exchanged() -> None:
        async with db.transaction():
            await first.delete()
            await Booking(room=1, during=hours(0, 1)).save()
            await Booking(room=1, during=hours(0, 1)).save()

    with pytest.raises(ExclusionError):
        await exchanged()
    rows = await Booking.order_by(Booking.id).select(Booking.id, Booking.room).all()
    assert rows == [(first.id, 1), (second.id, 2)]
    await first.delete()
    await Booking(room=1, during=hours(0, 1)).save()
    first = (await Booking.where(Booking.room == 1).all())[0]
    first.during = hours(0.5, 1)  # it is not in its own way
    await first.save()


async def test_of_many_at_once_one_is_kept(db: Database) -> None:
    await db.push(Booking)

    async def book(number: int) -> bool:
        try:
            await Booking(room=1, during=hours(number / 100, 1)).save()
        except ExclusionError:
            return False
        return True

    assert sum(await asyncio.gather(*(book(each) for each in range(20)))) == 1
    assert await Booking.query().count() == 1


async def test_what_seems_to_be_deleted_is_in_nobodys_way(db: Database) -> None:
    await db.push(Shift)
    days = Range(date(2026, 1, 1), date(2026, 2, 1))
    one = await Shift(key="a", name="Ann's", days=days).save()
    with pytest.raises(ExclusionError):
        await Shift(key="b", name="Ann's", days=Range(date(2026, 1, 31), None)).save()
    await Shift(key="d", name="Bob", days=days).save()
    await one.delete()
    await Shift(key="c", name="Ann's", days=days).save()
    with pytest.raises(ExclusionError):
        await one.restore()


async def test_a_condition_says_of_which_rows_it_is(db: Database) -> None:
    await db.push(Offer)
    await Offer(amounts=Range(Decimal(1), Decimal(5))).save()
    await Offer(amounts=Range(Decimal(1), Decimal(5)), state="off").save()
    other = await Offer(amounts=Range(Decimal(4), None), state="off").save()
    other.state = "it's on"
    with pytest.raises(ExclusionError) as caught:
        await other.save()
    assert caught.value.constraint == "one offer at a time"


async def test_a_client_is_told() -> None:
    app = Oxidite()

    @app.post("/bookings")
    async def book(data: Json[Booking.Create]) -> Booking:
        return await Booking.create_from(data)

    async with Database.from_url("sqlite://") as db, Client(app) as client:
        await db.push(Booking)
        body = {"room": 1, "during": {"lower": "2026-01-31T12:00:00Z"}}
        assert (await client.post("/bookings", json=body)).status_code == 200
        answer = await client.post("/bookings", json=body)
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["pointer"], error["code"]) == ("#/during", "exclusion")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exclude(), "names columns"),
        (lambda: exclude(room="=", during="overlaps"), "names columns"),  # type: ignore[arg-type]  # meant
        (lambda: exclude(room="="), "unique index"),
        (lambda: exclude(name="=", during="&&"), "names columns"),
        (lambda: index("x", ["room", "during"], exclude=["&&"]), "for each column"),
        (lambda: index("x", ["room"], exclude=["; DROP TABLE bookings"]), "for each column"),
        (lambda: statements(exclude(nothing="=", during="&&")), "none of its columns"),
        (lambda: statements(exclude(room="&&")), "is of ranges"),
        (lambda: statements(exclude(price="=", during="&&")), "compared as no database"),
    ],
)
def test_what_is_none_is_a_mistake_of_the_program(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()


def statements(*indexes: Index) -> list[str]:
    class Stay(Model, table="stays", indexes=list(indexes)):
        id: Col[int] = col(pk=True, init=False)
        room: Col[int]
        price: Col[Decimal]
        during: Col[Range[datetime]]

    return create_statements([Stay.__table__], SQLITE)


def test_mariadb_refuses_it_with_the_reason() -> None:
    with pytest.raises(ModelError, match="MariaDB has none, and a trigger would not see"):
        create_statements([Booking.__table__], MARIADB)
    with pytest.raises(ModelError, match="MariaDB has none"):
        TableSpec.of(Booking.__table__, MARIADB)


# Migrations.

ID = column("id", "integer", primary_key=True, generated=True)
ROOM = column("room", "integer", nullable=True)
DURING = column("during", "tstzrange", nullable=True)
APART = index("apart", ["room", "during"], exclude=["=", "&&"])


def table(*parts: Any) -> dict[str, TableSpec]:
    columns = tuple(each for each in parts if not isinstance(each, IndexSpec))
    indexes = tuple(each for each in parts if isinstance(each, IndexSpec))
    return {"bookings": TableSpec(name="bookings", columns=(ID, *columns), indexes=indexes)}


def test_it_is_said_alike_for_each_database() -> None:
    for model in (Booking, Offer, Shift):
        said = [TableSpec.of(model.__table__, each) for each in (SQLITE, POSTGRESQL)]
        assert said[0] == said[1]
    (spec,) = TableSpec.of(Booking.__table__, SQLITE).indexes
    assert repr(spec) == (
        'index("ex_bookings_room_during", ["room", "during"], exclude=["=", "&&"])'
    )


CHANGES: dict[str, tuple[Any, Any, list[type]]] = {
    "made with its table": ({}, table(ROOM, DURING, APART), []),
    "one that comes": (table(ROOM, DURING), table(ROOM, DURING, APART), [CreateIndex]),
    "one that goes": (table(ROOM, DURING, APART), table(ROOM, DURING), [DropIndex]),
    "one with a condition": (
        table(ROOM, DURING, APART),
        table(
            ROOM,
            DURING,
            index("apart", ["room", "during"], exclude=["=", "&&"], where="room > 1"),
        ),
        [DropIndex, CreateIndex],
    ),
    "a column beside it": (
        table(ROOM, DURING, APART),
        table(ROOM, DURING, column("note", "text", nullable=True), APART),
        [AddColumn],
    ),
    "its column goes": (table(ROOM, DURING, APART), table(ROOM), []),
    "the table is made anew": (
        table(ROOM, DURING, APART),
        table(column("room", "integer"), DURING, APART),
        [],
    ),
    "another name": (
        table(ROOM, DURING, APART),
        table(ROOM, DURING, index("other", ["room", "during"], exclude=["=", "&&"])),
        [],
    ),
    "a column of another name": (
        table(ROOM, DURING, APART),
        table(
            column("place", "integer", nullable=True),
            DURING,
            index("apart", ["place", "during"], exclude=["=", "&&"]),
        ),
        [],
    ),
    "a table of another name": (
        table(ROOM, DURING, APART),
        {"stays": replace(table(ROOM, DURING, APART)["bookings"], name="stays")},
        [RenameTable],
    ),
    "gone with its table": (table(ROOM, DURING, APART), {}, []),
}


RENAMES = {
    "a column of another name": {"bookings.room": "place"},
    "a table of another name": {"bookings": "stays"},
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change(db: Database, tmp_path: Path, name: str) -> None:
    before, after, steps = CHANGES[name]
    renames = RENAMES.get(name, {})
    forth = await tried(db, tmp_path, before, after, answers(renames, fills={"bookings.room": 1}))
    assert [type(each) for each in forth] == steps or not steps


async def test_it_holds_after_migrations_and_goes_with_them(db: Database, tmp_path: Path) -> None:
    parts = ", ".join(map(repr, ("bookings", ID, ROOM, DURING)))
    history = write_history(
        tmp_path / "migrations",
        ("bookings", f"op.create_table({parts})", 'op.drop_table("bookings")'),
        (
            "apart",
            'op.create_index("apart", "bookings", ["room", "during"], exclude=["=", "&&"])',
            'op.drop_index("apart", "bookings")',
        ),
        (
            "anew",  # SQLite makes the table anew for it
            'op.change_column("bookings", column("room", "integer"), fill=1)',
            'op.change_column("bookings", column("room", "integer", nullable=True))',
        ),
    )
    migrator = Migrator(db, history)
    await migrator.up(to="0001")
    await Booking.create_many([Booking(room=1, during=hours(0, each)) for each in (1, 2)])
    with pytest.raises(MigrationFailedError):
        await migrator.up(to="0002")
    assert await Booking.query().count() == 2
    await Booking.where(Booking.id == 2).delete()
    await migrator.up()
    assert await migrator.drift() == []
    with pytest.raises(ExclusionError):
        await Booking(room=1, during=hours(0, 1)).save()
    await migrator.down(to="0001")
    await Booking(room=1, during=hours(0, 1)).save()
    assert await migrator.drift() == []


async def test_drift_sees_one_that_is_missing_or_other(db: Database, tmp_path: Path) -> None:
    from oxidite.db.migrations.difference import difference

    change = difference({}, table(ROOM, DURING, APART), answers())
    write_migration(History.load(tmp_path), change, "bookings")
    migrator = Migrator(db, History.load(tmp_path))
    await migrator.up()
    assert await migrator.drift() == []
    if db.dialect.name == "sqlite":
        await fetch(db, "DROP TRIGGER ox_exclude_apart_changed")
        assert await migrator.drift() == ["the index apart of bookings is missing"]
        return
    await fetch(db, "ALTER TABLE bookings DROP CONSTRAINT apart")
    missing = "the exclusion constraint apart of bookings is missing, or another one"
    assert await migrator.drift() == [missing]
    add = "ALTER TABLE bookings ADD CONSTRAINT"
    await fetch(db, f"{add} apart EXCLUDE USING gist (during WITH &&)")
    assert await migrator.drift() == [missing]
    await fetch(db, f"{add} more EXCLUDE USING gist (during WITH &&)")
    assert "there is an exclusion constraint more of bookings" in await migrator.drift()


async def test_a_push_makes_it_once(db: Database) -> None:
    pushed = await push_tables(db, [Booking.__table__, Offer.__table__])
    assert (len(pushed.made), pushed.left) == (2, ())
    again = await push_tables(db, [Booking.__table__, Offer.__table__])
    assert (again.made, again.left) == ((), ())
    await db.push(Booking, Offer)
    await Booking(room=1, during=hours(0, 1)).save()
    with pytest.raises(ExclusionError):
        await Booking(room=1, during=hours(0, 1)).save()


async def test_it_is_read_back(db: Database, tmp_path: Path) -> None:
    await db.push(Booking, Offer, Shift)
    text = await inspected(db)
    assert 'exclude(room="=", during="&&", name="ex_bookings_room_during")' in text
    assert '{"name": "=", "days": "&&"}' in text
    schema = schema_of(tables_in(imported(text, tmp_path)), db.dialect)
    for model in (Booking, Offer, Shift):
        (found,) = schema[model.__table__.name].indexes
        (wanted,) = TableSpec.of(model.__table__, db.dialect).indexes
        assert (found.name, found.on, found.exclude) == (wanted.name, wanted.on, wanted.exclude)
        assert (found.where is None) is (wanted.where is None)
    async with db.driver.connection(write=True) as connection:
        assert await differences(connection, db.dialect, schema) == []


async def test_lint_knows_that_it_locks(tmp_path: Path) -> None:
    parts = ", ".join(map(repr, ("bookings", ID, ROOM, DURING)))
    history = write_history(
        tmp_path / "migrations",
        ("bookings", f"op.create_table({parts})", 'op.drop_table("bookings")'),
        (
            "apart",
            'op.create_index("apart", "bookings", ["room", "during"], exclude=["=", "&&"])',
            'op.drop_index("apart", "bookings")',
        ),
    )
    _, second = history.entries
    before = table(ROOM, DURING)
    (found,) = lint(second, before, {}, "postgresql")
    assert (found.rule, found.severity) == ("exclusion-scans", "warning")
    assert lint(second, before, {}, "sqlite") == []


@pytest.mark.service("postgres")
async def test_the_extension_is_made_and_who_may_not_is_told_what_to_do() -> None:
    role, name = f"test_{uuid4().hex}", f"test_{uuid4().hex}"
    url = POSTGRES.rpartition("/")[0] + f"/{name}"
    async with Database.from_url(POSTGRES, name="server") as server:
        await fetch(server, f"CREATE DATABASE {name}")
        await fetch(server, f"CREATE ROLE {role} LOGIN")
        try:
            async with Database.from_url(url) as db:
                await fetch(db, f"GRANT ALL ON SCHEMA public TO {role}")
                theirs = Database.from_url(url.replace("postgres@", f"{role}@"), name="other")
                async with theirs:
                    with pytest.raises(MigrationFailedError, match="CREATE EXTENSION btree_gist"):
                        await push_tables(theirs, [Booking.__table__])
                    await push_tables(theirs, [Offer.__table__])  # of ranges alone
                await push_tables(db, [Booking.__table__])
        finally:
            await fetch(server, f"DROP DATABASE {name} WITH (FORCE)")
            await fetch(server, f"DROP ROLE {role}")
