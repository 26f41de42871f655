"""What makes the database fast must not be seen, except in how long it takes."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import subprocess
import sys
import tracemalloc
import weakref
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from oxidite import Oxidite
from oxidite.db import BelongsTo, Col, Database, HasMany, Model, col, observe, rel
from oxidite.db.tables.making import twin_of
from oxidite.db.values.codecs import binder, many_binder
from oxidite.db.values.kinds import kind_of
from oxidite.testing import Client


class Keeper(Model, table="speed_keepers"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    pets: HasMany[Pet] = rel(fk="keeper_id")


class Pet(Model, table="speed_pets"):
    name: Col[str]
    id: Col[int] = col(pk=True, init=False)
    keeper_id: Col[int | None] = col(default=None, references=Keeper.id)
    tags: Col[list[str]] = col(array=True, default_factory=list)
    born_at: Col[datetime] = col(default=datetime(2026, 1, 2, tzinfo=UTC))
    keeper: BelongsTo[Keeper | None] = rel(fk="keeper_id")


class Base(Model, abstract=True):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]


class Derived(Base, table="speed_derived"):
    note: Col[str] = col(default="-")


class Edge(Model, table="speed_edges"):
    id: Col[int] = col(pk=True, init=False)
    at: Col[datetime]
    number: Col[int | None]
    truth: Col[bool | None]


class First(Model, table="speed_firsts"):
    keeper: BelongsTo[Keeper | None] = rel(fk="keeper_id")
    id: Col[int] = col(pk=True, init=False)
    keeper_id: Col[int | None] = col(default=None, references=Keeper.id)
    name: Col[str]


class Told(Model, table="speed_told"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]

    def __post_init__(self) -> None:
        self.name = self.name.upper()


@pytest.fixture
async def filled(db: Database) -> None:
    await db.push(Keeper, Pet, Derived, First, Told, Edge)


@pytest.mark.usefixtures("filled")
async def test_what_is_read_is_an_object_like_any_other() -> None:
    keeper = await Keeper.create(name="Ada")
    await Pet.create(name="Rex", keeper_id=keeper.id, tags=["a"])
    made = Pet(name="Rex", keeper_id=keeper.id, tags=["a"])
    (read,) = await Pet.all()
    made.id = read.id

    assert type(read) is Pet
    assert repr(read) == repr(made)
    assert msgspec.to_builtins(read) == msgspec.to_builtins(made)
    assert msgspec.json.encode(read) == msgspec.json.encode(made)
    assert gc.is_tracked(read) == gc.is_tracked(made)
    assert weakref.ref(read)() is read
    assert pickle.loads(pickle.dumps(read)) == made
    assert (await read.keeper) == keeper


@pytest.mark.usefixtures("filled")
async def test_objects_of_plain_values_stay_unknown_to_the_collector() -> None:
    await Keeper.create(name="Ada")
    (read,) = await Keeper.all()
    assert gc.is_tracked(read) == gc.is_tracked(Keeper(name="Ada"))


@pytest.mark.usefixtures("filled")
async def test_inherited_columns_are_read_in_their_places() -> None:
    await Derived.create(name="one", note="two")
    (read,) = await Derived.all()
    assert (type(read), read.id, read.name, read.note) == (Derived, 1, "one", "two")


@pytest.mark.usefixtures("filled")
async def test_columns_after_a_relation_are_read_in_their_places() -> None:
    keeper = await Keeper.create(name="Ada")
    await First.create_many([First(name="one", keeper_id=keeper.id), First(name="two")])
    one, two = await First.query().order_by(First.id).all()
    assert (one.id, one.name, one.keeper_id, await one.keeper) == (1, "one", keeper.id, keeper)
    assert (two.id, two.name, two.keeper_id, await two.keeper) == (2, "two", None, None)


@pytest.mark.usefixtures("filled")
async def test_what_a_program_does_when_an_object_is_made_is_done_for_rows_too() -> None:
    await Told.create(name="quiet")
    assert [each.name for each in await Told.all()] == ["QUIET"]
    assert twin_of(Told.__table__) is None


@pytest.mark.usefixtures("filled")
async def test_an_observer_of_a_base_is_called_once_for_each_object() -> None:
    await Derived.create(name="read", note="before")
    await Derived.all()
    called: Counter[str] = Counter()

    @observe(Base, "before_save")
    async def seen(one: Base) -> None:
        called[one.name] += 1

    await Derived.create(name="new")
    assert called == {"new": 1}


@pytest.mark.usefixtures("filled")
async def test_what_is_changed_inside_of_an_array_is_a_change() -> None:
    await Pet.create_many([Pet(name=name, tags=["a"]) for name in ("one", "two")])
    made = await Pet.create(name="made", tags=["a"])
    for one in [*await Pet.all(), made]:
        assert one.changed() == []
        one.tags.append("b")
        assert one.changed() == ["tags"]
        await one.save()
    assert [each.tags for each in await Pet.all()] == [["a", "b"]] * 3


@given(
    st.datetimes(
        min_value=datetime(1, 1, 3),  # noqa: DTZ001 - the zone is said below
        max_value=datetime(9999, 12, 29),  # noqa: DTZ001 - as above
        timezones=st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
    )
)
def test_moments_are_written_as_text_of_one_width(moment: datetime) -> None:
    bind = binder(kind_of(datetime), "sqlite")
    assert bind is not None
    for value in (moment, moment.replace(microsecond=0)):
        plain = value.astimezone(UTC).replace(tzinfo=None)
        assert bind(value) == plain.isoformat(" ", "microseconds")


class Moment(datetime):
    """A moment of a library that has a class of its own."""


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.just(UNSET),
            st.datetimes(
                min_value=datetime(1, 1, 3),  # noqa: DTZ001 - the zone is said below
                max_value=datetime(9999, 12, 29),  # noqa: DTZ001 - as above
                timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]),
            ),
            st.sampled_from([datetime(2026, 1, 2, tzinfo=UTC), Moment(2026, 1, 2, tzinfo=UTC)]),
        )
    )
)
def test_many_moments_are_written_as_each_of_them_is(values: list[object]) -> None:
    bind, bind_all = binder(kind_of(datetime), "sqlite"), many_binder(kind_of(datetime), "sqlite")
    assert bind is not None
    assert bind_all is not None
    for some in (values, [each for each in values if isinstance(each, datetime)]):
        texts = [bind(each) if isinstance(each, datetime) else each for each in some]
        assert bind_all(some) == texts


def test_moments_of_a_class_of_their_own_are_bound_too() -> None:
    bind = binder(kind_of(datetime), "sqlite")
    assert bind is not None
    assert bind(Moment(2026, 1, 2, 3, tzinfo=UTC)) == "2026-01-02 03:00:00.000000"


@pytest.mark.usefixtures("filled")
async def test_what_is_written_as_one_text_comes_back() -> None:
    edges = [
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(
            1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-11, minutes=-30))
        ),
        datetime(9999, 12, 30, 23, 59, 59, 1, tzinfo=UTC),
    ]
    numbers = [2**63 - 1, -(2**63), None]
    many = [Edge(at=at, number=number, truth=number is None) for at in edges for number in numbers]
    await Edge.create_many(many)
    read = await Edge.query().order_by(Edge.id).all()
    assert [(e.id, e.at, e.number, e.truth) for e in read] == [
        (e.id, e.at, e.number, e.truth) for e in many
    ]
    assert [each.changed() for each in many + read] == [[]] * 2 * len(many)
    for each in read:
        each.at, each.truth = each.at.replace(microsecond=5), None
    assert await Edge.update_many(read) == len(read)
    again = await Edge.query().order_by(Edge.id).all()
    assert [(e.at, e.truth) for e in again] == [(e.at, None) for e in read]


_FIRST = """
import asyncio, json, sys
import oxidite.db
from oxidite.db import Database
from oxidite.db.statements.statements import SelectStatement

heavy = {"sqlalchemy", "asyncpg", "aiosqlite", "aiomysql", "alembic"}
before = sorted(heavy & sys.modules.keys())

class Thing(oxidite.db.Model, table="speed_keepers"):
    id: oxidite.db.Col[int] = oxidite.db.col(pk=True, init=False)
    name: oxidite.db.Col[str]

async def main():
    async with Database.from_url(sys.argv[1]):
        opened = set(sys.modules)
        await Thing.where(Thing.id > 3).order_by(Thing.name).limit(3).all()
        await Thing.query().count()
        return sorted(name for name in sys.modules.keys() - opened if name.startswith("sqlalchemy"))

print(json.dumps([before, asyncio.run(main()), "sqlalchemy" in sys.modules]))
"""


@pytest.mark.only_on("file", "postgresql", "mariadb")  # what is in memory is in one process
@pytest.mark.usefixtures("filled")
async def test_what_the_first_query_needs_is_imported_when_the_database_is_opened(url: str) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _FIRST, url],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == [[], [], True]


@pytest.mark.usefixtures("filled")
async def test_a_list_of_objects_becomes_json_without_a_dictionary_between() -> None:
    await Keeper.create_many([Keeper(name=f"keeper {n}") for n in range(5000)])
    found = await Keeper.query().order_by(Keeper.id).all()
    app = Oxidite()

    @app.get("/keepers")
    async def keepers() -> list[Keeper]:
        return found

    async with Client(app) as client:
        await client.get("/keepers")
        tracemalloc.start()
        try:
            answer = await client.get("/keepers")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answer.content == msgspec.json.encode(found)
    # Dictionaries of two members would be more than that.
    assert peak < len(found) * sys.getsizeof({"id": 1, "name": ""})
