"""How ranges are bound and read in each database, and as migrations write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any

from oxidite.db.errors import DatabaseError
from oxidite.db.values.cuts import element_text, range_of, range_text
from oxidite.db.values.dialects import DialectName
from oxidite.db.values.ranges import Range

__all__ = ["RANGE_BINDERS", "RANGE_READERS", "read_range", "write_range"]


def _reader(name: str, dialect: DialectName) -> Callable[[Any], Range[Any]]:
    """Return what reads a range, and raises ``DatabaseError`` of one that Python cannot hold."""
    read = _from_asyncpg if dialect == "postgresql" else partial(range_of, name)

    def checked(value: Any) -> Range[Any]:
        try:
            return read(value)
        except (ValueError, TypeError) as exc:
            raise DatabaseError(
                f"The database has a {name} that Python cannot hold: {exc}"
            ) from None

    return checked


@cache
def _asyncpg_range() -> Any:
    # Imported here: it is the driver of one database.
    from asyncpg import Range as Theirs

    return Theirs


def _to_asyncpg(value: Range[Any]) -> Any:
    return _asyncpg_range()(
        value.lower,
        value.upper,
        lower_inc=value.bounds[0] == "[",
        upper_inc=value.bounds[1] == "]",
        empty=value.is_empty,
    )


def _from_asyncpg(value: Any) -> Range[Any]:
    if value.isempty:
        return Range(empty=True)
    lower = None if _is_endless(value.lower, is_in=value.lower_inc) else value.lower
    upper = None if _is_endless(value.upper, is_in=value.upper_inc) else value.upper
    begin = "[" if value.lower_inc and lower is not None else "("
    end = "]" if value.upper_inc and upper is not None else ")"
    bounds: Any = begin + end
    return Range(lower, upper, bounds=bounds)


def _is_endless(bound: Any, *, is_in: bool) -> bool:
    """Tell whether a bound is one of PostgreSQL's infinities: no value tells it from none at all.

    asyncpg makes of them the first and the last moment there is, without a zone, and the last day; no
    range of ours ends with the last day in it.
    """
    if isinstance(bound, Decimal):
        return bound.is_infinite()
    if isinstance(bound, datetime):
        return bound.replace(tzinfo=None) in (datetime.min, datetime.max)  # noqa: DTZ901 - as asyncpg has them
    return bool(isinstance(bound, date) and bound == date.max and is_in)


_NAMES = ("int8range", "numrange", "daterange", "tstzrange")
_DIALECTS: tuple[DialectName, ...] = ("sqlite", "postgresql", "mariadb", "mysql")
_OTHERS: tuple[DialectName, ...] = ("sqlite", "mariadb", "mysql")
RANGE_BINDERS: Mapping[tuple[str, DialectName], Callable[[Any], Any]] = {
    **{(name, "postgresql"): _to_asyncpg for name in _NAMES},
    **{(name, each): partial(range_text, name) for name in _NAMES for each in _OTHERS},
    **{
        (f"{name} element", each): partial(element_text, name)
        for name in _NAMES
        for each in _OTHERS
    },
}
"""What makes ranges fit for drivers, and values that are looked for in ranges that are text."""
RANGE_READERS: Mapping[tuple[str, DialectName], Callable[[Any], Any]] = {
    (name, each): _reader(name, each) for name in _NAMES for each in _DIALECTS
}
"""What makes ranges of what drivers give."""


# In a migration: as PostgreSQL writes a range, its moments as ISO 8601 has them.

_WRITTEN = re.compile(r'([\[(])\s*"?([^",]*?)"?\s*,\s*"?([^",]*?)"?\s*([\])])')


def write_range(value: Range[Any]) -> str:
    """Return a range as text that PostgreSQL reads."""
    if value.is_empty:
        return "empty"
    ends = ["" if each is None else _bound_text(each) for each in (value.lower, value.upper)]
    return f"{value.bounds[0]}{ends[0]},{ends[1]}{value.bounds[1]}"


def _bound_text(value: Any) -> str:
    return (
        value.isoformat()
        if isinstance(value, date)
        else format(value, "f" if isinstance(value, Decimal) else "d")
    )


def read_range(name: str, text: str) -> Range[Any]:
    """Return the range that a text is.

    Raises:
        ValueError: it is none.
    """
    if text.strip().lower() == "empty":
        return Range(empty=True)
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no range: write it as in '[2026-01-01,2026-02-01)'.")
    begin, lower, upper, end = found.groups()
    read = _READ[name]
    bounds: Any = begin + end
    return Range(read(lower) if lower else None, read(upper) if upper else None, bounds=bounds)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text!r} is no number.") from None


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


_READ: Mapping[str, Callable[[str], Any]] = {
    "int8range": int,
    "numrange": _decimal,
    "daterange": date.fromisoformat,
    "tstzrange": _moment,
}
