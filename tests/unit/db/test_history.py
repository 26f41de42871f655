"""Histories: each change of a row leaves a version, whatever made it, and rows can be read as they were."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.unit.db.conftest import KINDS

from oxidite.carried import user
from oxidite.clock import TravelClock, now, use
from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    History,
    Keys,
    Model,
    ModelError,
    QueryError,
    Revision,
    SoftDeletes,
    Tenancy,
    Timestamps,
    Version,
    col,
    excluded,
    prune,
    reason,
    reencrypt,
    rel,
)
from oxidite.encoding import encode_json

DAY = timedelta(days=1)
tenancy = Tenancy[int]()


class Price(Model, History, table="prices"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(max_length=50, unique=True)
    amount: Col[int] = col(default=0)


class Note(Model, History, SoftDeletes, Timestamps, Version, table="notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str] = col(default="")


class Offer(Model, History, table="offers", scope=tenancy.by("tenant_id")):
    tenant_id: Col[int] = col(pk=True, init=False, default_factory=tenancy.current)
    code: Col[str] = col(pk=True, max_length=20)
    amount: Col[int] = col(default=0)


class Shelf(Model, table="shelves"):
    id: Col[int] = col(pk=True, init=False)
    items: HasMany[Item] = rel(fk="shelf_id")


class Item(Model, History, table="items"):
    id: Col[int] = col(pk=True, init=False)
    shelf_id: Col[int] = col(references=Shelf.id)
    shelf: BelongsTo[Shelf] = rel(fk="shelf_id")


async def versions(one: Any) -> list[tuple[str, object]]:
    """Return what each version of a price did and its amount, the oldest first."""
    return [(each.change, each.row.amount) for each in reversed(await one.history())]


async def rows(db: Database, table: str, columns: str) -> list[tuple[Any, ...]]:
    text: Any = f"SELECT {columns} FROM {table}_history ORDER BY history_id"
    return [tuple(row) for row in await db.sql(text).all()]


async def assert_intervals(db: Database, table: str, key: str) -> None:
    """See to it that the versions of a row follow each other: none overlaps, and one is open at most."""
    found: dict[object, list[tuple[Any, Any, str]]] = {}
    for one, since, until, change in await rows(
        db, table, f"{key}, history_from, history_until, history_change"
    ):
        found.setdefault(one, []).append((since, until, change))
    for each in found.values():
        for (since, until, _), (following, _, _) in pairwise(each):
            assert until is not None
            assert since <= until <= following
        assert each[-1][1] is None or each[-1][2] == "delete"


async def test_each_change_of_an_object_leaves_a_version(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=1)
    price.amount = 2
    await price.save()
    assert await price.increment(Price.amount, 3) == 5
    await price.save()  # nothing has changed
    await price.delete()
    gone = Price(name="tea", amount=0)
    gone.id = price.id
    assert await versions(gone) == [("insert", 1), ("update", 2), ("update", 5), ("delete", 5)]
    await assert_intervals(db, "prices", "id")


async def test_changes_of_many_rows_leave_versions(db: Database) -> None:
    await db.push(Price)
    many = await Price.create_many([Price(name=f"n{n}", amount=n) for n in range(70)])
    for each in many:
        each.amount += 1
    await Price.update_many(many)
    assert await Price.where(Price.amount > 60).update(Price.amount.to(Price.amount * 2)) == 10
    await Price.load_many([Price(name=f"l{n}", amount=n) for n in range(40)])
    await Price.upsert(
        [Price(name="n0", amount=7), Price(name="new", amount=8)],
        on=[Price.name],
        update=[Price.amount.to(excluded(Price.amount) + 1)],
    )
    await Price.get_or_create(Price(name="n0", amount=99), on=[Price.name])
    await Price.delete_many(many[:2])
    assert await Price.where(Price.amount >= 122).delete() == 10
    changes = [change for (change,) in await rows(db, "prices", "history_change")]
    assert {each: changes.count(each) for each in changes} == {
        "insert": 70 + 40 + 1,
        "update": 70 + 10 + 1,
        "delete": 12,
    }
    assert await versions(many[0]) == [("insert", 0), ("update", 1), ("update", 8), ("delete", 8)]
    open_ones = await db.sql(
        "SELECT name, amount FROM prices_history WHERE history_until IS NULL ORDER BY name"
    ).all()
    present = await Price.query().order_by(Price.name).select(Price.name, Price.amount).all()
    assert [tuple(each) for each in open_ones] == present
    await assert_intervals(db, "prices", "id")


async def test_sql_of_a_person_leaves_versions(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=1)
    await db.sql("UPDATE prices SET amount = 9").run()
    await db.sql("DELETE FROM prices").run()
    assert await versions(price) == [("insert", 1), ("update", 9), ("delete", 9)]


async def test_it_is_known_who_changed_a_row_and_why(db: Database) -> None:
    await db.push(Price)
    with user.of("7"):
        price = await Price.create(name="tea", amount=1)
        with reason.of("a new list"):
            price.amount = 2
            await price.save()
    await Price.where(Price.amount == 2).update(amount=3)
    await db.sql("UPDATE prices SET amount = 4").run()
    async with db.transaction():
        with user.of("8"):
            await Price.where(Price.amount == 4).update(amount=5)
        with user.of("9"):
            await Price.where(Price.amount == 5).update(amount=6)
    known = [(each.by, each.reason) for each in reversed(await price.history())]
    assert known == [
        ("7", None),
        ("7", "a new list"),
        (None, None),
        (None, None),
        ("8", None),
        ("9", None),
    ]


async def test_nobody_is_named_after_a_transaction_was_undone(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=1)
    with user.of("7"), contextlib.suppress(LookupError):
        async with db.transaction():
            await Price.where(Price.id == price.id).update(amount=2)
            raise LookupError
    assert await versions(price) == [("insert", 1)]
    for amount in range(20):  # whichever connection of the pool it is
        await db.sql("UPDATE prices SET amount = :amount", amount=amount).run()
    assert {each.by for each in await price.history()} == {None}


async def test_a_savepoint_that_is_undone_takes_its_versions_along(db: Database) -> None:
    await db.push(Price)
    with user.of("7"):
        async with db.transaction():
            with contextlib.suppress(LookupError):
                async with db.transaction():
                    await Price.create(name="undone")
                    raise LookupError
            price = await Price.create(name="tea", amount=1)
    (version,) = await price.history()
    assert (version.by, version.row.name) == ("7", "tea")
    assert len(await rows(db, "prices", "history_id")) == 1


async def test_what_a_transaction_changes_is_changed_at_one_moment(db: Database) -> None:
    await db.push(Price)
    async with db.transaction():
        first = await Price.create(name="tea", amount=1)
        second = await Price.create(name="milk", amount=1)
        first.amount = 2
        await first.save()
    found = [*await first.history(), *await second.history()]
    assert len({each.since for each in found}) == 1
    assert [each.amount for each in await Price.as_of(now()).order_by(Price.id).all()] == [2, 1]


async def test_rows_are_read_as_they_were(db: Database) -> None:
    await db.push(Price)
    with use(TravelClock(datetime(2026, 1, 1, tzinfo=UTC))) as clock:
        tea = await Price.create(name="tea", amount=1)
        await Price.create(name="milk", amount=5)
        clock.jump(DAY.total_seconds())
        tea.amount = 2
        await tea.save()
        clock.jump(DAY.total_seconds())
        await Price.where(Price.name == "milk").delete()
        today = now()
    before, first, second = today - 3 * DAY, today - 2 * DAY, today - DAY
    assert await Price.as_of(before).all() == []
    names = Price.as_of(first).order_by(Price.amount.desc())
    assert [(each.name, each.amount) for each in await names.all()] == [("milk", 5), ("tea", 1)]
    found = await Price.as_of(second).where(Price.amount < 3).one()
    assert type(found) is Price
    assert (found.id, found.amount) == (tea.id, 2)
    assert await Price.as_of(second).count() == 2
    assert await Price.as_of(today).count() == 1
    assert await Price.as_of(second).order_by(Price.id).limit(1).offset(1).select(
        Price.name
    ).all() == [("milk",)]
    page = await Price.as_of(second).order_by(Price.name).keyset(limit=1)
    assert [each.name for each in page.items] == ["milk"]
    following = await Price.as_of(second).order_by(Price.name).keyset(limit=1, after=page.next)
    assert [each.name for each in following.items] == ["tea"]


async def test_moments_between_two_changes_are_exact(db: Database) -> None:
    await db.push(Price)
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    with use(TravelClock(moment)):
        tea = await Price.create(name="tea", amount=1)
    with use(TravelClock(moment + timedelta(microseconds=2))):
        tea.amount = 2
        await tea.save()
    zone = (moment + timedelta(microseconds=1)).astimezone()
    assert (await Price.as_of(zone).one()).amount == 1
    assert (await Price.as_of(moment).one()).amount == 1
    assert (await Price.as_of(moment + timedelta(microseconds=2)).one()).amount == 2
    newest, oldest = await tea.history()
    assert (oldest.since, oldest.until) == (moment, moment + timedelta(microseconds=2))
    assert (newest.since, newest.until) == (moment + timedelta(microseconds=2), None)


async def test_a_clock_that_goes_back_makes_no_intervals_overlap(db: Database) -> None:
    await db.push(Price)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with use(TravelClock(moment)):
        tea = await Price.create(name="tea", amount=1)
    with use(TravelClock(moment - DAY)):
        tea.amount = 2
        await tea.save()
        await tea.delete()
    with use(TravelClock(moment - 2 * DAY)):
        again = Price(name="tea", amount=3)
        again.id = tea.id
        await Price.create_many([again])
    assert {each.since for each in await again.history()} == {moment}
    assert (await Price.as_of(moment).one()).amount == 3
    await assert_intervals(db, "prices", "id")


async def test_pages_of_versions(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=0)
    other = await Price.create(name="milk", amount=100)
    for amount in range(1, 6):
        price.amount = amount
        await price.save()
    first = await price.history(limit=4)
    rest = await price.history(limit=4, before=first[-1].number)
    assert [each.row.amount for each in (*first, *rest)] == [5, 4, 3, 2, 1, 0]
    assert [each.row.amount for each in await other.history()] == [100]
    assert isinstance(first[0], Revision)


async def test_what_changed_between_two_versions(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=1)
    price.name, price.amount = "green tea", 2
    await price.save()
    newest, oldest = await price.history()
    assert newest.changes(oldest) == {"name": ("tea", "green tea"), "amount": (1, 2)}
    assert oldest.changes(None)["name"] == (None, "tea")
    other = await Price.create(name="milk")
    with pytest.raises(QueryError, match="different rows"):
        newest.changes((await other.history())[0])


async def test_a_row_is_made_again_what_it_was(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=1)
    stale = await Price.get(price.id)
    await Price.where(Price.id == price.id).update(amount=2, name="milk")
    oldest = (await price.history())[-1]
    with user.of("7"), reason.of("a mistake"):
        assert await stale.revert_to(oldest) is stale
    assert (await Price.get(price.id)).amount == 1
    newest = (await price.history())[0]
    assert (newest.change, newest.by, newest.reason) == ("update", "7", "a mistake")
    other = await Price.create(name="other")
    with pytest.raises(QueryError, match="not one of this Price"):
        await other.revert_to(oldest)


async def test_a_deleted_row_is_made_anew_with_its_key(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=1)
    key = price.id
    (version,) = await price.history()
    await price.delete()
    again = await price.revert_to(version)
    assert (again.id, again.amount) == (key, 1)
    assert await versions(again) == [("insert", 1), ("delete", 1), ("insert", 1)]
    again.amount = 2
    await again.save()
    assert (await Price.get(key)).amount == 2


async def test_soft_deletes_and_versions_of_optimistic_locks(db: Database) -> None:
    await db.push(Note)
    with use(TravelClock(datetime(2026, 1, 1, tzinfo=UTC))) as clock:
        note = await Note.create(text="first")
        there = now()
        clock.jump(DAY.total_seconds())
        await note.delete()
        away = now()
        clock.jump(DAY.total_seconds())
        await note.restore()
    assert await Note.as_of(there).count() == 1
    assert await Note.as_of(away).count() == 0
    assert await Note.as_of(away).with_deleted().count() == 1
    assert await Note.as_of(away).only_deleted().count() == 1
    assert [each.change for each in await note.history()] == ["update", "update", "insert"]
    note.text = "second"
    await note.save()
    written = note.version
    await note.revert_to((await note.history())[-1])
    assert (note.text, note.deleted_at, note.version) == ("first", None, written + 1)
    assert note.updated_at > there
    await note.force_delete()
    assert (await note.history())[0].change == "delete"


async def test_tenants_see_their_own_history(db: Database) -> None:
    await db.push(Offer)
    with tenancy.of(1):
        mine = await Offer.create(code="a", amount=1)
        mine.amount = 2
        await mine.save()
    with tenancy.of(2):
        await Offer.create(code="a", amount=9)
        assert [each.amount for each in await Offer.as_of(now()).all()] == [9]
        assert await mine.history() == []
    with tenancy.of(1):
        assert [each.row.amount for each in await mine.history()] == [2, 1]
        assert [each.amount for each in await Offer.as_of(now()).all()] == [2]
    assert await Offer.as_of(now(), unscoped=True).count() == 2
    await assert_intervals(db, "offers", "tenant_id")


async def test_hidden_and_encrypted_columns_keep_their_protection(db: Database) -> None:
    keys = Keys(Keys.generate())

    class Account(Model, History, table="accounts"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(default="")
        pin: Col[str] = col(hidden=True)
        iban: Col[str] = col(encrypted=keys, searchable=True)

    await db.push(Account)
    account = await Account.create(name="a", pin="1234", iban="DE1")
    account.pin, account.iban = "9999", "DE2"
    await account.save()
    stored = await rows(db, "accounts", "iban")
    assert all(b"DE" not in bytes(iban) for (iban,) in stored)
    newest, oldest = await account.history()
    assert (oldest.row.iban, oldest.row.pin, newest.row.iban) == ("DE1", "1234", "DE2")
    assert b"1234" not in encode_json(oldest)
    assert b"DE1" not in encode_json(oldest)
    assert newest.changes(oldest) == {
        "pin": ("[hidden]", "[hidden]"),
        "iban": ("[hidden]", "[hidden]"),
    }
    assert (await Account.as_of(oldest.since).where(Account.iban == "DE1").one()).iban == "DE1"


async def test_versions_are_encrypted_anew_too(db: Database) -> None:
    old = Keys.generate()
    keys = Keys(old)

    class Account(Model, History, table="accounts"):
        id: Col[int] = col(pk=True, init=False)
        iban: Col[str] = col(encrypted=keys, searchable=True)

    await db.push(Account)
    account = await Account.create(iban="DE1")
    account.iban = "DE2"
    await account.save()
    newer = Keys([Keys.generate(), old])

    class Again(Model, History, table="accounts"):
        id: Col[int] = col(pk=True, init=False)
        iban: Col[str] = col(encrypted=newer, searchable=True)

    assert await reencrypt(Again, batch=1) == 1
    sealed = [bytes(iban) for (iban,) in await rows(db, "accounts", "iban")]
    assert [newer.is_newest(each) for each in sealed] == [True, True, True]
    found = await (await Again.get(account.id)).history()
    assert [each.row.iban for each in found] == ["DE2", "DE2", "DE1"]
    assert found[0].reason == "encrypted anew"
    assert await Again.as_of(found[-1].since).where(Again.iban == "DE1").count() == 1


async def test_what_foreign_keys_do_leaves_versions(db: Database) -> None:
    class Owner(Model, table="owners"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(default="")

    class Pet(Model, History, table="pets"):
        id: Col[int] = col(pk=True, init=False)
        owner_id: Col[int] = col(references=Owner.id, on_delete="cascade")

    if db.dialect.is_mysql:
        with pytest.raises(ModelError, match=r"pets\.owner_id is changed by its foreign key"):
            await db.push(Owner, Pet)
        return
    await db.push(Owner, Pet)
    owner = await Owner.create(name="a")
    pet = await Pet.create(owner_id=owner.id)
    with user.of("7"):
        await owner.delete()
    newest, _ = await pet.history()
    assert (newest.change, newest.by) == ("delete", "7")


async def test_relations_of_rows_as_they_were_are_refused(db: Database) -> None:
    await db.push(Shelf, Item)
    shelf = await Shelf.create()
    await Item.create(shelf_id=shelf.id)
    query = Item.as_of(now())
    found = await query.one()
    with pytest.raises(Exception, match="not loaded"):
        await found.shelf
    with pytest.raises(QueryError, match="as they are now"):
        query.with_(Item.shelf)
    with pytest.raises(QueryError, match="as they are now"):
        query.join(Shelf, on=Shelf.id == Item.shelf_id)
    with pytest.raises(QueryError, match="as they are now"):
        query.for_update()
    with pytest.raises(QueryError, match="over a relation"):
        query.where(Item.shelf.has(Shelf.id > 0))
    with pytest.raises(QueryError, match="as they were"):
        await query.update(shelf_id=2)
    with pytest.raises(QueryError, match="as they were"):
        await query.delete()
    past = query.subquery("past")
    joined = Shelf.query().join(past, on=past[Item.shelf_id] == Shelf.id)
    assert await joined.count() == 1


async def test_a_moment_has_a_time_zone_and_a_model_a_history(db: Database) -> None:
    with pytest.raises(QueryError, match="no time zone"):
        Price.as_of(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake
    with pytest.raises(ModelError, match=r"prune_history_after= is of a model with a History"):

        class Plain(Model, table="plain", prune_history_after=DAY):
            id: Col[int] = col(pk=True, init=False)

    with pytest.raises(ModelError, match="has as_of of its own"):

        class Clash(Model, History, table="clash"):
            id: Col[int] = col(pk=True, init=False)
            as_of: Col[str] = col(default="")  # type: ignore[assignment]  # that is the mistake

    with pytest.raises(ModelError, match="history_from"):

        class Taken(Model, History, table="taken"):
            id: Col[int] = col(pk=True, init=False)
            history_from: Col[str] = col(default="")

    with pytest.raises(ModelError, match="too long"):

        class Long(Model, History, table="a" * 60):
            id: Col[int] = col(pk=True, init=False)


async def test_versions_that_are_past_for_long_are_pruned(db: Database) -> None:
    class Rate(Model, History, table="rates", prune_history_after=30 * DAY):
        id: Col[int] = col(pk=True, init=False)
        amount: Col[int] = col(default=0)

    await db.push(Rate)
    with use(TravelClock(now() - 50 * DAY)) as clock:
        kept = await Rate.create(amount=1)
        gone = await Rate.create(amount=1)
        for amount in range(2, 7):
            kept.amount = amount
            await kept.save()
        await gone.delete()
        clock.jump(40 * DAY.total_seconds())
        kept.amount = 7
        await kept.save()
    assert await prune(Rate, batch=2) == 0
    assert await versions(kept) == [("update", 6), ("update", 7)]
    assert len(await rows(db, "rates", "history_id")) == 2
    assert (await Rate.get(kept.id)).amount == 7


async def test_two_writers_of_a_row_leave_intervals_that_follow_each_other(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=0)
    met = asyncio.Event()

    async def late() -> None:
        async with db.transaction():
            await Price.create(name="earlier")  # its moment is the earlier one
            met.set()
            await Price.where(Price.id == price.id).update(Price.amount.to(Price.amount + 1))

    async def other() -> None:
        await met.wait()
        await Price.where(Price.id == price.id).update(Price.amount.to(Price.amount + 1))

    if db.dialect.locks_rows:
        await asyncio.gather(late(), other())
    await asyncio.gather(
        *(
            Price.where(Price.id == price.id).update(Price.amount.to(Price.amount + 1))
            for _ in range(20)
        )
    )
    total = (await Price.get(price.id)).amount
    assert [amount for _, amount in await versions(price)] == list(range(total + 1))
    await assert_intervals(db, "prices", "id")


# SQLite has one writer at a time: none begins before another has ended.
@pytest.mark.parametrize("url", KINDS[2:], indirect=True)
async def test_a_transaction_that_began_earlier_and_writes_later(db: Database) -> None:
    await db.push(Price)
    price = await Price.create(name="tea", amount=0)
    begun, written = asyncio.Event(), asyncio.Event()

    async def early() -> None:
        async with db.transaction(isolation="read committed"):
            await Price.create(name="milk")
            begun.set()
            await written.wait()
            await Price.where(Price.id == price.id).update(amount=2)

    async def late() -> None:
        await begun.wait()
        await Price.where(Price.id == price.id).update(amount=1)
        written.set()

    await asyncio.gather(early(), late())
    assert [amount for _, amount in await versions(price)] == [0, 1, 2]
    await assert_intervals(db, "prices", "id")


async def test_rows_made_at_once_do_not_wait_for_each_other(db: Database) -> None:
    await db.push(Price)

    async def make(number: int) -> None:
        async with db.transaction():
            for part in range(5):
                await Price.create(name=f"{number} {part}", amount=number)

    await asyncio.gather(*map(make, range(8)))
    assert len(await rows(db, "prices", "history_id")) == 40


async def test_pushing_again_changes_nothing_and_rows_from_before_get_a_version(
    db: Database,
) -> None:
    class Plain(Model, table="things"):
        id: Col[int] = col(pk=True, init=False)
        amount: Col[int] = col(default=0)

    await db.push(Plain)
    await Plain.create(amount=1)

    class Thing(Model, History, table="things"):
        id: Col[int] = col(pk=True, init=False)
        amount: Col[int] = col(default=0)

    for _ in range(2):
        await db.push(Thing)
    thing = (await Thing.all())[0]
    thing.amount = 2
    await thing.save()
    assert await versions(thing) == [("begin", 1), ("update", 2)]
