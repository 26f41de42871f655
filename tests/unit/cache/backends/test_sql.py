"""The cache in SQL: in each database it keeps what every backend promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.cache.backends.places import KINDS, opened, patient, place

from oxidite import Oxidite, clock
from oxidite.cache import CacheBackend, Item
from oxidite.cache.backends import backends
from oxidite.cache.backends.sql import SQLBackend
from oxidite.cache.backends.sql.sweeping import Sweeper
from oxidite.cache.storetime import StoreTime
from oxidite.clock import TravelClock
from oxidite.db import Col, Database, Model, col
from oxidite.db.outbox.own_tables import OwnTables
from oxidite.errors import BackendError, ConfigError
from oxidite.lifespan import Lifespan, opened_before
from oxidite.testing.contracts import CacheBackendContract


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with place(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def backend(url: str) -> AsyncIterator[SQLBackend]:
    async with opened(patient(url)) as made:
        yield made


async def value_of(backend: CacheBackend, key: str) -> bytes | None:
    return (await backend.get_many([key]))[0]


class TestSQL(CacheBackendContract):
    pass


class TestMemory(CacheBackendContract):
    @pytest.fixture
    async def backend(self) -> AsyncIterator[CacheBackend]:
        async with backends.create("sqlite://") as made:
            yield made


# Where it is


async def test_db_is_a_place_beside_the_database_that_was_opened_before(url: str) -> None:
    async with Database.from_url(url) as db:
        async with backends.create("db", resources=[object(), db]) as backend:
            await backend.set_many([Item("key", b"1")])
            assert backend.is_shared
        async with backends.create("db", resources=[db]) as again:
            assert await value_of(again, "key") == b"1"


async def test_on_sqlite_that_place_is_a_file_of_its_own(tmp_path: Path) -> None:
    async with (
        Database.from_url(f"sqlite:///{tmp_path / 'app.db'}") as db,
        backends.create("db", resources=[db]),
    ):
        assert (tmp_path / "app.cache.db").exists()
        rows = await db.sql("SELECT name FROM sqlite_master").all()
        assert rows == []


async def test_beside_a_database_in_memory_is_a_cache_in_memory() -> None:
    async with (
        Database.from_url("sqlite://") as db,
        backends.create("db", resources=[db]) as backend,
    ):
        await backend.set_many([Item("key", b"1")])
        assert await value_of(backend, "key") == b"1"
        assert not backend.is_shared


async def test_db_with_a_name_is_beside_the_database_of_that_name(tmp_path: Path) -> None:
    async with (
        Database.from_url(f"sqlite:///{tmp_path / 'one.db'}") as one,
        Database.from_url(f"sqlite:///{tmp_path / 'two.db'}", name="two") as two,
        backends.create("db://two?max_size=1MB", resources=[one, two]) as backend,
    ):
        assert (await backend.stats()).limit == 1_000_000
        assert (tmp_path / "two.cache.db").exists()
        assert not (tmp_path / "one.cache.db").exists()


async def test_beside_a_database_with_replicas_is_where_it_is_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with (
        Database.from_url(url, replicas=[f"{url}?mode=rw"]) as db,
        SQLBackend.beside(db) as backend,
    ):
        await backend.set_many([Item("key", b"1")])
        assert (tmp_path / "app.cache.db").exists()


def test_db_without_a_database_is_an_error_that_shows_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"Oxidite\(resources=\[db, cache\]\)"):
        backends.create("db")
    with pytest.raises(ConfigError, match="name='other'"):
        backends.create("db://other", resources=[Database.from_url("sqlite://")])


def test_db_with_two_databases_is_an_error_that_says_to_name_them() -> None:
    two = [Database.from_url("sqlite://"), Database.from_url("sqlite://")]

    with pytest.raises(ConfigError, match="2 databases are that"):
        backends.create("db", resources=two)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("db:///path", "db, or db://name"),
        ("db://?pool_size=3", "db, or db://name"),
        ("sqlite:///x.db?max_sise=1MB", "max_sise"),
        ("sqlite:///x.db?max_size=much", "much"),
        ("sqlite:///x.db?timeout=long", "long"),
        ("sqlite:///x.db?timeout=0", "timeout=0"),
    ],
)
def test_a_url_with_something_else_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        backends.create(url, resources=[Database.from_url("sqlite://")])


async def test_a_resource_knows_what_its_lifespan_has_opened_before_it() -> None:
    seen: list[object] = []

    class Late:
        async def __aenter__(self) -> None:
            seen.extend(opened_before())

        async def __aexit__(self, *_: object) -> None:
            pass

    db = Database.from_url("sqlite://")
    async with Lifespan([db, Late()]):
        assert seen == [db]
    assert opened_before() == ()
    seen.clear()
    async with Oxidite(resources=[Late(), db]).lifespan:
        assert db not in seen


async def test_the_tables_of_a_newer_version_are_left_alone(url: str) -> None:
    async with opened(url) as backend, backend._store.connection(write=True) as connection:
        await connection.run("UPDATE ox_schema SET version = 99 WHERE name = 'cache'", ())

    with pytest.raises(BackendError, match="Deploy the newer version"):
        async with opened(url):
            pass


async def test_many_processes_that_begin_at_once_make_one_set_of_tables(url: str) -> None:
    made = [backends.create(url) for _ in range(5)]
    await asyncio.gather(*(each.__aenter__() for each in made))
    await made[0].set_many([Item("key", b"1")])
    found = [await value_of(each, "key") for each in made]
    await asyncio.gather(*(each.__aexit__(None, None, None) for each in made))

    assert found == [b"1"] * 5


# Beside an open transaction


class Note(Model, table="notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]


async def test_a_write_inside_an_open_transaction_of_the_application_waits_for_nothing(
    tmp_path: Path,
) -> None:
    async with (
        Database.from_url(f"sqlite:///{tmp_path / 'app.db'}") as db,
        backends.create("db", resources=[db]) as backend,
    ):
        await db.push(Note)
        async with db.transaction():
            await Note.create(text="written, not committed")
            began = clock.perf()
            await backend.set_many([Item("key", b"1")])
            took = clock.perf() - began

    assert took < 1.0  # in the same file it would wait for the lock, five seconds


async def test_what_is_cached_in_a_transaction_stays_when_that_is_undone(url: str) -> None:
    async with (
        Database.from_url(url) as db,
        backends.create("db", resources=[db]) as backend,
    ):

        async def fails() -> None:
            async with db.transaction():
                await backend.set_many([Item("key", b"1")])
                raise LookupError

        with pytest.raises(LookupError):
            await fails()
        assert await value_of(backend, "key") == b"1"


# Room


async def test_what_was_written_first_makes_room(url: str) -> None:
    mark = "&" if "?" in url else "?"
    async with opened(f"{url}{mark}max_size=200KB") as backend:
        for number in range(400):
            await backend.set_many([Item(f"key:{number:03}", b"x" * 1000)])
        await settled(backend._sweeper)
        stats = await backend.stats()

        assert stats.size is not None
        assert 150_000 <= stats.size <= 210_000
        assert await backend.get_many(["key:000", "key:399"]) == [None, b"x" * 1000]


async def settled(sweeper: Sweeper) -> None:
    """Wait until it does not sweep any more."""
    while sweeper._task is not None:
        await asyncio.wait((sweeper._task,))


async def test_what_has_ended_is_removed(backend: SQLBackend) -> None:
    with clock.use(TravelClock()) as time:
        await backend.set_many([Item(f"short:{number}", b"1", 10.0) for number in range(1200)])
        await backend.set_many([Item("long", b"1", 100.0), Item("ever", b"1")])
        await backend.claim("claimed", "token", 10.0, [])
        await backend.acquire("lock", "owner", 1, 10.0)
        time.jump(20)
        await backend._sweeper.sweep()

        assert (await backend.stats()).keys == 2
        async with backend._store.connection(write=False) as connection:
            for table in ("ox_cache_claims", "ox_cache_locks"):
                assert (await connection.fetch(f"SELECT COUNT(*) FROM {table}", ()))[0][0] == 0


async def test_what_is_larger_than_the_room_is_not_kept_and_neither_is_what_it_replaces(
    tmp_path: Path,
) -> None:
    async with opened(f"sqlite:///{tmp_path / 'cache.db'}?max_size=10KB") as backend:
        await backend.set_many([Item("a", b"1"), Item("b", b"1")])
        await backend.set_many([Item("a", b"x" * 20_000), Item("c", b"2")])
        assert await backend.get_many(["a", "b", "c"]) == [None, b"1", b"2"]
        await backend.claim("d", "token", 60.0, [])
        assert not await backend.fill(Item("d", b"x" * 20_000), "token")
        assert (await backend.claim("d", "other", 60.0, [])).granted


async def test_changes_that_nobody_needs_any_more_are_removed(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path / 'cache.db'}") as backend:
        for start in range(0, 12_000, 1000):
            await backend.delete_many([f"key:{start + n}" for n in range(1000)])
        await settled(backend._sweeper)
        await backend._sweeper.sweep()
        async with backend._store.connection(write=False) as connection:
            rows = await connection.fetch("SELECT COUNT(*) FROM ox_cache_changes", ())

        assert rows[0][0] == 10_000


# Races


async def test_what_is_being_made_while_its_key_is_deleted_is_never_stored(
    backend: SQLBackend,
) -> None:
    for number in range(100):
        key = f"key:{number}"
        await backend.claim(key, "token", 60.0, [])
        filled, _ = await asyncio.gather(
            backend.fill(Item(key, b"old"), "token"), backend.delete_many([key])
        )

        # It was stored before the deletion, which then took it, or refused.
        assert await value_of(backend, key) is None, filled


async def test_of_those_who_claim_while_a_value_is_stored_none_makes_it_again(url: str) -> None:
    async with opened(url) as maker, opened(url) as other:
        for number in range(20):
            key = f"key:{number}"
            await maker.claim(key, "maker", 60.0, [])
            filling = asyncio.create_task(maker.fill(Item(key, b"made"), "maker"))
            claims = await asyncio.gather(
                *(other.claim(key, f"token {n}", 60.0, []) for n in range(4))
            )
            assert await filling
            for claimed in claims:
                assert not claimed.granted or claimed.value == b"made"


async def test_sets_of_the_same_keys_in_any_order_end_well(url: str) -> None:
    keys = [f"key:{number}" for number in range(30)]
    async with opened(url) as one, opened(url) as two:
        for _ in range(5):
            await asyncio.gather(
                one.set_many([Item(key, b"1", tags=("a", "b")) for key in keys]),
                two.set_many([Item(key, b"2", tags=("b", "c")) for key in reversed(keys)]),
                one.delete_many(keys[::-1]),
                two.invalidate(["c", "a", "b"], soft=True),
                one.invalidate(["b", "a"], soft=False),
            )
        found = await one.get_many(keys)

    assert len(set(found)) == 1


async def test_who_is_cancelled_leaves_the_others_in_peace(backend: SQLBackend) -> None:
    for _ in range(10):
        tasks = [
            asyncio.create_task(backend.set_many([Item(f"key:{n}", b"x" * 1000)]))
            for n in range(10)
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await backend.set_many([Item("after", b"1")])
        assert await value_of(backend, "after") == b"1"


class WrongClock(clock.Clock):
    """That of a host that is an hour ahead, or behind."""

    def __init__(self, wrong: float) -> None:
        self.wrong = wrong

    def timestamp(self) -> float:
        return super().timestamp() + self.wrong


@pytest.mark.parametrize("wrong", [3600.0, -3600.0])
async def test_the_time_is_that_of_the_database_whatever_the_clock_of_the_host(
    url: str, wrong: float
) -> None:
    with clock.use(WrongClock(wrong)):
        async with opened(url) as backend:
            told = await backend._store.read(backend._steps.time)
            assert abs(backend.now() - told) < 1.0
            await backend.set_many([Item("key", b"v", 60.0)])
            assert await value_of(backend, "key") == b"v"


def test_an_answer_that_comes_late_does_not_move_the_time() -> None:
    time = StoreTime()
    true = clock.timestamp() + 3600
    time.sync(true, asked=clock.perf())
    time.sync(true, asked=clock.perf() - 10.0)  # somewhere in these ten seconds
    assert abs(time.now() - true) < 1.0
    time.sync(true + 100, asked=clock.perf() - 10.0)  # that cannot be so any more
    assert abs(time.now() - true - 105) < 1.0


async def test_the_tables_are_no_business_of_anybody_else(backend: SQLBackend) -> None:
    # What begins with ox_ is left out by migrations; each part counts its own steps.
    other = OwnTables("cache_test", [])
    await other.ensure(backend._store)
    async with backend._store.connection(write=False) as connection:
        rows = await connection.fetch("SELECT name, version FROM ox_schema ORDER BY name", ())

    assert [tuple(row) for row in rows] == [("cache", 1), ("cache_test", 0)]
