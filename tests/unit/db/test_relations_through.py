"""Relations by way of another one, of every kind, loaded, counted and in conditions."""

from __future__ import annotations

from typing import Any

import pytest

from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    HasOne,
    ManyToMany,
    Model,
    RelationError,
    SoftDeletes,
    col,
    rel,
)
from oxidite.testing import assert_queries


class Country(Model, table="t_countries"):
    id: Col[int] = col(pk=True, init=False)
    people: HasMany[Person] = rel()
    letters: HasMany[Letter] = rel(through="people")
    pages: HasMany[Page] = rel(through="letters")
    passports: HasMany[Passport] = rel(through="people", source="passport")
    topics: HasMany[Topic] = rel(through="letters")


class Person(Model, SoftDeletes, table="t_people"):
    id: Col[int] = col(pk=True, init=False)
    country_id: Col[int] = col(references=Country.id)
    country: BelongsTo[Country] = rel()
    letters: HasMany[Letter] = rel()
    passport: HasOne[Passport | None] = rel()


class Passport(Model, table="t_passports"):
    id: Col[int] = col(pk=True, init=False)
    person_id: Col[int] = col(references=Person.id)


class Letter(Model, table="t_letters"):
    id: Col[int] = col(pk=True, init=False)
    person_id: Col[int] = col(references=Person.id)
    person: BelongsTo[Person] = rel()
    country: HasOne[Country | None] = rel(through="person")
    pages: HasMany[Page] = rel()
    topics: ManyToMany[Topic, Mention] = rel()


class Page(Model, table="t_pages"):
    id: Col[int] = col(pk=True, init=False)
    letter_id: Col[int] = col(references=Letter.id)


class Topic(Model, table="t_topics"):
    id: Col[int] = col(pk=True, init=False)


class Mention(Model, table="t_mentions"):
    letter_id: Col[int] = col(pk=True, references=Letter.id)
    topic_id: Col[int] = col(pk=True, references=Topic.id)


@pytest.fixture
async def countries(db: Database) -> tuple[Country, Country]:
    """One with two people: three letters, a passport, two pages and a topic; and one with nobody."""
    await db.push(Country, Person, Passport, Letter, Page, Topic, Mention)
    here, there = await Country.create(), await Country.create()
    ann, ben = await here.people.create(), await here.people.create()
    await Passport.create(person_id=ann.id)
    letters = [await ann.letters.create(), await ann.letters.create(), await ben.letters.create()]
    for letter in letters[1:]:
        await letter.pages.create()
    await letters[2].topics.attach(await Topic.create())
    return here, there


WAYS: dict[str, tuple[Any, int]] = {
    "letters": (Country.letters, 3),
    "pages": (Country.pages, 2),
    "passports": (Country.passports, 1),
    "topics": (Country.topics, 1),
}


@pytest.mark.parametrize("way", WAYS)
async def test_each_kind_is_awaited_loaded_counted_and_a_condition(
    db: Database, countries: tuple[Country, Country], way: str
) -> None:
    relation, number = WAYS[way]
    here, there = countries
    with assert_queries(1):
        assert len(await getattr(here, way)) == number
    assert await getattr(there, way) == []
    with assert_queries(2):
        loaded = await Country.order_by(Country.id).with_(relation).all()
    assert [len(getattr(each, way).value) for each in loaded] == [number, 0]
    counted = await Country.order_by(Country.id).with_count(relation).all()
    assert [each for _, each in counted] == [number, 0]
    assert await Country.where(relation.any()).all() == [here]
    assert await Country.where(relation.none()).all() == [there]


async def test_the_other_way_leads_to_one(db: Database, countries: tuple[Country, Country]) -> None:
    letters = await Letter.order_by(Letter.id).with_(Letter.country).all()
    assert [each.country.value for each in letters] == [countries[0]] * 3
    assert await Letter.where(Letter.country.has(Country.id == countries[0].id)).count() == 3
    assert await Letter.where(Letter.country.has(Country.id == countries[1].id)).count() == 0


async def test_who_is_deleted_is_no_way(db: Database, countries: tuple[Country, Country]) -> None:
    ann = await Person.order_by(Person.id).first()
    assert ann is not None
    await ann.delete()
    here, _ = countries
    assert len(await here.letters) == 1
    assert await Country.where(Country.passports.any()).count() == 0
    first = await Letter.order_by(Letter.id).first()
    assert first is not None
    assert await first.country is None


async def test_nothing_is_written_by_way_of_another(
    db: Database, countries: tuple[Country, Country]
) -> None:
    here, _ = countries
    handle: Any = here.letters
    for write in (handle.create, lambda: handle.add(Letter(person_id=1))):
        with pytest.raises(RelationError, match="goes through other rows"):
            await write()
    assert await Letter.count() == 3
