"""Hidden, encrypted and computed columns, and validation, in every way that rows are written and leave."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from oxidite import Events, Lines, Oxidite
from oxidite.config import Secret
from oxidite.db import (
    BelongsTo,
    Col,
    CursorPage,
    Database,
    HasMany,
    Keys,
    Model,
    Page,
    QueryError,
    UniqueError,
    col,
    excluded,
    rel,
    validates,
)
from oxidite.db.factories import Factory
from oxidite.encoding import encode_json
from oxidite.errors import ValidationError
from oxidite.openapi import OpenAPI
from oxidite.testing import Client

KEYS = Keys(Keys.generate())
WORDS = ("hunter2", "123-45", "t0ken")


class Team(Model, table="h_teams"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    people: HasMany[Person] = rel(fk="team_id")


class Person(Model, table="h_people"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    password: Col[str] = col(hidden=True, min_length=3)
    number: Col[str] = col(encrypted=KEYS, searchable=True, unique=True)
    token: Col[Secret[str] | None] = col(default=None)
    pin: Col[int] = col(hidden=True, default=7, bits=16)
    loud: Col[str] = col(computed="upper(name)", init=False)
    team_id: Col[int | None] = col(default=None, references=Team.id)
    team: BelongsTo[Team | None] = rel()

    @validates("name")
    def _has_a_name(self) -> None:
        if self.name == "nobody":
            raise ValueError("must be somebody")


def _person(place: int, **values: Any) -> Person:
    made = {"name": f"p{place}", "password": f"hunter2-{place}", "number": f"123-45-{place}"}
    return Person(**{**made, "token": Secret("t0ken"), **values})


def _is_clean(text: str) -> None:
    for word in WORDS:
        assert word not in text, text


@pytest.fixture
async def people(db: Database) -> list[Person]:
    await db.push(Team, Person)
    team = await Team.create(name="x")
    return await Person.create_many([_person(number, team_id=team.id) for number in range(3)])


# Many at once.


async def test_many_are_written_as_one_is(db: Database, people: list[Person]) -> None:
    found = await Person.order_by(Person.id).all()
    assert [(one.password, one.number, one.loud) for one in found] == [
        (f"hunter2-{n}", f"123-45-{n}", f"P{n}") for n in range(3)
    ]
    raw = await db.sql("SELECT number FROM h_people").all()
    assert all(b"123-45" not in bytes(each) for (each,) in raw)
    assert (await Person.where(Person.number == "123-45-1").one()).name == "p1"
    assert await Person.update_many(people) == 0
    assert await Person.update_many(found) == 0

    found[0].number, found[1].password = "123-45-x", "hunter2-x"
    assert await Person.update_many(found) == 2
    assert (await Person.where(Person.number == "123-45-x").one()).name == "p0"
    assert await Person.where(Person.number == "123-45-0").exists() is False
    assert await Person.where(Person.number == "123-45-2").update(number="123-45-y") == 1
    assert (await Person.where(Person.number == "123-45-y").one()).number == "123-45-y"
    with pytest.raises(QueryError, match="holds <encrypted"):
        await Person.query().update(number=Person.name)

    assert await Person.load_many(_person(number) for number in range(10, 60)) == 50
    assert (await Person.where(Person.number == "123-45-33").one()).loud == "P33"
    assert await Person.delete_many(await Person.where(Person.number == "123-45-33").all()) == 1


async def test_upserts(db: Database, people: list[Person]) -> None:
    if not db.dialect.conflict_columns:
        pytest.skip("it has other keys, which upsert refuses here")
    done = await Person.upsert(
        [_person(1, name="new", password="hunter2-new"), _person(9)], on=[Person.number]
    )
    assert [one.name for one in done.updated] == ["new"]
    assert [one.number for one in done.inserted] == ["123-45-9"]
    assert done.updated[0].loud == "NEW"
    found, is_new = await Person.get_or_create(_person(9), on=[Person.number])
    assert (found.number, is_new) == ("123-45-9", False)
    # By another key, so that the encrypted one is what changes.
    one = _person(1, number="123-45-z")
    one.id = found.id
    await Person.upsert(
        one, on=[Person.id], update=[Person.number, Person.pin.to(excluded(Person.pin))]
    )
    assert (await Person.where(Person.number == "123-45-z").one()).id == found.id
    assert await Person.where(Person.number == "123-45-9").exists() is False


async def test_what_is_wrong_is_told_with_its_place(db: Database, people: list[Person]) -> None:
    wrong = [_person(20), _person(21, name="nobody"), _person(22, password="x")]
    people[1].name = "nobody"
    writes: list[Any] = [
        Person.create_many(wrong),
        Person.load_many(wrong),
        Person.update_many(people),
    ]
    for write in writes:
        with pytest.raises(ValidationError) as told:
            await write
        assert told.value.errors[0].pointer == "/1/name"
        assert told.value.errors[0].message == "must be somebody"
    assert await Person.count() == 3
    with pytest.raises(ValidationError) as told:
        await Person.upsert(_person(1, name="nobody"), on=[Person.number])
    assert told.value.errors[0].pointer == "/0/name"


# What leaves.


async def test_answers_streams_and_the_document(people: list[Person]) -> None:
    app = Oxidite(plugins=[OpenAPI()])

    @app.get("/teams")
    async def teams() -> list[Team]:
        return await Team.with_(Team.people.with_(Person.team)).all()

    @app.get("/keyset")
    async def keyset(after: str | None = None) -> CursorPage[Person]:
        return await Person.with_(Person.team).keyset(after=after, limit=2)

    @app.get("/page")
    async def page() -> Page[Person]:
        return await Person.query().page()

    @app.get("/lazy")
    async def lazy() -> list[Person]:
        team = await Team.query().one()
        return await team.people

    @app.get("/pairs")
    async def pairs() -> list[tuple[Team, Person]]:
        query = Team.query().join(Person, on=Person.team_id == Team.id)
        return await query.select(Team, Person).all()

    @app.get("/counted")
    async def counted() -> list[tuple[Team, int]]:
        return await Team.with_(Team.people).with_count(Team.people).all()

    @app.get("/lines")
    async def lines() -> Lines[Person]:
        async for one in Person.query().stream():
            yield one

    @app.get("/events")
    async def events() -> Events[Person]:
        async for one in Person.query().stream():
            yield one

    async with Client(app) as client:
        for path in ("teams", "keyset", "page", "lazy", "pairs", "counted", "lines", "events"):
            answer = await client.get(f"/{path}")
            assert answer.status_code == 200, path
            assert '"p0"' in answer.text, path
            _is_clean(answer.text)
            assert "password" not in answer.text
            assert "number_index" not in answer.text
        document = (await client.get("/openapi.json")).text
        for name in ("password", "number_index", '"token"', '"pin"'):
            assert name not in document


async def test_rows_however_they_are_read(db: Database, people: list[Person]) -> None:
    raw = await db.sql("SELECT * FROM h_people ORDER BY id").into(Person).all()
    streamed = [one async for one in Person.order_by(Person.id).stream(chunk=1)]
    selected = await Person.order_by(Person.id).select(Person).all()
    counted = await Person.order_by(Person.id).select(Person, Person.name).all()
    again = [await one.refresh() for one in await Person.order_by(Person.id).all()]
    for rows in (raw, streamed, [one for (one,) in selected], [one for one, _ in counted], again):
        assert [(one.password, one.number, one.pin) for one in rows] == [
            (f"hunter2-{n}", f"123-45-{n}", 7) for n in range(3)
        ]
        assert all(one.changed() == [] for one in rows)
        _is_clean(repr(rows) + str(rows) + encode_json(rows).decode())


class PersonFactory(Factory[Person]):
    number = "123-45-f"


async def test_factories(people: list[Person]) -> None:
    made = await PersonFactory().create(name="made")
    assert (await Person.where(Person.number == "123-45-f").one()).id == made.id
    _is_clean(repr(made))


# Errors.


async def test_errors_of_the_database_quote_nothing(
    db: Database, people: list[Person], caplog: pytest.LogCaptureFixture
) -> None:
    taken = [_person(30), _person(0)]
    wrong: Any = "hunter2"
    works: list[Any] = [
        Person.create_many(taken),
        Person.load_many(taken),
        taken[1].save(),
        Person.where(Person.id > 0).update(number="123-45-0"),
        Person.create(name="x", password="hunter2", number="123-45-8", team_id=99),
    ]
    for work in works:
        with pytest.raises(ValidationError) as told:
            await work
        _is_clean("".join(traceback.format_exception(told.value)))
        _is_clean(repr(told.value.errors))
        logging.getLogger("test").error("failed", exc_info=told.value)
    with pytest.raises(UniqueError) as taken_number:
        await Person.create_many([_person(31), _person(0)])
    assert taken_number.value.errors[0].pointer == "/number"
    queries: list[Any] = [
        Person.where(Person.pin == wrong),
        Person.where(Person.pin.in_([wrong])),
        Team.where(Team.people.any(Person.pin == wrong)),
        Team.query().join(Person, on=Person.pin == wrong),
    ]
    for query in queries:
        try:
            assert await query.all() == []  # SQLite compares anything
        except QueryError as exc:
            _is_clean("".join(traceback.format_exception(exc)))
    _is_clean(caplog.text)
