"""The reads of a batch are one statement on PostgreSQL, and nobody can tell by what comes."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.faults.proxy import Proxy
from tests.unit.db.conftest import POSTGRES, database_url

from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    Later,
    Model,
    QueryError,
    col,
    fn,
    query_time,
    rel,
)
from oxidite.db.connections.together import joined
from oxidite.db.database import database_of
from oxidite.errors import BackendUnavailableError

pytestmark = pytest.mark.service("postgres")


class Prefs(Struct):
    theme: str = "light"


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Owner(Model, table="batch_owners"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    things: HasMany[Thing] = rel(fk="owner_id")


class Thing(Model, table="batch_things"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str | None] = col(default=None)
    real: Col[float | None] = col(default=None)
    exact: Col[Decimal | None] = col(default=None)
    yes: Col[bool | None] = col(default=None)
    blob: Col[bytes | None] = col(default=None)
    at: Col[datetime | None] = col(default=None)
    day: Col[date | None] = col(default=None)
    clock: Col[time | None] = col(default=None)
    took: Col[timedelta | None] = col(default=None)
    key: Col[UUID | None] = col(default=None)
    prefs: Col[Prefs | None] = col(json=True, default=None)
    tags: Col[list[str] | None] = col(array=True, default=None)
    numbers: Col[list[int] | None] = col(array=True, default=None)
    mood: Col[Mood | None] = col(default=None)
    owner_id: Col[int | None] = col(default=None, references=Owner.id)
    owner: BelongsTo[Owner | None] = rel(fk="owner_id")


class Native(Model, table="batch_natives"):
    id: Col[int] = col(pk=True, init=False)
    mood: Col[Mood] = col(native=True)


def thing(number: int, owner: Owner) -> Thing:
    return Thing(
        text=["", "a", "é 😀 '$1'", 'x" \\ $2'][number % 4],
        real=[0.1, 1e300, -0.0, 1e-300][number % 4],
        exact=[Decimal("1.50"), Decimal("-123456789.000000001")][number % 2],
        yes=number % 2 == 0,
        blob=bytes([number, 0, 255]),
        at=datetime(2026, 1, 2, 3, 4, 5, number, tzinfo=UTC),
        day=[date(1, 1, 1), date(9999, 12, 31)][number % 2],
        clock=time(23, 59, 59, number),
        took=timedelta(days=-number, microseconds=number),
        key=UUID(int=number),
        prefs=Prefs(theme=f"t{number}"),
        tags=[["a", "b"], []][number % 2],
        numbers=[[1, 2**40], [-1]][number % 2],
        mood=Mood.GOOD if number % 2 else Mood.BAD,
        owner_id=owner.id,
    )


@pytest.fixture
async def db(tmp_path: Any) -> AsyncIterator[Database]:
    async with (
        database_url("postgresql", tmp_path) as url,
        Database.from_url(url) as found,
    ):
        await found.push(Owner, Thing, Native)
        owners = await Owner.create_many([Owner(name=f"owner {n}") for n in range(3)])
        many = [thing(n, owners[n % 2]) for n in range(6)]
        await Thing.create_many([Thing(), *many, Thing()])
        yield found


QUERIES: list[Any] = [
    lambda: Thing.query().order_by(Thing.id).all(),
    lambda: Thing.query().order_by(Thing.id.desc()).limit(2).all(),
    lambda: Thing.where(Thing.text == "é 😀 '$1'").order_by(Thing.id).all(),
    lambda: Thing.where(Thing.text.contains("$"), Thing.id > 2).select(Thing.text, Thing.at).all(),
    lambda: Thing.where(Thing.id < 0).all(),
    lambda: Thing.count(),
    lambda: Thing.where(Thing.text == None).order_by(Thing.id).select(Thing.text, Thing.day).all(),  # noqa: E711
    lambda: Thing.query().order_by(Thing.id).select(Thing.tags, Thing.numbers, Thing.prefs).all(),
    lambda: Thing.where(Thing.numbers.contains([1])).exists(),
    lambda: Thing.where(Thing.key.in_([UUID(int=1), UUID(int=3)])).order_by(Thing.id).all(),
    lambda: Thing.where(Thing.at > datetime(2026, 1, 1, tzinfo=UTC)).order_by(Thing.at).first(),
    lambda: Thing.where(Thing.owner.has(Owner.name == "owner 1")).order_by(Thing.id).all(),
    lambda: Owner.query().with_(Owner.things).order_by(Owner.id).all(),
    lambda: Owner.query().with_count(Owner.things).order_by(Owner.id).all(),
    lambda: Thing.get_or_none(2),
    lambda: Thing.get_or_none(10**6),
    lambda: Thing.query().select(fn.max(Thing.real), fn.sum(Thing.exact)).all(),
]
ROUNDS = st.lists(st.integers(0, len(QUERIES) - 1), min_size=1, max_size=12)


def plain(found: Any) -> Any:
    """Return what was found with all that can be told of it."""
    if isinstance(found, list):
        return [plain(each) for each in found]
    if isinstance(found, Owner):
        things = found.things.value if found.things.is_loaded else None
        return found, plain(things)
    if isinstance(found, Thing):
        return found, [type(getattr(found, each.name)) for each in Thing.__table__.columns]
    return found, type(found)


class Counting:
    """A way to the server on which what is sent before an answer comes is one trip."""

    def __init__(self) -> None:
        self.trips = 0
        self._asks = False

    async def __aenter__(self) -> Counting:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = urlsplit(POSTGRES)
        there, back = await asyncio.open_connection(found.hostname, found.port or 5432)
        for source, target, asks in ((reader, back, True), (there, writer, False)):
            task = asyncio.create_task(self._pump(source, target, asks=asks))
            self._tasks.add(task)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, asks: bool
    ) -> None:
        try:
            while data := await source.read(65536):
                if asks and not self._asks:
                    self.trips += 1
                self._asks = asks
                target.write(data)
                await target.drain()
        finally:
            target.close()


async def test_all_reads_of_a_batch_are_one_round_trip(db: Database, tmp_path: Any) -> None:
    async with database_url("postgresql", tmp_path) as url, Counting() as way:
        found = urlsplit(url)
        near = found._replace(netloc=f"{found.username}@127.0.0.1:{way.port}").geturl()
        async with Database.from_url(near, pool_size=1, name="near") as other:
            with other.using():
                await other.push(Owner, Thing)
                await Owner.create(name="Ada")
                await ask_ten()  # what is prepared is prepared after this
                for each in range(10):
                    await Owner.where(Owner.id > each).all()
                way.trips = 0
                with query_time() as spent:
                    answers = await ask_ten()
                assert way.trips == 1
                assert spent.statements == 1
                assert [len(each.value) for each in answers] == [1] + [0] * 9
                way.trips = 0
                for each in range(10):
                    await Owner.where(Owner.id > each).all()
                assert way.trips == 10


async def ask_ten() -> Sequence[Later[list[Owner]]]:
    async with database_of(Owner.__table__).batch() as batch:
        return [batch.add(Owner.where(Owner.id > each).all()) for each in range(10)]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chosen=ROUNDS)
async def test_what_comes_is_what_each_alone_brings(db: Database, chosen: list[int]) -> None:
    alone = [plain(await QUERIES[each]()) for each in chosen]
    async with db.batch() as batch:
        parts = [batch.add(QUERIES[each]()) for each in chosen]
    assert [plain(each.value) for each in parts] == alone


async def test_objects_of_a_batch_save_what_has_changed(db: Database) -> None:
    async with db.batch() as batch:
        parts = [batch.add(Thing.query().order_by(Thing.id).all()) for _ in range(2)]
    for one in parts[0].value:
        assert one.changed() == []
        one.text = "new"
        assert one.changed() == ["text"]
        await one.save()
    assert await Thing.where(Thing.text == "new").count() == len(parts[1].value)


async def test_relations_of_several_queries_are_read_together_too(db: Database) -> None:
    with query_time() as spent:
        async with db.batch() as batch:
            first = batch.add(Owner.query().with_(Owner.things).all())
            second = batch.add(Thing.query().with_(Thing.owner).all())
    assert spent.statements == 2
    assert sum(len(each.things.value) for each in first.value) == 6
    assert sum(each.owner.value is not None for each in second.value) == 6


async def test_only_the_wrong_one_hears_of_it(db: Database) -> None:
    wrong = Thing.where(Thing.text.like("\\")).all  # it ends with what escapes
    parts: list[Later[Any]] = []

    async def ask() -> None:
        async with db.batch() as batch:
            parts.extend(batch.add(each()) for each in (Thing.count, wrong, Owner.count))

    with pytest.raises(QueryError, match="escape"):
        await ask()
    assert (parts[0].value, parts[2].value) == (8, 3)
    with pytest.raises(QueryError, match="escape"):
        _ = parts[1].value
    # The others are asked for together again.
    with query_time() as spent:
        async with db.batch() as batch:
            batch.add(Thing.count())
            batch.add(Owner.count())
    assert spent.statements == 1
    assert all(pool.in_use == 0 for pool in db.stats.pools.values())


async def test_a_type_of_the_servers_own_is_read_alone_from_then_on(db: Database) -> None:
    await Native.create(mood=Mood.GOOD)

    async def ask() -> tuple[list[Native], int]:
        async with db.batch() as batch:
            natives, count = batch.add(Native.query().all()), batch.add(Owner.count())
        return natives.value, count.value

    for _ in range(2):
        (native,), number = await ask()
        assert (native.mood, number) == (Mood.GOOD, 3)
    before = db.stats.pools["connections"].opened
    await ask()
    assert db.stats.pools["connections"].opened == before


async def test_writes_and_transactions_of_a_batch_are_by_themselves(db: Database) -> None:
    async def moved() -> int:
        async with db.transaction():
            await Owner.create(name="inside")
            return await Owner.where(Owner.name == "inside").count()

    async with db.batch() as batch:
        inside = batch.add(moved())
        made = batch.add(Owner.create(name="new"))
        missing = batch.add(Owner.get_or_none(10**6))
        many = [batch.add(Thing.count()) for _ in range(70)]
    assert (inside.value, made.value.name, missing.value) == (1, "new", None)
    assert [each.value for each in many] == [8] * 70
    assert await Owner.count() == 5


async def test_a_batch_that_is_cancelled_leaves_nothing_behind(db: Database) -> None:
    async def ask() -> None:
        async with db.batch() as batch:
            for _ in range(3):
                batch.add(db.sql("SELECT pg_sleep(20)").all())
                batch.add(Owner.where(Owner.id == 1).all())

    task = asyncio.create_task(ask())
    while not db.stats.pools["connections"].in_use:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = [repr(each) for each in asyncio.all_tasks()]
    assert [each for each in left if "Together" in each or "Batch" in each] == []
    assert await Owner.count() == 3


async def test_a_lost_server_is_told_to_all(db: Database, tmp_path: Any) -> None:
    async with database_url("postgresql", tmp_path) as url, Proxy(5432) as way:
        found = urlsplit(url)
        near = found._replace(netloc=f"{found.username}@127.0.0.1:{way.port}").geturl()
        parts: list[Later[Any]] = []

        async def ask() -> None:
            async with other.batch() as batch:
                parts.extend(batch.add(Owner.where(Owner.id == each).all()) for each in range(3))

        async with Database.from_url(near, pool_size=1, name="near") as other:
            with other.using():
                await other.push(Owner)
                way.pause()
                asking = asyncio.create_task(ask())
                while not other.stats.pools["connections"].in_use:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.01)
                way.cut()
                way.resume()
                with pytest.raises(BackendUnavailableError):
                    await asking
                assert [type(each.error) for each in parts] == [BackendUnavailableError] * 3
                parts.clear()
                await ask()
                assert [each.value for each in parts] == [[]] * 3


def test_only_parameters_are_moved() -> None:
    sql, values = joined(
        [("SELECT $1", ["a"]), ("""SELECT '$1 ''$1', "a$1", $1::text, $12""", list(range(12)))]
    )
    assert sql == (
        'SELECT ARRAY(SELECT "the row" FROM (SELECT $1) "the row"), ARRAY(SELECT "the row" FROM '
        """(SELECT '$1 ''$1', "a$1", $2::text, $13) "the row")"""
    )
    assert values == ["a", *range(12)]
