"""Names of schemas: legal, readable, and each for one thing."""

from __future__ import annotations

import re
from typing import Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, defstruct

from oxidite.openapi.base import JSON
from oxidite.openapi.components import Components, names_of
from oxidite.openapi.schemas import Schemas

T = TypeVar("T")
K = TypeVar("K")


class User(Struct):
    name: str


class Page(Struct, Generic[T]):
    items: list[T]


class Pair(Struct, Generic[T, K]):
    first: T
    second: K


class Outer:
    class User(Struct):
        age: int


def resolved(*schemas: JSON, components: Components) -> JSON:
    return components.resolve({"all": list(schemas)})


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (User, "User"),
        (Page[User], "Page_User"),
        (Page[Page[int]], "Page_Page_int"),
        (Pair[int, list[str]], "Pair_int_list_str"),
        (defstruct("Größe", []), "Gr_e"),
        (defstruct("日本", []), "Schema"),
    ],
)
def test_a_name_is_readable_and_legal(type_: object, name: str) -> None:
    assert names_of(type_)[0] == name


@given(st.text())
def test_every_name_is_legal(name: str) -> None:
    cls = type(name.replace("\x00", ""), (), {}) if name.isprintable() else User
    for each in names_of(cls):
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", each)


def test_classes_of_one_name_are_told_apart_whatever_their_order() -> None:
    found = []
    for order in ((User, Outer.User), (Outer.User, User)):
        components = Components()
        schemas = [Schemas(components).of(each, "input") for each in order]
        document = resolved(*schemas, components=components)
        found.append(
            {name: list(s["properties"]) for name, s in document["components"]["schemas"].items()}
        )
    assert found[0] == found[1]
    assert found[0]["Outer_User"] == ["age"]
    assert len(found[0]) == 2


def test_local_classes_of_one_function_are_numbered() -> None:
    def make(field: str) -> type[Struct]:
        return defstruct("Local", [(field, int)], module="somewhere")

    components = Components()
    schemas = [Schemas(components).of(make(name), "input") for name in "ab"]
    document = resolved(*schemas, components=components)
    assert list(document["components"]["schemas"]) == ["somewhere_Local", "somewhere_Local_2"]


class Same(Struct):
    name: str


class Different(Struct):
    name: str
    size: int = 1


class Around(Struct):
    inner: Different


class DifferentInput(Struct):
    other: int


def test_both_directions_share_a_schema_that_is_the_same() -> None:
    components = Components()
    schemas = Schemas(components)
    document = resolved(
        schemas.of(Same, "input"), schemas.of(Same, "output"), components=components
    )
    assert list(document["components"]["schemas"]) == ["Same"]


def test_what_differs_when_sent_has_a_name_of_its_own_and_so_has_what_holds_it() -> None:
    components = Components()
    schemas = Schemas(components)
    document = resolved(
        schemas.of(Around, "input"), schemas.of(Around, "output"), components=components
    )
    found = document["components"]["schemas"]
    assert list(found) == ["Around", "AroundInput", "Different", "DifferentInput"]
    assert found["AroundInput"]["properties"]["inner"]["$ref"].endswith("/DifferentInput")
    assert found["Around"]["properties"]["inner"]["$ref"].endswith("/Different")


def test_the_name_of_what_is_sent_meets_no_other() -> None:
    components = Components()
    schemas = Schemas(components)
    document = resolved(
        schemas.of(Different, "input"),
        schemas.of(Different, "output"),
        schemas.of(DifferentInput, "output"),
        components=components,
    )
    assert list(document["components"]["schemas"]) == [
        "Different",
        "DifferentInput",
        "DifferentInput_2",
    ]


def test_what_nothing_refers_to_is_left_out() -> None:
    components = Components()
    Schemas(components).of(Same, "input")
    assert components.resolve({"x": 1}) == {"x": 1}
