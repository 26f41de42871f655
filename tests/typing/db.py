"""What a type checker makes of models and queries: the valid forms, and the mistakes it must refuse.

Each mistake has an ignore comment that names the code, and both checkers report one that is not needed.
"""

from __future__ import annotations

from typing import assert_type

from oxidite.db import Col, Column, Model, Select, Timestamps, col


class User(Model, Timestamps, table="typed_users"):
    id: Col[int] = col(pk=True, init=False)
    email: Col[str] = col(unique=True)
    age: Col[int] = col(default=0)
    nick: Col[str | None] = col(default=None)


async def valid() -> None:
    user = User(email="a@example.com", age=3)
    assert_type(user.id, int)
    assert_type(user.nick, str | None)
    assert_type(User.age, Column[int, int])
    assert_type(User.nick, Column[str, str | None])
    query = User.where(User.age >= 18, User.nick == None, User.email.like("a%"))  # noqa: E711
    assert_type(query, Select[User])
    assert_type(await query.order_by(User.nick.desc(), User.id).all(), list[User])
    assert_type(await query.select(User.id, User.nick).all(), list[tuple[int, str | None]])
    assert_type(await query.first(), User | None)
    assert_type(await User.get(7), User)
    assert_type(await User.create(email="b@example.com"), User)
    assert_type(await user.save(), User)
    user.age = 4
    await User.where((User.age > 3) & ~(User.nick.is_null() | User.age.in_([1, 2]))).count()


async def mistakes() -> None:
    user = User(email="a@example.com")
    User.where(User.age >= "x")  # type: ignore[operator]
    User.where(User.nope == 1)  # type: ignore[attr-defined]
    User.where(User.age.like("x"))  # type: ignore[misc]
    User(email=3)  # type: ignore[arg-type]
    User(email="x", nope=3)  # type: ignore[call-arg]
    User(email="x", id=3)  # type: ignore[call-arg]
    User.where(user.age > 3)  # type: ignore[arg-type]
    User.where(User.age == None)  # type: ignore[arg-type]  # noqa: E711
    user.age = "x"  # type: ignore[assignment]
    await User.create(email=3)  # type: ignore[arg-type]
    await User.create()  # type: ignore[call-arg]
