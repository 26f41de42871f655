"""Columns and indexes of vectors come and go with migrations."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.unit.db.conftest import KINDS, vectors_server, vectors_url

from oxidite.db import SQL, Col, Database, Model, Vector, col, index
from oxidite.db.migrations import (
    ColumnSpec,
    IndexSpec,
    MigrationFailedError,
    Migrator,
    TableSpec,
    column,
)
from oxidite.db.migrations.difference import difference
from oxidite.db.migrations.history import History
from oxidite.db.migrations.operations import (
    AddColumn,
    ChangeColumn,
    CreateIndex,
    DropColumn,
    DropIndex,
    RenameColumn,
)
from oxidite.db.migrations.push import push_tables
from oxidite.db.migrations.writing import write_migration
from oxidite.db.values.dialects import MARIADB, POSTGRESQL, SQLITE

from .support import answers, fetch, tried, write_history


class Doc(Model, table="docs", indexes=[index("order", using="ivfflat", name="lists")]):
    id: Col[int] = col(pk=True, init=False)
    at: Col[Vector] = col(dimensions=3, index=True)
    order: Col[Vector | None] = col(dimensions=2, metric="l2", default=None)


ID = column("id", "integer", primary_key=True, generated=True)
AT = column("at", "vector", dimensions=3)


def table(*parts: ColumnSpec | IndexSpec) -> dict[str, TableSpec]:
    columns = [each for each in parts if isinstance(each, ColumnSpec)]
    indexes = [each for each in parts if isinstance(each, IndexSpec)]
    return {"docs": TableSpec(name="docs", columns=(ID, *columns), indexes=tuple(indexes))}


def near(metric: str = "cosine", name: str = "at", using: str = "hnsw") -> IndexSpec:
    return IndexSpec(name="near", on=(SQL(f"{name} vector_{metric}_ops"),), using=using)


@pytest.fixture(params=KINDS)
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with vectors_url(request.param, tmp_path) as url, Database.from_url(url) as found:
        yield found


def test_they_are_said_alike_for_each_database() -> None:
    said = [TableSpec.of(Doc.__table__, each) for each in (SQLITE, POSTGRESQL, MARIADB)]
    assert said[0] == said[1] == said[2]
    assert said[0].columns[1] == AT
    assert [repr(each) for each in said[0].indexes] == [
        'index("ix_docs_at", [SQL("at vector_cosine_ops")], using="hnsw")',
        'index("lists", [SQL("\\"order\\" vector_l2_ops")], using="ivfflat")',
    ]
    assert repr(AT) == 'column("at", "vector", dimensions=3)'


CHANGES: Mapping[str, tuple[dict[str, TableSpec], dict[str, TableSpec], list[type]]] = {
    "made with its table": ({}, table(AT, near()), []),
    "a column that comes": (table(), table(AT), [AddColumn]),
    "a column that comes with its index": (table(), table(AT, near()), [AddColumn, CreateIndex]),
    "a column that may be empty": (
        table(),
        table(column("at", "vector", dimensions=3, nullable=True, comment="Where.")),
        [AddColumn],
    ),
    "a column that goes": (table(AT), table(), [DropColumn]),
    "an index that comes": (table(AT), table(AT, near()), [CreateIndex]),
    "an index that goes": (table(AT, near()), table(AT), [DropIndex]),
    "another metric": (table(AT, near()), table(AT, near("l2")), [DropIndex, CreateIndex]),
    "another method": (
        table(AT, near("l2")),
        table(AT, near("l2", using="ivfflat")),
        [DropIndex, CreateIndex],
    ),
    "of another length": (
        table(AT, near()),
        table(column("at", "vector", dimensions=4), near()),
        [ChangeColumn],
    ),
    "of a reserved word": (
        table(),
        table(column("select", "vector", dimensions=3), near(name='"select"')),
        [AddColumn, CreateIndex],
    ),
    "of another name": (
        table(AT, near()),
        table(column("place", "vector", dimensions=3), near(name="place")),
        [RenameColumn],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change(db: Database, tmp_path: Path, name: str) -> None:
    before, after, steps = CHANGES[name]
    renames = {"docs.at": "place"} if name == "of another name" else {}
    forth = await tried(
        db, tmp_path, before, after, answers(renames, fills={"docs.at": 1, "docs.select": "0.5"})
    )
    assert [type(each) for each in forth] == steps or not steps


async def test_a_column_is_filled_where_there_are_rows(db: Database, tmp_path: Path) -> None:
    parts = ", ".join(map(repr, ("docs", ID, column("order", "vector", dimensions=2))))
    history = write_history(
        tmp_path / "migrations",
        ("docs", f"op.create_table({parts})", 'op.drop_table("docs")'),
        (
            "at",
            f"""op.change_column("docs", column("order", "vector", dimensions=2, nullable=True))
            op.add_column("docs", {AT!r}, fill=0.5)""",
            """op.drop_column("docs", "at")
            op.change_column("docs", column("order", "vector", dimensions=2), fill=2)""",
        ),
    )
    migrator = Migrator(db, history)
    await migrator.up(to="0001")
    here = {"postgresql": "'[1,2]'", "sqlite": "x'0000803f00000040'"}
    value = here.get(db.dialect.name, here["sqlite"])
    quoted = "`order`" if db.dialect.is_mysql else '"order"'
    await fetch(db, f"INSERT INTO docs ({quoted}) VALUES ({value})")
    await migrator.up()
    (doc,) = await Doc.all()
    assert (doc.at, doc.order) == (Vector([0.5] * 3), Vector([1, 2]))
    await Doc.create(at=Vector([1, 0, 0]))
    await migrator.down(to="0001")
    rows = await Doc.query().select(Doc.order).all()
    assert sorted(rows, key=str) == [(Vector([1, 2]),), (Vector([2, 2]),)]
    assert await migrator.drift() == []


async def test_a_push_makes_it_once(db: Database) -> None:
    pushed = await push_tables(db, [Doc.__table__])
    assert (len(pushed.made), pushed.left) == (1, ())
    assert (await push_tables(db, [Doc.__table__])).made == ()
    await db.push(Doc)
    await Doc.create(at=Vector([1, 2, 3]), order=Vector([1, 2]))
    assert (await push_tables(db, [Doc.__table__])).left == ()


async def test_what_a_database_has_else_is_told(tmp_path: Path) -> None:
    async with vectors_url("postgresql", tmp_path) as url, Database.from_url(url) as db:
        write_migration(
            History.load(tmp_path), difference({}, table(AT, near()), answers()), "docs"
        )
        migrator = Migrator(db, History.load(tmp_path))
        await migrator.up()
        assert await migrator.drift() == []
        await fetch(db, "ALTER TABLE docs ALTER COLUMN at TYPE vector(4)")
        assert "VectorType" in " ".join(await migrator.drift())
        await fetch(db, "ALTER TABLE docs ALTER COLUMN at TYPE vector(3)")
        await fetch(db, "DROP INDEX near")
        assert "the index near of docs is missing" in await migrator.drift()
        await fetch(db, "CREATE INDEX near ON docs USING hnsw (at vector_l2_ops)")
        assert await migrator.drift() == ["the index near of docs is for the metric l2, not cosine"]
        await fetch(db, "DROP INDEX near")
        await fetch(db, "CREATE INDEX near ON docs USING hnsw (at vector_cosine_ops)")
        assert await migrator.drift() == []


@contextlib.asynccontextmanager
async def new_database() -> AsyncIterator[str]:
    """Make a database of PostgreSQL in which nobody has made the extension."""
    server, name = await vectors_server(), f"test_{uuid4().hex}"
    async with Database.from_url(server, name="server") as db:
        await fetch(db, f"CREATE DATABASE {name}")
        try:
            yield server.rpartition("/")[0] + f"/{name}"
        finally:
            await fetch(db, f"DROP DATABASE {name} WITH (FORCE)")


async def test_the_extension_is_made_where_there_is_none(tmp_path: Path) -> None:
    async with new_database() as url:
        async with Database.from_url(url) as db:
            await tried(db, tmp_path, {}, table(AT, near()), answers())
        async with Database.from_url(url) as db:
            await fetch(db, "DROP EXTENSION vector CASCADE")
            await db.push(Doc)
            await Doc.create(at=Vector([1, 0, 0]))
            assert [far for _, far in await Doc.nearest(Doc.at, [1, 0, 0]).all()] == [0]


async def test_who_may_not_make_it_is_told_what_to_do() -> None:
    role = f"test_{uuid4().hex}"
    async with new_database() as url, Database.from_url(url) as db:
        await fetch(db, f"CREATE ROLE {role} LOGIN")
        try:
            await fetch(db, f"GRANT ALL ON SCHEMA public TO {role}")
            async with Database.from_url(
                url.replace("postgres@", f"{role}@"), name="other"
            ) as theirs:
                with pytest.raises(MigrationFailedError, match=r"run CREATE EXTENSION vector once"):
                    await push_tables(theirs, [Doc.__table__])
                await fetch(db, "CREATE EXTENSION vector")
                assert len((await push_tables(theirs, [Doc.__table__])).made) == 1
        finally:
            await fetch(db, f"DROP OWNED BY {role}")
            await fetch(db, f"DROP ROLE {role}")


async def test_a_server_without_it_says_what_is_missing(tmp_path: Path) -> None:
    from tests.unit.db.conftest import database_url

    async with database_url("postgresql", tmp_path) as url, Database.from_url(url) as db:
        known = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
        if await fetch(db, known):
            pytest.skip("the other PostgreSQL has pgvector")
        with pytest.raises(MigrationFailedError, match="Vectors need the extension pgvector where"):
            await push_tables(db, [Doc.__table__])


@pytest.mark.parametrize(
    "said",
    [
        {"type": "vector"},
        {"type": "text", "dimensions": 3},
    ],
)
def test_what_is_no_column(said: Any) -> None:
    from oxidite.db import ModelError

    with pytest.raises(ModelError, match="how many numbers a vector has"):
        column("at", said.pop("type"), **said)
