"""A migration made of what changed in models: tried on each database, forth and back."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxidite.db import (
    SQL,
    Col,
    Database,
    Model,
    ModelError,
    SoftDeletes,
    Timestamps,
    col,
    index,
)
from oxidite.db.migrations import (
    NOW,
    ColumnSpec,
    Fill,
    History,
    IndexSpec,
    MigrationError,
    QuestionError,
    TableSpec,
    column,
)
from oxidite.db.migrations.difference import Answers, Change, difference
from oxidite.db.migrations.migrator import Migrator
from oxidite.db.migrations.models import fills_of, renames_of, schema_of
from oxidite.db.migrations.operations import (
    AddColumn,
    ChangeColumn,
    DropColumn,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.shadow import verify
from oxidite.db.migrations.writing import describe, write_migration
from oxidite.db.values.dialects import POSTGRESQL

from .support import answers, same, tried


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Address(Model, abstract=True):
    pass


class User(Model, Timestamps, table="users"):
    id: Col[int] = col(pk=True, init=False)
    email: Col[str] = col(unique=True, max_length=254)


class Everything(
    Model,
    SoftDeletes,
    table="everything",
    indexes=[index("day", "at", name="by_day"), index(SQL("lower(slug)"), name="by_slug")],
):
    id: Col[int] = col(pk=True, init=False)
    user_id: Col[int] = col(references=User.id, on_delete="cascade", index=True)
    parent_id: Col[int | None] = col(default=None, references="everything.id")
    slug: Col[str] = col(unique=True, min_length=2, max_length=80, check=True)
    text: Col[str] = col(comment="it's long")
    age: Col[int] = col(ge=0, lt=200, check=True, default=3)
    mood: Col[Mood] = col(default=Mood.GOOD)
    state: Col[Literal["on", "off"]] = col(default="on")
    ratio: Col[float] = col(default=0.5)
    price: Col[Decimal] = col(precision=12, scale=3, default=Decimal("1.5"))
    data: Col[bytes]
    key: Col[UUID]
    day: Col[date]
    at: Col[time]
    lasted: Col[timedelta]
    is_good: Col[bool] = col(default=False)
    extra: Col[dict[str, int]] = col(json=True, default_factory=dict)
    tags: Col[list[str]] = col(array=True, default_factory=list)


USERS = TableSpec.of(User.__table__, POSTGRESQL)
ID = column("id", "integer", primary_key=True, generated=True)


def table(name: str, *parts: ColumnSpec | IndexSpec) -> dict[str, TableSpec]:
    return {
        name: TableSpec(
            name=name,
            columns=(ID, *(each for each in parts if isinstance(each, ColumnSpec))),
            indexes=tuple(each for each in parts if isinstance(each, IndexSpec)),
        )
    }


def kinds(change: Change) -> list[type[Operation]]:
    return [type(each) for each in change.forth]


EVERYTHING = TableSpec.of(Everything.__table__, POSTGRESQL)


async def test_every_kind_of_column_and_index(db: Database, tmp_path: Path) -> None:
    models = {"users": USERS, "everything": EVERYTHING}
    await tried(db, tmp_path, {"users": USERS}, models, answers())


async def test_every_kind_of_column_is_added_to_a_table_with_rows(
    db: Database, tmp_path: Path
) -> None:
    wanted = EVERYTHING
    small = {"users": USERS, "everything": replace(wanted, columns=(ID,), indexes=())}
    fills: dict[str, Fill] = {
        **fills_of([Everything.__table__]),
        "everything.user_id": 1,
        "everything.slug": "it's",
        "everything.text": "a\\b",
        "everything.data": "x'",
        "everything.key": "0" * 32,
        "everything.day": "2026-01-31",
        "everything.at": "10:00:00.000000",
        "everything.lasted": 5,
        "everything.tags": '["it\'s", "a,b", "\\"c\\""]',
    }
    change = difference(small, {"users": USERS, "everything": wanted}, answers(fills=fills))
    write_migration(History.load(tmp_path), difference({}, small, answers()), "small")
    await Migrator(db, History.load(tmp_path)).up()
    async with db.driver.connection(write=True) as connection:
        await connection.run(
            "INSERT INTO users (id, email, created_at, updated_at) "
            "VALUES (1, 'a', '2026-01-01', '2026-01-01')",
            (),
        )
        await connection.run("INSERT INTO everything (id) VALUES (1)", ())
    write_migration(History.load(tmp_path), change, "all of it")

    migrator = Migrator(db, History.load(tmp_path))
    await migrator.up()

    assert await migrator.drift() == []
    found = await Everything.get(1)
    assert (found.slug, found.text, found.age) == ("it's", "a\\b", 3)
    assert (found.mood, found.is_good, found.price) == (Mood.GOOD, False, Decimal("1.5"))
    assert (found.day, found.at) == (date(2026, 1, 31), time(10))
    assert (found.data, found.key) == (b"x'", UUID(int=0))
    assert (found.extra, found.tags) == ({}, ["it's", "a,b", '"c"'])
    assert (found.ratio, found.lasted) == (0.5, timedelta(seconds=5))


CHANGES: dict[str, tuple[ColumnSpec, ColumnSpec]] = {
    "nullable": (column("a", "text"), column("a", "text", nullable=True)),
    "longer": (column("a", "text", max_length=5), column("a", "text", max_length=50)),
    "unlimited": (column("a", "text", max_length=5), column("a", "text")),
    "integer to text": (column("a", "integer"), column("a", "text")),
    "text to integer": (column("a", "text"), column("a", "integer")),
    "integer to float": (column("a", "integer"), column("a", "float")),
    "integer to decimal": (column("a", "integer"), column("a", "decimal", precision=9, scale=2)),
    "decimal": (
        column("a", "decimal", precision=9, scale=2),
        column("a", "decimal", precision=12, scale=4),
    ),
    "date to datetime": (column("a", "date"), column("a", "datetime")),
    "datetime to date": (column("a", "datetime"), column("a", "date")),
    "enum more": (
        column("a", "enum", values=("x", "y")),
        column("a", "enum", values=("x", "y", "longer")),
    ),
    "enum less": (column("a", "enum", values=("x", "y")), column("a", "enum", values=("x",))),
    "enum to text": (column("a", "enum", values=("x", "y")), column("a", "text")),
    "text to enum": (column("a", "text"), column("a", "enum", values=("x", "y"))),
    "check": (column("a", "integer"), column("a", "integer", check={"ge": 0, "lt": 9})),
    "other check": (
        column("a", "integer", check={"ge": 0}),
        column("a", "integer", check={"ge": 1}),
    ),
    "no check": (column("a", "integer", check={"ge": 0}), column("a", "integer")),
    "reference": (column("a", "integer"), column("a", "integer", references="users.id")),
    "on delete": (
        column("a", "integer", references="users.id"),
        column("a", "integer", references="users.id", on_delete="cascade"),
    ),
    "no reference": (column("a", "integer", references="users.id"), column("a", "integer")),
    "comment": (column("a", "text", comment="old"), column("a", "text", comment="it's new")),
    "no comment": (column("a", "text", comment="old"), column("a", "text")),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_changed_column(db: Database, tmp_path: Path, name: str) -> None:
    old, new = CHANGES[name]
    before = {"users": USERS, **table("things", old)}
    after = {"users": USERS, **table("things", new)}

    forth = await tried(db, tmp_path, before, after, answers(fills={"things.a": 0}))

    assert [type(each) for each in forth] == [ChangeColumn]


def indexed(name: str, *on: str, unique: bool = False, where: str | None = None) -> IndexSpec:
    return IndexSpec(name=name, on=on, unique=unique, where=where)


A, B = column("a", "integer", nullable=True), column("b", "text", max_length=9)


async def test_indexes_are_made_changed_renamed_and_dropped(db: Database, tmp_path: Path) -> None:
    before = table("t", A, B, indexed("one", "a"), indexed("two", "b"), indexed("three", "a", "b"))
    after = table(
        "t",
        A,
        B,
        indexed("uno", "a"),
        indexed("two", "b", unique=True),
        indexed("part", "b", where="a IS NOT NULL"),
        indexed("made", SQL("lower(b)")),
    )
    forth = await tried(db, tmp_path, before, after, answers())
    assert RenameIndex("t", "one", "uno") in forth


async def test_names_go_with_what_hangs_on_them(db: Database, tmp_path: Path) -> None:
    before = {
        **table("old", column("a", "integer", check={"ge": 0}), indexed("ix_old_a", "a")),
        **table("other", column("old_id", "integer", references="old.id")),
    }
    after = {
        **table("new", column("b", "integer", check={"ge": 0}), indexed("ix_new_b", "b")),
        **table("other", column("new_id", "integer", references="new.id")),
    }
    renames = {"old": "new", "new.a": "b", "other.old_id": "new_id"}

    forth = await tried(db, tmp_path, before, after, answers(renames))

    assert forth == (
        RenameTable("old", "new"),
        RenameColumn("new", "a", "b"),
        RenameColumn("other", "old_id", "new_id"),
        RenameIndex("new", "ix_old_a", "ix_new_b"),
    )


async def test_tables_that_refer_to_each_other(db: Database, tmp_path: Path) -> None:
    circle = {
        **table("a", column("b_id", "integer", nullable=True, references="b.id")),
        **table("b", column("a_id", "integer", nullable=True, references="a.id")),
        **table("c", column("c_id", "integer", nullable=True, references="c.id")),
    }
    await tried(db, tmp_path / "made", {"users": USERS}, {"users": USERS, **circle}, answers())


async def test_tables_that_referred_to_each_other_are_dropped(db: Database, tmp_path: Path) -> None:
    circle = {
        **table("a", column("b_id", "integer", nullable=True, references="b.id")),
        **table("b", column("a_id", "integer", nullable=True, references="a.id")),
    }
    await tried(db, tmp_path, circle, {}, answers())


async def test_a_history_that_lies_is_found_out(db: Database, tmp_path: Path) -> None:
    write_migration(History.load(tmp_path), difference({}, {"users": USERS}, answers()), "users")
    file = tmp_path / "0001_users.py"
    text = file.read_text()
    file.write_text(
        text.replace(
            "\n\n\n@migration.down",
            '\n    op.execute("ALTER TABLE users ADD COLUMN age INTEGER")\n\n\n@migration.down',
        )
    )
    history = History.load(tmp_path)
    assert len(history.entries[0].migration.forth()) == 2

    with pytest.raises(MigrationError, match=r"there is a column users\.age"):
        await verify(db, history, Change((), ()), {"users": USERS})


# Questions.


def test_what_is_gone_and_what_is_new_is_asked_about() -> None:
    old, new = table("t", column("name", "text")), table("t", column("full_name", "text"))
    with pytest.raises(QuestionError, match=r"t\.name is gone, and full_name is new.*--rename"):
        difference(old, new, Answers(fills={"t.full_name": ""}))

    dropped = difference(old, new, answers(fills={"t.full_name": ""}))
    assert kinds(dropped) == [AddColumn, DropColumn]
    renamed = difference(old, new, Answers(renames={"t.name": "full_name"}))
    assert renamed.forth == (RenameColumn("t", "name", "full_name"),)


def test_a_person_is_asked_once_for_each() -> None:
    asked: list[tuple[str, str, tuple[str, ...]]] = []

    class Person:
        def renamed(self, what: str, old: str, candidates: Sequence[str]) -> str | None:
            asked.append((what, old, tuple(candidates)))
            return candidates[0] if old == "t.a" else None

        def fill(self, column: str, type_: str) -> Fill:
            asked.append(("fill", column, (type_,)))
            return 5

    old = table("t", column("a", "text"), column("b", "text"), column("n", "integer"))
    new = table("t", column("c", "text"), column("d", "text", nullable=True), column("m", "float"))
    change = difference(old, new, Answers(ask=Person()))

    assert asked == [
        ("column", "t.a", ("c", "d")),
        ("column", "t.b", ("d",)),
        ("fill", "t.m", ("float",)),
    ]
    assert kinds(change) == [RenameColumn, AddColumn, AddColumn, DropColumn, DropColumn]


def test_a_required_column_needs_a_value_for_the_rows_that_are_there() -> None:
    with pytest.raises(QuestionError, match=r"--fill t\.a=VALUE"):
        difference(table("t"), table("t", column("a", "integer")), Answers())


def test_another_primary_key_is_refused() -> None:
    other = replace(ID, name="number")
    old, new = table("t"), {"t": TableSpec(name="t", columns=(other,))}
    with pytest.raises(MigrationError, match="primary key of t"):
        difference(old, new, answers(fills={"t.number": 0}))


def test_a_rename_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(MigrationError, match="cannot have become 'x'"):
        difference(table("t", A), table("t", B), answers({"t.a": "x"}, {"t.b": ""}))


def test_models_tell_their_former_names_and_defaults() -> None:
    class Thing(Model, table="t"):
        id: Col[int] = col(pk=True, init=False)
        full_name: Col[str] = col(renamed_from="name")
        mood: Col[Mood] = col(default=Mood.BAD)
        made: Col[datetime] = col(default_factory=lambda: datetime.now())  # noqa: DTZ005
        note: Col[str | None] = col(default=None)

    schema = table("t", column("name", "text"))
    assert renames_of([Thing.__table__], schema) == {"t.name": "full_name"}
    assert renames_of([Thing.__table__], schema_of([Thing.__table__], POSTGRESQL)) == {}
    assert fills_of([Thing.__table__]) == {"t.mood": "bad", "t.made": NOW}


def test_two_indexes_of_one_name_are_refused() -> None:
    class Thing(Model, table="t", indexes=[index("a", unique=False)]):
        id: Col[int] = col(pk=True, init=False)
        a: Col[int] = col(index=True)

    with pytest.raises(ModelError, match="two indexes are called 'ix_t_a'"):
        schema_of([Thing.__table__], POSTGRESQL)


def test_an_index_of_nothing_is_refused() -> None:
    class Thing(Model, table="t", indexes=[index("nothing")]):
        id: Col[int] = col(pk=True, init=False)

    with pytest.raises(
        ModelError, match=r"'nothing', which is none of its columns.*SQL\('nothing'\)"
    ):
        schema_of([Thing.__table__], POSTGRESQL)


def test_conditions_and_expressions_of_models_become_sql() -> None:
    class Thing(Model, SoftDeletes, table="t"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str]
        size: Col[int]

    Thing.__table__.indexes = [
        index(Thing.name.lower(), where=(Thing.size > 3) & Thing.name.startswith("o'%")),
        index("name", unique=True),
    ]
    first, second = TableSpec.of(Thing.__table__, POSTGRESQL).indexes
    assert first.on == (SQL("lower(name)"),)
    assert first.where == r"size > 3 AND name LIKE 'o''\%%' ESCAPE '\'"
    assert (second.where, second.name) == ("deleted_at IS NULL", "uq_t_name")


def test_long_names_are_cut_in_one_way() -> None:
    class Thing(Model, table="t" * 40):
        id: Col[int] = col(pk=True, init=False)
        a_very_long_name_of_a_column: Col[int] = col(index=True)

    (made,) = TableSpec.of(Thing.__table__, POSTGRESQL).indexes
    assert len(made.name) == 63
    assert made.name == TableSpec.of(Thing.__table__, POSTGRESQL).indexes[0].name


# Any two schemas.

NAMES = st.sampled_from(["a", "b", "c", "d"])
COLUMNS = st.builds(
    lambda name, type_, nullable, check: column(
        name,
        type_,
        nullable=nullable,
        values=("x", "y") if type_ == "enum" else (),
        check={"ge": 1} if check and type_ == "integer" else None,
    ),
    NAMES,
    st.sampled_from(["integer", "text", "boolean", "datetime", "enum", "json"]),
    st.booleans(),
    st.booleans(),
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    made: dict[str, TableSpec] = {}
    for name in draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True)):
        columns = {each.name: each for each in draw(st.lists(COLUMNS, max_size=4))}
        others = [each for each in made if draw(st.booleans())]
        keys = [
            column(f"{other}_id", "integer", nullable=True, references=f"{other}.id")
            for other in others
        ]
        indexes = {
            f"ix_{name}_{each}": indexed(f"ix_{name}_{each}", each)
            for each in columns
            if draw(st.booleans())
        }
        made |= table(name, *columns.values(), *keys, *indexes.values())
    return made


FILLS: dict[str, Fill] = {
    f"{table_}.{name}": 0 for table_ in ("one", "two", "three") for name in "abcd"
}


@given(schemas(), schemas())
@settings(max_examples=60, deadline=None)
def test_the_difference_of_two_schemas_leads_from_one_to_the_other_and_back(
    old: Schema, new: Schema
) -> None:
    change = difference(old, new, answers(fills=FILLS))
    schema = old
    for each in change.forth:
        assert describe(each)[:2] in ("+ ", "- ", "~ ")
        schema = each.after(schema)
    assert same(schema, new)
    for each in change.back:
        schema = each.after(schema)
    assert same(schema, old)
    assert not difference(new, new, Answers()).forth
