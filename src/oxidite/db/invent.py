"""A value for a column that nobody gave one for: of its type, and as its rules want it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeAlias, get_args

from oxidite.db.errors import ModelError
from oxidite.db.fake import Fake
from oxidite.db.tables.columns import Column
from oxidite.db.values.ranges import Range
from oxidite.db.values.vectors import Vector

__all__ = ["invent"]

AnyColumn: TypeAlias = Column[Any, Any]


def invent(column: AnyColumn, fake: Fake, number: int) -> object:
    """Return a value for a column; one with ``number`` in it where values have to differ.

    Raises:
        ModelError: its rules cannot be met by chance: the factory has to say.
    """
    if column.nullable:
        return None
    if "references" in column.rules:
        raise _unknown(column, "refers to another row. Give its factory")
    if "pattern" in column.rules:
        raise _unknown(column, "has a pattern. Give a value, or a sequence")
    make = _MAKERS.get(column.kind.name)
    if make is None:
        raise _unknown(column, f"is {column.kind.name}. Give a value")
    return make(column, fake, number)


def _unknown(column: AnyColumn, problem: str) -> ModelError:
    return ModelError(f"{column!r} {problem}: {column.name} = … in the factory, or in the call.")


def _must_differ(column: AnyColumn) -> bool:
    return bool(column.rules.get("unique") or column.rules.get("pk"))


def _text(column: AnyColumn, fake: Fake, number: int) -> str:
    longest = column.rules.get("max_length")
    text = f"{fake.word()}-{number}" if _must_differ(column) else fake.sentence(3).rstrip(".")
    if longest is not None and len(text) > longest:
        # The number is at the end, and is what makes it differ.
        text = text[len(text) - longest :] if _must_differ(column) else text[:longest].strip()
    return text.ljust(column.rules.get("min_length", 0), "x")


def _integer(column: AnyColumn, fake: Fake, number: int) -> int:
    low, high = _bounds(column)
    low = 0 if low is None else low
    high = low + 1000 if high is None else high
    return low + number if _must_differ(column) else fake.integer(low, high)


def _bounds(column: AnyColumn) -> tuple[int | None, int | None]:
    """Return the smallest and the largest whole number that the rules allow, where they say so."""
    rules: Mapping[str, Any] = {**column.rules}
    low = rules["ge"] if "ge" in rules else rules["gt"] + 1 if "gt" in rules else None
    high = rules["le"] if "le" in rules else rules["lt"] - 1 if "lt" in rules else None
    if low is None and high is not None:
        low = min(0, int(high))
    return None if low is None else int(low), None if high is None else int(high)


def _choice(column: AnyColumn, fake: Fake, _: int) -> object:
    members: Mapping[str, object] = getattr(column.kind.type, "__members__", {})
    return fake.choice(list(members.values()) or get_args(column.kind.type))


def _vector(column: AnyColumn, fake: Fake, _: int) -> Vector:
    return Vector([fake.integer(1, 1000) / 1000 for _ in range(column.dimensions)])


def _range(begin: Any, step: Any, number: int) -> Range[Any]:
    """Return a range that is another one, of the same size, for each number: they do not overlap if they begin alike."""
    begin += step * number
    return Range(begin, begin + step)


_MAKERS: Mapping[str, Callable[[AnyColumn, Fake, int], object]] = {
    "text": _text,
    "integer": _integer,
    "float": lambda column, fake, number: float(_integer(column, fake, number)),
    "decimal": lambda column, fake, number: Decimal(_integer(column, fake, number)),
    "boolean": lambda _, fake, __: fake.boolean(),
    "bytes": lambda _, fake, number: f"{fake.word()}-{number}".encode(),
    "uuid": lambda _, fake, __: fake.uuid(),
    "datetime": lambda _, fake, __: fake.moment(),
    "date": lambda _, fake, __: fake.moment().date(),
    "time": lambda _, fake, __: fake.moment().time(),
    "interval": lambda _, fake, __: timedelta(seconds=fake.integer(1, 86_400)),
    "enum": _choice,
    "vector": _vector,
    "int8range": lambda _, fake, number: _range(fake.integer(), 10, number),
    "numrange": lambda _, fake, number: _range(Decimal(fake.integer()), Decimal(10), number),
    "daterange": lambda _, fake, number: _range(fake.moment().date(), timedelta(days=10), number),
    "tstzrange": lambda _, fake, number: _range(fake.moment(), timedelta(hours=10), number),
}
