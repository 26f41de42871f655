"""Ranges as values: made canonical, compared, ordered, written and read as PostgreSQL has them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.db import Range
from oxidite.db.values.cuts import SCALE, element_text, range_of, range_text
from oxidite.db.values.range_codecs import read_range, write_range
from oxidite.encoding import MismatchError, codec_for, encode_json, encode_msgpack, to_plain

BOUNDS: list[Any] = ["[)", "[]", "(]", "()"]
FIRST = datetime.min.replace(tzinfo=UTC)
MOMENT = datetime(2026, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)
ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "int8range": st.integers(-(2**63), 2**63 - 2),
    "numrange": st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=12
    ),
    "daterange": st.dates(max_value=date(9999, 12, 30)),
    "tstzrange": st.integers(86_400 * 10**6, 9998 * 365 * 86_400 * 10**6).map(
        lambda microseconds: FIRST + timedelta(microseconds=microseconds)
    ),
}
KINDS = list(ELEMENTS)
anyhow: Any = Range
"""As a program without a type checker has it."""


def ranges(name: str) -> st.SearchStrategy[Range[Any]]:
    def make(ends: tuple[Any, Any], bounds: Any) -> Range[Any]:
        low, high = ends
        if low is not None and high is not None and low > high:
            low, high = high, low
        return Range(low, high, bounds=bounds)

    ends = st.none() | ELEMENTS[name]
    return st.builds(make, st.tuples(ends, ends), st.sampled_from(BOUNDS))


class Booking(Struct):
    """A struct with ranges of its own."""

    during: Range[datetime]
    seats: Range[int] | None = None
    days: list[Range[date]] = []
    price: Range[Decimal] | None = None


def test_numbers_and_days_become_those_with_their_first_and_without_their_last() -> None:
    assert Range(1, 5, bounds="[]") == Range(1, 6)
    assert Range(0, 5, bounds="(]") == Range(1, 6)
    assert repr(Range(0, 6, bounds="()")) == "Range(1, 6, bounds='[)')"
    days = Range(date(2026, 1, 31), date(2026, 2, 28), bounds="(]")
    assert days == Range(date(2026, 2, 1), date(2026, 3, 1))
    assert Range(Decimal(1), Decimal(5), bounds="[]") != Range(Decimal(1), Decimal(6))


@pytest.mark.parametrize(
    "empty",
    [
        Range(1, 1),
        Range(1, 1, bounds="(]"),
        Range(1, 2, bounds="()"),
        Range(Decimal(1), Decimal("1.0"), bounds="()"),
        Range(date.max, date.max),
        Range(date.max, date.max, bounds="(]"),
        Range[int](empty=True),
    ],
)
def test_what_nothing_is_in_is_one_empty_range(empty: Range[Any]) -> None:
    assert empty == Range(empty=True)
    assert hash(empty) == hash(Range(empty=True))
    assert empty.is_empty
    assert not empty
    assert (empty.lower, empty.upper) == (None, None)
    assert repr(empty) == "Range(empty=True)"


def test_without_bounds_it_has_everything() -> None:
    everything: Range[int] = Range()
    assert everything.bounds == "()"
    assert Range(None, None, bounds="[]") == everything
    assert 10**100 in everything
    assert not everything.is_empty
    assert bool(everything)


def test_moments_are_in_utc() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    made = Range(MOMENT.astimezone(zone), MOMENT + timedelta(hours=1))
    assert made == Range(MOMENT, MOMENT + timedelta(hours=1))
    assert made.lower is not None
    assert made.lower.tzinfo is UTC
    assert MOMENT.astimezone(zone) in made


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Range(2, 1), ValueError, "more than the upper"),
        (lambda: Range(datetime(2026, 1, 1), None), ValueError, "no time zone"),  # noqa: DTZ001 - meant
        (lambda: Range(Decimal("NaN"), None), ValueError, "None for no bound"),
        (lambda: Range(None, Decimal("Infinity")), ValueError, "None for no bound"),
        (lambda: Range(None, date.max, bounds="[]"), ValueError, "after 9999-12-31"),
        (lambda: Range(date.max, None, bounds="()"), ValueError, "after 9999-12-31"),
        (
            lambda: Range(datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), None),
            ValueError,
            "in no year",
        ),
        (lambda: anyhow(1, 2, bounds="[["), ValueError, "one of"),
        (lambda: Range(1, None, empty=True), ValueError, "no bounds"),
        (lambda: anyhow(1, Decimal(2)), TypeError, "of one type"),
        (lambda: Range(date(2026, 1, 1), MOMENT), TypeError, "of one type"),
        (lambda: anyhow("a", "b"), TypeError, "no bound of a range"),
        (lambda: Range(True, None), TypeError, "no bound of a range"),
        (lambda: anyhow(1.5, None), TypeError, "no bound of a range"),
        (lambda: Decimal(1) in anyhow(1, 2), TypeError, "compared"),
        (lambda: anyhow(1, 2).overlaps(Range(date(2026, 1, 1), None)), TypeError, "compared"),
        (lambda: anyhow(1, 2) < Range(Decimal(1), None), TypeError, "compared"),
    ],
)
def test_what_is_no_range_is_refused(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


def test_what_is_in_it() -> None:
    half = Range(Decimal(1), Decimal(2), bounds="(]")
    assert [each in half for each in map(Decimal, ("1", "1.1", "2", "2.1"))] == [
        *(False, True, True, False)
    ]


def members(one: Range[int]) -> set[int]:
    return {each for each in range(-3, 8) if each in one}


SMALL: list[Range[int]] = [
    Range(empty=True),
    *(Range(*each) for each in product((None, 0, 1, 2), (None, 3, 4, 5))),
    Range(3, 4),
    Range(4, 5),
]


def test_operators_are_those_of_sets() -> None:
    for one, other in product(SMALL, SMALL):
        mine, theirs = members(one), members(other)
        assert one.contains(other) is (theirs <= mine)
        assert one.contained_by(other) is (mine <= theirs)
        assert one.overlaps(other) is bool(mine & theirs)
        assert members(one.intersection(other)) == mine & theirs
        if mine and theirs:
            assert one.before(other) is (max(mine) < min(theirs))
            assert one.after(other) is (min(mine) > max(theirs))
            touching = max(mine) + 1 == min(theirs) or max(theirs) + 1 == min(mine)
            assert one.adjacent_to(other) is touching
        else:
            assert not any((one.before(other), one.after(other), one.adjacent_to(other)))


def test_they_are_adjacent_where_one_end_is_in_one_of_them() -> None:
    one, two, three = map(Decimal, (1, 2, 3))
    assert Range(one, two).adjacent_to(Range(two, three))
    assert Range(one, two, bounds="[]").adjacent_to(Range(two, three, bounds="()"))
    assert not Range(one, two, bounds="[]").adjacent_to(Range(two, three))
    assert not Range(one, two).adjacent_to(Range(two, three, bounds="()"))


def test_the_order_is_empty_then_by_the_lower_then_by_the_upper_bound() -> None:
    ordered: list[Range[Decimal]] = [
        Range(empty=True),
        Range(None, Decimal(1)),
        Range(None, Decimal(1), bounds="(]"),
        Range(),
        Range(Decimal(1), Decimal(3)),
        Range(Decimal(1), None),
        Range(Decimal(1), Decimal(3), bounds="()"),
        Range(Decimal(2), Decimal(3)),
    ]
    assert sorted(set(ordered)) == ordered
    assert ordered[4] >= ordered[4]
    assert ordered[4] <= ordered[5]
    assert ordered[5] > ordered[4]


def test_it_cannot_be_changed_and_can_be_copied() -> None:
    made = Range(1, 5)
    with pytest.raises(AttributeError):
        made.lower = 2  # type: ignore[misc]  # what is tried
    for each in (made, Range(Decimal(1), None, bounds="()"), Range[int](empty=True)):
        assert copy.deepcopy(each) == each
        assert pickle.loads(pickle.dumps(each)) == each
    assert made != (1, 5)
    assert len({made, Range(1, 4, bounds="[]")}) == 1


# As text, where a database has no ranges.


@pytest.mark.parametrize("name", KINDS)
def test_texts_are_read_back_and_sort_as_they_do(name: str) -> None:
    @given(one=ranges(name), other=ranges(name))
    def holds(one: Range[Any], other: Range[Any]) -> None:
        first, second = range_text(name, one), range_text(name, other)
        assert range_of(name, first) == one
        assert (first < second, first == second) == (one < other, one == other)
        assert first == "" or len(first) == len(range_text(name, Range()))
        assert read_range(name, write_range(one)) == one

    holds()


@pytest.mark.parametrize("name", KINDS)
def test_the_place_of_a_value_is_between_the_cuts_around_it(name: str) -> None:
    @given(value=ELEMENTS[name])
    def holds(value: Any) -> None:
        only = range_text(name, Range(value, value, bounds="[]"))
        middle = len(only) // 2
        assert only[:middle] < element_text(name, value) < only[middle:]

    holds()


def test_all_digits_of_a_decimal_are_kept() -> None:
    most = Decimal("9" * 35 + "." + "9" * SCALE)
    made = Range(most.copy_negate(), most, bounds="[]")
    assert range_of("numrange", range_text("numrange", made)) == made


@pytest.mark.parametrize(
    "text", ["x", "2026-01-01<", "2026-13-01<2026-13-02<", "2026-02-01<2026-01-01<"]
)
def test_a_text_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
        range_of("daterange", text)


def test_what_is_no_range_in_a_migration_is_told() -> None:
    with pytest.raises(ValueError, match="no range"):
        read_range("int8range", "1..5")
    with pytest.raises(ValueError, match="no number"):
        read_range("numrange", "[a,b)")


# In requests and responses.


def test_it_is_written_with_its_bounds() -> None:
    made = Booking(
        Range(MOMENT, None), seats=Range(empty=True), days=[Range(None, date(2026, 2, 1))]
    )
    assert to_plain(made) == {
        "during": {"lower": "2026-01-31T12:30:15.123456Z", "upper": None, "bounds": "[)"},
        "seats": {"empty": True},
        "days": [{"lower": None, "upper": "2026-02-01", "bounds": "()"}],
        "price": None,
    }
    codec = codec_for(Booking)
    assert codec.decode_json(encode_json(made)) == made
    assert codec.decode_msgpack(encode_msgpack(made)) == made


def test_decimals_keep_their_digits() -> None:
    data = b'{"during": {}, "price": {"lower": "0.10", "upper": "12345678901234567890.1234567890"}}'
    found = codec_for(Booking).decode_json(data).price
    assert found == Range(Decimal("0.10"), Decimal("12345678901234567890.1234567890"))


@pytest.mark.parametrize(
    ("during", "message"),
    [
        (5, "Expected `object` with lower"),
        ([1, 2], "Expected `object` with lower"),
        ({"lower": "2026-01-31T12:00:00"}, "with a timezone component - in lower"),
        ({"lower": 5}, "in lower"),
        ({"upper": "tomorrow"}, "in upper"),
        ({"lower": "2026-01-31T12:00:00Z", "upper": "2025-01-31T12:00:00Z"}, "more than the upper"),
        ({"bounds": "[["}, "one of"),
        ({"bounds": 1}, "as bounds"),
        ({"empty": 1}, "as empty"),
        ({"empty": True, "lower": "2026-01-31T12:00:00Z"}, "no bounds"),
        ({"from": 1}, "has no from"),
    ],
)
def test_what_a_client_gives_wrong_is_told_with_its_place(during: object, message: str) -> None:
    data = encode_json({"during": during})
    with pytest.raises(MismatchError) as caught:
        codec_for(Booking).decode_json(data)
    (problem,) = caught.value.problems
    assert problem.pointer == "/during"
    assert message in problem.message
    assert not problem.message.endswith("..")


def test_of_what_it_is_has_to_be_said() -> None:
    with pytest.raises(MismatchError, match="Range"):
        codec_for(Range).decode_json(b'{"lower": 1}')
    assert msgspec.convert(Range(1, 2), Any) == Range(1, 2)
