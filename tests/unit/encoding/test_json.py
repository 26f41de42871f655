from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from uuid import UUID

import attrs
import msgspec
import pytest
from msgspec import UNSET, Struct, UnsetType

from oxidite.encoding import encode_json, encode_msgpack, json_text


class Colour(Enum):
    RED = "red"


class Patch(Struct):
    title: str | UnsetType = UNSET
    note: str | UnsetType | None = UNSET


@dataclasses.dataclass
class Point:
    x: int


@attrs.define
class Box:
    width: int


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (None, b"null"),
        ("a", b'"a"'),
        (Point(1), b'{"x":1}'),
        (Box(2), b'{"width":2}'),
        (Patch(note=None), b'{"note":null}'),
        ({1: 2}, b'{"1":2}'),
        ((1, 2), b"[1,2]"),
        (Colour.RED, b'"red"'),
        (Decimal("1.10"), b'"1.10"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (datetime(2024, 1, 2, tzinfo=UTC), b'"2024-01-02T00:00:00Z"'),
        (PurePosixPath("/a/b"), b'"/a/b"'),
        (math.nan, b"null"),
        (math.inf, b"null"),
    ],
)
def test_values_are_encoded_as_json(value: object, encoded: bytes) -> None:
    assert encode_json(value) == encoded


def test_a_path_is_encoded_as_messagepack_too() -> None:
    assert msgspec.msgpack.decode(encode_msgpack({"at": PurePosixPath("/a")})) == {"at": "/a"}


@pytest.mark.parametrize("encode", [encode_json, encode_msgpack])
def test_what_cannot_be_encoded_is_named_with_what_can(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(TypeError, match=r"builtins\.object cannot be encoded\. Return a Struct"):
        encode([object()])


def test_text_for_people_is_indented() -> None:
    assert json_text({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}'


@pytest.mark.parametrize("encode", [encode_json, encode_msgpack])
def test_what_was_not_awaited_is_told(encode: Callable[[object], bytes]) -> None:
    async def load() -> int:
        return 1

    with pytest.raises(TypeError, match=r"load\(\) was called, but not awaited. Write `await`"):
        encode({"value": load()})
