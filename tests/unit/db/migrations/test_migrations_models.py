"""Everything that a model can say is in its migration, and what `push` makes is what a history makes."""

from __future__ import annotations

import enum
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from tests.unit.db.conftest import KINDS, database_url

from oxidite.config import Secret
from oxidite.db import (
    SQL,
    Cast,
    CheckError,
    Col,
    Database,
    Keys,
    Model,
    ModelError,
    SoftDeletes,
    check,
    col,
    index,
    ulid,
)
from oxidite.db.migrations import (
    ColumnSpec,
    IndexSpec,
    MigrationFailedError,
    Migrator,
    Schema,
    TableSpec,
    column,
)
from oxidite.db.migrations import check as check_spec
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.difference import difference
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.push import push_tables
from oxidite.db.migrations.writing import write_migration
from oxidite.db.sql.mentions import mentions, renamed
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import POSTGRESQL

from .support import answers, tried, write_history

keys = Keys("0123456789abcdef0123456789abcdef")


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "it's bad"


class Point:
    def __init__(self, text: str) -> None:
        self.text = text


points: Cast[Point, str] = Cast(Point, str, lambda value: value.text, Point)


class Owner(Model, table="owners"):
    code: Col[str] = col(pk=True, max_length=26, default_factory=ulid)
    name: Col[str] = col(comment="as it's written")


class Wrapped(Model, table="wrapped"):
    id: Col[int] = col(pk=True, init=False)
    place: Col[Point] = col(cast=points, max_length=40)
    token: Col[Secret[str]] = col(max_length=50)
    kind: Col[Secret[Literal["a", "b"]]]
    sealed: Col[str] = col(encrypted=keys, max_length=10)
    mail: Col[str] = col(encrypted=keys, searchable=True, unique=True)
    phone: Col[str | None] = col(encrypted=keys, searchable=True, default=None)


class Numbered(Model, table="numbered"):
    id: Col[int] = col(pk=True, init=False, bits=32)
    size: Col[Size]
    level: Col[Literal[1, 2, 3]] = col(bits=16, default=1)
    amount: Col[int | None] = col(bits=32, default=None)


class Moody(Model, table="moody"):
    id: Col[int] = col(pk=True, init=False)
    mood: Col[Mood] = col(native=True)
    other: Col[Mood | None] = col(native=True, default=None, index=True)


class Computed(Model, table="computed"):
    id: Col[int] = col(pk=True, init=False)
    total: Col[int | None] = col(computed="price * amount", init=False, index=True)
    price: Col[int]
    amount: Col[int]


class Ruled(
    Model,
    table="ruled",
    checks=[
        check(lambda one: one.leaves > one.comes, name="in_order"),
        check("guests < 10 OR name = 'it''s large'", name="guests"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    comes: Col[date]
    leaves: Col[date] = col(gt=date(2000, 1, 1), check=True)
    made: Col[datetime] = col(ge=datetime(2000, 1, 1, tzinfo=UTC), check=True)
    takes: Col[timedelta] = col(le=timedelta(hours=1.5), check=True)
    price: Col[Decimal] = col(precision=9, scale=2, ge=Decimal("0.10"), check=True)
    guests: Col[int]
    name: Col[str] = col(max_length=20, check=True)


class Owned(Model, table="owned"):
    id: Col[int] = col(pk=True, init=False)
    owner: Col[str] = col(
        references=Owner.code, max_length=26, on_delete="cascade", on_key_update="cascade"
    )
    called: Col[str] = col(name="name", comment="of the owned", unique=True, max_length=80)


class Gone(
    Model,
    SoftDeletes,
    table="gone",
    indexes=[index("name", where=lambda one: one.state == "on", unique=True, name="uq_on")],
):
    id: Col[int] = col(pk=True, init=False)
    state: Col[Literal["on", "off"]]
    name: Col[str] = col(unique=True, max_length=50)


class Indexed(
    Model,
    table="indexed",
    indexes=[
        index(lambda one: one.name.lower(), name="ix_lower"),
        index(SQL("upper(name)", type="text"), name="ix_upper"),
        index(lambda one: one.name.length(), "email", name="ix_length"),
        index(lambda one: one.size + 1, name="ix_next"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(max_length=60)
    email: Col[str] = col(unique=True, ignore_case=True)
    size: Col[int]


class Dated(
    Model,
    table="dated",
    checks=[
        check(lambda one: one.at >= datetime(2026, 1, 1, tzinfo=UTC), name="begins"),
        check(lambda one: one.takes <= timedelta(days=1), name="is_short"),
        check(lambda one: one.key != UUID(int=7), name="is_known"),
        check("note <> ' :x'", name="colon"),
    ],
    indexes=[
        index("note", where=lambda one: one.at > datetime(2026, 2, 1, tzinfo=UTC), name="ix_late"),
        index("note", where=lambda one: one.price > Decimal("1.5"), unique=True, name="uq_dear"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    at: Col[datetime]
    takes: Col[timedelta]
    key: Col[UUID]
    price: Col[Decimal] = col(precision=9, scale=2)
    note: Col[str] = col(max_length=20)


class Tagged(Model, table="tagged", indexes=[index("tags", using="gin", name="ix_tags")]):
    id: Col[int] = col(pk=True, init=False)
    tags: Col[list[str]] = col(array=True)
    sizes: Col[list[Size]] = col(array=True)


EVERYWHERE = (Owner, Wrapped, Numbered, Moody, Computed, Ruled, Owned, Gone, Indexed, Dated)


def tables_for(db: Database) -> list[Table]:
    """Return the tables of the models that a database can have."""
    found: list[Table] = [each.__table__ for each in EVERYWHERE]
    if db.dialect.arrays:
        found.append(Tagged.__table__)
    return found


CATALOGS = {
    "sqlite": ("SELECT type, name, sql FROM sqlite_master WHERE tbl_name NOT LIKE 'oxidite%'",),
    "postgresql": (
        (
            "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
            "a.attgenerated::text, a.attidentity::text, pg_get_expr(d.adbin, d.adrelid), "
            "col_description(c.oid, a.attnum) "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d "
            "ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relnamespace = "
            "current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped "
            "AND c.relname NOT LIKE 'oxidite%'"
        ),
        (
            "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = current_schema()::regnamespace AND conrelid::regclass::text NOT LIKE "
            "'%oxidite%'"
        ),
        (
            "SELECT indexname::text, replace(indexdef, current_schema(), '') FROM pg_indexes "
            "WHERE schemaname = current_schema() AND tablename NOT LIKE 'oxidite%'"
        ),
        (
            "SELECT t.typname::text, e.enumlabel::text, e.enumsortorder::float8 FROM pg_enum e JOIN "
            "pg_type t ON t.oid = e.enumtypid WHERE t.typnamespace = current_schema()::regnamespace"
        ),
    ),
}


async def catalog(db: Database) -> list[str]:
    """Return what a database says of its schema, in its own words."""
    async with db.driver.connection(write=True) as connection:
        if db.dialect.name in CATALOGS:
            found = [
                tuple(row)
                for sql in CATALOGS[db.dialect.name]
                for row in await connection.fetch(sql, ())
            ]
        else:
            names = await connection.fetch("SHOW TABLES", ())
            found = [
                tuple((await connection.fetch(f"SHOW CREATE TABLE {name}", ()))[0])
                for (name,) in names
                if name != "oxidite_migrations"
            ]
    # The order of what a table consists of is no difference.
    texts = (" ".join(map(str, row)).replace("IF NOT EXISTS ", "") for row in found)
    return sorted(" ".join(sorted(each.replace(",", " ").split())) for each in texts)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_pushed_is_what_a_history_makes(kind: str, tmp_path: Path) -> None:
    made: list[list[str]] = []
    for way in ("push", "push_tables", "history"):
        async with database_url(kind, tmp_path) as url, Database.from_url(url) as db:
            tables = tables_for(db)
            schema = schema_of(tables, db.dialect)
            if way == "push":
                await db.push(*[each.model for each in tables])
            elif way == "push_tables":
                assert (await push_tables(db, tables)).left == ()
                assert (await push_tables(db, tables)).made == ()
            else:
                folder = tmp_path / "migrations"
                history = write_history(folder)
                write_migration(history, difference({}, schema, answers()), "all")
                history = history.load(folder)
                assert not difference(history.schema(), schema, answers())
                migrator = Migrator(db, history)
                await migrator.up()
                assert await migrator.drift() == []
            async with db.driver.connection(write=True) as connection:
                assert await differences(connection, db.dialect, schema, others=False) == []
            made.append(await catalog(db))

    assert made[0] == made[1] == made[2]
    assert len(made[0]) >= len(EVERYWHERE)


def one(name: str, *columns: ColumnSpec, checks: tuple[tuple[str, str], ...] = ()) -> Schema:
    key = column("id", "integer", primary_key=True, generated=True)
    made = tuple(check_spec(each, sql) for each, sql in checks)
    return {name: TableSpec(name=name, columns=(key, *columns), checks=made)}


def with_index(schema: Schema, on: str | SQL, where: str | None) -> Schema:
    made = IndexSpec(name="uq_some", on=(on,), unique=True, where=where)
    return {name: replace(each, indexes=(made,)) for name, each in schema.items()}


INT = column("a", "integer")
TWICE = column("twice", "integer", nullable=True, computed="a * 2")
STATE = column("state", "enum", values=("on", "off"), native=True)


CHANGES: dict[str, tuple[Schema, Schema, dict[str, str]]] = {
    "a check is added": (one("t", INT), one("t", INT, checks=(("few", "a < 9"),)), {}),
    "a check is another one": (
        one("t", INT, checks=(("few", "a < 9"),)),
        one("t", INT, checks=(("few", "a < 99"),)),
        {},
    ),
    "a check goes with its column": (
        one("t", INT, column("b", "integer"), checks=(("few", "a < b"),)),
        one("t", INT),
        {},
    ),
    "a check goes with a renamed column": (
        one("t", INT, checks=(("few", "a < 9"),)),
        one("t", replace(INT, name="b"), checks=(("few", "b < 9"),)),
        {"t.a": "b"},
    ),
    "a check goes with a renamed table": (
        one("t", INT, checks=(("few", "a < 9"),)),
        one("u", INT, checks=(("few", "a < 9"),)),
        {"t": "u"},
    ),
    "a computed column is added": (one("t", INT), one("t", INT, TWICE), {}),
    "a computed column is another one": (
        one("t", INT, TWICE),
        one("t", INT, replace(TWICE, computed="a * 3")),
        {},
    ),
    "what a computed column is made of is renamed": (
        one("t", INT, TWICE),
        one("t", replace(INT, name="b"), replace(TWICE, computed="b * 2")),
        {"t.a": "b"},
    ),
    "what a computed column is made of changes its type": (
        one("t", replace(INT, bits=32), TWICE),
        one("t", INT, TWICE),
        {},
    ),
    "what a computed column is made of is gone": (
        one("t", INT, column("b", "integer"), TWICE),
        one("t", column("b", "integer"), replace(TWICE, computed="b * 2")),
        {},
    ),
    "a required computed column is added": (
        one("t", INT),
        one("t", INT, replace(TWICE, nullable=False)),
        {},
    ),
    "the condition of a unique index goes with a renamed column": (
        with_index(one("t", INT, column("b", "integer")), "b", "a > 1"),
        with_index(one("t", replace(INT, name="c"), column("b", "integer")), "b", "c > 1"),
        {"t.a": "c"},
    ),
    "an index of some rows goes with a column": (
        with_index(one("t", INT, column("b", "integer")), "b", "a > 1"),
        with_index(one("t", column("b", "integer")), "b", "b > 1"),
        {},
    ),
    "an index over an expression goes with a renamed column": (
        with_index(one("t", INT), SQL("(a * 2)", type="integer"), None),
        with_index(one("t", replace(INT, name="c")), SQL("(c * 2)", type="integer"), None),
        {"t.a": "c"},
    ),
    "an index over an expression is another one": (
        with_index(one("t", INT), SQL("(a * 2)", type="integer"), None),
        with_index(one("t", INT), SQL("(a * 3)", type="integer"), None),
        {},
    ),
    "a column is computed no more": (
        one("t", INT, TWICE),
        one("t", INT, replace(TWICE, computed=None)),
        {},
    ),
    "a column is computed now": (
        one("t", INT, replace(TWICE, computed=None)),
        one("t", INT, TWICE),
        {},
    ),
    "a native enum is added": (one("t", INT), one("t", INT, STATE), {}),
    "a native enum is dropped": (one("t", INT, STATE), one("t", INT), {}),
    "a native enum has more values": (
        one("t", STATE),
        one("t", replace(STATE, values=("none", "on", "half", "off", "it's all"))),
        {},
    ),
    "a native enum has other values": (
        one("t", STATE),
        one("t", replace(STATE, values=("off", "on", "half"))),
        {},
    ),
    "a native enum is none any more": (
        one("t", STATE),
        one("t", replace(STATE, native=False)),
        {},
    ),
    "an enum is native now": (one("t", replace(STATE, native=False)), one("t", STATE), {}),
    "a native enum is renamed": (
        one("t", STATE),
        one("t", replace(STATE, name="mode")),
        {"t.state": "mode"},
    ),
    "the table of a native enum is renamed": (one("t", STATE), one("u", STATE), {"t": "u"}),
    "the table of a native enum is dropped": (one("t", STATE), {}, {}),
    "a number has other values": (
        one("t", replace(INT, values=(1, 2))),
        one("t", replace(INT, values=(1, 2, 3))),
        {},
    ),
    "a number is larger": (one("t", replace(INT, bits=16)), one("t", INT), {}),
    "a key is changed with what it refers to": (
        one("t", column("t_id", "integer", nullable=True, references="t.id")),
        one(
            "t",
            column("t_id", "integer", nullable=True, references="t.id", on_key_update="no action"),
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_of_what_models_say(db: Database, tmp_path: Path, name: str) -> None:
    old, new, renames = CHANGES[name]

    await tried(db, tmp_path, old, new, answers(renames, {"t.state": "on", "t.a": 1, "t.b": 1}))


async def migrated(db: Database, folder: Path, old: Schema, new: Schema, *rows: str) -> Migrator:
    """Make ``old``, put rows in, and make ``new`` of it."""
    history = write_history(folder)
    write_migration(history, difference({}, old, answers()), "old")
    migrator = Migrator(db, history.load(folder))
    await migrator.up()
    for sql in rows:
        await run(db, sql)
    write_migration(history.load(folder), difference(old, new, answers()), "new")
    migrator = Migrator(db, history.load(folder))
    await migrator.up()
    return migrator


async def run(db: Database, sql: str) -> list[tuple[Any, ...]]:
    async with db.driver.connection(write=True) as connection:
        return [tuple(row) for row in await connection.fetch(sql, ())]


async def test_computed_values_are_made_for_the_rows_that_are_there(
    db: Database, tmp_path: Path
) -> None:
    rows = "INSERT INTO t (id, a) VALUES (1, 4), (2, 5)"
    wanted = one("t", INT, TWICE, column("b", "text", nullable=True), checks=(("odd", "a <> 6"),))

    migrator = await migrated(db, tmp_path, one("t", INT, TWICE), wanted, rows)
    assert await run(db, "SELECT id, twice FROM t ORDER BY id") == [(1, 8), (2, 10)]
    with pytest.raises(CheckError):
        await run(db, "INSERT INTO t (id, a) VALUES (3, 6)")
    await migrator.down()

    assert await run(db, "SELECT id, twice FROM t ORDER BY id") == [(1, 8), (2, 10)]
    await run(db, "INSERT INTO t (id, a) VALUES (3, 6)")


async def test_a_check_that_rows_break_is_not_added(db: Database, tmp_path: Path) -> None:
    wanted = one("t", INT, checks=(("few", "a < 5"),))
    with pytest.raises(MigrationFailedError, match="ck_t_few"):
        await migrated(db, tmp_path, one("t", INT), wanted, "INSERT INTO t (id, a) VALUES (1, 5)")

    assert await run(db, "SELECT a FROM t") == [(5,)]


async def test_rows_keep_their_values_when_a_native_enum_changes(
    db: Database, tmp_path: Path
) -> None:
    more = replace(STATE, values=("half", "off", "on"))
    rows = "INSERT INTO t (id, state) VALUES (1, 'on'), (2, 'off')"

    migrator = await migrated(db, tmp_path, one("t", STATE), one("t", more), rows)
    await run(db, "UPDATE t SET state = 'half' WHERE id = 1")
    with pytest.raises(MigrationFailedError):
        await migrator.down()
    await run(db, "UPDATE t SET state = 'on' WHERE id = 1")
    await migrator.down()

    assert await run(db, "SELECT id, CAST(state AS CHAR(3)) FROM t ORDER BY id") == [
        (1, "on "[: 3 if db.dialect.name == "postgresql" else 2]),
        (2, "off"),
    ]


@pytest.mark.only_on("postgresql")  # only it has types of enums
async def test_a_type_that_is_another_one_is_drift(db: Database, tmp_path: Path) -> None:
    migrator = await migrated(db, tmp_path, {}, one("t", STATE))
    assert await migrator.drift() == []

    await run(db, "ALTER TYPE t_state ADD VALUE 'half'")

    assert await migrator.drift() == [
        "the type t_state has the values on, off, half, and should have on, off"
    ]


async def test_tables_of_the_package_are_no_drift(db: Database, tmp_path: Path) -> None:
    migrator = await migrated(db, tmp_path, {}, one("t", INT))
    await run(db, "CREATE TABLE ox_outbox (id INTEGER)")

    assert await migrator.drift() == []


class Lost(Model, table="lost"):
    id: Col[int] = col(pk=True, init=False)
    owner: Col[str] = col(references=Owner.code, max_length=26)


async def test_a_table_that_is_referred_to_has_to_be_given(db: Database) -> None:
    message = r"lost\.owner>? refers to (the table )?'?owners'?, which is not among"
    with pytest.raises(ModelError, match=message):
        await db.push(Lost)
    with pytest.raises(ModelError, match=message):
        await push_tables(db, [Lost.__table__])
    with pytest.raises(ModelError, match=message):
        schema_of([Lost.__table__], POSTGRESQL)


def test_two_checks_of_one_name_are_refused() -> None:
    class Thing(Model, table="things", checks=[check("a > 1", name="a"), check("a < 9", name="a")]):
        id: Col[int] = col(pk=True, init=False)
        a: Col[int]

    with pytest.raises(ModelError, match="two checks are called 'a'"):
        TableSpec.of(Thing.__table__, POSTGRESQL)


def test_a_bound_that_is_no_such_value_is_refused() -> None:
    made = one("t", column("day", "date", check={"ge": "soon"}))["t"]

    with pytest.raises(ModelError, match=r"'day' of the type 'date' has the check ge='soon'"):
        made.table()


@pytest.mark.parametrize(
    ("sql", "after"),
    [
        ("a > 1 AND ab > 2", "c > 1 AND ab > 2"),
        ("note = 'a' OR a = 'it''s a'", "note = 'a' OR c = 'it''s a'"),
        ('"a" > 1', '"c" > 1'),
        ("lower(a)", "lower(c)"),
    ],
)
def test_sql_goes_with_a_renamed_column(sql: str, after: str) -> None:
    assert renamed(sql, "a", "c") == after
    assert mentions(sql, "a")
    assert not mentions(after, "a")
