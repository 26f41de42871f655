from __future__ import annotations

import dataclasses
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Line(Struct):
    sku: str
    count: Annotated[int, Meta(ge=1)] = 1


class Order(Struct, forbid_unknown_fields=True):
    lines: list[Line]
    note: str | None = None


class Cat(Struct, tag="cat"):
    lives: int


class Dog(Struct, tag="dog"):
    tricks: list[str]


class Patch(Struct):
    title: str | UnsetType = UNSET
    note: str | UnsetType | None = UNSET


class Renamed(Struct, rename="camel"):
    first_name: str


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x == self.y:
            raise ValueError("x and y must differ")


class Options(TypedDict):
    name: str
    size: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: str


class Boxed(Struct, Generic[T]):
    inside: T
    count: int


@dataclasses.dataclass
class Plain(Generic[T]):
    inside: T
    count: int


@attrs.define
class Box:
    width: int
    height: int = 2


def problems(codec: Codec[Any], data: bytes) -> dict[str, str]:
    """Return the code of every problem by its pointer."""
    with pytest.raises(MismatchError) as caught:
        codec.decode_json(data)
    return {problem.pointer: problem.code for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("type_", "data", "value"),
    [
        (int, b"3", 3),
        (list[int], b"[1, 2]", [1, 2]),
        (Decimal, b'"1.50"', Decimal("1.50")),
        (UUID, b'"00000000-0000-0000-0000-000000000001"', UUID(int=1)),
        (date, b'"2024-02-29"', date(2024, 2, 29)),
        (datetime, b'"2024-02-29T10:00:00"', datetime(2024, 2, 29, 10)),  # noqa: DTZ001
        (timedelta, b'"PT90S"', timedelta(seconds=90)),
        (Colour, b'"red"', Colour.RED),
        (Line, b'{"sku": "a"}', Line("a")),
        (Cat | Dog, b'{"type": "dog", "tricks": []}', Dog([])),
        (Point, b'{"x": 1}', Point(1)),
        (Options, b'{"name": "a"}', {"name": "a"}),
        (Pair, b'[1, "a"]', Pair(1, "a")),
        (Box, b'{"width": 5}', Box(5)),
        (Renamed, b'{"firstName": "Ada"}', Renamed("Ada")),
        (Any, b'{"a": [1]}', {"a": [1]}),
    ],
)
def test_every_kind_of_type_is_read_from_json_and_from_messagepack(
    type_: object, data: bytes, value: object
) -> None:
    codec = codec_for(type_)

    assert codec.decode_json(data) == value
    assert codec.decode_msgpack(msgspec.msgpack.encode(msgspec.json.decode(data))) == value


def test_a_missing_field_of_a_patch_is_unset_and_null_is_none() -> None:
    codec = codec_for(Patch)

    assert codec.decode_json(b"{}") == Patch()
    assert codec.decode_json(b'{"note": null}').note is None
    assert codec.decode_json(b'{"note": null}').title is UNSET


def test_a_patch_field_that_may_not_be_null_refuses_null() -> None:
    assert problems(codec_for(Patch), b'{"title": null, "note": 3}') == {
        "/title": "type",
        "/note": "type",
    }


def test_every_problem_is_found_and_has_its_pointer() -> None:
    data = b'{"lines": [{"sku": "a"}, {"sku": 3, "count": 0}, {}], "note": 4, "nope": 1}'

    assert problems(codec_for(Order), data) == {
        "/lines/1/sku": "type",
        "/lines/1/count": "constraint",
        "/lines/2/sku": "missing",
        "/note": "type",
        "/nope": "unknown",
    }


def test_an_unknown_field_is_told_what_it_may_have_been() -> None:
    with pytest.raises(MismatchError) as caught:
        codec_for(Order).decode_json(b'{"lines": [], "notes": "x"}')

    assert caught.value.problems[0].message == "There is no such field. Did you mean 'note'?"


def test_a_problem_is_named_as_it_is_in_the_data() -> None:
    assert problems(codec_for(Renamed), b"{}") == {"/firstName": "missing"}


def test_the_problems_of_a_tagged_union_are_those_of_the_member_its_tag_names() -> None:
    assert problems(codec_for(list[Cat | Dog]), b'[{"type": "dog", "tricks": [1, 2]}]') == {
        "/0/tricks/0": "type",
        "/0/tricks/1": "type",
    }


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"type": "cow"}', {"/type": "invalid"}),
        (b"{}", {"/type": "missing"}),
        (b"3", {"": "type"}),
    ],
)
def test_a_tagged_union_without_a_known_tag_is_told_so(data: bytes, found: dict[str, str]) -> None:
    assert problems(codec_for(Cat | Dog), data) == found


def test_an_optional_struct_is_looked_into() -> None:
    assert problems(codec_for(Line | None), b'{"sku": 1, "count": "x"}') == {
        "/sku": "type",
        "/count": "type",
    }
    assert problems(codec_for(Line | None), b"[]") == {"": "type"}


def test_an_optional_field_of_a_typed_dict_is_looked_into() -> None:
    assert problems(codec_for(Options), b'{"name": 1, "size": "x"}') == {
        "/name": "type",
        "/size": "type",
    }


def test_an_attrs_class_and_a_dataclass_are_looked_into() -> None:
    assert problems(codec_for(Box), b'{"height": "x"}') == {"/width": "missing", "/height": "type"}
    assert problems(codec_for(Point), b'{"y": "x"}') == {"/x": "missing", "/y": "type"}


def test_what_a_class_checks_itself_is_a_problem_of_the_whole() -> None:
    with pytest.raises(MismatchError) as caught:
        codec_for(list[Point]).decode_json(b'[{"x": 1, "y": 2}, {"x": 1, "y": 1}]')

    (problem,) = caught.value.problems
    assert (problem.pointer, problem.message) == ("/1", "x and y must differ.")


def test_keys_are_numbers_where_they_are_declared_so() -> None:
    assert codec_for(dict[int, str]).decode_json(b'{"1": "a"}') == {1: "a"}
    assert codec_for(dict[int, str]).decode_msgpack(msgspec.msgpack.encode({1: "a"})) == {1: "a"}


def test_keys_that_are_numbers_are_no_problem_beside_another() -> None:
    class Stock(Struct):
        by_number: dict[int, int]
        total: int

    assert problems(codec_for(Stock), b'{"by_number": {"1": 2}, "total": "x"}') == {
        "/total": "type"
    }


def test_a_key_of_the_wrong_kind_is_told_apart_from_its_value() -> None:
    with pytest.raises(MismatchError) as caught:
        codec_for(dict[int, int]).decode_json(b'{"1": "x", "two": 2}')

    assert [(each.pointer, each.message) for each in caught.value.problems] == [
        ("/1", "Expected `int`, got `str`."),
        ("/two", "The key is wrong: Expected `int`, got `str`."),
    ]


def test_a_generic_type_is_looked_into() -> None:
    assert problems(codec_for(Boxed[int]), b'{"inside": "x", "count": "y"}').keys() >= {"/count"}
    assert problems(codec_for(Plain[int]), b'{"inside": "x", "count": "y"}').keys() >= {"/count"}
    assert problems(codec_for(Plain[int]), b'{"inside": "x", "count": 1}') == {"/inside": "type"}


def test_a_pointer_escapes_what_has_a_meaning_in_it() -> None:
    assert problems(codec_for(dict[str, int]), b'{"a/b~c": "x"}') == {"/a~1b~0c": "type"}


def test_a_constraint_on_a_list_is_a_problem_of_the_list() -> None:
    codec = codec_for(Annotated[list[int], Meta(max_length=1)])

    assert problems(codec, b"[1, 2]") == {"": "constraint"}
    assert problems(codec, b'[1, "x"]') == {"/1": "type"}


def test_the_items_of_a_tuple_are_judged_by_their_places() -> None:
    assert problems(codec_for(tuple[int, str]), b'["x", 1]') == {"/0": "type", "/1": "type"}
    assert problems(codec_for(tuple[int, ...]), b'[1, "x", "y"]') == {"/1": "type", "/2": "type"}
    assert problems(codec_for(tuple[int, str]), b"[1]") == {"": "constraint"}


def test_a_constraint_on_a_mapping_of_anything_is_a_problem_of_the_mapping() -> None:
    codec = codec_for(Annotated[dict, Meta(max_length=1)])

    assert problems(codec, b'{"a": 1, "b": 2}') == {"": "constraint"}


def test_of_very_many_problems_a_hundred_are_told() -> None:
    with pytest.raises(MismatchError) as caught:
        codec_for(list[int]).decode_json(b"[" + b",".join([b'"x"'] * 5000) + b"]")

    assert len(caught.value.problems) == 100
    assert caught.value.problems[99].pointer == "/99"


def test_a_problem_far_behind_is_found_too() -> None:
    data = b"[" + b"1," * 200_000 + b'"x"]'

    assert problems(codec_for(list[int]), data) == {"/200000": "type"}


def test_telling_the_problems_of_deep_data_does_not_read_it_once_per_level() -> None:
    made = 0

    class Leaf(Struct):
        n: int

        def __post_init__(self) -> None:
            nonlocal made
            made += 1

    tree = msgspec.defstruct("Tree", [("leaves", list[Leaf], []), ("child", Any, None)])
    for _ in range(60):
        tree = msgspec.defstruct("Tree", [("child", tree), ("bad", int, 0)])
    value: object = {"leaves": [{"n": 1}] * 1000 + [{"n": "x"}]}
    for _ in range(60):
        value = {"child": value}

    (pointer,) = problems(codec_for(tree), msgspec.json.encode(value))

    assert pointer == "/child" * 60 + "/leaves/1000/n"
    assert made < 20_000


def test_telling_the_problems_of_a_long_list_ends_before_its_end() -> None:
    made = 0

    class Leaf(Struct):
        n: int

        def __post_init__(self) -> None:
            nonlocal made
            made += 1

    data = msgspec.json.encode([*({"n": 1} for _ in range(50_000)), {"n": "x"}])

    assert problems(codec_for(list[Leaf]), data) == {"/50000/n": "type"}
    assert made < 65_000


def test_telling_the_problems_of_a_large_mapping_ends_before_its_end() -> None:
    class Holder(Struct):
        numbers: dict[str, int]
        word: str

    numbers: dict[str, object] = dict.fromkeys(map(str, range(20_000)), 1)
    data = {"numbers": {**numbers, "last": "x"}, "word": 3}

    # The mapping is judged with the whole, and what stands behind it not at all.
    assert problems(codec_for(Holder), msgspec.json.encode(data)) == {"/numbers": "type"}


class Tree(Struct):
    branches: list[Tree] = []


class Planted(Struct):
    place: int
    tree: Tree


def deep(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"branches": [value]}
    return value


def test_plain_values_nested_too_deeply_are_refused() -> None:
    with pytest.raises(DecodeError, match="nested too deeply"):
        codec_for(Tree).convert(deep(5000))


def test_depth_is_a_problem_beside_others() -> None:
    with pytest.raises(MismatchError) as caught:
        codec_for(Planted).convert({"place": "x", "tree": deep(5000)})

    assert [(each.pointer, each.message) for each in caught.value.problems] == [
        ("/place", "Expected `int`, got `str`."),
        ("/tree", "The data is nested too deeply."),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"sku": "a"',
        b"nul",
        b"1 2",
        b"NaN",
        b"-Infinity",
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"{'sku': 1}",
        b'{"sku": "a",}',
        b"\x00",
    ],
)
@pytest.mark.parametrize("type_", [Line, Any, float, str])
def test_what_is_not_json_is_malformed(type_: object, data: bytes) -> None:
    with pytest.raises((DecodeError, MismatchError)):
        codec_for(type_).decode_json(data)
    with pytest.raises(DecodeError):
        codec_for(Any).decode_json(data)


@pytest.mark.parametrize(
    "data",
    [b'{"sku": 1, "count": ', b'{"sku": 1} x', b'{"sku": 1, "count": "\xff"}', b'{"sku": 1' + b"["],
)
def test_what_does_not_fit_and_is_no_json_either_is_malformed(data: bytes) -> None:
    with pytest.raises(DecodeError):
        codec_for(Line).decode_json(data)


@pytest.mark.parametrize("type_", [Line, Any, dict[str, Any], list[Any]])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"lines":['])
def test_data_nested_too_deeply_is_malformed(type_: object, opening: bytes) -> None:
    with pytest.raises((DecodeError, MismatchError)):
        codec_for(type_).decode_json(opening * 100_000)


def test_deep_json_says_that_it_is_too_deep() -> None:
    with pytest.raises(DecodeError, match="nested too deeply"):
        codec_for(Any).decode_json(b"[" * 100_000)
    with pytest.raises(DecodeError, match="nested too deeply"):
        codec_for(Any).decode_msgpack(b"\x91" * 100_000)


def test_of_duplicate_keys_the_last_one_wins() -> None:
    assert codec_for(Line).decode_json(b'{"sku": "a", "sku": "b"}') == Line("b")


@pytest.mark.parametrize("number", [b"9" * 5000, b"1e400", b"-" + b"9" * 5000])
def test_a_number_that_no_type_can_hold_is_refused_quickly(number: bytes) -> None:
    with pytest.raises((DecodeError, MismatchError)):
        codec_for(int).decode_json(number)


def test_text_becomes_what_was_declared_only_if_asked() -> None:
    assert codec_for(Line).convert({"sku": "a", "count": "3"}, strict=False) == Line("a", 3)
    with pytest.raises(MismatchError):
        codec_for(Line).convert({"sku": "a", "count": "3"})


def test_the_fields_of_structured_types_are_known_and_of_others_none() -> None:
    def shape(type_: object) -> list[tuple[str, str, bool]]:
        return [(f.name, f.key, f.required) for f in codec_for(type_).fields() or ()]

    assert shape(Renamed) == [("first_name", "firstName", True)]
    assert shape(Options) == [("name", "name", True), ("size", "size", False)]
    assert shape(Point) == [("x", "x", True), ("y", "y", False)]
    assert shape(Box) == [("width", "width", True), ("height", "height", False)]
    assert shape(Annotated[Line, Meta(title="a line")]) == [
        ("sku", "sku", True),
        ("count", "count", False),
    ]
    assert codec_for(int).fields() is None
    assert codec_for(list[Line]).fields() is None
    assert codec_for(Any).fields() is None


def test_a_type_that_cannot_be_decoded_is_refused() -> None:
    class A(Struct):
        a: int

    class B(Struct):
        b: int

    with pytest.raises(TypeError, match="must be tagged"):
        codec_for(A | B)


TYPES = (
    Line,
    Order,
    Patch,
    Cat | Dog,
    list[Cat | Dog | None],
    dict[str, list[Line]],
    dict[int, Point],
    tuple[int, str],
    tuple[Line, ...],
    set[int],
    Options,
    Point,
    Box,
    Pair,
    Annotated[str, Meta(max_length=2)],
    Colour | int,
    Line | str | list[Line] | None,
    Decimal,
    date,
    bytes,
    Any,
)
_names = st.sampled_from(["sku", "count", "lines", "note", "type", "lives", "tricks", "title"])
_names |= st.sampled_from(["name", "size", "x", "y", "width", "height", "1", "a/b"])
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(
        allow_nan=False,
        allow_infinity=False,  # in JSON neither is a number
    )
)
_scalars |= st.sampled_from(["cat", "dog", "red", "a", "abc", "1", "2024-01-01", ""])
json_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.sampled_from(TYPES), json_values)
def test_any_json_is_a_value_or_a_list_of_problems_at_places_that_exist(
    type_: object, value: object
) -> None:
    try:
        codec_for(type_).decode_json(msgspec.json.encode(value))
    except MismatchError as error:
        found = error.problems
    else:
        return

    assert found
    for problem in found:
        assert problem.message
        assert problem.code in {"missing", "unknown", "type", "constraint", "invalid"}
        place, steps = value, problem.pointer.split("/")[1:]
        for step in steps[:-1] if problem.code == "missing" else steps:
            key = step.replace("~1", "/").replace("~0", "~")
            place = place[int(key)] if isinstance(place, list) else place[key]  # type: ignore[index]  # raises if it is not there


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={"lines": json_values, "note": json_values}))
def test_what_fits_is_never_blamed_and_what_does_not_always(value: dict[str, object]) -> None:
    try:
        codec_for(Order).decode_json(msgspec.json.encode(value))
        blamed = set()
    except MismatchError as exc:
        blamed = {problem.pointer.split("/")[1] for problem in exc.problems}

    wrong = {"lines"} - value.keys()
    for name, type_ in (("lines", list[Line]), ("note", str | None)):
        try:
            codec_for(type_).convert(value.get(name, [] if name == "lines" else None))
        except MismatchError:
            wrong.add(name)
    assert blamed == wrong


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(TYPES))
def test_any_bytes_are_a_value_or_an_error_of_ours(data: bytes, type_: object) -> None:
    codec = codec_for(type_)
    for decode in (codec.decode_json, codec.decode_msgpack):
        try:
            decode(data)
        except (DecodeError, MismatchError) as exc:
            assert exc.message  # noqa: PT017 - whether it raises is up to the bytes


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.recursive(st.text(max_size=8), st.lists, max_leaves=5))
def test_any_text_is_converted_or_refused(type_: object, value: object) -> None:
    try:
        codec_for(type_).convert(value, strict=False)
    except (DecodeError, MismatchError) as exc:
        assert exc.message  # noqa: PT017 - as above
