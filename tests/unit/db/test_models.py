"""Models as classes: what they are, and what they refuse, before there is a database."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from oxidite.db import Col, Model, ModelError, SoftDeletes, Timestamps, col


class User(Model, Timestamps, table="users"):
    id: Col[int] = col(pk=True, init=False)
    email: Col[str] = col(max_length=254)
    age: Col[int] = col(default=0)


def test_an_object_has_values_and_the_class_has_columns() -> None:
    user = User(email="a@example.com")

    assert (user.email, user.age) == ("a@example.com", 0)
    assert getattr(user, "id", None) is UNSET
    assert repr(User.email) == "<column users.email>"
    assert User.email.rules == {"max_length": 254}


def test_it_is_a_struct_and_shows_what_it_knows() -> None:
    class Point(Model, table="points"):
        id: Col[int] = col(pk=True, init=False)
        x: Col[int]

    assert msgspec.json.encode(Point(x=1)) == b'{"x":1}'


def test_columns_of_mixins_are_copied() -> None:
    class Post(Model, Timestamps, SoftDeletes, table="posts"):
        id: Col[int] = col(pk=True, init=False)

    assert set(Post.__table__.by_name) == {"id", "created_at", "updated_at", "deleted_at"}
    assert repr(Post.created_at) == "<column posts.created_at>"
    assert Post.created_at is not User.created_at


def test_an_abstract_model_hands_its_columns_on() -> None:
    class Named(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str]

    class Shop(Named, table="shops"):
        town: Col[str]

    shop = Shop(name="Tea", town="Leer")
    assert (shop.name, shop.town) == ("Tea", "Leer")
    assert [column.table.name for column in Shop.__table__.columns] == ["shops"] * 3


def test_default_values_are_made_anew() -> None:
    class Bag(Model, table="bags"):
        id: Col[int] = col(pk=True, init=False)
        things: Col[list[str]] = col(json=True, default_factory=list)

    one, other = Bag(), Bag()
    one.things.append("x")
    assert other.things == []


def test_two_objects_are_equal_when_they_are_the_same_row() -> None:
    one, other = User(email="a"), User(email="a")
    assert one != other
    one.id = other.id = 7
    assert one == other
    assert hash(one) == hash(other)


def test_a_condition_is_no_truth() -> None:
    with pytest.raises(TypeError, match="no truth of its own"):
        bool(User.age > 3)
    with pytest.raises(TypeError, match="with parentheses"):
        _ = User.age > 3 & (User.age < 5)


def test_a_type_that_no_column_holds_is_refused() -> None:
    with pytest.raises(ModelError, match=r"Thing: extra: no column holds .*col\(json=True\)"):

        class Thing(Model, table="things"):
            extra: Col[dict[str, int]]


def test_a_type_that_is_not_defined_is_refused() -> None:
    with pytest.raises(ModelError, match="names 'Nowhere', which is not defined"):

        class Thing(Model, table="things"):
            extra: Col[Nowhere]  # type: ignore[name-defined]  # noqa: F821
