"""UUIDv7 and ULID: their form, their order, and the clock under them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest

from oxidite.clock import TravelClock, use
from oxidite.db import Col, Database, Model, col, ulid, uuid7

START = datetime(2090, 1, 1, tzinfo=UTC)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _milliseconds(text: str) -> int:
    number = 0
    for each in text[:10]:
        number = number * 32 + ALPHABET.index(each)
    return number


def test_the_form_of_a_uuid() -> None:
    with use(TravelClock(START)):
        made = uuid7()
    assert made.version == 7
    assert made.variant == RFC_4122
    assert made.int >> 80 == int(START.timestamp() * 1000)


def test_the_form_of_a_ulid() -> None:
    with use(TravelClock(START)):
        made = ulid()
    assert len(made) == 26
    assert set(made) <= set(ALPHABET)
    assert _milliseconds(made) == int(START.timestamp() * 1000)


def test_each_is_greater_than_the_one_before() -> None:
    uuids = [uuid7() for _ in range(20_000)]
    assert uuids == sorted(set(uuids))
    ulids = [ulid() for _ in range(20_000)]
    assert ulids == sorted(set(ulids))


def test_in_one_millisecond_too_and_when_the_clock_is_corrected() -> None:
    clock = TravelClock(START)
    with use(clock):
        first = [uuid7() for _ in range(100)]
    with use(TravelClock(START - timedelta(seconds=5))):
        later = [uuid7() for _ in range(100)]
    assert first + later == sorted(set(first + later))
    # What is added is chance: one does not tell of the next.
    steps = {after.int - before.int for before, after in pairwise(first)}
    assert len(steps) > 90


def test_a_clock_that_was_set_begins_anew() -> None:
    with use(TravelClock(START + timedelta(days=365))):
        uuid7()
    with use(TravelClock(START)):
        assert uuid7().int >> 80 == int(START.timestamp() * 1000)


def test_threads_get_no_two_alike() -> None:
    found: list[UUID] = []

    def work() -> None:
        found.extend(uuid7() for _ in range(2_000))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 16_000


class Event(Model, table="events"):
    id: Col[UUID] = col(pk=True, default_factory=uuid7)
    name: Col[str]


class Seat(Model, table="seats"):
    row: Col[str] = col(pk=True)
    number: Col[int] = col(pk=True)
    taken: Col[bool] = col(default=False)


async def test_rows_keep_the_order_in_which_they_were_made(db: Database) -> None:
    await db.push(Event)
    for name in "abcdef":
        await Event.create(name=name)
    found = await Event.order_by(Event.id).select(Event.name).all()
    assert [name for (name,) in found] == list("abcdef")


async def test_a_key_of_two_columns(db: Database) -> None:
    from oxidite.db import UniqueError

    await db.push(Seat)
    for row in "ab":
        for number in (1, 2):
            await Seat.create(row=row, number=number)
    seat = await Seat.get("b", 1)
    seat.taken = True
    await seat.save()
    assert [(each.row, each.number) for each in await Seat.where(Seat.taken == True).all()] == [  # noqa: E712
        ("b", 1)
    ]
    await seat.delete()
    assert await Seat.get_or_none("b", 1) is None
    assert await Seat.count() == 3
    with pytest.raises(UniqueError) as caught:
        await Seat.create(row="a", number=1)
    assert {error.pointer for error in caught.value.errors} == {"/row", "/number"}
