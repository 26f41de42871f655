"""Reading more rows than there is memory: streams, and parts by primary key."""

from __future__ import annotations

import asyncio
import tracemalloc
from contextlib import aclosing
from typing import Any

import pytest
from tests.unit.db.conftest import KINDS

from oxidite.db import Col, Database, Model, OverlapError, QueryError, SoftDeletes, col


class Fact(Model, SoftDeletes, table="facts"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str] = col(default="x")
    seen: Col[bool] = col(default=False)


class Step(Model, table="steps"):
    game: Col[str] = col(pk=True)
    number: Col[int] = col(pk=True)


@pytest.fixture
async def facts(db: Database) -> None:
    await db.push(Fact, Step)
    await Fact.create_many([Fact(text=f"fact{n}") for n in range(25)])


async def rest(db: Database) -> None:
    """Let generators that were left be closed, and see that nobody holds a connection."""
    pool: Any = getattr(db.driver, "_readers", getattr(db.driver, "_pool", None))
    async with asyncio.timeout(5):
        while pool.in_use:  # noqa: ASYNC110 - the loop closes them, and tells nobody
            await asyncio.sleep(0)
        await asyncio.gather(*(Fact.count() for _ in range(20)))
        await Fact.create(text="one more")
    assert pool.in_use == 0


@pytest.mark.usefixtures("facts")
class TestStream:
    async def test_all_rows_in_order(self, db: Database) -> None:
        query = Fact.order_by(Fact.id.desc())
        assert [f.text async for f in query.stream(chunk=4)] == [
            f"fact{n}" for n in range(24, -1, -1)
        ]
        numbers = query.select(Fact.id, Fact.text).limit(2).stream()
        assert [row async for row in numbers] == [(25, "fact24"), (24, "fact23")]
        assert [fact async for fact in query.where(Fact.id > 99).stream()] == []
        await rest(db)

    async def test_rows_can_be_saved_inside_the_loop(self, db: Database) -> None:
        async for fact in Fact.query().stream(chunk=5):
            fact.seen = True
            await fact.save()
        assert await Fact.where(Fact.seen == True).count() == 25  # noqa: E712
        await rest(db)

    async def test_a_loop_that_is_left_gives_the_connection_back(self, db: Database) -> None:
        for _ in range(15):  # more than there are connections
            async for fact in Fact.query().stream(chunk=2):
                if fact.id > 3:
                    break
        await rest(db)

    async def test_closed_at_once(self, db: Database) -> None:
        async with aclosing(Fact.query().stream(chunk=2)) as stream:
            assert (await anext(stream)).text == "fact0"
        await rest(db)

    async def test_an_error_inside_the_loop(self, db: Database) -> None:
        async def fail() -> None:
            async for _ in Fact.query().stream(chunk=2):
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        await rest(db)

    async def test_a_cancelled_task(self, db: Database) -> None:
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in Fact.query().stream(chunk=2):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await rest(db)

    async def test_inside_a_transaction_it_sees_what_was_done_there(self, db: Database) -> None:
        async with db.transaction():
            await Fact.create(text="mine")
            seen = []
            async for fact in Fact.order_by(Fact.id).stream(chunk=3):
                seen.append(fact.text)
                if len(seen) % 10 == 0 and db.dialect.interleaves:
                    await Fact.where(Fact.id == fact.id).update(seen=True)
                elif len(seen) % 10 == 0:
                    with pytest.raises(OverlapError, match="change it after the loop"):
                        await Fact.where(Fact.id == fact.id).update(seen=True)
            assert len(seen) == 26
            assert seen[-1] == "mine"
            changed = await Fact.where(Fact.seen == True).count()  # noqa: E712
            assert changed == (2 if db.dialect.interleaves else 0)
        await rest(db)

    async def test_inside_a_transaction_it_may_be_left(self, db: Database) -> None:
        async with db.transaction():
            async for _ in Fact.query().stream(chunk=3):
                break
            await Fact.create(text="later")
        assert await Fact.count() == 26
        await rest(db)

    async def test_a_size_of_none_is_refused(self) -> None:
        with pytest.raises(QueryError, match="not by 0"):
            await anext(Fact.query().stream(chunk=0))


@pytest.mark.usefixtures("facts")
class TestChunk:
    async def test_parts_in_the_order_of_the_key(self) -> None:
        parts = [rows async for rows in Fact.where(Fact.id > 5).chunk(8)]
        assert [len(rows) for rows in parts] == [8, 8, 4]
        assert [fact.id for rows in parts for fact in rows] == list(range(6, 26))
        assert [rows async for rows in Fact.where(Fact.id > 99).chunk(8)] == []

    async def test_rows_may_be_changed_and_deleted_meanwhile(self) -> None:
        seen = []
        async for rows in Fact.where(Fact.seen == False).chunk(10):  # noqa: E712
            seen += [fact.id for fact in rows]
            for fact in rows:
                fact.seen = True
            await Fact.update_many(rows)
            await Fact.delete_many(rows[:3])
        assert seen == list(range(1, 26))

    async def test_a_key_of_several_columns(self) -> None:
        await Step.create_many([Step(game=game, number=n) for game in "abc" for n in range(5)])
        parts = [rows async for rows in Step.query().chunk(4)]
        assert [(step.game, step.number) for rows in parts for step in rows] == [
            (game, n) for game in "abc" for n in range(5)
        ]
        assert [len(rows) for rows in parts] == [4, 4, 4, 3]

    async def test_what_has_no_order_by_key_is_refused(self) -> None:
        with pytest.raises(QueryError, match=r"so order_by\(\), limit\(\) cannot be said"):
            await anext(Fact.order_by(Fact.text).limit(3).chunk(2))
        with pytest.raises(QueryError, match=r"select\(\)"):
            await anext(Fact.query().select(Fact.id).chunk(2))
        with pytest.raises(QueryError, match="not by -1"):
            await anext(Fact.query().chunk(-1))


ROWS = 200_000


# A database in memory has all its rows there.
@pytest.mark.parametrize("url", KINDS[1:], indirect=True)
async def test_very_many_rows_need_little_memory(db: Database) -> None:
    await db.push(Fact)
    numbers = (
        "generate_series(1, 200000) AS n"
        if db.dialect.name == "postgresql"
        else "(SELECT seq AS n FROM seq_1_to_200000) AS n"
        if db.dialect.name == "mariadb"
        else "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)"
        " SELECT n FROM n) AS n"
    )
    insert: Any = f"INSERT INTO facts (text, seen) SELECT 'some text', false FROM {numbers}"
    assert await db.sql(insert).run() == ROWS
    tracemalloc.start()
    try:
        count = 0
        async for _ in Fact.query().stream(chunk=500):
            count += 1
        assert count == ROWS
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.reset_peak()
        count = 0
        async for rows in Fact.where(Fact.id > ROWS - 20_000).chunk(2000):
            count += len(rows)
        assert count == 20_000
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


async def test_a_query_shows_itself(db: Database) -> None:
    await db.push(Fact)
    query = Fact.where(Fact.text == "it's", Fact.id > 3)
    sql, values = query.sql()
    assert values == ["it's", 3]
    assert "it's" not in sql
    assert await db.sql("SELECT count(*) FROM facts").scalar() == 0

    await Fact.create(text="it's")
    plan = await Fact.where(Fact.id == 1).explain()
    assert "facts" in plan
    if db.dialect.analyzes:
        assert "actual time" in await query.explain(analyze=True)
    else:
        first = (
            '"key": "PRIMARY"' if db.dialect.is_mysql else "SEARCH facts USING INTEGER PRIMARY KEY"
        )
        assert first in plan
        with pytest.raises(
            QueryError, match=f"{db.dialect.product} cannot run a query to explain it"
        ):
            await query.explain(analyze=True)
