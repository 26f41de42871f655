"""What a value of a column must be, checked whenever a row is saved.

A model is not checked when it is made: it may be put together in steps. Before it goes to the database
everything is, and everything that is wrong is told at once.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args, get_origin

import msgspec
from msgspec import UNSET

from oxidite.db.columns import Column
from oxidite.db.kinds import FLOAT, Kind
from oxidite.errors import FieldError, ValidationError

__all__ = ["check_values", "is_storable"]

AnyColumn: TypeAlias = Column[Any, Any]


def check_values(columns: Iterable[AnyColumn], values: Mapping[str, object]) -> None:
    """Check the values of columns, by name.

    Raises:
        ValidationError: some are wrong; it has all of them.
    """
    errors = [
        FieldError("body", message, pointer=f"/{column.name}", code=code)
        for column in columns
        if (found := _problem(column, values[column.name])) is not None
        for code, message in (found,)
    ]
    if errors:
        raise ValidationError(errors)


def _problem(column: AnyColumn, value: object) -> tuple[str, str] | None:
    if value is UNSET:
        return ("missing", "is missing")
    if value is None:
        return None if column.nullable else ("missing", "must not be null")
    wrong = _wrong_type(column.kind, value)
    return ("type", wrong) if wrong else _broken_rule(column, value)


def _wrong_type(kind: Kind, value: object) -> str | None:
    type_ = kind.type
    if kind.name in ("json", "array"):
        try:
            msgspec.convert(msgspec.to_builtins(value), type_)
        except msgspec.ValidationError as exc:
            return str(exc)
        return None
    if get_origin(type_) is Literal:
        known = get_args(type_)
        return None if value in known else f"must be one of {', '.join(map(repr, known))}"
    if kind is FLOAT and isinstance(value, int) and not isinstance(value, bool):
        return None
    # A bool is an int in Python, a datetime a date, and neither is meant.
    is_wrong = type(value) is not type_ and (
        not isinstance(value, type_)  # type: ignore[arg-type]  # a class, as all others were above
        or isinstance(value, bool | datetime | enum.Enum)
    )
    if is_wrong:
        return f"must be {_named(type_)}, not {_named(type(value))}"
    return _unfit(value)


def is_storable(value: object) -> bool:
    """Tell whether a value of a column's type is one that a column can hold."""
    return _unfit(value) is None


def _unfit(value: object) -> str | None:
    """Say why a value of the right type cannot be stored in every database."""
    match value:
        case datetime(tzinfo=None):
            return "must have a time zone: oxidite.clock.now(), or value.replace(tzinfo=...)"
        case int() if not -(2**63) <= value < 2**63:
            return "must fit into 64 bits"
        case str() if "\0" in value or not _is_text(value):
            return "must be text without NUL or halves of characters"
        case float() if value != value:
            return "must be a number"
        case Decimal() if not value.is_finite():
            return "must be a finite number"
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(type_: object) -> str:
    name = getattr(type_, "__name__", str(type_))
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _broken_rule(column: AnyColumn, value: Any) -> tuple[str, str] | None:
    for rule, wanted in column.rules.items():
        check = _RULES.get(rule)
        if check is not None and not check[0](value, wanted):
            return rule, check[1].format(wanted)
    return None


@lru_cache(maxsize=1000)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_RULES: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "ge": (lambda value, bound: value >= bound, "must be {} or more"),
    "gt": (lambda value, bound: value > bound, "must be more than {}"),
    "le": (lambda value, bound: value <= bound, "must be {} or less"),
    "lt": (lambda value, bound: value < bound, "must be less than {}"),
    "min_length": (lambda value, bound: len(value) >= bound, "must have a length of {} or more"),
    "max_length": (lambda value, bound: len(value) <= bound, "must have a length of {} or less"),
    "pattern": (lambda value, wanted: _pattern(wanted).search(value), "must match {}"),
}
