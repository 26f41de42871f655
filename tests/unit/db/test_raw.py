"""SQL that a person wrote: named parameters, rows as typed values, SQLAlchemy's Core."""

from __future__ import annotations

import dataclasses
import enum
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID, uuid4

import pytest
from msgspec import Struct, field

from oxidite.db import (
    Col,
    Database,
    ManyRowsError,
    Model,
    QueryError,
    RowNotFoundError,
    Timestamps,
    col,
)


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Extra(Struct):
    note: str = ""


class Shop(Model, Timestamps, table="shops"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    rank: Col[int] = col(default=0)
    key: Col[UUID] = col(default_factory=uuid4)
    price: Col[Decimal] = col(default=Decimal("1.50"))
    level: Col[Level] = col(default=Level.LOW)
    extra: Col[Extra] = col(json=True, default_factory=Extra)
    is_open: Col[bool] = col(default=True)


class Named(Struct):
    id: int
    name: str


class Whole(Struct):
    id: int
    key: UUID
    price: Decimal
    level: Level
    extra: Extra
    is_open: bool
    created_at: datetime
    title: str = field(name="name")


@dataclasses.dataclass
class Point:
    rank: int
    name: str = "none"


class Pair(TypedDict):
    name: str
    rank: int


@pytest.fixture
async def shops(db: Database) -> list[Shop]:
    await db.push(Shop)
    return await Shop.create_many(
        [Shop(name=f"shop{n}", rank=n, extra=Extra(f"x{n}")) for n in range(5)]
    )


@pytest.mark.usefixtures("shops")
class TestRows:
    async def test_a_struct(self, db: Database) -> None:
        query = db.sql("SELECT id, name FROM shops WHERE rank > :rank ORDER BY rank", rank=2)
        found = await query.into(Named).all()
        assert [each.name for each in found] == ["shop3", "shop4"]
        assert isinstance(found[0], Named)

    async def test_every_kind_of_value(self, db: Database, shops: list[Shop]) -> None:
        query = db.sql('SELECT * FROM shops WHERE "key" = :key', key=shops[2].key)
        found = await query.into(Whole).one()
        same = shops[2]
        assert (found.id, found.title, found.key) == (same.id, "shop2", same.key)
        assert isinstance(found.key, UUID)
        assert (found.price, found.level, found.extra) == (Decimal("1.50"), Level.LOW, Extra("x2"))
        assert (found.is_open, found.created_at) == (True, same.created_at)

    async def test_a_dataclass_a_typed_dict_and_a_dict(self, db: Database) -> None:
        query = db.sql("SELECT name, rank FROM shops WHERE rank = 1")
        assert await query.into(Point).all() == [Point(1, "shop1")]
        assert await query.into(Pair).all() == [{"name": "shop1", "rank": 1}]
        assert await query.into(dict[str, Any]).one() == {"name": "shop1", "rank": 1}
        assert await db.sql("SELECT rank FROM shops WHERE rank = 1").into(Point).one() == Point(1)

    async def test_tuples_and_single_values(self, db: Database) -> None:
        query = db.sql("SELECT name, rank FROM shops ORDER BY rank LIMIT 2")
        assert await query.all() == [("shop0", 0), ("shop1", 1)]
        assert await query.into(tuple[str, int]).first() == ("shop0", 0)
        assert await db.sql("SELECT rank FROM shops ORDER BY rank").into(int).all() == [*range(5)]
        assert await db.sql("SELECT sum(rank) FROM shops").into(int).one() == 10
        assert await db.sql("SELECT avg(rank) FROM shops").into(float).one() == 2.0
        assert await db.sql("SELECT count(*) FROM shops").scalar() == 5
        latest = await db.sql("SELECT max(created_at) FROM shops").into(datetime).one()
        assert latest.tzinfo is UTC

    async def test_models_can_be_saved(self, db: Database) -> None:
        found = await db.sql("SELECT * FROM shops WHERE rank = :rank", rank=3).into(Shop).one()
        found.rank = 33
        assert found.changed() == ["rank"]
        await found.save()
        assert await Shop.where(Shop.rank == 33).count() == 1
        with pytest.raises(QueryError, match=r"needs all of its columns, and .*name, rank"):
            await db.sql("SELECT id FROM shops").into(Shop).all()

    async def test_one_first_and_none(self, db: Database) -> None:
        nothing = db.sql("SELECT id, name FROM shops WHERE rank = :rank", rank=99).into(Named)
        assert await nothing.all() == []
        assert await nothing.first() is None
        assert await nothing.scalar() is None
        with pytest.raises(RowNotFoundError):
            await nothing.one()
        with pytest.raises(ManyRowsError):
            await db.sql("SELECT id FROM shops").one()

    async def test_what_it_did_is_counted(self, db: Database) -> None:
        update = db.sql("UPDATE shops SET rank = rank + :by WHERE rank < 2", by=10)
        assert await update.run() == 2
        found = (
            await db.sql(
                'INSERT INTO shops (name, rank, "key", price, level, extra, is_open, created_at, updated_at)'
                ' SELECT :name, rank, "key", price, level, extra, is_open, created_at, updated_at FROM shops'
                " WHERE rank = 2 RETURNING id, name",
                name="new",
            )
            .into(Named)
            .one()
        )
        assert (await Shop.get(found.id)).name == "new"

    async def test_it_belongs_to_the_open_transaction(self, db: Database) -> None:
        with pytest.raises(KeyError):  # noqa: PT012 - what is undone
            async with db.transaction():
                await db.sql("DELETE FROM shops").run()
                assert await db.sql("SELECT count(*) FROM shops").scalar() == 0
                raise KeyError
        assert await Shop.count() == 5

    async def test_streams(self, db: Database) -> None:
        query = db.sql("SELECT id, name FROM shops WHERE rank >= :rank ORDER BY rank", rank=1)
        assert [each.name async for each in query.into(Named).stream(chunk=2)] == [
            "shop1",
            "shop2",
            "shop3",
            "shop4",
        ]
        with pytest.raises(QueryError, match="not by 0"):
            await anext(query.stream(chunk=0))

    async def test_a_stream_only_reads(self, db: Database) -> None:
        change = db.sql("DELETE FROM shops WHERE rank > 2 RETURNING rank")
        with pytest.raises(QueryError, match="may change something"):
            await anext(change.stream())
        async with db.transaction():
            assert sorted([row async for row in change.stream()]) == [(3,), (4,)]
        assert await Shop.count() == 3

    @pytest.mark.parametrize(
        ("sql", "type_", "message"),
        [
            ("SELECT id, NULL AS name FROM shops", Named, "columns id, name does not fit Named"),
            ("SELECT id FROM shops", Named, "missing required field `name`"),
            ("SELECT id, name FROM shops", int, "has 2 columns, id, name, and one was expected"),
            ("SELECT id, name FROM shops", tuple[int], "has 2 columns"),
            ("SELECT name FROM shops", int, r"does not fit int: Expected `int`, got `str`"),
            ("SELECT id, id FROM shops", dict[str, int], "Two columns have one name: id, id"),
            ("SELECT 'x' AS d", date, "does not fit date"),
        ],
    )
    async def test_rows_that_do_not_fit(
        self, db: Database, sql: Any, type_: Any, message: str
    ) -> None:
        with pytest.raises(QueryError, match=message):
            await db.sql(sql).into(type_).all()


@pytest.mark.usefixtures("shops")
class TestValues:
    async def test_a_list_is_one_parameter(self, db: Database) -> None:
        inside = db.sql(
            "SELECT rank FROM shops WHERE rank IN :ranks ORDER BY rank", ranks=[1, 3, 9]
        )
        assert await inside.into(int).all() == [1, 3]
        outside = db.sql(
            "SELECT rank FROM shops WHERE name NOT IN :names ORDER BY rank",
            names={"shop0", "shop4"},
        )
        assert await outside.into(int).all() == [1, 2, 3]
        assert await db.sql("SELECT rank FROM shops WHERE rank in :none", none=()).all() == []
        with pytest.raises(QueryError, match="IN :ranks takes a list, not 3"):
            db.sql("SELECT rank FROM shops WHERE rank IN :ranks", ranks=3)

    async def test_arrays(self, db: Database, shops: list[Shop]) -> None:
        keys = [shops[1].key, shops[2].key]
        if db.dialect.is_mysql:
            inside = db.sql('SELECT rank FROM shops WHERE "key" IN :keys ORDER BY rank', keys=keys)
            assert await inside.into(int).all() == [1, 2]
            return
        if not db.dialect.unnests:
            with pytest.raises(QueryError, match=":keys: SQLite takes a list as JSON"):
                db.sql("SELECT rank FROM shops WHERE key IN :keys", keys=keys)
            return
        query = db.sql("SELECT rank FROM shops WHERE key = ANY(:keys) ORDER BY rank", keys=keys)
        assert await query.into(int).all() == [1, 2]

    async def test_values_of_all_types(self, db: Database, shops: list[Shop]) -> None:
        found = (
            await db.sql(
                "SELECT id FROM shops WHERE level = :level AND created_at <= :now AND price = :price"
                " AND is_open = :is_open AND extra = :extra AND (name = :nothing OR :nothing IS NULL)",
                level=Level.LOW,
                now=datetime.now(UTC) + timedelta(days=1),
                price=Decimal("1.50"),
                is_open=True,
                extra=Extra("x4"),
                nothing=None,
            )
            .into(int)
            .all()
        )
        assert found == [shops[4].id]

    async def test_values_are_never_sql(self, db: Database) -> None:
        for hostile in ("' OR 1=1 --", ":rank", "$1", "?", "%s", "shop1'; DROP TABLE shops; --"):
            query = db.sql("SELECT count(*) FROM shops WHERE name = :name", name=hostile)
            assert await query.scalar() == 0
        assert await Shop.count() == 5

    async def test_nul_is_refused_where_there_is_none(self, db: Database) -> None:
        query = db.sql("SELECT count(*) FROM shops WHERE name = :name", name="a\0b")
        if db.dialect.name == "postgresql":
            with pytest.raises(QueryError, match="value does not fit"):
                await query.scalar()
        else:
            assert await query.scalar() == 0

    async def test_what_no_database_holds_is_refused(self, db: Database) -> None:
        with pytest.raises(QueryError, match=r":it is <object.*no database holds a object"):
            db.sql("SELECT :it", it=object())
        with pytest.raises(QueryError, match=r":at: .* has no time zone"):
            db.sql("SELECT :at", at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point

    async def test_names_are_told(self, db: Database) -> None:
        with pytest.raises(QueryError, match=r"has :age, :name, and no value"):
            db.sql("SELECT :name, :age")
        with pytest.raises(QueryError, match=r"has no :nam; did you mean :name\?"):
            db.sql("SELECT :name", name=1, nam=2)


class TestCore:
    async def test_a_statement_of_sqlalchemy(self, db: Database, shops: list[Shop]) -> None:
        import sqlalchemy as sa

        table = db.sa_table(Shop)
        query = (
            sa.select(table.c.id, table.c.name)
            .where(table.c.rank.in_([1, 2]), table.c.key != shops[1].key, table.c.name.like("s%"))
            .limit(5)
        )
        assert await db.sa(query).into(Named).all() == [Named(shops[2].id, "shop2")]
        change = sa.update(table).where(table.c.rank > 2).values(rank=0, level=Level.HIGH)
        assert await db.sa(change).run() == 2
        assert await Shop.where(Shop.level == Level.HIGH).count() == 2
        added = sa.insert(table).from_select(
            ["name", *(c.name for c in table.c if c.name not in ("id", "name"))],
            sa.select(
                sa.literal("copy", sa.Text()),
                *(c for c in table.c if c.name not in ("id", "name")),
            ).where(table.c.id == shops[0].id),
        )
        assert await db.sa(added.returning(table.c.name)).into(str).one() == "copy"

    async def test_what_is_no_statement_is_refused(self, db: Database) -> None:
        with pytest.raises(QueryError, match="no statement of SQLAlchemy"):
            db.sa("SELECT 1")  # type: ignore[arg-type]
