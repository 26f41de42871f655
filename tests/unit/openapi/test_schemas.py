"""The schemas of types, checked by what the schemas accept as well as by how they look."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)

import attrs
import jsonschema_rs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from oxidite import Upload
from oxidite.encoding import MismatchError, codec_for, encode_json
from oxidite.openapi import OpenAPIError
from oxidite.openapi.base import JSON, Direction
from oxidite.openapi.components import Components
from oxidite.openapi.schemas import Schemas

T = TypeVar("T")


def document(type_: object, direction: Direction = "input") -> JSON:
    """Return a schema with what it refers to."""
    components = Components()
    return components.resolve({"schema": Schemas(components).of(type_, direction)})


def schema_of(type_: object, direction: Direction = "input") -> JSON:
    """Return a schema that refers to nothing."""
    found: JSON = document(type_, direction)["schema"]
    return found


def component(type_: object, direction: Direction = "input") -> JSON:
    """Return the schema of a class."""
    found = document(type_, direction)
    name = found["schema"]["$ref"].rpartition("/")[2]
    schema: JSON = found["components"]["schemas"][name]
    return schema


def accepts(type_: object, value: object, direction: Direction = "input") -> bool:
    """Tell whether a value fits the schema of a type."""
    found = document(type_, direction)
    whole = {**found["schema"], "components": found.get("components", {})}
    return jsonschema_rs.Draft202012Validator(whole).is_valid(value)


UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("type_", "schema"),
    [
        (int, {"type": "integer"}),
        (bool, {"type": "boolean"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (None, {"type": "null"}),
        (UserId, {"type": "integer"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (date, {"type": "string", "format": "date"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (time, {"type": "string", "format": "time"}),
        (timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (Path, {"type": "string"}),
        (Any, {}),
        (object, {}),
        (msgspec.Raw, {}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a"], {"type": "string", "const": "a"}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
        (Literal[1, "a", None], {"enum": [None, 1, "a"]}),
        (str | None, {"type": ["string", "null"]}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (list, {"type": "array"}),
        (set[str], {"type": "array", "items": {"type": "string"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (dict, {"type": "object"}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            Annotated[int, Meta(ge=1, lt=9)],
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 9},
        ),
        (
            Annotated[float, Meta(gt=0, le=1, multiple_of=0.5)],
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "multipleOf": 0.5},
        ),
        (
            Annotated[str, Meta(min_length=1, max_length=3, pattern="^a")],
            {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"},
        ),
        (
            Annotated[list[int], Meta(min_length=1, max_length=3)],
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        ),
        (
            Annotated[dict[str, int], Meta(max_length=3)],
            {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 3},
        ),
        (
            Annotated[str, Meta(title="A", description="B", extra_json_schema={"x-c": 1})],
            {"type": "string", "title": "A", "description": "B", "x-c": 1},
        ),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "items": False,
                "minItems": 2,
                "maxItems": 2,
            },
        ),
    ],
)
def test_a_type_becomes_a_schema(type_: object, schema: JSON) -> None:
    assert schema_of(type_) == schema


def test_a_moment_without_a_zone_is_not_called_one_with_a_zone() -> None:
    assert "format" not in schema_of(Annotated[datetime, Meta(tz=False)])


def test_decimals_are_answered_as_text_and_taken_as_either() -> None:
    assert schema_of(Decimal, "output")["type"] == "string"
    for text in ("1", "-1.50", "1E+5", ".5"):
        assert accepts(Decimal, text)
        assert codec_for(Decimal).decode_json(encode_json(text)) == Decimal(text)
    assert accepts(Decimal, 1.5)
    # An exponent that no Decimal can have.
    assert not accepts(Decimal, "1E+9999999999")
    assert not accepts(Decimal, "one")


def test_keys_that_are_not_any_text_have_a_schema() -> None:
    assert schema_of(dict[date, int])["propertyNames"] == {"type": "string", "format": "date"}
    assert "propertyNames" not in schema_of(dict[int, int])


class Colour(enum.Enum):
    """What it is painted with."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


def test_enums_have_their_values_and_their_docstring() -> None:
    assert component(Colour) == {
        "description": "What it is painted with.",
        "type": "string",
        "enum": ["blue", "red"],
    }
    assert component(Level) == {"type": "integer", "enum": [1, 2]}


class Item(Struct):
    """What is sold."""

    name: str
    """What it is called,
    in the shop.
    """
    price: Annotated[int, Meta(ge=0, examples=[3])] = 1
    tags: list[str] = []
    colour: Colour | None = None
    moment: datetime = msgspec.field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    maybe: int | UnsetType = UNSET


def test_a_struct_has_its_fields_texts_and_defaults() -> None:
    assert component(Item) == {
        "description": "What is sold.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "What it is called, in the shop."},
            "price": {"type": "integer", "minimum": 0, "examples": [3], "default": 1},
            "tags": {"type": "array", "items": {"type": "string"}, "default": []},
            "colour": {
                "anyOf": [{"$ref": "#/components/schemas/Colour"}, {"type": "null"}],
                "default": None,
            },
            "moment": {"type": "string", "format": "date-time"},
            "maybe": {"type": "integer"},
        },
        "required": ["name"],
    }


def test_what_is_answered_has_its_defaults_always() -> None:
    required = component(Item, "output")["required"]
    assert required == ["name", "price", "tags", "colour", "moment"]


class Sparse(Struct, omit_defaults=True):
    a: int
    b: int = 1


class Renamed(Struct, rename="camel", forbid_unknown_fields=True):
    first_name: str


class Row(Struct, array_like=True):
    id: int
    name: str = ""


class Place(NamedTuple):
    x: int
    y: int = 0


@dataclass
class Plain:
    a: int
    b: int = 1
    c: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    a: int
    b: int = 1


@attrs.define
class Attrs:
    a: int
    b: int = 1


class Keys(TypedDict):
    a: int
    b: NotRequired[int]


def test_what_may_be_missing_in_an_answer_is_not_required() -> None:
    for cls, required in (
        (Sparse, ["a"]),
        (Keys, ["a"]),
        (Attrs, ["a", "b"]),
        (Slotted, ["a", "b"]),
        # msgspec leaves out a default of a decoded dataclass that has no slots.
        (Plain, ["a", "c"]),
    ):
        assert component(cls, "output")["required"] == required
        decoded = codec_for(cls).decode_json(b'{"a": 1}')
        assert accepts(cls, msgspec.json.decode(encode_json(decoded)), "output")


def test_names_in_data_are_used_and_other_fields_refused() -> None:
    schema = component(Renamed)
    assert list(schema["properties"]) == ["firstName"]
    assert schema["additionalProperties"] is False


def test_what_is_an_array_in_json_is_one_in_the_schema() -> None:
    assert accepts(Row, [1])
    assert accepts(Row, [1, "a"])
    assert not accepts(Row, [1, "a", 2])
    assert not accepts(Row, [])
    assert accepts(Place, [1, 2])


class Circle(Struct, tag="circle", tag_field="kind"):
    radius: int


class Square(Struct, tag="square", tag_field="kind"):
    side: int


def test_a_tagged_union_has_a_discriminator() -> None:
    assert schema_of(Circle | Square) == {
        "anyOf": [{"$ref": "#/components/schemas/Circle"}, {"$ref": "#/components/schemas/Square"}],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {
                "circle": "#/components/schemas/Circle",
                "square": "#/components/schemas/Square",
            },
        },
    }
    assert accepts(Circle | Square, {"kind": "square", "side": 1})
    assert not accepts(Circle | Square, {"kind": "square", "radius": 1})
    assert "discriminator" in schema_of(Circle | Square | None)
    assert "discriminator" not in schema_of(Circle | Square | int)


class Cat(Struct):
    name: str


class Dog(Struct):
    name: str


def test_what_can_be_answered_but_not_read_has_a_schema_too() -> None:
    members = [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]
    union = {"anyOf": members}
    assert schema_of(Cat | Dog, "output") == union
    assert schema_of(list[Cat | Dog], "output") == {"type": "array", "items": union}
    assert schema_of(dict[str, Cat | Dog], "output")["additionalProperties"] == union
    assert schema_of(Annotated[Cat | Dog, Meta()], "output") == union
    assert schema_of(tuple[Cat | Dog, ...], "output") == {}


class Node(Struct):
    name: str
    children: list[Node] = []


def test_a_recursive_type_refers_to_itself() -> None:
    assert component(Node)["properties"]["children"]["items"] == {
        "$ref": "#/components/schemas/Node"
    }
    assert accepts(Node, {"name": "a", "children": [{"name": "b"}]})
    assert not accepts(Node, {"name": "a", "children": [{"name": 1}]})


def test_a_file_is_shown_as_one() -> None:
    assert schema_of(Upload)["format"] == "binary"


class Wrong(Struct):
    size: Annotated[int, Meta(ge=1, examples=[1, 0])]


def test_an_example_that_is_not_of_its_type_is_refused_with_its_place() -> None:
    with pytest.raises(OpenAPIError, match=r"Wrong\.size: the example 0 does not fit: .*>= 1"):
        schema_of(Wrong)


class Pet(pydantic.BaseModel):
    """A pydantic model."""

    name: str = pydantic.Field(min_length=1)
    age: int = 0
    friends: list[Pet] = []
    owner: Owner | None = None


class Owner(pydantic.BaseModel):
    email: str = pydantic.Field(alias="mail")


Pet.model_rebuild()


class Boxed(pydantic.BaseModel, Generic[T]):
    value: T


def test_models_of_pydantic_are_components() -> None:
    found = document(list[Pet])
    assert found["schema"] == {"items": {"$ref": "#/components/schemas/Pet"}, "type": "array"}
    schemas = found["components"]["schemas"]
    assert list(schemas) == ["Owner", "Pet"]
    assert schemas["Pet"]["properties"]["name"]["minLength"] == 1
    assert list(schemas["Owner"]["properties"]) == ["mail"]
    assert "title" not in schemas["Pet"]
    assert accepts(Pet, {"name": "Rex", "friends": [{"name": "Tom"}]})
    assert not accepts(Pet, {"name": ""})


def test_a_generic_model_of_pydantic_has_a_legal_name() -> None:
    assert schema_of(Boxed[int]) == {"$ref": "#/components/schemas/Boxed_int"}


class Holder(Struct):
    pet: Pet


def test_a_model_within_a_struct_is_found() -> None:
    assert component(Holder, "output")["properties"]["pet"] == {"$ref": "#/components/schemas/Pet"}


ITEMS = st.builds(
    Item,
    name=st.text(),
    price=st.integers(0, 9),
    tags=st.lists(st.text()),
    colour=st.none() | st.sampled_from(Colour),
    moment=st.datetimes(),
    maybe=st.just(UNSET) | st.integers(0, 9),
)


@given(ITEMS)
@settings(max_examples=30)
def test_whatever_is_answered_fits_its_schema(item: Item) -> None:
    assert accepts(Item, msgspec.json.decode(encode_json(item)), "output")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=5,
)


@given(JSON_VALUES)
@settings(max_examples=30)
@pytest.mark.parametrize(
    "cls", [Sparse, Plain, Attrs, Keys, Row, list[int], dict[str, bool], Level]
)
def test_the_schema_and_the_codec_accept_the_same(cls: object, value: object) -> None:
    try:
        codec_for(cls).decode_json(encode_json(value))
    except MismatchError:
        assert not accepts(cls, value)
    else:
        assert accepts(cls, value)
