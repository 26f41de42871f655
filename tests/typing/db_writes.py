"""What a type checker makes of writing: the valid forms, and the mistakes it must refuse.

Each mistake has an ignore comment that names the code, and both checkers report one that is not needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, assert_type

from msgspec import Struct

from oxidite.db import Assignment, Col, Database, Model, RawQuery, Upserted, col, excluded


class Tune(Model, table="typed_tunes"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(unique=True)
    plays: Col[int] = col(default=0)
    note: Col[str | None] = col(default=None)


class Other(Model, table="typed_others"):
    id: Col[int] = col(pk=True, init=False)


class Row(Struct):
    id: int


async def more() -> AsyncIterator[Tune]:
    yield Tune(title="x")


async def valid(db: Database) -> None:
    tune = Tune(title="a")
    query = Tune.where(Tune.plays > 3)
    assert_type(Tune.plays.to(Tune.plays + 1), Assignment)
    assert_type(Tune.note.to(None), Assignment)
    assert_type(await query.update(Tune.plays.to(3), Tune.note.to("x")), int)
    assert_type(await query.update(plays=3), int)
    assert_type(await query.update(Tune.plays.to(3), returning=True), list[Tune])
    assert_type(await query.delete(), int)
    assert_type(await query.delete(returning=True), list[Tune])
    assert_type(await query.force_delete(), int)
    assert_type(await query.restore(returning=True), list[Tune])
    assert_type(await Tune.create_many([tune]), list[Tune])
    assert_type(await Tune.load_many(more()), int)
    assert_type(await Tune.update_many([tune]), int)
    assert_type(await Tune.delete_many([tune], force=True), int)
    done = await Tune.upsert(
        tune, on=[Tune.title], update=[Tune.note, Tune.plays.to(excluded(Tune.plays) + 1)]
    )
    assert_type(done, Upserted[Tune])
    assert_type(done.inserted, list[Tune])
    assert_type(await Tune.get_or_create(tune, on=[Tune.title]), tuple[Tune, bool])
    assert_type(await Tune.update_or_create(tune, on=[Tune.title]), tuple[Tune, bool])
    assert_type(await tune.increment(Tune.plays, 2), int)
    async for each in query.stream(chunk=10):
        assert_type(each, Tune)
    async for pair in query.select(Tune.id, Tune.note).stream():
        assert_type(pair, tuple[int, str | None])
    async for part in query.chunk(10):
        assert_type(part, list[Tune])
    raw = db.sql("SELECT id FROM typed_tunes WHERE plays > :plays", plays=3)
    assert_type(raw, RawQuery[tuple[Any, ...]])
    assert_type(await raw.into(Row).all(), list[Row])
    assert_type(await raw.into(Row).first(), Row | None)
    assert_type(await raw.into(tuple[int, str]).one(), tuple[int, str])
    assert_type(await raw.into(int).all(), list[int])
    assert_type(await raw.run(), int)
    async for row in raw.into(Row).stream():
        assert_type(row, Row)


async def mistakes(db: Database, text: str) -> None:
    tune, other = Tune(title="a"), Other()
    query = Tune.where(Tune.plays > 3)
    Tune.plays.to("x")  # type: ignore[arg-type]
    Tune.plays.to(None)  # type: ignore[arg-type]
    Tune.plays.to(Tune.title)  # type: ignore[arg-type]
    await query.update(Tune.plays > 3)  # type: ignore[call-overload]
    await Tune.create_many([other])  # type: ignore[list-item]
    await Tune.create_many(tune)  # type: ignore[arg-type]
    await Tune.upsert(other, on=[Tune.title])  # type: ignore[arg-type]
    await Tune.upsert(tune)  # type: ignore[call-arg]
    await Tune.get_or_create(other, on=[Tune.title])  # type: ignore[arg-type]
    await tune.increment(Tune.plays, "x")  # type: ignore[misc]
    print((await db.sql("SELECT 1").into(Row).one()).nope)  # type: ignore[attr-defined]
    db.sql(f"SELECT {text}")  # pyright: ignore[reportArgumentType]  # mypy knows no literal strings
