"""Models of a database as it was found say of its tables what those are."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.unit.db.migrations.test_migrations_models import tables_for

from oxidite.db import CheckError, Col, Database, Model, col, index, search
from oxidite.db.migrations import History, Migrator
from oxidite.db.migrations.difference import Answers, Change, difference
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.shadow import verify
from oxidite.db.migrations.writing import write_migration
from oxidite.db.tables.table import Table
from oxidite.errors import ValidationError

from .support import compared, imported, inspected, run, tables_in


class Kinds(Model, table="kinds", indexes=[index("text", "day", name="ix_both")]):
    place: Col[str] = col(pk=True, max_length=20)
    day: Col[date] = col(pk=True)
    truth: Col[bool]
    real: Col[float] = col(ge=0.5, le=2, check=True)
    exact: Col[Decimal] = col(precision=12, scale=4)
    any_size: Col[Decimal | None] = col(default=None)
    key: Col[UUID] = col(unique=True)
    data: Col[bytes]
    small: Col[bytes | None] = col(max_length=10, default=None)
    moment: Col[datetime]
    hour: Col[time]
    span: Col[timedelta]
    document: Col[dict[str, int]] = col(json=True)
    maybe: Col[list[int] | None] = col(json=True, default=None)
    text: Col[str]
    short: Col[str] = col(max_length=8, min_length=2)
    bounded: Col[str] = col(max_length=8, min_length=2, check=True)
    positive: Col[int] = col(gt=0, check=True, bits=16)


class Node(Model, table="nodes"):
    id: Col[int] = col(pk=True, init=False)
    parent_id: Col[int | None] = col(references="nodes.id", on_delete="set null", default=None)


class Edge(Model, table="edges"):
    id: Col[int] = col(pk=True, init=False)
    start_id: Col[int] = col(references=Node.id, on_delete="cascade", index=True)
    end_id: Col[int] = col(references=Node.id, on_delete="no action")


class Mark(Model, table="marks"):
    id: Col[int] = col(pk=True, init=False)
    node_id: Col[int] = col(references=Node.id, unique=True)


class Paper(
    Model,
    table="papers",
    indexes=[
        index(lambda paper: search(paper.title, paper.order).vector, using="gin", name="ix_words"),
        index(lambda paper: search(paper.title, language="english").vector, using="gin"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(max_length=100)
    order: Col[str]


OURS = (Kinds, Node, Edge, Mark, Paper)


def our_tables(db: Database) -> list[Table]:
    return [*tables_for(db), *(each.__table__ for each in OURS)]


async def test_our_own_tables_come_back_as_models_of_the_same(db: Database, tmp_path: Path) -> None:
    await db.push(*[each.model for each in our_tables(db)])

    text = await inspected(db)

    assert await compared(db, tables_in(imported(text, tmp_path))) == []


async def test_a_database_that_was_inspected_goes_on_with_migrations(
    db: Database, tmp_path: Path
) -> None:
    await db.push(*[each.model for each in our_tables(db)])
    module = imported(await inspected(db), tmp_path)
    wanted = schema_of(tables_in(module), db.dialect)
    folder = tmp_path / "migrations"
    first = difference({}, wanted, Answers(no_renames=True))
    await verify(db, History(folder), first, wanted)
    write_migration(History(folder), first, "as found")
    history = History.load(folder)

    (done,) = await Migrator(db, history).up()  # noted as done: the tables are there already

    assert done.took_ms == 0
    assert await Migrator(db, history).drift() == []
    await verify(db, history, Change((), ()), wanted)
    assert not difference(history.schema(), wanted, Answers(no_renames=True))


async def test_models_that_were_inspected_read_and_write_rows(db: Database, tmp_path: Path) -> None:
    await db.push(*[each.model for each in our_tables(db)])
    module: Any = imported(await inspected(db), tmp_path)

    owner = await module.Owner.create(code="a", name="Ann")
    owned = await module.Owned.create(owner="a", name="thing")

    assert [each.name for each in await owner.owned] == ["thing"]
    assert (await owned.owner_2).name == "Ann"
    top = await module.Node.create()
    leaf = await module.Node.create(parent_id=top.id)
    await module.Edge.create(start_id=top.id, end_id=leaf.id)
    await module.Mark.create(node_id=leaf.id)
    assert (await leaf.parent).id == top.id
    assert [each.id for each in await top.nodes] == [leaf.id]
    assert len(await top.edges_by_start) == len(await leaf.edges_by_end) == 1
    assert (await leaf.marks).node_id == leaf.id
    with pytest.raises(CheckError):
        await run(db, "INSERT INTO numbered (size, level) VALUES (5, 1)")
    with pytest.raises(ValidationError):
        await module.Numbered.create(size=5, level=1)
    await module.Paper.create(title="cat", order="dog")
    words = search(module.Paper.title, module.Paper.order)
    assert await module.Paper.where(words.matches("cat dog")).count() == 1
