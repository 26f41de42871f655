"""The outbox: what is committed arrives, at least once, in order; what is not committed does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import ClassVar

import pytest
from msgspec import Struct

from oxidite import clock
from oxidite.db import (
    Database,
    Message,
    Outbox,
    OwnTables,
    QueryError,
    Relay,
    RowNotFoundError,
    SchemaError,
)
from oxidite.errors import ConfigError


class Created(Struct):
    id: int
    name: str = ""


class Inbox:
    """Keeps what it is given, and fails as often as it is told to."""

    def __init__(self, *, failures: int = 0) -> None:
        self.got: list[Message] = []
        self.failures = failures

    async def __call__(self, message: Message) -> None:
        self.got.append(message)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not today")

    @property
    def ids(self) -> list[int]:
        return [message.read(Created).id for message in self.got]


@pytest.fixture
async def outbox(db: Database) -> AsyncIterator[Outbox]:
    async with Outbox(db) as made:
        yield made


async def fail(db: Database, outbox: Outbox) -> None:
    """Add a message in a transaction that is undone."""

    @db.transaction()
    async def add() -> None:
        await outbox.add("created", Created(1))
        raise KeyError

    with pytest.raises(KeyError):
        await add()


async def test_what_is_committed_arrives(db: Database, outbox: Outbox) -> None:
    inbox = Inbox()
    async with db.transaction():
        assert await outbox.add("created", Created(7, "Tea 🫖"), key="a")
    relay = Relay(outbox, {"created": inbox})
    assert await relay.deliver() == 1
    (message,) = inbox.got
    assert message.read(Created) == Created(7, "Tea 🫖")
    assert message.payload == {"id": 7, "name": "Tea 🫖"}
    assert (message.topic, message.key, message.attempt) == ("created", "a", 1)
    assert clock.now() - message.created_at < timedelta(minutes=1)
    assert await relay.deliver() == 0
    assert (await outbox.stats()).waiting == 0


async def test_what_is_undone_does_not(db: Database, outbox: Outbox) -> None:
    inbox = Inbox()
    await fail(db, outbox)
    assert await Relay(outbox, {"created": inbox}).deliver() == 0
    assert inbox.got == []


async def test_a_relay_is_woken_by_a_commit(db: Database, outbox: Outbox) -> None:
    arrived = asyncio.Event()

    async def handler(message: Message) -> None:
        arrived.set()

    # It would look by itself in a minute.
    async with Relay(outbox, {"created": handler}, poll=60.0):
        async with db.transaction():
            await outbox.add("created", Created(1))
            assert not arrived.is_set()
        await asyncio.wait_for(arrived.wait(), 5)


async def test_those_of_a_key_come_in_order_though_one_fails(outbox: Outbox) -> None:
    inbox, other = Inbox(failures=1), Inbox()
    for number in range(3):
        await outbox.add("created", Created(number), key="one")
    await outbox.add("other", Created(9), key="two")
    relay = Relay(outbox, {"created": inbox, "other": other}, pause=0.0)
    await relay.deliver()
    assert inbox.ids == [0, 0, 1, 2]
    assert other.ids == [9]


async def test_a_failure_is_tried_again_later_and_given_up_in_the_end(outbox: Outbox) -> None:
    inbox = Inbox(failures=3)
    await outbox.add("created", Created(1))
    relay = Relay(outbox, {"created": inbox}, attempts=3, pause=100.0)
    with clock.use(clock.TravelClock()) as travel:
        assert await relay.deliver() == 1
        assert await relay.deliver() == 0
        travel.jump(101)
        assert await relay.deliver() == 1
        travel.jump(99)
        assert await relay.deliver() == 0  # the pause is longer now
        travel.jump(102)
        assert await relay.deliver() == 1
    assert [message.attempt for message in inbox.got] == [1, 2, 3]
    (dead,) = await outbox.dead()
    assert dead.error == "RuntimeError: not today"
    assert (await outbox.stats()).dead == 1
    await outbox.retry(dead.id)
    assert await relay.deliver() == 1
    assert await outbox.dead() == []
    with pytest.raises(RowNotFoundError):
        await outbox.retry(dead.id)


async def test_a_topic_without_a_handler_is_left_for_others(outbox: Outbox) -> None:
    inbox = Inbox()
    await outbox.add("created", Created(1))
    assert await Relay(outbox, {"other": inbox}).deliver() == 0
    assert (await outbox.stats()).waiting == 1
    assert (await outbox.stats()).oldest >= 0


async def test_a_message_that_is_known_is_not_written_again(outbox: Outbox) -> None:
    inbox = Inbox()
    relay = Relay(outbox, {"created": inbox})
    assert await outbox.add("created", Created(1), dedup="order-1")
    assert not await outbox.add("created", Created(1), dedup="order-1")
    await relay.deliver()
    assert not await outbox.add("created", Created(1), dedup="order-1")
    assert inbox.ids == [1]


async def test_a_handler_that_takes_too_long_is_stopped(outbox: Outbox) -> None:
    async def handler(message: Message) -> None:
        await asyncio.Event().wait()

    await outbox.add("created", Created(1))
    await Relay(outbox, {"created": handler}, timeout=0.05, attempts=1).deliver()
    (dead,) = await outbox.dead()
    assert dead.error is not None
    assert dead.error.startswith("TimeoutError")


class _MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [ValueError("a file called \udcff\0"), _MuteError()])
async def test_whatever_an_error_says_its_message_is_given_up_in_the_end(
    outbox: Outbox, error: Exception
) -> None:
    """As of a file whose name is no text."""

    async def handler(message: Message) -> None:
        raise error

    await outbox.add("created", Created(1))
    assert await Relay(outbox, {"created": handler}, attempts=1).deliver() == 1
    (dead,) = await outbox.dead()
    assert dead.error is not None
    assert dead.error.startswith(type(error).__name__)


async def test_a_relay_goes_on_whatever_goes_wrong(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arrived = asyncio.Event()

    async def handler(message: Message) -> None:
        arrived.set()

    relay = Relay(outbox, {"created": handler}, poll=0.01)
    start, failures = relay._start, [OSError("not ours"), RuntimeError("nor this one")]

    async def fails(most: int) -> int:
        if failures:
            raise failures.pop()
        return await start(most)

    monkeypatch.setattr(relay, "_start", fails)
    await outbox.add("created", Created(1))
    async with relay:
        await asyncio.wait_for(arrived.wait(), 5)
    assert "the outbox cannot be read: nor this one" in caplog.text


async def test_two_relays_share_the_work(outbox: Outbox) -> None:
    one, two = Inbox(), Inbox()
    for number in range(40):
        await outbox.add("created", Created(number))
    await asyncio.gather(
        Relay(outbox, {"created": one}, concurrency=5).deliver(),
        Relay(outbox, {"created": two}, concurrency=5).deliver(),
    )
    assert sorted(one.ids + two.ids) == list(range(40))


async def test_a_relay_that_is_closed_gives_back_what_it_did_not_do(outbox: Outbox) -> None:
    begun = asyncio.Event()

    async def handler(message: Message) -> None:
        begun.set()
        await asyncio.Event().wait()

    await outbox.add("created", Created(1))
    async with Relay(outbox, {"created": handler}, grace=0.01):
        await asyncio.wait_for(begun.wait(), 5)
    inbox = Inbox()
    assert await Relay(outbox, {"created": inbox}).deliver() == 1
    assert inbox.got[0].attempt == 2


async def test_a_message_may_wait(outbox: Outbox) -> None:
    inbox = Inbox()
    relay = Relay(outbox, {"created": inbox})
    await outbox.add("created", Created(1), delay=3600)
    assert await relay.deliver() == 0
    with clock.use(clock.TravelClock()) as travel:
        travel.jump(3601)
        assert await relay.deliver() == 1


async def test_names_are_checked(outbox: Outbox) -> None:
    with pytest.raises(QueryError, match="topic"):
        await outbox.add("", Created(1))
    with pytest.raises(QueryError, match="key"):
        await outbox.add("created", Created(1), key="k" * 300)
    with pytest.raises(ConfigError, match="handlers"):
        Relay(outbox, {})


async def test_its_table_is_made_by_the_first_message_too(db: Database) -> None:
    outbox = Outbox(db)
    await fail(db, outbox)
    await outbox.add("created", Created(2))
    inbox = Inbox()
    await Relay(outbox, {"created": inbox}).deliver()
    assert inbox.ids == [2]


class TestOwnTables:
    STEP: ClassVar = {
        "sqlite": ["CREATE TABLE ox_thing (id INTEGER PRIMARY KEY)"],
        "postgresql": ["CREATE TABLE ox_thing (id BIGINT PRIMARY KEY)"],
        "mysql": ["CREATE TABLE IF NOT EXISTS ox_thing (id BIGINT PRIMARY KEY)"],
    }
    MORE: ClassVar = {
        name: ["ALTER TABLE ox_thing ADD COLUMN note VARCHAR(20)"]
        for name in ("sqlite", "postgresql", "mysql")
    }

    async def test_the_steps_that_are_left_are_done(self, db: Database) -> None:
        old, new = OwnTables("thing", [self.STEP]), OwnTables("thing", [self.STEP, self.MORE])
        await old.ensure(db)
        await old.ensure(db)
        await new.ensure(db)
        await new.run(db, "INSERT INTO ox_thing (id, note) VALUES (:id, :note)", id=1, note="a:b")
        rows = await new.fetch(db, "SELECT id, note FROM ox_thing WHERE note = :note", note="a:b")
        assert [tuple(row) for row in rows] == [(1, "a:b")]

    async def test_one_that_knows_less_refuses(self, db: Database) -> None:
        await OwnTables("thing", [self.STEP, self.MORE]).ensure(db)
        with pytest.raises(SchemaError, match=r"version 2, .* knows 1"):
            await OwnTables("thing", [self.STEP]).ensure(db)

    async def test_many_at_once_do_each_step_once(self, db: Database) -> None:
        many = [OwnTables("thing", [self.STEP, self.MORE]) for _ in range(6)]
        await asyncio.gather(*(each.ensure(db) for each in many))
        assert list(await many[0].fetch(db, "SELECT id, note FROM ox_thing")) == []

    async def test_a_step_that_fails_leaves_nothing(self, db: Database) -> None:
        wrong = {name: [*self.STEP[name], "CREATE NONSENSE"] for name in self.STEP}
        with pytest.raises(Exception, match="NONSENSE"):
            await OwnTables("thing", [wrong]).ensure(db)
        await OwnTables("thing", [self.STEP]).ensure(db)

    async def test_a_value_that_is_missing_is_named(self, db: Database) -> None:
        tables = OwnTables("thing", [self.STEP])
        with pytest.raises(QueryError, match="id"):
            await tables.fetch(db, "SELECT :id", other=1)
