"""Columns of ranges, and indexes over them, come and go with migrations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from oxidite.db import Col, Database, Model, Range, col, index
from oxidite.db.migrations import (
    ColumnSpec,
    IndexSpec,
    MigrationError,
    Migrator,
    TableSpec,
    column,
)
from oxidite.db.migrations.models import fills_of
from oxidite.db.migrations.operations import (
    AddColumn,
    ChangeColumn,
    CreateIndex,
    DropColumn,
    DropIndex,
    RenameColumn,
)
from oxidite.db.migrations.push import push_tables
from oxidite.db.values.dialects import MARIADB, POSTGRESQL, SQLITE

from .support import answers, fetch, tried, write_history


class Stay(Model, table="stays", indexes=[index("during", "id", name="both")]):
    id: Col[int] = col(pk=True, init=False)
    during: Col[Range[datetime]] = col(index=True)
    nights: Col[Range[date] | None] = col(default=None)
    beds: Col[Range[int]] = col(default=Range(1, 3))
    price: Col[Range[Decimal]] = col(
        default=Range(Decimal("-1.50"), None, bounds="()"), unique=True
    )


ID = column("id", "integer", primary_key=True, generated=True)
DURING = column("during", "tstzrange")
BEDS = column("beds", "int8range", nullable=True)


def table(*parts: ColumnSpec | IndexSpec) -> dict[str, TableSpec]:
    columns = [each for each in parts if isinstance(each, ColumnSpec)]
    indexes = [each for each in parts if isinstance(each, IndexSpec)]
    return {"stays": TableSpec(name="stays", columns=(ID, *columns), indexes=tuple(indexes))}


NEAR = IndexSpec(name="near", on=("during",))


def test_they_are_said_alike_for_each_database() -> None:
    said = [TableSpec.of(Stay.__table__, each) for each in (SQLITE, POSTGRESQL, MARIADB)]
    assert said[0] == said[1] == said[2]
    assert list(map(repr, said[0].columns[1:4])) == [
        'column("during", "tstzrange")',
        'column("nights", "daterange", nullable=True)',
        'column("beds", "int8range")',
    ]
    assert fills_of([Stay.__table__]) == {"stays.beds": "[1,3)", "stays.price": "(-1.50,)"}


CHANGES: Mapping[str, tuple[dict[str, TableSpec], dict[str, TableSpec], list[type]]] = {
    "made with its table": ({}, table(DURING, NEAR), []),
    "columns that come": (table(), table(DURING, BEDS), [AddColumn, AddColumn]),
    "a column that comes with its index": (
        table(),
        table(DURING, NEAR),
        [AddColumn, CreateIndex],
    ),
    "a column that goes": (table(DURING, BEDS), table(BEDS), [DropColumn]),
    "an index that goes": (table(DURING, NEAR), table(DURING), [DropIndex]),
    "no longer empty": (
        table(BEDS),
        table(column("beds", "int8range")),
        [ChangeColumn],
    ),
    "another name": (
        table(DURING, NEAR),
        table(column("time", "tstzrange"), IndexSpec(name="near", on=("time",))),
        [RenameColumn],
    ),
    "a reserved name": (table(), table(column("order", "numrange")), [AddColumn]),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change(db: Database, tmp_path: Path, name: str) -> None:
    before, after, steps = CHANGES[name]
    renames = {"stays.during": "time"} if name == "another name" else {}
    fills = {"stays.during": "empty", "stays.beds": "[1,5]", "stays.order": "(,5]"}
    forth = await tried(db, tmp_path, before, after, answers(renames, fills=fills))
    assert [type(each) for each in forth] == steps or not steps


async def test_a_column_is_filled_where_there_are_rows(db: Database, tmp_path: Path) -> None:
    history = write_history(
        tmp_path / "migrations",
        ("stays", f'op.create_table("stays", {ID!r})', 'op.drop_table("stays")'),
        (
            "ranges",
            """op.add_column("stays", column("during", "tstzrange"), fill="[2026-01-31 12:00:00+01:00,]")
            op.add_column("stays", column("nights", "daterange", nullable=True), fill="[2026-01-01,2026-01-31]")
            op.add_column("stays", column("beds", "int8range"), fill="(-5,5]")
            op.add_column("stays", column("price", "numrange"), fill="(-1.50,9.99]")""",
            """op.drop_column("stays", "price")
            op.drop_column("stays", "beds")
            op.drop_column("stays", "nights")
            op.drop_column("stays", "during")""",
        ),
    )
    migrator = Migrator(db, history)
    await migrator.up(to="0001")
    empty = "() VALUES ()" if db.dialect.is_mysql else "DEFAULT VALUES"
    await fetch(db, f"INSERT INTO stays {empty}")
    await migrator.up()
    (stay,) = await Stay.all()
    assert stay.during == Range(datetime(2026, 1, 31, 11, tzinfo=UTC), None)
    assert stay.nights == Range(date(2026, 1, 1), date(2026, 2, 1))
    assert stay.beds == Range(-4, 6)
    assert stay.price == Range(Decimal("-1.50"), Decimal("9.99"), bounds="(]")
    assert await migrator.drift() == []
    await migrator.down(to="0001")
    assert await migrator.drift() == []


async def test_what_cannot_fill_it_is_told(db: Database, tmp_path: Path) -> None:
    history = write_history(
        tmp_path / "migrations",
        (
            "stays",
            f"""op.create_table("stays", {ID!r})
            op.add_column("stays", column("beds", "int8range"), fill="1 to 5")""",
            'op.drop_table("stays")',
        ),
    )
    with pytest.raises(MigrationError, match=r"beds, which is of ranges.*'1 to 5' is no range"):
        await Migrator(db, history).up()


async def test_a_push_makes_it_once(db: Database) -> None:
    pushed = await push_tables(db, [Stay.__table__])
    assert (len(pushed.made), pushed.left) == (1, ())
    assert (await push_tables(db, [Stay.__table__])).made == ()
    await db.push(Stay)
    await Stay.create(during=Range())
    assert (await push_tables(db, [Stay.__table__])).left == ()


@pytest.mark.only_on("postgresql")
async def test_their_indexes_are_of_use_to_postgresql(db: Database) -> None:
    await push_tables(db, [Stay.__table__])
    sql = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
    found = {row[0]: row[1] for row in await fetch(db, sql)}
    assert "USING gist (during)" in found["ix_stays_during"]
    assert "USING btree (during, id)" in found["both"]
    assert "USING btree (price)" in found["uq_stays_price"]
