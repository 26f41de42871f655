"""Operators and functions: one form for all databases, or one for each of them.

Some are told ``options``, which are names from an allow-list and no values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import sqlalchemy as sa

from oxidite.db.sql.dates import DATES
from oxidite.db.sql.documents import DOCUMENTS
from oxidite.db.sql.ranges import RANGE_CALLS
from oxidite.db.sql.related import CALLS
from oxidite.db.sql.searching import SEARCHES
from oxidite.db.sql.types import Element, Family, Form, Forms, cast_to, family, number
from oxidite.db.sql.vectors import DISTANCES
from oxidite.db.values.dialects import Dialect

__all__ = ["OPERATORS", "form_of"]


def form_of(name: str, dialect: Dialect) -> Form:
    """Return what writes a call in one database."""
    found = _FORMS[name]
    return found[family(dialect)] if isinstance(found, Mapping) else found


OPERATORS = frozenset(
    (
        *("eq", "ne", "lt", "le", "gt", "ge", "like", "ilike", "in", "not_in"),
        *("row_gt", "row_lt"),
        *("add", "sub", "mul", "div", "mod", "concat", "array_contains", "array_overlaps"),
    )
)
"""What has two sides: the database tells the type of what is bound from the other one."""


def _row(elements: Sequence[Element]) -> Any:
    return sa.tuple_(*elements)


def _like(column: Element, pattern: Element) -> Element:
    return column.like(pattern, escape="\\")


def _case(*parts: Element) -> Element:
    whens = list(zip(parts[: len(parts) - 1 : 2], parts[1::2], strict=False))
    return sa.case(*whens, else_=parts[-1]) if len(parts) % 2 else sa.case(*whens)


def _join(*texts: Element) -> Element:
    return reduce(lambda before, each: before.concat(each), texts)


def _known(most: Any, *each: Element) -> Element:
    """Write a function that is NULL where one of its arguments is, as it is elsewhere."""
    return sa.case((sa.or_(*[one.is_(None) for one in each]), sa.null()), else_=most(*each))


# A remainder of what lies before the point: SQLite may be built without floor and ceil.


def _sqlite_floor(value: Element) -> Element:
    whole = sa.cast(value, sa.Integer)
    return sa.case((value < whole, whole - 1), else_=whole)


def _sqlite_ceil(value: Element) -> Element:
    whole = sa.cast(value, sa.Integer)
    return sa.case((value > whole, whole + 1), else_=whole)


def _postgresql_round(options: tuple[str, int], value: Element) -> Element:
    kind, digits = options
    made = sa.func.round(sa.cast(value, sa.Numeric), number(digits))
    return made if kind == "decimal" else cast_to("postgresql", kind, made)


def _beside(function: Any) -> Form:
    return lambda options, value, *default: function(value, number(options[0]), *default)


def _call(options: tuple[object, ...], *args: Element) -> Element:
    return sa.Function(str(options[0]), *args)


def _whole(dialect: Family) -> Form:
    return lambda made: cast_to(dialect, "integer", made)


_FORMS: Mapping[str, Form | Forms] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "row_gt": lambda *each: _row(each[: len(each) // 2]) > _row(each[len(each) // 2 :]),
    "row_lt": lambda *each: _row(each[: len(each) // 2]) < _row(each[len(each) // 2 :]),
    "is_null": lambda a: a.is_(None),
    "not_null": lambda a: a.is_not(None),
    "and": lambda *each: sa.and_(sa.true(), *each),
    "or": lambda *each: sa.or_(sa.false(), *each),
    "not": sa.not_,
    "scope": lambda _, holds: holds,
    "unscoped": sa.true,
    "exists": lambda select: select.exists(),
    "in_rows": lambda a, select: a.in_(select),
    "not_in_rows": lambda a, select: a.not_in(select),
    # Text.
    "like": _like,
    "ilike": lambda a, b: a.ilike(b, escape="\\"),
    "lower": sa.func.lower,
    "upper": sa.func.upper,
    "length": {
        "sqlite": sa.func.length,
        "postgresql": sa.func.length,
        "mysql": sa.func.char_length,
    },
    "concat": _join,
    "trim": sa.func.trim,
    "ltrim": sa.func.ltrim,
    "rtrim": sa.func.rtrim,
    "replace": sa.func.replace,
    "substr": {
        "sqlite": sa.func.substr,
        "postgresql": lambda text, *places: sa.func.substr(
            text, *[sa.cast(each, sa.Integer) for each in places]
        ),
        "mysql": sa.func.substr,
    },
    # Numbers.
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    # What is divided by zero has no value: some databases cannot refuse it. The casts tell PostgreSQL
    # what a bound value is, which it would take from the zero.
    "div": lambda a, b: sa.cast(a, sa.Double) / sa.func.nullif(sa.cast(b, sa.Double), 0),
    "mod": lambda a, b: a % sa.func.nullif(sa.cast(b, sa.BigInteger), 0),
    "neg": lambda a: -a,
    "abs": sa.func.abs,
    "round": {
        "sqlite": lambda options, value: sa.func.round(value, number(options[1])),
        "postgresql": _postgresql_round,
        "mysql": lambda options, value: sa.func.round(value, number(options[1])),
    },
    "floor": {
        "sqlite": _sqlite_floor,
        "postgresql": lambda a: _whole("postgresql")(sa.func.floor(a)),
        "mysql": lambda a: _whole("mysql")(sa.func.floor(a)),
    },
    "ceil": {
        "sqlite": _sqlite_ceil,
        "postgresql": lambda a: _whole("postgresql")(sa.func.ceil(a)),
        "mysql": lambda a: _whole("mysql")(sa.func.ceil(a)),
    },
    "random": {
        # 53 bits, as many as a float between 0 and 1 has.
        "sqlite": lambda: sa.literal_column("((random() & 9007199254740991) / 9007199254740992.0)"),
        "postgresql": sa.func.random,
        "mysql": sa.func.rand,
    },
    # Choices.
    "coalesce": sa.func.coalesce,
    "nullif": sa.func.nullif,
    "case": _case,
    "greatest": {
        "sqlite": sa.func.max,
        "postgresql": lambda *each: _known(sa.func.greatest, *each),
        "mysql": sa.func.greatest,
    },
    "least": {
        "sqlite": sa.func.min,
        "postgresql": lambda *each: _known(sa.func.least, *each),
        "mysql": sa.func.least,
    },
    "cast": {
        "sqlite": lambda options, value: cast_to("sqlite", options[0], value, options[1]),
        "postgresql": lambda options, value: cast_to("postgresql", options[0], value, options[1]),
        "mysql": lambda options, value: cast_to("mysql", options[0], value, options[1]),
    },
    "func": _call,
    # Aggregates.
    "rows": sa.func.count,
    "one": lambda: sa.literal_column("1"),
    "count": sa.func.count,
    "count_distinct": lambda a: sa.func.count(sa.distinct(a)),
    "sum": sa.func.sum,
    "avg": {
        "sqlite": lambda _, value: sa.func.avg(value),
        "postgresql": lambda options, value: sa.func.avg(
            value if options[0] == "decimal" else sa.cast(value, sa.Double)
        ),
        "mysql": lambda options, value: sa.func.avg(
            value if options[0] == "decimal" else sa.cast(value, sa.Double)
        ),
    },
    "min": sa.func.min,
    "max": sa.func.max,
    # Windows.
    "row_number": sa.func.row_number,
    "rank": sa.func.rank,
    "dense_rank": sa.func.dense_rank,
    "percent_rank": sa.func.percent_rank,
    "ntile": lambda options: sa.func.ntile(number(options[0])),
    "lag": _beside(sa.func.lag),
    "lead": _beside(sa.func.lead),
    "first_value": sa.func.first_value,
    "last_value": sa.func.last_value,
    **DATES,
    **DOCUMENTS,
    **CALLS,
    **SEARCHES,
    **DISTANCES,
    **RANGE_CALLS,
}
