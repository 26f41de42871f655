"""Names that SQL takes for words, that are long, or called as functions are; text with quotes in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oxidite.db import SQL, Col, Database, Model, SoftDeletes, check, col, index
from oxidite.db.migrations import Migrator, TableSpec, column
from oxidite.db.migrations import check as check_spec
from oxidite.db.migrations import index as index_spec
from oxidite.db.migrations.difference import difference
from oxidite.db.migrations.history import History
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.operations import RenameColumn, Schema
from oxidite.db.migrations.shadow import verify
from oxidite.db.migrations.writing import write_migration
from oxidite.db.sql.mentions import mentions, renamed

from .support import answers, fetch, tried

pytestmark = pytest.mark.anyio

ID = column("id", "integer", primary_key=True, generated=True)


def of_column(name: str, *, quoted: bool) -> Schema:
    """A table that speaks of a column wherever SQL can."""
    here = f'"{name}"' if quoted else name
    return {
        "t": TableSpec(
            name="t",
            columns=(
                ID,
                column(name, "integer"),
                column("n", "text", max_length=20),
                column("twice", "integer", nullable=True, computed=f"{here} * 2"),
            ),
            indexes=(
                index_spec("ix_part", ["n"], unique=True, where=f"{here} > 1"),
                index_spec("ix_sum", [SQL(f"({here} + 1)", type="integer")]),
            ),
            checks=(check_spec("range", f"{here} > 0 AND {here} < 100"),),
        )
    }


@pytest.mark.parametrize(
    ("new", "quoted"),
    [("order", True), ("user", True), ("values", True), ("Name", True), ("rank", False)],
)
async def test_a_column_gets_the_name_of_a_word(
    db: Database, tmp_path: Path, new: str, quoted: bool
) -> None:
    old = of_column("a", quoted=False)
    done = await tried(
        db, tmp_path / "m", old, of_column(new, quoted=quoted), answers({"t.a": new})
    )
    assert done == (RenameColumn("t", "a", new),)


async def test_mariadb_reads_names_that_are_words_for_it_alone(
    db: Database, tmp_path: Path
) -> None:
    await tried(db, tmp_path / "m", {}, of_column("key", quoted=False), answers())


@pytest.mark.parametrize(
    ("sql", "there"),
    [
        ("size > 1", True),
        ('"size" > 1', True),
        ("`size` > 1", True),
        ("SIZE > 1", True),
        ('"SIZE" > 1', False),
        ("note = 'size'", False),
        ('note = "siz""e"', False),
        ("size(note) > 1", False),
        ("CAST(note AS size) > 1", False),
        ("note::size > 1", False),
        ("at > size '2026-01-01'", False),
        ("resize > 1 AND size2 > 1", False),
    ],
)
def test_what_sql_speaks_of(sql: str, there: bool) -> None:
    assert mentions(sql, "size") is there
    changed = renamed(sql, "size", "other")
    assert (changed != sql) is there
    assert mentions(changed, "other") is there


def test_a_new_name_is_in_quotes_where_it_has_to_be() -> None:
    assert renamed("a > 1", "a", "order") == '"order" > 1'
    assert renamed("`a` > 1", "a", "order") == "`order` > 1"
    assert renamed("a > 1", "a", "Mixed") == '"Mixed" > 1'
    assert renamed("lower(a) = 'a'", "a", "b") == "lower(b) = 'a'"


async def test_columns_that_are_called_as_functions_are(db: Database, tmp_path: Path) -> None:
    def table(name: str, other: str) -> Schema:
        rule = f"length({name}) < 9 AND lower({other}) <> 'length'"
        columns = (ID, column(name, "text", max_length=10), column(other, "text", max_length=9))
        return {"t": TableSpec(name="t", columns=columns, checks=(check_spec("rule", rule),))}

    for number, (new, names) in enumerate(
        (
            (table("lower", "size"), {"t.length": "size"}),
            (table("low", "length"), {"t.lower": "low"}),
        )
    ):
        old = table("lower", "length")
        done = await tried(db, tmp_path / str(number), old, new, answers(names))
        assert [type(each) for each in done] == [RenameColumn]


class Target(Model, table="group"):
    id: Col[int] = col(pk=True, init=False)
    order: Col[str] = col(max_length=30, unique=True, ignore_case=True)
    Select: Col[int] = col(ge=1, check=True)
    user: Col[int | None] = col(default=None, references="group.id")
    rank: Col[int] = col(default=0)
    Mixed: Col[str] = col(max_length=30, index=True, ignore_case=True)


class Reserved(
    Model,
    SoftDeletes,
    table="Order",
    indexes=[
        index("user", "Total", unique=True),
        index(lambda one: one.key.lower(), unique=True),
        index("Total", where=lambda one: one.Total > 3),
    ],
    checks=[check(lambda one: one.Total > one.rank, name="big")],
):
    id: Col[int] = col(pk=True, init=False)
    user: Col[int] = col(references=Target.id)
    Total: Col[int]
    rank: Col[int] = col(default=0)
    key: Col[str] = col(max_length=30)


async def test_models_whose_names_are_words(db: Database, tmp_path: Path) -> None:
    schema = schema_of([Target.__table__, Reserved.__table__], db.dialect)
    await tried(db, tmp_path / "made", {}, schema, answers())
    bare = {
        name: replace(
            each,
            columns=tuple(one for one in each.columns if one.name == "id"),
            indexes=(),
            checks=(),
        )
        for name, each in schema.items()
    }
    fills = {
        f"{name}.{one.name}": 1 if one.type_name == "integer" else "x"
        for name, each in schema.items()
        for one in each.columns
    }
    await tried(db, tmp_path / "added", bare, schema, answers(fills=fills))


LONG = f"t{'x' * 56}"


def long_table(name: str, *, nullable: bool = False) -> Schema:
    return {
        LONG: TableSpec(
            name=LONG,
            columns=(
                ID,
                column(name, "integer", nullable=nullable, check={"ge": 1}),
                column(f"r{'y' * 59}", "integer", nullable=True, references=f"{LONG}.id"),
                column(f"e{'y' * 59}", "enum", values=("a", "it's")),
            ),
            checks=(check_spec(f"c{'z' * 50}", f"{name} < 100"),),
        )
    }


async def test_constraints_with_long_names(db: Database, tmp_path: Path) -> None:
    name, other = "a" * 60, "b" * 60
    table = long_table(name)[LONG]
    fewer = {LONG: replace(table, columns=table.columns[:2], checks=())}
    await tried(db, tmp_path / "null", long_table(name), long_table(name, nullable=True), answers())
    await tried(db, tmp_path / "drop", long_table(name), fewer, answers())
    renames = answers({f"{LONG}.{name}": other})
    await tried(db, tmp_path / "rename", long_table(name), long_table(other), renames)


TEXT = 'it\'s "q" \\ % :x ?\n\t\U0001f600'


async def test_rows_that_are_there_are_filled_with_any_text(db: Database, tmp_path: Path) -> None:
    old = {"t": TableSpec(name="t", columns=(ID, column("n", "integer")))}
    rule = "'it''s :x % \\ \"q\"'"
    new = {
        "t": TableSpec(
            name="t",
            columns=(
                *old["t"].columns,
                column("s", "text", comment='it\'s "q" % :x ?'),
                column("e", "enum", values=("a", TEXT)),
            ),
            indexes=(index_spec("part", ["n"], unique=True, where=f"s <> {rule}"),),
            checks=(check_spec("c", f"s <> {rule}"),),
        )
    }
    folder = tmp_path / "m"
    folder.mkdir()
    write_migration(History.load(folder), difference({}, old, answers()), "first")
    await Migrator(db, History.load(folder)).up()
    await fetch(db, "INSERT INTO t (n) VALUES (5)")
    history = History.load(folder)
    fills = answers(fills={"t.s": TEXT, "t.e": TEXT})
    write_migration(history, difference(history.schema(), new, fills), "second")
    migrator = Migrator(db, History.load(folder))
    await migrator.up()
    assert await migrator.drift() == []
    assert await fetch(db, "SELECT s, e FROM t") == [(TEXT, TEXT)]
    await migrator.down(to="0")


@pytest.mark.parametrize("word", ["order", "key", "condition", "Mixed", "rank"])
async def test_a_column_that_is_called_as_a_word_keeps_its_indexes_and_checks(
    url: str, tmp_path: Path, word: str
) -> None:
    def models(name: str) -> type[Model]:
        values = {
            "__module__": __name__,
            "__qualname__": "Words",
            "__annotations__": {"id": Col[int], name: Col[str], "price": Col[int]},
            "id": col(pk=True, init=False),
            name: col(max_length=20, default=""),
            "price": col(default=0),
        }
        make: Any = type(Model)
        made: type[Model] = make(
            "Words",
            (Model,),
            values,
            table="words",
            indexes=[
                index(lambda one: getattr(one, name).lower(), name="ix_lower"),
                index("price", where=lambda one: getattr(one, name) != "x", name="ix_where"),
            ],
            checks=[check(lambda one: getattr(one, name) != "bad", name="good")],
        )
        return made

    async with Database.from_url(url) as db:
        dialect = db.dialect
        old = {"words": TableSpec.of(models("size").__table__, dialect)}
        new = {"words": TableSpec.of(models(word).__table__, dialect)}
        folder = tmp_path / "m"
        write_migration(History.load(folder), difference({}, old, answers()), "first")
        for name, wanted, renames in (
            ("second", new, {"words.size": word}),
            ("third", old, {f"words.{word}": "size"}),
        ):
            history = History.load(folder)
            change = difference(history.schema(), wanted, answers(renames))
            assert [type(each) for each in change.forth] == [RenameColumn]
            await verify(db, history, change, wanted)
            write_migration(history, change, name)
            assert not difference(History.load(folder).schema(), wanted, answers())
        migrator = Migrator(db, History.load(folder))
        await migrator.up()
        assert await migrator.drift() == []
        await migrator.down(to="0")
