"""What a value of a column must be, checked whenever a row is saved.

A model is not checked when it is made: it may be put together in steps. Before it goes to the database
everything is, and everything that is wrong is told at once.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, TypeAlias, get_args, get_origin

import msgspec
from msgspec import UNSET

from oxidite.config import Secret
from oxidite.db.rules.judges import Judge, Sieve, made_judge, made_sieve
from oxidite.db.rules.scopes import check_scope
from oxidite.db.rules.validators import broken_validators
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table
from oxidite.db.values.bounds import MOST_DIGITS
from oxidite.db.values.cuts import range_problem
from oxidite.db.values.kinds import FLOAT, RANGES, VECTOR, Kind, is_text
from oxidite.db.values.ranges import Range, type_of
from oxidite.db.values.vectors import vector_problem
from oxidite.encoding import encode_json, to_plain
from oxidite.errors import FieldError, ValidationError

__all__ = ["RULES", "check_object", "check_values", "is_storable", "judge_of", "sieve_of"]

AnyColumn: TypeAlias = Column[Any, Any]
Check: TypeAlias = Callable[[Any], str | None]
"""Says what is wrong with a value, if anything is."""


def check_object(one: Any, columns: Iterable[AnyColumn]) -> None:
    """Check columns of an object, and then what its class has to say about it.

    Raises:
        ValidationError: something is wrong; it has all of it.
    """
    table: Table = type(one).__table__
    check_scope(one, table)
    columns = tuple(columns)
    errors: list[FieldError] = []
    if not judge_of(table, columns)(one):
        errors = _errors(columns, {column.name: getattr(one, column.name) for column in columns})
    elif not type(one).__validators__:
        return
    wrong = {error.pointer for error in errors}
    errors += broken_validators(one, wrong)
    if errors:
        raise ValidationError(errors)


def judge_of(table: Table, columns: tuple[AnyColumn, ...]) -> Judge:
    """Return what tells whether these columns of an object are right, without a word of what is wrong."""
    judge = table.judges.get(columns)
    if judge is None:
        if len(table.judges) >= _MOST_JUDGES:
            table.judges.clear()  # there are many ways in which some columns of many change
        judge = table.judges[columns] = made_judge(columns, _judge_of_one, tuple(RULES))
    return judge


@lru_cache(maxsize=1000)
def sieve_of(table: Table) -> Sieve:
    """Return what finds those of many objects that are not right, without a word of what is wrong."""
    columns = [column for column in table.columns if not column.is_computed]
    return made_sieve(columns, _judge_of_one, tuple(RULES))


_MOST_JUDGES = 200


def _judge_of_one(column: AnyColumn) -> Judge:
    return lambda value: _problem(column, value) is None


def check_values(columns: Iterable[AnyColumn], values: Mapping[str, object]) -> None:
    """Check the values of columns, by name.

    Raises:
        ValidationError: some are wrong; it has all of them.
    """
    errors = _errors(columns, values)
    if errors:
        raise ValidationError(errors)


def _errors(columns: Iterable[AnyColumn], values: Mapping[str, object]) -> list[FieldError]:
    return [
        FieldError("body", message, pointer=f"/{column.name}", code=code)
        for column in columns
        if (found := _problem(column, values[column.name])) is not None
        for code, message in (found,)
    ]


def _problem(column: AnyColumn, value: object) -> tuple[str, str] | None:
    if value is None:
        return None if column.nullable else ("missing", "must not be null")
    if value is UNSET:
        return ("missing", "is missing")
    checks: tuple[tuple[str, Check], ...] | None = column.checks
    if checks is None:
        checks = column.checks = _checks_of(column)
    for code, check in checks:
        wrong = check(value)
        if wrong is not None:
            return code, wrong
    return None


def _checks_of(column: AnyColumn) -> tuple[tuple[str, Check], ...]:
    kind = column.kind
    if kind.name == "encrypted" and kind.element is not None:
        kind = kind.element  # what is encrypted
    if kind.name == "blind index":
        return ()
    checks: list[tuple[str, Check]] = [("type", _type_check(kind, is_hidden=column.is_hidden))]
    bits = column.rules.get("bits", 64)
    if kind.stored.name == "integer" and kind.name != "cast":
        checks.append(("type", _bits_check(bits)))
    if kind.name == "decimal":
        checks.append(
            ("type", _decimal_check(column.rules.get("precision"), column.rules.get("scale")))
        )
    if kind is VECTOR:
        dimensions, metric = column.dimensions, column.metric
        checks.append(("type", lambda value: vector_problem(value, dimensions, metric)))
    checks += [
        (name, _rule(name, wanted)) for name, wanted in column.rules.items() if name in RULES
    ]
    if kind.name == "secret":
        return (checks[0], *((code, _revealed(check)) for code, check in checks[1:]))
    return tuple(checks)


def _rule(name: str, wanted: Any) -> Check:
    holds, message = RULES[name]
    text = message.format(wanted)
    return lambda value: None if holds(value, wanted) else text


def _revealed(check: Check) -> Check:
    return lambda value: check(value.reveal())


# Types.


def is_storable(value: object) -> bool:
    """Tell whether a value of a column's type is one that a column can hold."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    unfit = _UNFIT.get(type(value))
    return unfit is None or unfit(value) is None


def _type_check(kind: Kind, *, is_hidden: bool) -> Check:
    type_ = kind.type
    if kind.name in RANGES:
        return lambda value: _range_problem(kind, value)
    if kind.name in ("json", "array"):
        return lambda value: _json_problem(value, type_, is_hidden=is_hidden)
    if get_origin(type_) is Literal:
        known = get_args(type_)
        text = f"must be one of {', '.join(map(repr, known))}"
        return lambda value: None if value in known and type(value) is not bool else text
    if kind.name == "secret" and kind.inner is not None:
        inside = _type_check(kind.inner, is_hidden=True)
        return lambda value: (
            inside(value.reveal()) if isinstance(value, Secret) else "must be a Secret"
        )
    unfit = _UNFIT.get(type_) if isinstance(type_, type) else None

    def check(value: object) -> str | None:
        if type(value) is type_:
            return None if unfit is None else unfit(value)
        return _of_another_type(kind, value)

    return check


def _of_another_type(kind: Kind, value: object) -> str | None:
    """Judge a value whose type is not just the one that was declared: it may be a subclass."""
    type_ = kind.type
    if kind is FLOAT and isinstance(value, int) and not isinstance(value, bool):
        return None
    # A bool is an int in Python, a datetime a date, and neither is meant.
    if not isinstance(value, type_) or isinstance(value, bool | datetime | enum.Enum):  # type: ignore[arg-type]  # a class, as all others were above
        return f"must be {_named(type_)}, not {_named(type(value))}"
    unfit = _UNFIT.get(type_)  # type: ignore[call-overload]  # as above
    return None if unfit is None else unfit(value)


def _range_problem(kind: Kind, value: object) -> str | None:
    assert kind.element is not None  # noqa: S101 - a range has one
    wanted: Any = kind.element.type
    if not isinstance(value, Range) or type_of(value) not in (None, wanted):
        return f"must be a range of {wanted.__name__}"
    problems = [range_problem(kind.name, each) for each in (value.lower, value.upper)]
    wrong = next((each for each in problems if each is not None), None)
    return None if wrong is None else f"has a bound that {wrong}"


def _json_problem(value: object, type_: object, *, is_hidden: bool) -> str | None:
    try:
        data = encode_json(value)
        msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as exc:
        # What is wrong may name the value.
        return "is not what the column holds" if is_hidden else str(exc)
    except UnicodeEncodeError:
        return "must be text without NUL or halves of characters"
    except (TypeError, RecursionError) as exc:
        return f"cannot be kept as JSON: {exc}"
    if b"u0000" in data and _NUL.search(data):
        return "must be text without NUL or halves of characters"
    # JSON has no such numbers, and what is written in their place would be read as nothing.
    if b"null" in data and not _is_finite(to_plain(value)):
        return "must have finite numbers only"
    return None


def _is_finite(plain: object) -> bool:
    if isinstance(plain, float):
        return isfinite(plain)
    if isinstance(plain, dict):
        return all(map(_is_finite, plain.values()))
    return not isinstance(plain, list | tuple) or all(map(_is_finite, plain))


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An escaped NUL: no escaped backslash before the letters."""


def _bits_check(bits: int) -> Check:
    bound = 2 ** (bits - 1)
    text = f"must fit into {bits} bits"
    return lambda value: (
        None if -bound <= (value.value if isinstance(value, enum.Enum) else value) < bound else text
    )


def _decimal_check(precision: int | None, scale: int | None) -> Check:
    """Refuse digits that the column has no place for, instead of losing them."""

    def check(value: Decimal) -> str | None:
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            return "must be a finite number"
        after = max(0, -exponent)
        if scale is not None and after > scale and value != _cut(value, scale):
            return f"must have {scale} or fewer digits after the point"
        before = max(0, len(digits) + exponent)
        if precision is not None and before > precision - (scale or 0) and value:
            return f"must have {precision - (scale or 0)} or fewer digits before the point"
        return None

    return check


def _cut(value: Decimal, scale: int) -> Decimal | None:
    try:
        return value.quantize(Decimal(1).scaleb(-scale))
    except InvalidOperation:  # more digits than the context has
        return None


def _moment_problem(value: datetime) -> str | None:
    if value.tzinfo is None:
        return "must have a time zone: oxidite.clock.now(), or value.replace(tzinfo=...)"
    if not _FIRST <= value.replace(tzinfo=None) < _LAST:
        return "must be in the years 1 to 9999, in every time zone"
    return None


# The first and the last day are left out: in another zone they may be in no year that Python has, and
# the driver of PostgreSQL takes the ends for infinity.
_FIRST = datetime(1, 1, 2)  # noqa: DTZ001 - compared without zones
_LAST = datetime(9999, 12, 31)  # noqa: DTZ001 - as above


def _text_problem(value: str) -> str | None:
    return None if is_text(value) else "must be text without NUL or halves of characters"


def _decimal_problem(value: Decimal) -> str | None:
    if not value.is_finite():
        return "must be a finite number"
    exponent = value.as_tuple().exponent
    digits = max(value.adjusted(), -exponent if isinstance(exponent, int) else 0)
    return None if digits < MOST_DIGITS else f"must have fewer than {MOST_DIGITS} digits"


_LONGEST = timedelta(days=365 * 200_000)
"""Its microseconds fit into 64 bits."""

_UNFIT: Mapping[type, Check] = {
    datetime: _moment_problem,
    str: _text_problem,
    float: lambda value: None if isfinite(value) else "must be a finite number",
    Decimal: _decimal_problem,
    time: lambda value: None if value.tzinfo is None else "must have no time zone: it has no date",
    timedelta: lambda value: (
        None if abs(value) < _LONGEST else "must be shorter than 200,000 years"
    ),
}
"""Why a value of the right type cannot be stored in every database."""


def _named(type_: object) -> str:
    name = getattr(type_, "__name__", str(type_))
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


# Rules.


@lru_cache(maxsize=1000)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _is_multiple(value: Any, step: Any) -> bool:
    return not value % step


RULES: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "ge": (lambda value, bound: value >= bound, "must be {} or more"),
    "gt": (lambda value, bound: value > bound, "must be more than {}"),
    "le": (lambda value, bound: value <= bound, "must be {} or less"),
    "lt": (lambda value, bound: value < bound, "must be less than {}"),
    "multiple_of": (_is_multiple, "must be a multiple of {}"),
    "min_length": (lambda value, bound: len(value) >= bound, "must have a length of {} or more"),
    "max_length": (lambda value, bound: len(value) <= bound, "must have a length of {} or less"),
    "pattern": (lambda value, wanted: _pattern(wanted).search(value), "must match {}"),
}
