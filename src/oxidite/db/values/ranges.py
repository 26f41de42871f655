"""Ranges of numbers, days and moments, with the meaning that PostgreSQL gives them.

A range is what lies between two cuts: a cut is just before a value, just after it, or beyond all of them.
So ``[1,3)`` is from the cut before 1 to the cut before 3, and all that is asked of ranges compares cuts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_origin,
)

import msgspec

from oxidite.db.values.moments import check_zone

__all__ = ["AFTER", "BEFORE", "Bounds", "Cut", "Range", "cuts_of", "documented", "type_of"]

T = TypeVar("T", bound="int | Decimal | date")

Bounds: TypeAlias = Literal["[)", "[]", "(]", "()"]
"""Whether the ends of a range are in it: ``[`` and ``]`` say that they are, ``(`` and ``)`` that they are not."""

Cut: TypeAlias = tuple[Any, ...]
"""Where a range begins or ends: ``(0, value, BEFORE)``, ``(0, value, AFTER)``, or beyond all: ``(-1,)``, ``(1,)``."""

BEFORE, AFTER = 0, 1
_BOUNDS: tuple[Bounds, ...] = ("[)", "[]", "(]", "()")
_FIRST: Cut = (-1,)
_LAST: Cut = (1,)


class Range(Generic[T]):
    """What lies between ``lower`` and ``upper``: whole numbers, Decimals, days or moments in time.

    ``None`` is no bound on that side. ``bounds`` says which of the two are in it, as ``[)`` the lower one
    alone. Where they are equal and one of them is left out the range is empty. As in PostgreSQL, a range
    of whole numbers or days becomes one with the bounds ``[)``, and a bound that is ``None`` is never in
    it; moments are in UTC. It does not change, and is compared and ordered as PostgreSQL does: an empty
    one first, then by the lower bound, then by the upper one.

    Raises:
        TypeError: a bound is of another type, or the two are of different ones.
        ValueError: ``lower`` is more than ``upper``, a moment has no time zone, a Decimal is not finite,
            or a bound becomes a day that Python does not have.
    """

    __slots__ = ("_begin", "_bounds", "_end", "_lower", "_upper")

    __plain_schema__: ClassVar[Mapping[str, object]] = {
        "type": "object",
        "properties": {
            "lower": {},
            "upper": {},
            "bounds": {"type": "string", "enum": list(_BOUNDS), "default": "[)"},
            "empty": {"type": "boolean", "default": False},
        },
        "additionalProperties": False,
    }

    def __init__(
        self,
        lower: T | None = None,
        upper: T | None = None,
        *,
        bounds: Bounds = "[)",
        empty: bool = False,
    ) -> None:
        if bounds not in _BOUNDS:
            raise ValueError(f"The bounds of a range are one of {', '.join(_BOUNDS)}: {bounds!r}.")
        if empty and not (lower is None and upper is None):
            raise ValueError("An empty range has no bounds.")
        low, high = _bound(lower), _bound(upper)
        _check_order(low, high)
        if low is not None and low == high and bounds != "[]":
            empty = True
        if not empty:
            low, high, bounds = _canonical(low, high, bounds)
            self._begin: Cut = (
                _FIRST if low is None else (0, low, BEFORE if bounds[0] == "[" else AFTER)
            )
            self._end: Cut = (
                _LAST if high is None else (0, high, AFTER if bounds[1] == "]" else BEFORE)
            )
            empty = self._begin >= self._end  # (1, 2) of whole numbers
        if empty:
            low, high, bounds = None, None, "()"
            self._begin = self._end = _LAST  # nothing is between the two
        self._lower: T | None = low
        self._upper: T | None = high
        self._bounds: Bounds = bounds

    @property
    def lower(self) -> T | None:
        """Where it begins; ``None`` if nothing is below it, or it is empty."""
        return self._lower

    @property
    def upper(self) -> T | None:
        """Where it ends; ``None`` if nothing is above it, or it is empty."""
        return self._upper

    @property
    def bounds(self) -> Bounds:
        """Which of its bounds are in it."""
        return self._bounds

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return self._begin == self._end

    def __contains__(self, value: T) -> bool:
        found = _bound(value)
        self._alike(found)
        return self._begin <= (0, found, BEFORE) and (0, found, AFTER) <= self._end

    def contains(self, other: Range[T]) -> bool:
        """Tell whether all of another range is in it, as nothing is."""
        self._alike(other)
        if other.is_empty:
            return True
        return self._begin <= other._begin and other._end <= self._end

    def contained_by(self, other: Range[T]) -> bool:
        """Tell whether all of it is in another range."""
        return other.contains(self)

    def overlaps(self, other: Range[T]) -> bool:
        """Tell whether something is in both."""
        self._alike(other)
        return self._begin < other._end and other._begin < self._end and not self._nothing(other)

    def adjacent_to(self, other: Range[T]) -> bool:
        """Tell whether one ends where the other begins, with nothing between them and nothing in both."""
        self._alike(other)
        touch = self._end == other._begin or other._end == self._begin
        return touch and not self._nothing(other)

    def before(self, other: Range[T]) -> bool:
        """Tell whether it ends before the other one begins."""
        self._alike(other)
        return self._end <= other._begin and not self._nothing(other)

    def after(self, other: Range[T]) -> bool:
        """Tell whether it begins after the other one ends."""
        return other.before(self)

    def intersection(self, other: Range[T]) -> Range[T]:
        """Return what is in both; an empty range if that is nothing."""
        if not self.overlaps(other):
            return Range(empty=True)
        low = self if self._begin >= other._begin else other
        high = self if self._end <= other._end else other
        bounds = cast("Bounds", low.bounds[0] + high.bounds[1])
        return Range(low.lower, high.upper, bounds=bounds)

    def _nothing(self, other: Range[T]) -> bool:
        return self.is_empty or other.is_empty

    def _alike(self, other: object) -> None:
        """Refuse what cannot be compared: a range of days with one of numbers."""
        mine, theirs = type_of(self), type_of(other)
        if mine is not None and theirs is not None and mine is not theirs:
            raise TypeError(
                f"A range of {mine.__name__} is compared with something of {theirs.__name__}."
            )

    def _key(self) -> tuple[object, ...]:
        return (0,) if self.is_empty else (1, self._begin, self._end)

    def __bool__(self) -> bool:
        return not self.is_empty

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: Range[T]) -> bool:
        self._alike(other)
        return self._key() < other._key()

    def __le__(self, other: Range[T]) -> bool:
        self._alike(other)
        return self._key() <= other._key()

    def __gt__(self, other: Range[T]) -> bool:
        return other < self

    def __ge__(self, other: Range[T]) -> bool:
        return other <= self

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self._lower, self._upper, self._bounds, self.is_empty)

    def __repr__(self) -> str:
        if self.is_empty:
            return "Range(empty=True)"
        return f"Range({self._lower!r}, {self._upper!r}, bounds={self._bounds!r})"

    # As JSON, MessagePack and OpenAPI have it, see `encoding/json.py`.

    def __plain__(self) -> dict[str, object]:
        if self.is_empty:
            return {"empty": True}
        return {"lower": self._lower, "upper": self._upper, "bounds": self._bounds}

    @classmethod
    def __from_plain__(cls, value: object, type_: object = None) -> Range[Any]:
        if isinstance(value, Range):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("Expected `object` with lower, upper and bounds")
        unknown = value.keys() - {"lower", "upper", "bounds", "empty"}
        if unknown:
            raise ValueError(f"A range has no {min(map(str, unknown))}")
        bounds, empty = value.get("bounds", "[)"), value.get("empty", False)
        if not isinstance(bounds, str) or not isinstance(empty, bool):
            raise ValueError("Expected `str` as bounds, and `bool` as empty")
        ends = [_plain_bound(value.get(name), name, type_) for name in ("lower", "upper")]
        try:
            return Range(*ends, bounds=cast("Bounds", bounds), empty=empty)
        except TypeError as exc:
            raise ValueError(str(exc)) from None


def _made(lower: Any, upper: Any, bounds: Bounds, empty: bool) -> Range[Any]:
    return Range(lower, upper, bounds=bounds, empty=empty)


def cuts_of(value: Range[Any]) -> tuple[Cut, Cut] | None:
    """Return where a range begins and ends; ``None`` if it is empty."""
    if value.is_empty:
        return None
    return value._begin, value._end  # noqa: SLF001 - of its own module


def type_of(value: object) -> type | None:
    """Return the type of what is in a range, or of one such value; ``None`` where nothing tells."""
    if isinstance(value, Range):
        bound = value.lower if value.lower is not None else value.upper
        return None if bound is None else type_of(bound)
    return next((each for each in _TYPES if isinstance(value, each)), None)


_TYPES: tuple[type, ...] = (datetime, date, int, Decimal)  # a datetime is a date as well


def _bound(value: Any) -> Any:
    """Return a bound as it is kept: of a plain type, a moment in UTC."""
    if value is None:
        return None
    if isinstance(value, bool) or type_of(value) is None:
        raise TypeError(
            f"{value!r:.100} is no bound of a range: that is an int, a Decimal, a date or a datetime."
        )
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError(f"{value} is no bound of a range: use None for no bound.")
    if not isinstance(value, datetime):
        return value
    check_zone(value)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value!r} is in no year that Python has in UTC.") from None


def _check_order(lower: Any, upper: Any) -> None:
    if lower is None or upper is None:
        return
    if type_of(lower) is not type_of(upper):
        raise TypeError(f"The bounds of a range are of one type: {lower!r:.100}, {upper!r:.100}.")
    if lower > upper:
        raise ValueError(
            f"The lower bound of a range is more than the upper one: {lower} > {upper}."
        )


def _canonical(lower: Any, upper: Any, bounds: Bounds) -> tuple[Any, Any, Bounds]:
    """Return bounds as PostgreSQL keeps them."""
    begin, end = bounds
    step = _STEPS.get(type_of(upper if lower is None else lower))
    if step is not None:
        try:
            if lower is not None and begin == "(":
                lower, begin = lower + step, "["
            if upper is not None and end == "]":
                upper, end = upper + step, ")"
        except OverflowError:
            raise ValueError(
                f"A range that begins or ends after {date.max} cannot be kept: use None for no bound."
            ) from None
    begin = "(" if lower is None else begin
    end = ")" if upper is None else end
    return lower, upper, cast("Bounds", begin + end)


_STEPS: Mapping[type | None, Any] = {int: 1, date: timedelta(days=1)}
"""How far the next one is, where there is a next one."""


def _plain_bound(value: object, name: str, type_: Any) -> Any:
    if value is None:
        return None
    if type_ is None:
        raise ValueError("Of what the range is, nothing says: write Range[int] or the like")
    try:
        made = msgspec.convert(value, type_)
    except msgspec.ValidationError as exc:
        raise ValueError(f"{exc} - in {name}") from None
    if isinstance(made, datetime) and made.tzinfo is None:
        # As msgspec says it of other fields: who sent it knows nothing of our functions.
        raise ValueError(f"Expected `datetime` with a timezone component - in {name}")
    return made


_BOUND_SCHEMAS: Mapping[type, Mapping[str, object]] = {
    int: {"type": "integer"},
    Decimal: {"type": "string", "format": "decimal"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}


def documented(type_: Any) -> Any:
    """Return a type with its JSON Schema if it is that of a range, whose bounds nothing else tells."""
    if get_origin(type_) is not Range:
        return type_
    bound = {"anyOf": [dict(_BOUND_SCHEMAS[get_args(type_)[0]]), {"type": "null"}]}
    properties: Any = Range.__plain_schema__["properties"]
    schema = {"properties": {**properties, "lower": bound, "upper": bound}}
    return Annotated[type_, msgspec.Meta(extra_json_schema=schema)]
