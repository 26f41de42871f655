"""Encrypted jobs: who has no secret learns nothing of them, and changes nothing in them."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.cache.backends.places import KINDS, place
from tests.unit.queue.places import EVERYWHERE, REDIS, own_prefix, own_store

from oxidite import clock
from oxidite.carried import user
from oxidite.clock import TravelClock
from oxidite.db import Database
from oxidite.drivers.redis import Redis
from oxidite.errors import ConfigError
from oxidite.queue import (
    Chunk,
    Filter,
    JobContext,
    JobFailedError,
    JobState,
    JobStore,
    JobUnreadableError,
    NewBatch,
    Queue,
    Retry,
    Task,
    Uniqueness,
    Worker,
    failures_of,
    given,
    last_failure,
    task,
)
from oxidite.queue.sealing import Sealing, is_sealed
from oxidite.queue.stores.memory import MemoryStore
from oxidite.queue.stores.sealed import SealedStore
from oxidite.testing.contracts import JobEventsContract, JobStoreContract
from oxidite.testing.contracts.queue import claim, ended, job, one
from oxidite.testing.queue import assert_enqueued, drain, inline, manual

OLD = "the first secret, of more than 16 bytes"
NEW = "the second one, which is as long as that"
WORD = "Rumpelstiltskin"

ran: list[object] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@task
async def greet(name: str, times: int = 1) -> str:
    ran.append((name, times, user.get()))
    return f"Hello, {name}!"


@task
async def shout(said: str, mark: str = "!") -> str:
    return said.upper() + mark


@task(retry=Retry(times=5, first=3600.0))
async def fails(name: str, job: JobContext = given()) -> None:
    await job.progress(1, 2, f"half of {name}")
    await job.step("one", str.strip, name)
    await job.save(name)
    raise ValueError(f"{name} is not to be told")


@task(unique=Uniqueness(by=("page",), conflict="replace_args"))
async def index(page: str, why: str) -> str:
    return why


@task(chunk=Chunk(size=10, within=0.01))
async def many(names: list[str]) -> list[str]:
    return [f"{len(names)} {name}" for name in names]


TASKS: list[str | Task[Any, Any]] = [greet, shout, fails, index, many]


def queue_in(store: JobStore, *secrets: str, allow_plain: bool = False) -> Queue:
    return Queue(store, tasks=TASKS, secret=secrets or None, allow_plain=allow_plain)


# What every store promises, it promises encrypted


class TestSealed(JobStoreContract, JobEventsContract):
    @pytest.fixture(params=EVERYWHERE)
    async def store(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[JobStore]:
        async with (
            own_store(request.param, tmp_path) as store,
            SealedStore(store, Sealing([OLD])) as sealed,
        ):
            yield sealed


async def test_a_store_that_is_sealed_is_what_it_was(tmp_path: Path) -> None:
    async with Database.from_url(f"sqlite:///{tmp_path}/app.db") as db:
        queue = Queue.from_url("db", tasks=TASKS, secret=OLD)
        async with queue:
            assert isinstance(queue.store, SealedStore)
            inner = queue.store.store
            for each in ("is_shared", "is_durable", "address", "place"):
                assert getattr(queue.store, each) == getattr(inner, each)
            assert queue.address == inner.address is not None
            assert queue.store.joins(db)


# What is there to be seen


async def found_in_sql(url: str) -> bytes:
    """Return everything that is in the tables of a database."""
    async with Database.from_url(url, name="other") as db:
        if db.dialect.name == "sqlite":
            names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        else:
            names = (
                "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'ox|_%' "
                "ESCAPE '|' AND table_schema = "
            ) + ("current_schema()" if db.dialect.name == "postgresql" else "database()")
        said = b""
        async with db.driver.connection(write=True) as connection:
            for (table,) in await connection.fetch(names, ()):
                rows = await connection.fetch(f"SELECT * FROM {table}", ())
                said += table.encode() + repr([list(row) for row in rows]).encode()
        return said


async def found_in_redis(prefix: str) -> bytes:
    """Return all keys with a prefix, and everything under them."""
    said = b""
    async with Redis.from_url(REDIS) as redis:
        for key in cast("list[bytes]", await redis.run("KEYS", f"{{{prefix}q}}:*")):
            kind = await redis.run("TYPE", key)
            ask = {
                b"hash": ("HGETALL", key),
                b"list": ("LRANGE", key, 0, -1),
                b"set": ("SMEMBERS", key),
                b"zset": ("ZRANGE", key, 0, -1),
                b"string": ("GET", key),
            }
            value = await redis.run(*ask[cast("bytes", kind)])
            said += key + repr(value).encode()
    return said


@contextlib.asynccontextmanager
async def shared_place(kind: str, folder: Path) -> AsyncIterator[str]:
    """Make an empty place for a store, and yield its URL."""
    if kind == "redis":
        async with own_prefix() as prefix:
            yield f"{REDIS}?prefix={prefix}"
    else:
        async with place(kind, folder) as url:
            yield url


async def everything_in(kind: str, url: str, folder: Path) -> bytes:
    if kind == "redis":
        return await found_in_redis(url.partition("?prefix=")[2])
    return await found_in_sql(url) + in_files(folder)


def in_files(folder: Path) -> bytes:
    """Return what databases in files have, also of rows that are gone."""
    return b"".join(each.read_bytes() for each in folder.glob("*.db*"))


SHARED = [*KINDS, pytest.param("redis", marks=pytest.mark.service("redis"))]


@pytest.mark.parametrize("secret", [None, OLD])
@pytest.mark.parametrize("kind", SHARED)
async def test_the_plain_text_is_nowhere(kind: str, secret: str | None, tmp_path: Path) -> None:
    async with shared_place(kind, tmp_path) as url:
        queue = Queue.from_url(url, tasks=TASKS, secret=secret)
        queue.cron("0 3 * * *", greet.job(f"{WORD}, by the program"), name="nightly")
        async with queue:
            await queue.schedules.add("hourly", "0 * * * *", greet.job(f"{WORD} hourly"))
            with user.of(f"user {WORD}"):
                first = greet.job(WORD).then(shout, f"?{WORD}")
                chain = await queue.enqueue(first)
                await queue.enqueue(fails, f"{WORD} fails")
            done = await queue.enqueue(index, WORD, f"because of {WORD}")
            await queue.enqueue(greet.options(delay=600.0), f"{WORD} later")
            async with queue.batch(success=shout.job(WORD), failure=shout.job(WORD)) as batch:
                batch.add(greet.job(f"{WORD} in a batch"))
            await queue.store.push([], NewBatch(batch.id, 1, about=f"about {WORD}".encode()))
            await drain(queue, raise_errors=False)
            assert await chain.result(0) == f"HELLO, {WORD.upper()}!?{WORD}"
            assert await done.result(0) == f"because of {WORD}"
            await queue.schedules.run("hourly")
            await queue.enqueue(greet, f"{WORD} waits")
            seen = await everything_in(kind, url, tmp_path)
    assert b"test_sealing:greet" in seen
    assert (WORD.encode() in seen) == (secret is None)
    assert (WORD.upper().encode() in seen) == (secret is None)
    assert ran[0] == (WORD, 1, f"user {WORD}")


@pytest.mark.service("redis")
async def test_neither_is_it_in_the_outbox(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/app.db"
    async with own_prefix() as prefix, Database.from_url(url) as db:
        queue = Queue.from_url(f"{REDIS}?prefix={prefix}", tasks=TASKS, secret=OLD)
        async with queue, Worker(queue):
            async with db.transaction():
                handle = await queue.enqueue(greet, WORD)
                async with queue.batch(success=shout.job(WORD)) as batch:
                    batch.add(greet.job(WORD))
            assert await handle.result(10) == f"Hello, {WORD}!"
            said = await everything_in("sqlite", url, tmp_path)
            assert b"ox_outbox" in said
            assert WORD.encode() not in said
            assert WORD.encode() not in await found_in_redis(prefix)


# Secrets come and go


@pytest.fixture(params=EVERYWHERE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[JobStore]:
    """A store that is open, by itself."""
    async with own_store(request.param, tmp_path) as made, made as store:
        yield store


async def run_all(queue: Queue) -> None:
    await drain(queue, raise_errors=False)


async def test_of_several_secrets_the_first_writes_and_all_read(store: JobStore) -> None:
    before = await queue_in(store, OLD).enqueue(greet, "before")
    both = queue_in(store, NEW, OLD)
    during = await both.enqueue(greet, "during")
    await run_all(both)
    for handle, name in ((before, "before"), (during, "during")):
        assert await both.handle(handle.id, greet).result(0) == f"Hello, {name}!"
    only_new = queue_in(store, NEW)
    # Of the one that was pushed before, the result was written by who had both.
    assert await only_new.handle(during.id, greet).result(0) == "Hello, during!"
    assert await only_new.handle(before.id, greet).result(0) == "Hello, before!"
    assert is_sealed((await only_new.get(before.id)).args)
    with pytest.raises(JobUnreadableError, match="does not have"):
        await queue_in(store, OLD).handle(before.id, greet).result(0)


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [((NEW,), "a secret that this queue does not have"), ((), "this queue has no secret")],
)
async def test_a_job_without_its_secret_is_a_dead_letter_until_that_is_back(
    store: JobStore, secrets: tuple[str, ...], reason: str
) -> None:
    handle = await queue_in(store, OLD).enqueue(greet, WORD)
    stranger = queue_in(store, *secrets)
    await run_all(stranger)
    job = await stranger.get(handle.id)
    assert (job.state, job.attempt, ran) == (JobState.DEAD, 1, [])
    assert last_failure(job).kind == "job_unreadable"
    assert reason in last_failure(job).message
    assert is_sealed(job.args)
    with pytest.raises(JobFailedError, match=reason):
        await stranger.handle(handle.id).result(0)

    owner = queue_in(store, NEW, OLD)
    assert reason in last_failure(await owner.get(handle.id)).message
    assert await owner.retry() == 1
    await run_all(owner)
    assert await owner.handle(handle.id, greet).result(0) == f"Hello, {WORD}!"


async def test_a_worker_goes_on_with_the_jobs_that_it_can_read(store: JobStore) -> None:
    lost = await queue_in(store, OLD).enqueue(many, "lost")
    queue = queue_in(store, NEW)
    async with Worker(queue):
        handle = await queue.enqueue(many, "mine")
        assert await handle.result(10) == "1 mine"
        with pytest.raises(JobFailedError, match="secret"):
            await queue.handle(lost.id).result(10)


async def test_what_was_pushed_before_there_was_a_secret_is_run_if_that_is_allowed(
    store: JobStore,
) -> None:
    plain = queue_in(store)
    handles = [await plain.enqueue(greet, name) for name in ("one", "two")]
    strict = queue_in(store, OLD)
    await run_all(strict)
    job = await strict.get(handles[0].id)
    assert job.state is JobState.DEAD
    assert "allow_plain=True" in last_failure(job).message
    assert ran == []
    lenient = queue_in(store, OLD, allow_plain=True)
    await lenient.retry()
    await run_all(lenient)
    assert await lenient.handle(handles[0].id, greet).result(0) == "Hello, one!"
    assert len(ran) == 2


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="allow_plain=True is for a queue with a secret"):
        Queue(MemoryStore(), tasks=TASKS, allow_plain=True)
    with pytest.raises(ConfigError, match="at least 16 random bytes"):
        Queue.from_url("memory://", tasks=TASKS, secret="short")
    with pytest.raises(ConfigError, match="encrypts with nothing"):
        Queue.from_url("memory://", tasks=TASKS, secret=[])


# Who can write to the store


@pytest.mark.parametrize("column", ["args", "context", "flow", "saved"])
async def test_what_is_moved_to_another_job_is_refused(column: str, tmp_path: Path) -> None:
    file = tmp_path / "jobs.db"
    async with Queue.from_url(f"sqlite:///{file}", tasks=TASKS, secret=OLD) as queue:
        with user.of("7"):
            first = await queue.enqueue(greet.job("first").then(shout))
        await queue.enqueue(greet.job("second").then(shout))
        ids = [each.id async for each in queue.find(Filter())]
        (second, _) = await queue.store.get(ids)
        assert second is not None
        for worker in "ab":
            # Each attempt saves something, and its worker is lost.
            await queue.store.enter(worker, b"", 60.0)
            claimed = (await queue.store.exchange(worker, (), ["default"], 2)).jobs
            for each in claimed:
                assert await queue.store.save(each.id, each.attempt, state=b"\x92\xc0\x80")
            await queue.store.exit(worker)
        with sqlite3.connect(file) as connection:
            moved = f"(SELECT {column} FROM ox_jobs WHERE id = ?)"
            connection.execute(
                f"UPDATE ox_jobs SET {column} = {moved} WHERE id = ?",
                (ids[1].bytes, ids[0].bytes),
            )
        connection.close()
        await run_all(queue)
        changed, other = await queue.get(ids[0]), await queue.get(ids[1])
        assert (changed.state, other.state) == (JobState.DEAD, JobState.COMPLETED)
        assert "it was changed, or is another job's" in last_failure(changed).message
        assert [name for name, *_ in cast("list[tuple[str]]", ran)] == ["first"]
        assert await first.result(0) == "HELLO, FIRST!!"


def test_what_is_of_one_kind_is_not_read_as_another() -> None:
    sealing = Sealing([OLD])
    sealed = sealing.seal(b"data", "result", b"id")
    assert sealing.open(sealed, "result", b"id") == b"data"
    for about in (("args", b"id"), ("result", b"di"), ("result", b"id", b"")):
        with pytest.raises(JobUnreadableError, match="changed"):
            sealing.open(sealed, *about)
    with pytest.raises(JobUnreadableError, match="changed"):
        sealing.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "result", b"id")
    for cut in range(1, len(sealed)):
        with pytest.raises(JobUnreadableError):
            sealing.open(sealed[:cut], "result", b"id")


async def test_errors_that_are_not_known_here_are_told_as_that(store: JobStore) -> None:
    owner = queue_in(store, OLD)
    handle = await owner.enqueue(fails, WORD)
    await run_all(owner)
    assert WORD in last_failure(await owner.get(handle.id)).message
    (failure,) = failures_of(await queue_in(store, NEW).get(handle.id))
    assert failure.kind == "encrypted"
    with pytest.raises(JobUnreadableError):
        await queue_in(store).handle(handle.id).progress()
    assert (await owner.handle(handle.id).progress()).note == f"half of {WORD}"


# What the store compares


async def test_unique_jobs_are_found_without_telling_what_they_are_about(store: JobStore) -> None:
    queue = queue_in(store, OLD)
    first = await queue.enqueue(index, "home", "changed")
    other = await queue.enqueue(index, "about", "changed")
    again = await queue.enqueue(index, "home", "changed again")
    assert (first.is_new, other.is_new, again.is_new) == (True, True, False)
    await run_all(queue)
    assert await again.result(0) == "changed again"
    assert await other.result(0) == "changed"


def test_nobody_without_the_secret_makes_the_key_of_a_unique_job() -> None:
    keys = {
        queue.new_job(index.job("home", "why")).unique
        for queue in (
            queue_in(MemoryStore()),
            queue_in(MemoryStore(), OLD),
            queue_in(MemoryStore(), OLD, NEW),
            queue_in(MemoryStore(), NEW, OLD),
        )
    }
    assert len({each.key for each in keys if each is not None}) == 3


async def test_jobs_of_one_key_may_have_each_others_arguments_and_no_others(
    tmp_path: Path,
) -> None:
    file = tmp_path / "jobs.db"
    async with Queue.from_url(f"sqlite:///{file}", tasks=TASKS, secret=OLD) as queue:
        one_, other = [await queue.enqueue(index, page, page) for page in ("home", "about")]
        with sqlite3.connect(file) as connection:
            connection.execute(
                "UPDATE ox_jobs SET args = (SELECT args FROM ox_jobs WHERE id = ?) WHERE id = ?",
                (one_.id.bytes, other.id.bytes),
            )
        connection.close()
        await run_all(queue)
        assert await one_.result(0) == "home"
        assert (await other.state()) is JobState.DEAD


# Changing


async def test_a_dead_letter_runs_with_other_arguments(store: JobStore) -> None:
    queue = queue_in(store, OLD)
    handle = await queue.enqueue(fails.options(delay=0.0), WORD)
    unique = await queue.enqueue(index, "home", "wrong")
    await queue.cancel(Filter(ids=(handle.id, unique.id)))
    await queue.edit(handle.id, fails, "Tom")
    await queue.edit(unique.id, index, "home", "right")
    await run_all(queue)
    assert "Tom is not to be told" in last_failure(await queue.get(handle.id)).message
    assert await unique.result(0) == "right"


@pytest.mark.parametrize("secrets", [(), (NEW,)])
async def test_who_has_no_secret_edits_nothing(store: JobStore, secrets: tuple[str, ...]) -> None:
    owner = queue_in(store, OLD)
    handle = await owner.enqueue(greet, "Ada")
    with pytest.raises(JobUnreadableError):
        await queue_in(store, *secrets).edit(handle.id, greet, "Eve")
    await run_all(owner)
    assert await owner.handle(handle.id, greet).result(0) == "Hello, Ada!"


async def test_arguments_for_several_jobs_are_bound_to_each() -> None:
    async with SealedStore(MemoryStore(), Sealing([OLD])) as store:
        jobs = [job(), job(), job("other")]
        await store.push(jobs)
        assert await store.retry(Filter(task="task"), args=b"new") == 2
        await store.enter("w", b"", 60.0)
        claimed = (await claim(store)).jobs
        assert sorted(each.args for each in claimed) == [b"args", b"new", b"new"]


async def test_batches_tell_what_they_are_about(store: JobStore) -> None:
    sealed = SealedStore(store, Sealing([OLD]))
    first = job()
    batch = NewBatch(first.id, 1, success=(job("next"),), about=b"about")
    await sealed.push([job(batch=batch.id)], batch)
    await sealed.enter("w", b"", 60.0)
    (ready,) = (await claim(sealed)).jobs
    await claim(sealed, 0, outcomes=(ended(ready, result=b"done"),))
    state = await sealed.batch(batch.id)
    assert state is not None
    assert state.about == b"about"
    assert (await one(sealed, ready.id)).result == b"done"
    (after,) = (await claim(sealed)).jobs
    assert (after.task, after.args) == ("next", b"args")


# Schedules


@pytest.fixture
async def time() -> AsyncIterator[TravelClock]:
    with clock.use(TravelClock()) as time:
        yield time


async def test_a_schedule_lives_on_when_its_secret_is_replaced(time: TravelClock) -> None:
    store = MemoryStore()
    async with queue_in(store, OLD) as queue:
        await queue.schedules.add("hourly", "0 * * * *", greet.job("Ada"))
    async with queue_in(store, NEW, OLD):
        pass
    async with queue_in(store, NEW) as queue:
        await drain(queue, through=3600.0)
        assert ran == [("Ada", 1, None)]


@pytest.mark.parametrize("secrets", [(), (NEW,)])
async def test_a_schedule_without_its_secret_is_told_of_once_and_fires_nothing(
    time: TravelClock, caplog: pytest.LogCaptureFixture, secrets: tuple[str, ...]
) -> None:
    store = MemoryStore()
    async with queue_in(store, OLD) as queue:
        await queue.schedules.add("hourly", "0 * * * *", greet.job("Ada"))
    async with queue_in(store, *secrets) as queue:
        (planned,) = await queue.schedules.all()
        assert (planned.expression, planned.task) == ("0 * * * *", greet.name)
        with caplog.at_level(logging.ERROR):
            await drain(queue, through=3 * 3600.0)
        assert len(caplog.messages) == 1
        assert "'hourly' cannot be read" in caplog.messages[0]
        assert [each async for each in queue.find()] == []
        with pytest.raises(JobUnreadableError, match="hourly"):
            await queue.schedules.run("hourly")
    async with queue_in(store, OLD) as queue:
        await queue.schedules.tick()
        assert len([each async for each in queue.find()]) == 1


async def test_arguments_are_those_of_their_schedule(time: TravelClock) -> None:
    store = MemoryStore()
    async with queue_in(store, OLD) as queue:
        for name in ("Ada", "Eve"):
            await queue.schedules.add(name, "0 * * * *", greet.job(name))
        ada, eve = store._schedules["Ada"], store._schedules["Eve"]
        store._schedules["Eve"] = type(eve)(name="Eve", plan=ada.plan, origin="run_time")
        with pytest.raises(JobUnreadableError, match="changed"):
            await queue.schedules.run("Eve")


# In tests


async def test_jobs_of_a_queue_with_a_secret_are_tested_as_others_are() -> None:
    queue = queue_in(MemoryStore(), OLD)
    async with queue:
        async with manual(queue):
            await queue.enqueue(greet, "Ada")
            await assert_enqueued(queue, greet, "Ada")
            await drain(queue)
        async with inline(queue):
            assert await (await queue.enqueue(greet, "Eve")).result(0) == "Hello, Eve!"
        handle = await queue.enqueue(greet, "Tom")
        await assert_enqueued(queue, greet, "Tom")
        assert isinstance(queue.store, SealedStore)
        (inside,) = await queue.store.store.get([handle.id])
        assert inside is not None
        assert is_sealed(inside.args)
    assert [name for name, *_ in cast("list[tuple[str]]", ran)] == ["Ada", "Eve"]
