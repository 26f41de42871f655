from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, field_validator

from oxidite.encoding import DecodeError, MismatchError, codec_for, encode_json, encode_msgpack


class Item(BaseModel):
    price: float
    tags: list[str] = []


class Basket(BaseModel):
    model_config = ConfigDict(extra="forbid")

    items: list[Item]
    owner: str = Field(alias="ownerName")

    @field_validator("owner")
    @classmethod
    def not_empty(cls, value: str) -> str:
        if not value:
            raise ValueError("an owner has a name")
        return value


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class House(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    guest: Cat | Dog | None = None


def problems(type_: object, data: bytes) -> dict[str, str]:
    with pytest.raises(MismatchError) as caught:
        codec_for(type_).decode_json(data)
    return {problem.pointer: problem.code for problem in caught.value.problems}


def test_a_model_is_read_from_json_messagepack_and_plain_values() -> None:
    plain = {"items": [{"price": 1.5}], "ownerName": "Ada"}
    codec = codec_for(Basket)
    expected = Basket(items=[Item(price=1.5)], ownerName="Ada")

    assert codec.decode_json(msgspec.json.encode(plain)) == expected
    assert codec.decode_msgpack(msgspec.msgpack.encode(plain)) == expected
    assert codec.convert(plain) == expected


def test_a_list_and_an_option_of_models_are_read() -> None:
    assert codec_for(list[Item]).decode_json(b'[{"price": 1}]') == [Item(price=1)]
    assert codec_for(Item | None).decode_json(b"null") is None


def test_every_problem_has_its_pointer_and_one_of_our_codes() -> None:
    data = b'{"items": [{"price": "x"}, {}], "ownerName": "", "nope": 1}'

    assert problems(Basket, data) == {
        "/items/0/price": "type",
        "/items/1/price": "missing",
        "/ownerName": "constraint",
        "/nope": "unknown",
    }


def test_a_pointer_names_a_place_in_the_data_and_no_member_of_a_union() -> None:
    data = b'{"pet": {"kind": "cat", "lives": "x"}, "guest": {"kind": "dog", "tricks": [1]}}'

    assert {"/pet/lives", "/guest/tricks/0"} <= problems(House, data).keys()
    assert all(
        pointer.split("/")[1] in {"pet", "guest"} and "Dog" not in pointer and "cat" not in pointer
        for pointer in problems(House, data)
    )


def test_the_fields_of_a_model_are_known_by_their_names_in_the_data() -> None:
    fields = codec_for(Basket).fields()

    assert fields is not None
    assert [(f.name, f.key, f.required) for f in fields] == [
        ("items", "items", True),
        ("owner", "ownerName", True),
    ]
    assert codec_for(list[Item]).fields() is None


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"price": NaN}', b'{"price": Infinity}', b'{"price": 1} x', b'{"price": "\xff"}'],
)
def test_what_is_not_json_is_malformed_for_models_too(data: bytes) -> None:
    with pytest.raises(DecodeError):
        codec_for(Item).decode_json(data)


def test_data_nested_too_deeply_is_malformed_for_models_too() -> None:
    with pytest.raises(DecodeError, match="nested too deeply"):
        codec_for(Item).decode_json(b'{"price": ' + b"[" * 100_000)
    with pytest.raises(DecodeError, match="nested too deeply"):
        codec_for(Item).decode_msgpack(b"\x91" * 100_000)


def test_malformed_messagepack_is_malformed_for_models_too() -> None:
    with pytest.raises(DecodeError):
        codec_for(Item).decode_msgpack(b"\x82\xa1")


def test_of_very_many_problems_a_hundred_are_told() -> None:
    with pytest.raises(MismatchError) as caught:
        codec_for(list[Item]).decode_json(b"[" + b",".join([b"{}"] * 500) + b"]")

    assert len(caught.value.problems) == 100


def test_of_a_flood_of_problems_their_number_is_told() -> None:
    with pytest.raises(MismatchError) as caught:
        codec_for(list[Item]).decode_json(b"[" + b",".join([b"{}"] * 20_000) + b"]")

    (problem,) = caught.value.problems
    assert (problem.pointer, problem.message) == (
        "",
        "There are 20000 problems, too many to list.",
    )


def test_a_model_is_encoded_by_its_aliases_wherever_it_stands() -> None:
    basket = Basket(items=[], ownerName="Ada")

    assert encode_json({"basket": basket}) == b'{"basket":{"items":[],"ownerName":"Ada"}}'
    assert msgspec.msgpack.decode(encode_msgpack([basket])) == [{"items": [], "ownerName": "Ada"}]


def test_a_struct_that_holds_a_model_is_refused_at_once() -> None:
    class Holder(Struct):
        item: Item

    with pytest.raises(TypeError, match="'item' holds a pydantic model"):
        codec_for(Holder)


def test_a_problem_beside_a_number_that_no_type_can_hold_has_its_pointer() -> None:
    assert problems(Basket, b'{"items": [{"price": 1e999, "tags": [1]}], "ownerName": "a"}') == {
        "/items/0/tags/0": "type",
    }
