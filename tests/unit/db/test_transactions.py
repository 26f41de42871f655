"""Transactions that meet: locks on rows, isolation, what is run again, and what goes with a deleted row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.db.conftest import database_url

from oxidite.db import (
    Col,
    ConflictingTransactionsError,
    ConstraintError,
    Database,
    LockTimeoutError,
    Model,
    ReadOnlyError,
    Select,
    TransactionError,
    col,
)


class Account(Model, table="accounts"):
    id: Col[int] = col(pk=True, init=False)
    owner: Col[str] = col(max_length=20)
    cents: Col[int] = col(default=0)


@pytest.fixture(
    params=[
        pytest.param("postgresql", marks=pytest.mark.service("postgres")),
        pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
    ]
)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database that locks rows one by one, with two accounts."""
    async with database_url(request.param, tmp_path) as url, Database.from_url(url) as db:
        await db.push(Account)
        for owner in "ab":
            await Account.create(owner=owner)
        yield db


async def while_locked(
    db: Database, lock: Select[Account], act: Callable[[], Awaitable[object]]
) -> None:
    """Run ``act`` in a transaction of its own while another one has locked the first account."""
    locked, over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.transaction():
            assert len(await lock.where(Account.owner == "a").all()) == 1
            locked.set()
            await over.wait()

    holder = asyncio.create_task(hold())
    await locked.wait()
    try:
        async with asyncio.timeout(10), db.transaction():
            await act()
    finally:
        over.set()
        await holder


class TestLocks:
    async def test_rows_that_are_locked_are_left_out(self, server: Database) -> None:
        async def act() -> None:
            free = await Account.query().for_update(skip_locked=True).all()
            assert [each.owner for each in free] == ["b"]

        await while_locked(server, Account.query().for_update(), act)
        await while_locked(server, Account.query().for_share(), act)

    async def test_a_row_that_is_locked_is_an_error_at_once(self, server: Database) -> None:
        async def act() -> None:
            with pytest.raises(LockTimeoutError):
                await Account.query().for_update(nowait=True).all()

        await while_locked(server, Account.query().for_update(), act)

    async def test_many_may_share_a_row(self, server: Database) -> None:
        async def act() -> None:
            assert len(await Account.query().for_share(nowait=True).all()) == 2

        await while_locked(server, Account.query().for_share(), act)

    async def test_a_lock_is_waited_for_and_then_the_row_is_as_the_other_left_it(
        self, server: Database
    ) -> None:
        async def add() -> None:
            async with server.transaction():
                row = await Account.where(Account.owner == "a").for_update().one()
                row.cents += 1
                await row.save()

        async with asyncio.timeout(20):
            await asyncio.gather(*(add() for _ in range(10)))
        assert (await Account.where(Account.owner == "a").one()).cents == 10


async def test_a_deadlock_undoes_all_and_is_run_again(server: Database) -> None:
    one, other = await Account.order_by(Account.id).all()
    barrier = asyncio.Barrier(2)
    tries: list[str] = []

    def move(name: str, first: Account, second: Account) -> Any:
        @server.transaction(retry=3)
        async def run() -> None:
            tries.append(name)
            for place, id_ in enumerate((first.id, second.id)):
                row = await Account.get(id_)
                row.cents += 1
                await row.save()
                if place == 0 and len(tries) <= 2:
                    await barrier.wait()

        return run()

    async with asyncio.timeout(20):
        await asyncio.gather(move("x", one, other), move("y", other, one))
    assert len(tries) == 3
    assert [row.cents for row in await Account.order_by(Account.id).all()] == [2, 2]


@pytest.mark.service("postgres")
async def test_transactions_that_cannot_be_put_in_an_order_are_run_again(tmp_path: Path) -> None:
    """Each reads what the other writes: one after the other they would have seen it."""
    barrier = asyncio.Barrier(2)
    tries: list[str] = []

    async with database_url("postgresql", tmp_path) as url, Database.from_url(url) as db:
        await db.push(Account)

        @db.transaction(isolation="serializable", retry=3)
        async def add(owner: str) -> None:
            tries.append(owner)
            number = await Account.count()
            if len(tries) <= 2:
                await barrier.wait()
            await Account.create(owner=owner, cents=number)

        async with asyncio.timeout(20):
            await asyncio.gather(add("a"), add("b"))
        assert len(tries) == 3
        assert sorted([each.cents for each in await Account.all()]) == [0, 1]


async def test_what_is_run_again_too_often_is_an_error(db: Database) -> None:
    tries = 0

    @db.transaction(retry=2)
    async def run() -> None:
        nonlocal tries
        tries += 1
        raise ConflictingTransactionsError("as the database says")

    with pytest.raises(ConflictingTransactionsError):
        await run()
    assert tries == 3


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
async def test_each_isolation_commits_and_undoes(db: Database, isolation: Any) -> None:
    await db.push(Account)

    async def fail() -> None:
        async with db.transaction(isolation=isolation):
            await Account.create(owner="b")
            raise KeyError

    async with db.transaction(isolation=isolation):
        await Account.create(owner="a")
    with pytest.raises(KeyError):
        await fail()
    assert [each.owner for each in await Account.all()] == ["a"]


async def test_one_that_is_to_read_only_cannot_write(db: Database) -> None:
    await db.push(Account)
    async with db.transaction(read_only=True):
        assert await Account.count() == 0
        with pytest.raises(ReadOnlyError):
            await Account.create(owner="a")
    assert await Account.count() == 0
    await Account.create(owner="a")  # what was told to the connection is taken back


async def test_isolation_is_not_said_inside(db: Database) -> None:
    async with db.transaction():
        with pytest.raises(TransactionError, match="of a whole transaction"):
            async with db.transaction(read_only=True):
                pass


async def test_transactions_on_a_file_may_read_before_they_write(tmp_path: Path) -> None:
    """With a BEGIN that locks nothing one of two that have read could never write."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with Database.from_url(url) as one, Database.from_url(url, name="other") as other:
        await one.push(Account)
        await Account.create(owner="a")

        async def add(db: Database) -> None:
            for _ in range(20):
                with db.using():
                    async with db.transaction():
                        row = await Account.where(Account.owner == "a").one()
                        row.cents += 1
                        await row.save()

        async with asyncio.timeout(20):
            await asyncio.gather(add(one), add(other))
        assert (await Account.query().one()).cents == 40


class Owner(Model, table="owners"):
    id: Col[int] = col(pk=True, init=False)


class Dog(Model, table="dogs"):
    id: Col[int] = col(pk=True, init=False)
    kept_by: Col[int | None] = col(default=None, references=Owner.id, on_delete="set null")
    bred_by: Col[int | None] = col(default=None, references=Owner.id, on_delete="cascade")
    chipped_by: Col[int | None] = col(default=None, references=Owner.id)


async def test_a_deleted_row_takes_along_sets_free_or_is_kept(db: Database) -> None:
    await db.push(Owner, Dog)
    ann, ben, cyd = [await Owner.create() for _ in range(3)]
    for dog in (Dog(kept_by=ann.id), Dog(bred_by=ben.id), Dog(chipped_by=cyd.id)):
        await dog.save()

    await ann.delete()
    await ben.delete()
    with pytest.raises(ConstraintError):
        await cyd.delete()

    left = Dog.order_by(Dog.id).select(Dog.id, Dog.kept_by, Dog.chipped_by)
    assert await left.all() == [(1, None, None), (3, None, cyd.id)]
    assert await Owner.count() == 1


async def test_an_isolation_that_there_is_not_is_refused_on_every_database(db: Database) -> None:
    wrong: Any = "snapshot; DROP TABLE users"
    with pytest.raises(
        TransactionError, match="'read committed', 'repeatable read', 'serializable'"
    ):
        db.transaction(isolation=wrong)
