"""Rows there and back: queries, saving, transactions, on each kind of database."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from msgspec import Struct

from oxidite.db import (
    Col,
    Database,
    ManyRowsError,
    Model,
    OverlapError,
    QueryError,
    RowNotFoundError,
    SoftDeletes,
    StaleRowError,
    Timestamps,
    TransactionError,
    UniqueError,
    Version,
    col,
    every,
    some,
)
from oxidite.errors import ValidationError
from oxidite.instrument import Span, listen


class Prefs(Struct):
    theme: str = "light"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class User(Model, table="users"):
    id: Col[int] = col(pk=True, init=False)
    email: Col[str] = col(unique=True, min_length=3, max_length=100)
    age: Col[int] = col(default=0, ge=0, check=True)
    nick: Col[str | None] = col(default=None)


class Post(Model, Timestamps, SoftDeletes, Version, table="posts"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(unique=True)
    author_id: Col[int] = col(references=User.id, on_delete="cascade")


class Everything(Model, table="everything"):
    id: Col[UUID] = col(pk=True, default_factory=uuid4)
    text: Col[str] = col(default="")
    number: Col[int] = col(default=0)
    real: Col[float] = col(default=0.0)
    exact: Col[Decimal | None] = col(default=None)
    yes: Col[bool] = col(default=False)
    blob: Col[bytes] = col(default=b"")
    at: Col[datetime | None] = col(default=None)
    day: Col[date | None] = col(default=None)
    clock: Col[time | None] = col(default=None)
    took: Col[timedelta | None] = col(default=None)
    prefs: Col[Prefs | None] = col(json=True, default=None)
    many: Col[list[int]] = col(json=True, default_factory=list)
    color: Col[Color | None] = col(default=None)
    size: Col[Literal["s", "m"] | None] = col(default=None)


@pytest.fixture
async def users(db: Database) -> list[User]:
    await db.push(User, Post)
    return [
        await User.create(email=f"{n}@x", age=n, nick=None if n % 2 else f"n{n}") for n in range(5)
    ]


class TestQueries:
    async def test_any_number_of_rows_can_be_asked_for(self, users: list[User]) -> None:
        query = User.order_by(User.id)
        for far in (2**31, 2**62, 2**63, 2**64, 10**30):
            assert await query.limit(far).all() == users
            assert await query.limit(far).offset(far).all() == []
            assert await query.limit(far).offset(4).all() == users[4:]
            assert await query.limit(far).first() == users[0]
            assert await query.offset(far).count() == 0

    def test_no_number_of_rows_is_refused(self) -> None:
        for wrong in (-1, 1.0, "1", True):
            with pytest.raises(QueryError, match=rf"limit\({wrong!r}\): .* 0 or more"):
                User.query().limit(wrong)  # type: ignore[arg-type]  # the point
            with pytest.raises(QueryError, match=rf"offset\({wrong!r}\)"):
                User.query().offset(wrong)  # type: ignore[arg-type]  # the point

    async def test_conditions(self, users: list[User]) -> None:
        async def ages(*conditions: Any) -> list[int]:
            return [user.age for user in await User.where(*conditions).order_by(User.age).all()]

        assert await ages() == [0, 1, 2, 3, 4]
        assert await ages(User.age > 2) == [3, 4]
        assert await ages(User.age >= 1, User.age != 3) == [1, 2, 4]
        assert await ages((User.age < 1) | (User.age == 4)) == [0, 4]
        assert await ages(~(User.age < 3)) == [3, 4]
        assert await ages(User.nick == None) == [1, 3]  # noqa: E711
        assert await ages(User.nick.not_null()) == [0, 2, 4]
        assert await ages(User.age.in_([4, 2, 9])) == [2, 4]
        assert await ages(User.age.in_([])) == []
        assert await ages(User.age.not_in([0, 1])) == [2, 3, 4]
        assert await ages(User.age.between(1, 2)) == [1, 2]
        assert await ages(User.email.like("_@x"), User.email.startswith("3")) == [3]
        assert await ages(User.nick.contains("2")) == [2]
        assert await ages(User.age * 2 + 1 == 7) == [3]
        assert await ages(User.email.upper() == "4@X") == [4]

    async def test_text_in_a_pattern_is_text(self, users: list[User]) -> None:
        await User.create(email="50%_\\@x")

        assert await User.where(User.email.contains("%")).count() == 1
        assert await User.where(User.email.contains("_\\")).count() == 1
        assert await User.where(User.email.startswith("_")).count() == 0

    async def test_values_are_bound_and_never_sql(self, users: list[User]) -> None:
        hostile = "'; DROP TABLE users; --"
        await User.create(email=hostile)

        assert (await User.where(User.email == hostile).one()).email == hostile
        assert await User.where(User.email.in_([hostile, '"', "\\"])).count() == 1
        assert await User.count() == 6

    async def test_order_limit_and_offset(self, users: list[User]) -> None:
        query = User.order_by(User.age.desc())

        assert [user.age for user in await query.limit(2).all()] == [4, 3]
        assert [user.age for user in await query.limit(2).offset(3).all()] == [1, 0]
        assert [
            u.nick for u in await User.order_by(User.nick.asc(nulls_first=True)).limit(2).all()
        ] == [
            None,
            None,
        ]

    async def test_some_columns_are_tuples(self, users: list[User]) -> None:
        query = User.where(User.age < 2).order_by(User.age)

        assert await query.select(User.age, User.email).all() == [(0, "0@x"), (1, "1@x")]
        assert await query.select(User.age + 10).all() == [(10,), (11,)]

    async def test_one_row(self, users: list[User]) -> None:
        assert (await User.get(users[2].id)).age == 2
        assert await User.get_or_none(999) is None
        assert await User.where(User.age > 99).first() is None
        with pytest.raises(RowNotFoundError, match="no User 999"):
            await User.get(999)
        with pytest.raises(RowNotFoundError):
            await User.where(User.age > 99).one()
        with pytest.raises(ManyRowsError):
            await User.where(User.age > 1).one()
        with pytest.raises(QueryError, match="primary key of User is id"):
            await User.get(1, 2)

    async def test_counting(self, users: list[User]) -> None:
        assert await User.where(User.age > 1).count() == 3
        assert await User.where(User.age > 3).exists()
        assert not await User.where(User.age > 4).exists()

    async def test_a_query_does_not_change(self, users: list[User]) -> None:
        query = User.where(User.age > 1)
        query.limit(1).where(User.age > 3).order_by(User.id)

        assert len(await query.all()) == 3

    async def test_one_shape_has_one_plan(self, db: Database, users: list[User]) -> None:
        before = len(db.plans)
        for number in range(5):
            await User.where(User.age == number, User.id.in_(range(number))).all()

        assert len(db.plans) == before + 1

    async def test_an_object_is_no_condition(self, users: list[User]) -> None:
        with pytest.raises(QueryError, match="takes conditions"):
            User.where(users[0].age > 3)  # type: ignore[arg-type]

    async def test_a_value_that_decides_nothing_is_not_bound(self, users: list[User]) -> None:
        # Something that always holds leaves no place for what stands beside it.
        assert await User.where(some([User.age == 3, ~some([])])).count() == len(users)
        assert await User.where(every([User.age == 3, ~every([])])).all() == []


class Meanwhile:
    """Does something while a statement runs, as another task might."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work

    def span_started(self, span: Span) -> None:
        self.work()

    def span_ended(self, span: Span, error: BaseException | None) -> None: ...

    def event(self, name: str, attributes: Mapping[str, object]) -> None: ...


class TestSaving:
    async def test_only_what_changed_is_written(self, users: list[User]) -> None:
        one, same = users[0], await User.get(users[0].id)
        one.age = 50
        same.nick = "other"
        assert (one.changed(), same.changed()) == (["age"], ["nick"])
        await one.save()
        await same.save()

        found = await User.get(one.id)
        assert (found.age, found.nick) == (50, "other")
        assert found.changed() == []

    @pytest.mark.parametrize("is_new", [True, False])
    async def test_what_is_changed_while_a_row_is_written_is_not_lost(
        self, users: list[User], is_new: bool
    ) -> None:
        user = User(email="new@example.com") if is_new else users[0]
        user.age = 50
        with listen(Meanwhile(lambda: setattr(user, "nick", "later"))):
            await user.save()
        assert user.changed() == ["nick"]
        await user.save()
        assert user.changed() == []
        again = await User.get(user.id)
        assert (again.age, again.nick) == (50, "later")

    async def test_a_change_that_is_taken_back_is_none(self, users: list[User]) -> None:
        users[0].age = 9
        users[0].age = 0
        assert users[0].changed() == []

    async def test_everything_wrong_is_told_at_once(self, users: list[User]) -> None:
        with pytest.raises(ValidationError) as caught:
            await User.create(email="a", age=-1, nick=3)  # type: ignore[arg-type]
        assert {(e.pointer, e.code) for e in caught.value.errors} == {
            ("/email", "min_length"),
            ("/age", "ge"),
            ("/nick", "type"),
        }
        assert await User.count() == 5

    async def test_what_the_database_refuses_is_an_error_of_the_field(
        self, users: list[User]
    ) -> None:
        with pytest.raises(UniqueError) as caught:
            await User.create(email="1@x")
        assert [(e.pointer, e.code) for e in caught.value.errors] == [("/email", "unique")]

    async def test_a_deleted_row_only_seems_to_be(self, users: list[User]) -> None:
        post = await Post.create(title="a", author_id=users[0].id)
        await post.delete()

        assert await Post.count() == 0
        assert await Post.query().with_deleted().count() == 1
        assert [each.title for each in await Post.query().only_deleted().all()] == ["a"]
        await Post.create(title="a", author_id=users[0].id)
        await post.force_delete()
        assert await Post.query().with_deleted().count() == 1

    async def test_who_saves_second_is_told(self, users: list[User]) -> None:
        post = await Post.create(title="a", author_id=users[0].id)
        other = await Post.get(post.id)
        other.title = "b"
        await other.save()
        post.title = "c"

        with pytest.raises(StaleRowError):
            await post.save()
        assert (await post.refresh()).title == "b"
        post.title = "c"
        await post.save()
        assert (await Post.get(post.id)).version == 3

    async def test_the_time_of_a_change_is_noted(self, users: list[User]) -> None:
        post = await Post.create(title="a", author_id=users[0].id)
        made = post.updated_at
        post.title = "b"
        await post.save()

        found = await Post.get(post.id)
        assert found.updated_at > made
        assert found.created_at == post.created_at

    async def test_a_row_that_is_gone_is_not_found(self, users: list[User]) -> None:
        same = await User.get(users[0].id)
        await users[0].delete()
        same.age = 3

        with pytest.raises(RowNotFoundError):
            await same.save()
        with pytest.raises(RowNotFoundError):
            await same.refresh()


EXTREMES = [
    {},
    {
        "text": "\U0001f600 ' \" \\ % \n" + "x" * 1_000_000,
        "number": 2**63 - 1,
        "real": 1e308,
        "exact": Decimal("12345678901234567890.123456789"),
        "yes": True,
        "blob": bytes(range(256)),
        "at": datetime(1, 1, 2, tzinfo=UTC),
        "day": date.max,
        "clock": time(23, 59, 59, 999_999),
        "took": timedelta(days=10_000, microseconds=1),
        "prefs": Prefs("dark"),
        "many": [1, -(2**53)],
        "color": Color.BLUE,
        "size": "m",
    },
    {
        "number": -(2**63),
        "real": -0.5,
        "exact": Decimal("-0.10"),
        "at": datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=-11))),
        "took": -timedelta(seconds=1),
    },
]


@pytest.mark.parametrize("values", EXTREMES)
async def test_every_kind_of_value_comes_back(db: Database, values: Any) -> None:
    await db.push(Everything)
    one = await Everything.create(**values)
    found = await Everything.get(one.id)

    for column in Everything.__table__.columns:
        assert getattr(found, column.name) == getattr(one, column.name), column
    assert found.changed() == []
    if db.dialect.decimal_zeros:
        assert str(found.exact) == str(one.exact)


async def test_a_moment_without_a_zone_is_refused(db: Database) -> None:
    await db.push(Everything)
    with pytest.raises(ValidationError) as caught:
        await Everything.create(at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    assert "time zone" in caught.value.errors[0].message


class TestTransactions:
    async def test_all_or_nothing(self, db: Database, users: list[User]) -> None:
        async def fail() -> None:
            async with db.transaction():
                await User.create(email="new@x")
                users[0].age = 77
                await users[0].save()
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert await User.count() == 5
        assert (await User.get(users[0].id)).age == 0

    async def test_one_inside_another_is_undone_alone(
        self, db: Database, users: list[User]
    ) -> None:
        async def fail() -> None:
            async with db.transaction():
                await User.create(email="inner@x")
                raise KeyError

        async with db.transaction():
            await User.create(email="outer@x")
            with pytest.raises(KeyError):
                await fail()
        found = await User.where(User.email.endswith("er@x")).select(User.email).all()
        assert found == [("outer@x",)]

    async def test_what_follows_the_commit(self, db: Database, users: list[User]) -> None:
        seen: list[str] = []

        async def fail() -> None:
            async with db.transaction() as undone:
                undone.on_commit(lambda: seen.append("undone"))
                raise KeyError

        async with db.transaction() as outer:
            outer.on_commit(lambda: seen.append("outer"))
            async with db.transaction() as inner:
                inner.on_commit(lambda: seen.append("inner"))
            with pytest.raises(KeyError):
                await fail()
            assert seen == []
        assert seen == ["outer", "inner"]

    async def test_two_statements_at_once_are_refused(
        self, db: Database, users: list[User]
    ) -> None:
        with pytest.raises(OverlapError, match="one connection"):
            async with db.transaction():
                await asyncio.gather(*(User.get(user.id) for user in users))
        assert await User.count() == 5

    async def test_a_cancelled_one_is_undone(self, db: Database, users: list[User]) -> None:
        begun = asyncio.Event()

        async def work() -> None:
            async with db.transaction():
                await User.create(email="new@x")
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await User.count() == 5
        await User.create(email="new@x")

    async def test_a_block_cannot_be_repeated(self, db: Database) -> None:
        with pytest.raises(TransactionError, match="into a function"):
            async with db.transaction(retry=3):
                pass

    async def test_a_function_is_run_in_one(self, db: Database, users: list[User]) -> None:
        @db.transaction(retry=2)
        async def rename(nick: str) -> str:
            users[0].nick = nick
            await users[0].save()
            return nick

        assert await rename("x") == "x"
        assert (await User.get(users[0].id)).nick == "x"
