"""Functions of queries: ``from oxidite.db import fn``, then ``fn.count()``, ``fn.lower(User.name)``.

What they take may be an expression or a value, which is bound. Where one argument is ``None``, so is the
result, unless something else is said. Those that databases do differently are written so that they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias, TypeVar, overload

from oxidite.db.errors import QueryError
from oxidite.db.expressions.aggregates import (
    array_agg,
    avg,
    count,
    dense_rank,
    first_value,
    lag,
    last_value,
    lead,
    max,
    min,
    ntile,
    percent_rank,
    rank,
    row_number,
    string_agg,
    sum,
)
from oxidite.db.expressions.expressions import AnyExpr, Call, Condition, Expr, Value, as_expr
from oxidite.db.tables.table import check_name
from oxidite.db.values.kinds import (
    DATETIME,
    FLOAT,
    INTEGER,
    TEXT,
    WHOLE,
    Kind,
    kind_of_type,
    kind_of_value,
    nullable,
)

__all__ = [
    "DatePart",
    "TruncatedTo",
    "abs",
    "array_agg",
    "avg",
    "case",
    "cast",
    "ceil",
    "coalesce",
    "concat",
    "count",
    "date_part",
    "date_trunc",
    "dense_rank",
    "first_value",
    "floor",
    "func",
    "greatest",
    "lag",
    "last_value",
    "lead",
    "least",
    "length",
    "lower",
    "ltrim",
    "max",
    "min",
    "now",
    "ntile",
    "nullif",
    "percent_rank",
    "random",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "string_agg",
    "substr",
    "sum",
    "trim",
    "upper",
    "value",
]

O = TypeVar("O")  # noqa: E741 - the operand: what it may be compared with
R = TypeVar("R")
V = TypeVar("V")
N = TypeVar("N", int, float, Decimal)
M = TypeVar("M", date, datetime)

DatePart: TypeAlias = Literal[
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "weekday",
    "yearday",
    "hour",
    "minute",
    "second",
    "epoch",
]
"""``weekday`` is 1 on Monday, ``week`` that of ISO 8601, ``epoch`` seconds since 1970."""
TruncatedTo: TypeAlias = Literal[
    "year", "quarter", "month", "week", "day", "hour", "minute", "second"
]
_PARTS: tuple[str, ...] = (
    *("year", "quarter", "month", "week", "day", "weekday", "yearday"),
    *("hour", "minute", "second", "epoch"),
)
_TRUNCATED: tuple[str, ...] = (
    *("year", "quarter", "month", "week", "day", "hour", "minute", "second"),
)


# Choices.


def value(value: V) -> Expr[V, V]:
    """A value that stands for itself, as a column or as an argument."""
    return Value(value, kind_of_value(value))


@overload
def coalesce(first: Expr[O, Any], second: Expr[O, R], /) -> Expr[O, R]: ...
@overload
def coalesce(first: Expr[O, Any], second: O, /) -> Expr[O, O]: ...
@overload
def coalesce(first: Expr[O, Any], second: Expr[O, Any], third: Expr[O, R], /) -> Expr[O, R]: ...
@overload
def coalesce(first: Expr[O, Any], second: Expr[O, Any], third: O, /) -> Expr[O, O]: ...
@overload
def coalesce(
    first: Expr[O, Any],
    second: O | Expr[O, Any],
    third: O | Expr[O, Any],
    fourth: O | Expr[O, Any],
    /,
    *others: O | Expr[O, Any],
) -> Expr[O, O | None]: ...
def coalesce(first: Expr[Any, Any], /, *others: Any) -> Expr[Any, Any]:
    """The first that is not ``None``.

    Raises:
        QueryError: there is only one.
    """
    if not others:
        raise QueryError(
            "coalesce() takes what stands in for the first: fn.coalesce(User.nick, '-')."
        )
    return Call("coalesce", (first, *[as_expr(each, first.kind) for each in others]), first.kind)


def nullif(expr: Expr[O, R], other: O | Expr[O, Any]) -> Expr[O, R | None]:
    """It, or ``None`` where it is equal to ``other``."""
    return Call("nullif", (expr, as_expr(other, expr.kind)), expr.kind)


@overload
def case(*whens: tuple[Condition, V | Expr[V, Any]], else_: V | Expr[V, Any]) -> Expr[V, V]: ...
@overload
def case(*whens: tuple[Condition, V | Expr[V, Any]]) -> Expr[V, V | None]: ...
def case(*whens: tuple[Condition, Any], else_: Any = None) -> Expr[Any, Any]:
    """What belongs to the first condition that holds; otherwise ``else_``.

    Raises:
        QueryError: there is no condition, or something else in its place.
    """
    results = [result for _, result in whens]
    kind = _common_kind([*results, else_])
    args: list[AnyExpr] = []
    for condition, result in whens:
        if not isinstance(condition, Condition):
            raise QueryError(
                f"case() takes pairs of a condition and a value, not {condition!r} first."
            )
        args += (condition, as_expr(result, kind))
    if not args:
        raise QueryError("case() takes pairs: fn.case((User.age < 18, 'minor'), else_='adult').")
    if else_ is not None:
        args.append(as_expr(else_, kind))
    return Call("case", tuple(args), kind)


def _common_kind(values: Sequence[object]) -> Kind:
    for each in values:
        if isinstance(each, Expr):
            return each.kind
    for each in values:
        if each is not None:
            return kind_of_value(each)
    return TEXT


def greatest(first: Expr[O, R], /, *others: O | Expr[O, R]) -> Expr[O, R]:
    """The largest of them; ``None`` where one is ``None``."""
    return _one_of("greatest", first, others)


def least(first: Expr[O, R], /, *others: O | Expr[O, R]) -> Expr[O, R]:
    """The smallest of them; ``None`` where one is ``None``."""
    return _one_of("least", first, others)


def _one_of(name: str, first: AnyExpr, others: Sequence[object]) -> AnyExpr:
    if not others:
        raise QueryError(
            f"{name}() compares two or more; for the rows of a group there are min and max."
        )
    return Call(name, (first, *[as_expr(each, first.kind) for each in others]), first.kind)


# Text.


def lower(expr: Expr[str, R]) -> Expr[str, R]:
    """It in lower case; SQLite knows the letters of ASCII only."""
    return Call("lower", (expr,), TEXT)


def upper(expr: Expr[str, R]) -> Expr[str, R]:
    """It in upper case; SQLite knows the letters of ASCII only."""
    return Call("upper", (expr,), TEXT)


def trim(expr: Expr[str, R]) -> Expr[str, R]:
    """It without spaces at both ends."""
    return Call("trim", (expr,), TEXT)


def ltrim(expr: Expr[str, R]) -> Expr[str, R]:
    """It without spaces at the start."""
    return Call("ltrim", (expr,), TEXT)


def rtrim(expr: Expr[str, R]) -> Expr[str, R]:
    """It without spaces at the end."""
    return Call("rtrim", (expr,), TEXT)


def length(expr: Expr[str, Any] | Expr[list[Any], Any]) -> Expr[int, Any]:
    """The number of its characters, or of its elements."""
    return expr.length()


def substr(
    expr: Expr[str, R], start: int | Expr[int, Any], length: int | Expr[int, Any] | None = None
) -> Expr[str, R]:
    """A part of it, from the character ``start`` on, counted from 1.

    Raises:
        QueryError: ``start`` is before the first, or ``length`` is negative.
    """
    if isinstance(start, int) and start < 1:
        raise QueryError(f"substr() counts from 1, and starts at {start}.")
    if isinstance(length, int) and length < 0:
        raise QueryError(f"substr() cannot take {length} characters.")
    places = [as_expr(each, INTEGER) for each in (start, length) if each is not None]
    return Call("substr", (expr, *places), TEXT)


def replace(
    expr: Expr[str, R], old: str | Expr[str, Any], new: str | Expr[str, Any]
) -> Expr[str, R]:
    """It with each ``old`` text replaced."""
    return Call("replace", (expr, as_expr(old, TEXT), as_expr(new, TEXT)), TEXT)


def concat(first: Expr[str, R], /, *others: str | Expr[str, Any]) -> Expr[str, R]:
    """The texts one after the other."""
    return Call("concat", (first, *[as_expr(each, TEXT) for each in others]), TEXT)


# Numbers.


def abs(expr: Expr[N, R]) -> Expr[N, R]:
    """Its distance from 0."""
    return Call("abs", (expr,), expr.kind)


def round(expr: Expr[N, R], digits: int = 0) -> Expr[N, R]:
    """It rounded to so many digits after the point, halves away from 0.

    Raises:
        QueryError: ``digits`` is not from 0 to 15.
    """
    if not 0 <= digits <= 15:
        raise QueryError(f"round() keeps from 0 to 15 digits after the point, not {digits}.")
    if expr.kind in (INTEGER, WHOLE):
        return expr
    return Call("round", (expr,), expr.kind, (expr.kind.name, int(digits)))


def floor(expr: Expr[N, Any]) -> Expr[int, Any]:
    """The largest integer that is not larger."""
    return _integer("floor", expr)


def ceil(expr: Expr[N, Any]) -> Expr[int, Any]:
    """The smallest integer that is not smaller."""
    return _integer("ceil", expr)


def _integer(name: str, expr: AnyExpr) -> AnyExpr:
    return expr if expr.kind in (INTEGER, WHOLE) else Call(name, (expr,), INTEGER)


def random() -> Expr[float, float]:
    """A random number from 0 to 1, 1 not included; another one in each row."""
    return Call("random", (), FLOAT)


# Time.


def now() -> Expr[datetime, datetime]:
    """The database's own time. ``oxidite.clock.now()`` is that of the program, which tests can move."""
    return Call("now", (), DATETIME)


def date_part(part: DatePart, expr: Expr[date, R] | Expr[datetime, R]) -> Expr[int, int]:
    """A part of a date or of a moment, which is taken in UTC, as an integer.

    Raises:
        QueryError: there is no such part.
    """
    if part not in _PARTS:
        raise QueryError(f"There is no part {part!r} of a date. There are {', '.join(_PARTS)}.")
    return Call("part", (expr,), INTEGER, (part, _dated(expr)))


def date_trunc(part: TruncatedTo, expr: Expr[M, R]) -> Expr[M, R]:
    """The beginning of the year, month, week (Monday), ... that a date or a moment is in; in UTC.

    Raises:
        QueryError: there is no such part.
    """
    if part not in _TRUNCATED:
        raise QueryError(f"No date is cut to its {part!r}, but to {', '.join(_TRUNCATED)}.")
    kind = _dated(expr)
    if kind == "date" and part in ("hour", "minute", "second"):
        raise QueryError(f"A date has no {part}.")
    return Call("trunc", (expr,), expr.kind, (part, kind))


def _dated(expr: AnyExpr) -> str:
    if expr.kind.name not in ("date", "datetime"):
        raise QueryError(f"{expr!r} is no date and no moment.")
    return expr.kind.name


# Anything else.


def cast(expr: Expr[Any, Any], to: type[V]) -> Expr[V, V]:
    """It as another type: ``int``, ``float``, ``str``, ``bool``; ``date`` of a moment.

    What the database cannot read as that is an error there, or 0 on SQLite.
    """
    type_: Any = to
    kind = kind_of_type(type_)
    return Call("cast", (expr,), kind, (kind.name, expr.kind.name))


def func(name: str, *args: object, returns: type[V]) -> Expr[V, V]:
    """Call any other function of the database, by its name; ``returns`` is the type of its value.

    Raises:
        QueryError: the name is no identifier.
    """
    kind = kind_of_type(nullable(returns)[0])
    given = [each if isinstance(each, Expr) else Value(each, kind_of_value(each)) for each in args]
    return Call("func", tuple(given), kind, (check_name(name), kind))
