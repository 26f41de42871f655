"""Vectors as values: made of whatever holds numbers, equal, hashed, written and compared."""

from __future__ import annotations

import copy
import math
import pickle
import struct
from array import array
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.db import Vector, VectorMetric
from oxidite.encoding import MismatchError, codec_for, encode_json, encode_msgpack, to_plain

FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=20)
MAKERS: dict[str, Callable[[list[float]], Any]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "array of floats": lambda values: array("f", values),
    "array of doubles": lambda values: array("d", values),
    "part of an array": lambda values: memoryview(array("d", [0.0, *values]))[1:],
    "every other one": lambda values: memoryview(
        array("f", [each for value in values for each in (value, 9.0)])
    )[::2],
    "vector": Vector,
}


class Named(Struct):
    """A struct with a vector of its own."""

    name: str
    at: Vector
    more: list[Vector | None] = []


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_it_is_made_of_whatever_holds_numbers(make: Callable[[list[float]], Any]) -> None:
    values = [0.5, -2.0, 0.0, 1024.25]
    made = Vector(make(values))
    assert made == Vector(values)
    assert made.tolist() == values
    assert Vector(make([])).tolist() == []


def test_whole_numbers_are_numbers() -> None:
    assert Vector([1, True, 3]).tolist() == [1.0, 1.0, 3.0]
    assert Vector(array("h", [1, -2])).tolist() == [1.0, -2.0]


@given(values=FLOATS)
def test_numbers_of_32_bits_are_kept_as_they_are(values: list[float]) -> None:
    made = Vector(values)
    assert list(made) == values
    assert len(made) == len(values)
    assert bytes(made) == struct.pack(f"<{len(values)}f", *[each or 0.0 for each in values])
    assert Vector.from_bytes(bytes(made)) == made
    assert hash(Vector.from_bytes(bytes(made))) == hash(made)


def test_others_are_rounded() -> None:
    assert Vector([0.1])[0] == struct.unpack("f", struct.pack("f", 0.1))[0]
    assert Vector([1e300]).tolist() == [math.inf]


def test_it_is_a_sequence_that_does_not_change() -> None:
    made = Vector([1, 2, 3, 4])
    assert made[0] == 1
    assert made[-1] == 4
    assert made[1:3] == Vector([2, 3])
    assert list(reversed(made)) == [4, 3, 2, 1]
    assert 3.0 in made
    assert made.index(3) == 2
    with pytest.raises(IndexError):
        made[4]
    with pytest.raises(TypeError):
        made[0] = 5  # type: ignore[index]  # what is to fail
    with pytest.raises(AttributeError):
        made.more = 1  # type: ignore[attr-defined]  # as above


def test_it_equals_vectors_of_the_same_numbers() -> None:
    assert Vector([0.0, 1]) == Vector([-0.0, 1])
    assert hash(Vector([0.0])) == hash(Vector([-0.0]))
    assert Vector([1]) != Vector([1, 0])
    assert Vector([1]) != [1.0]
    assert len({Vector([1, 2]), Vector([1, 2]), Vector([2, 1])}) == 2


def test_it_is_copied_and_pickled() -> None:
    made = Vector([1, 2.5])
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made


def test_it_shows_its_first_numbers() -> None:
    assert repr(Vector([0.1, 2, -3e10])) == "Vector([0.1, 2, -3e+10])"
    assert repr(Vector([0.5] * 9)).endswith("0.5, …])")


@pytest.mark.parametrize("values", ["12", b"1234", bytearray(4), [1, "2"], [None], [[1.0], [2.0]]])
def test_what_are_no_numbers_is_refused(values: Any) -> None:
    with pytest.raises(TypeError, match="vector"):
        Vector(values)


def test_what_has_several_dimensions_is_refused() -> None:
    square = memoryview(array("f", [1, 2, 3, 4])).cast("B").cast("f", shape=[2, 2])
    with pytest.raises(ValueError, match="An array of 2 dimensions"):
        Vector(square)
    with pytest.raises(ValueError, match="too large"):
        Vector([10**400])


def test_bytes_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes"):
        Vector.from_bytes(b"1234567")


def distance(one: Iterable[float], other: Iterable[float], metric: VectorMetric) -> float:
    """What a textbook says."""
    pairs = list(zip(one, other, strict=True))
    product = sum(a * b for a, b in pairs)
    match metric:
        case "l2":
            return math.sqrt(sum((a - b) ** 2 for a, b in pairs))
        case "inner_product":
            return -product
        case _:
            lengths = math.prod(math.sqrt(sum(each**2 for each in side)) for side in (one, other))
            return 1 - product / lengths


SMALL = st.floats(-1e3, 1e3, width=32).filter(lambda each: each == 0 or abs(each) > 1e-3)


@given(pairs=st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=30))
def test_distances_are_those_of_the_textbook(pairs: list[tuple[float, float]]) -> None:
    one, other = (Vector(side) for side in zip(*pairs, strict=True))
    for metric in ("l2", "inner_product"):
        wanted = distance(one, other, metric)
        assert one.distance(other, metric=metric) == pytest.approx(wanted, rel=1e-9, abs=1e-6)
    if any(one) and any(other):
        assert one.distance(other) == pytest.approx(distance(one, other, "cosine"), abs=1e-9)
        assert 0 <= one.distance(other) <= 2
        assert one.distance(one) == pytest.approx(0, abs=1e-12)
    else:
        assert math.isnan(one.distance(other))


def test_distances_take_whatever_holds_numbers() -> None:
    assert Vector([3, 4]).distance([0, 0], metric="l2") == 5
    assert Vector([3, 4]).distance(array("d", [1, 1]), metric="inner_product") == -7
    with pytest.raises(ValueError, match="of 2 dimensions is compared with one of 3"):
        Vector([3, 4]).distance([1, 2, 3])


class TestAsData:
    def test_it_is_a_list_of_numbers(self) -> None:
        one = Named("a", Vector([0.5, 2]), [None, Vector([])])
        assert encode_json(one) == b'{"name":"a","at":[0.5,2.0],"more":[null,[]]}'
        assert to_plain(one) == {"name": "a", "at": [0.5, 2.0], "more": [None, []]}
        codec = codec_for(Named)
        assert codec.decode_json(encode_json(one)) == one
        assert codec.decode_msgpack(encode_msgpack(one)) == one
        assert codec.convert({"name": "a", "at": [1, 2]}) == Named("a", Vector([1, 2]))
        assert codec.convert({"name": "a", "at": Vector([1, 2])}).at == Vector([1, 2])

    @pytest.mark.parametrize("at", ['"text"', "5", "[1, null]", '[1, "2"]', "[true]", "{}"])
    def test_what_is_none_is_an_error_of_its_field(self, at: str) -> None:
        with pytest.raises(MismatchError) as failed:
            codec_for(Named).decode_json(f'{{"name": 1, "at": {at}}}')
        problems = {each.pointer: each.message for each in failed.value.problems}
        assert problems.keys() == {"/name", "/at"}
        assert "`array` of numbers" in problems["/at"]
