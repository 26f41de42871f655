"""Factories make rows that differ, refer to each other, and are the same in every run."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Self
from uuid import UUID

import pytest
from msgspec import UNSET

from oxidite.db import Col, Database, Model, ModelError, QueryError, Timestamps, col
from oxidite.db.factories import Factory, Fake, faked, reset_factories, sequence
from oxidite.testing.db import sandbox


class Plan(enum.Enum):
    FREE = "free"
    PAID = "paid"


class User(Model, Timestamps, table="made_users"):
    id: Col[int] = col(pk=True, init=False)
    email: Col[str] = col(unique=True, pattern=r".+@.+")
    name: Col[str] = col(min_length=1, max_length=40)
    role: Col[str] = col(default="reader")


class Post(Model, Timestamps, table="made_posts"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(min_length=1)
    author_id: Col[int] = col(references=User.id)
    reviewer_id: Col[int | None] = col(references="made_users.id", default=None)


class Everything(Model, table="made_everything"):
    code: Col[str] = col(pk=True, max_length=6)
    number: Col[int] = col(ge=10, lt=20)
    low: Col[int] = col(le=-5)
    rank: Col[int] = col(unique=True)
    real: Col[float] = col(gt=0)
    exact: Col[Decimal]
    yes: Col[bool]
    blob: Col[bytes]
    key: Col[UUID]
    at: Col[datetime]
    day: Col[date]
    took: Col[timedelta]
    plan: Col[Plan]
    size: Col[Literal["s", "m"]]
    text: Col[str] = col(min_length=200)
    maybe: Col[str | None]


class UserFactory(Factory[User]):
    email = sequence(lambda n: f"user{n}@example.com")
    name = faked(lambda fake: fake.name())

    def admin(self) -> Self:
        return self.variant(role="admin")


class PostFactory(Factory[Post]):
    title = "Tea"
    author_id = UserFactory

    def reviewed(self) -> Self:
        return self.variant(reviewer_id=UserFactory().admin())


class BusyUserFactory(UserFactory):
    """Users with posts."""

    async def after_create(self, one: User) -> None:
        await PostFactory().create_many(2, author_id=one)


class EverythingFactory(Factory[Everything]):
    pass


@pytest.fixture(autouse=True)
async def tables(db: Database) -> None:
    reset_factories()
    await db.push(User, Post, Everything)


async def test_rows_differ_and_can_be_told_what_to_be() -> None:
    users = await UserFactory().create_many(3)
    assert [user.email for user in users] == [f"user{n}@example.com" for n in (1, 2, 3)]
    assert await User.count() == 3
    ann = await UserFactory().admin().create(name="Ann")
    assert (ann.name, ann.role, ann.email) == ("Ann", "admin", "user4@example.com")
    assert (await User.get(ann.id)).role == "admin"


async def test_what_a_row_refers_to_is_made_with_it() -> None:
    post = await PostFactory().reviewed().create()
    assert (await User.get(post.author_id)).role == "reader"
    assert post.reviewer_id is not None
    assert (await User.get(post.reviewer_id)).role == "admin"
    await PostFactory().create_many(2)
    assert await User.count() == 4


async def test_a_row_that_is_there_is_referred_to() -> None:
    user = await UserFactory().create()
    posts = await PostFactory().create_many(3, author_id=user, reviewer_id=user)
    assert {(post.author_id, post.reviewer_id) for post in posts} == {(user.id, user.id)}
    assert await User.count() == 1


async def test_more_can_follow_a_row() -> None:
    user = await BusyUserFactory().create()
    assert await Post.where(Post.author_id == user.id).count() == 2
    assert user.email == "user1@example.com"


async def test_an_object_need_not_be_saved() -> None:
    user = UserFactory().make(name="Bo")
    assert getattr(user, "id") is UNSET  # noqa: B009 - to a type checker it is a number
    assert await User.count() == 0
    assert PostFactory().make(author_id=3).author_id == 3
    with pytest.raises(QueryError, match="has to be saved first"):
        PostFactory().make()
    with pytest.raises(QueryError, match="not saved yet"):
        PostFactory().make(author_id=user)
    post = await PostFactory().create()
    with pytest.raises(QueryError, match="does not refer to a Post"):
        PostFactory().make(author_id=post)


async def test_columns_outside_of_the_constructor_can_be_given(db: Database) -> None:
    moment = Fake(1).moment()
    user = await UserFactory().create(created_at=moment)
    assert (await User.get(user.id)).created_at == moment


async def test_what_nobody_gives_is_made_up_by_the_rules() -> None:
    rows = await EverythingFactory().create_many(12)
    assert await Everything.count() == 12
    assert all(10 <= row.number < 20 and row.low <= -5 and row.real > 0 for row in rows)
    assert all(len(row.code) <= 6 and row.maybe is None for row in rows)
    assert {row.size for row in rows} == {"s", "m"}


async def test_every_run_makes_the_same(db: Database) -> None:
    def values() -> list[tuple[Any, ...]]:
        made = [EverythingFactory().make() for _ in range(5)]
        return [(each.code, each.number, each.key, each.at, each.plan) for each in made]

    first = values()
    assert values() != first
    reset_factories()
    assert values() == first
    reset_factories(seed=2)
    assert values() != first
    async with sandbox(db):
        assert values() == first


async def test_a_mistake_is_found_when_the_class_is_made() -> None:
    with pytest.raises(ModelError, match=r"no column 'emial'\. Did you mean 'email'"):

        class Misspelt(Factory[User]):
            emial = "x"

    with pytest.raises(ModelError, match="does not say what it makes"):

        class Nothing(Factory[Any]):
            pass

    class Car(Model, table="made_cars"):
        id: Col[int] = col(pk=True, init=False)
        make: Col[str]

    with pytest.raises(ModelError, match="'make' is a method of factories"):

        class CarFactory(Factory[Car]):
            make = "Volvo"  # type: ignore[assignment]  # that is the mistake

    class OtherFactory(Factory[Car]):
        pass

    assert OtherFactory().variant(make="Volvo").make().make == "Volvo"
    with pytest.raises(ModelError, match="no column 'nope'"):
        UserFactory().make(nope=1)


async def test_what_cannot_be_made_up_is_asked_for() -> None:
    class Bare(Factory[Post]):
        pass

    class Nameless(Factory[User]):
        pass

    with pytest.raises(ModelError, match="Give its factory"):
        Bare().make()
    with pytest.raises(ModelError, match="has a pattern"):
        Nameless().make()


async def test_made_up_values_are_what_they_say() -> None:
    fake = Fake(3)
    assert len(fake.sentence(4).split()) == 4
    assert fake.paragraph(2).count(".") == 2
    assert "@example.com" in fake.email()
    assert {fake.boolean(0.0), fake.boolean(1.0)} == {True, False}
    assert fake.uuid().version == 4
    assert fake.first_name() in fake.name() or fake.word()
    assert [Fake(9).word() for _ in range(3)] == [Fake(9).word()] * 3
