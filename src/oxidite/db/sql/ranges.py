"""Ranges as SQL: their types, their operators, and the checks that keep texts in order that stand for them.

PostgreSQL has them. SQLite and MariaDB keep two cuts as one text (``values/cuts.py``) and compare those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from oxidite.db.errors import QueryError
from oxidite.db.values.cuts import AT, DIGITS, SCALE, width_of

__all__ = ["GIST", "RANGE_CALLS", "RANGE_ELEMENTS", "RANGE_TYPES", "range_check", "range_text_type"]

GIST = "gist"
"""How PostgreSQL makes indexes of ranges."""
RANGE_TYPES: Mapping[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "int8range": postgresql.INT8RANGE,
    "numrange": postgresql.NUMRANGE,
    "daterange": postgresql.DATERANGE,
    "tstzrange": postgresql.TSTZRANGE,
}
"""The types of PostgreSQL, by their names."""
RANGE_ELEMENTS: Mapping[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "int8range": sa.BigInteger,
    "numrange": sa.Numeric,
    "daterange": sa.Date,
    "tstzrange": lambda: postgresql.TIMESTAMP(timezone=True),
}


def range_text_type(name: str) -> sa.types.TypeEngine[Any]:
    """Return the type of the texts that stand for ranges in MariaDB."""
    return mysql.VARCHAR(2 * width_of(name) + 2, charset="ascii", collation="ascii_bin")


def range_check(name: str, column: Any) -> Any:
    """Return the rule that a text keeps which stands for a range: its cuts are whole and in order."""
    size = 2 * width_of(name) + 2
    in_order = _begin(name, column) < _end(name, column)
    whole = sa.func.length(column) == sa.literal_column(str(size))
    # Not compared with an empty text, which one of spaces is equal to in MariaDB.
    return sa.or_(sa.func.length(column) == _number(0), sa.and_(whole, in_order))


def _text(text: str) -> Any:
    return sa.literal_column(f"'{text}'")


def _number(value: int) -> Any:
    return sa.literal_column(str(value))


def _begin(name: str, value: Any) -> Any:
    return sa.func.substr(value, _number(1), _number(width_of(name) + 1))


def _end(name: str, value: Any) -> Any:
    return sa.func.substr(value, _number(width_of(name) + 2))


# Operators. An empty range is an empty text, and so are its cuts: they are less than all others. A whole
# text compares with a cut as the first cut in it does, unless the two are the same; so that an index helps.


def _overlaps(options: tuple[str], one: Any, other: Any) -> Any:
    (name,) = options
    return sa.and_(one < _end(name, other), _begin(name, other) < _end(name, one))


def _contains(options: tuple[str], one: Any, other: Any) -> Any:
    (name,) = options
    inside = sa.and_(_begin(name, one) <= _begin(name, other), _end(name, one) >= _end(name, other))
    # Nothing is in all of them; whether there is one at all is asked as well, as NULL contains nothing.
    return sa.or_(sa.and_(one >= _text(""), other == _text("")), inside)


def _has(options: tuple[str], one: Any, place: Any) -> Any:
    (name,) = options
    return sa.and_(one < place, _end(name, one) > place)


def _adjacent(options: tuple[str], one: Any, other: Any) -> Any:
    (name,) = options
    touching = sa.or_(
        _end(name, one) == _begin(name, other), _end(name, other) == _begin(name, one)
    )
    return sa.and_(touching, one != _text(""))


def _before(options: tuple[str], one: Any, other: Any) -> Any:
    (name,) = options
    return sa.and_(_end(name, one) <= _begin(name, other), one != _text(""), other != _text(""))


def _operator(sign: str) -> Any:
    return lambda _, one, other: one.op(sign, is_comparison=True)(other)


# Bounds.


def _lower(read: Any) -> Any:
    def write(options: tuple[str], value: Any) -> Any:
        (name,) = options
        text = sa.func.substr(value, _number(1), _number(width_of(name)))
        return _bound(text, read[name])

    return write


def _upper(read: Any) -> Any:
    def write(options: tuple[str], value: Any) -> Any:
        (name,) = options
        width = width_of(name)
        text = sa.func.substr(value, _number(width + 2), _number(width))
        return _bound(text, read[name])

    return write


def _bound(text: Any, read: Any) -> Any:
    first = sa.func.substr(text, _number(1), _number(1))
    there = first.not_in([_text(""), _text("!"), _text("~")])
    return sa.case((there, read(text)))


def _int(type_: Any) -> Any:
    def read(text: Any) -> Any:
        number = sa.cast(sa.func.substr(text, _number(2)), type_)
        # As a number is kept that is below zero; the least of them cannot be written.
        below = number - sa.literal_column("9223372036854775807") - _number(1)
        return sa.case((_is_negative(text), below), else_=number)

    return read


def _is_negative(text: Any) -> Any:
    return sa.func.substr(text, _number(1), _number(1)) == _text("-")


def _digits(text: Any) -> Any:
    """Write a Decimal with digits: below zero it has letters in their place."""
    pairs = zip("jihgfedcba", "0123456789", strict=True)
    return reduce(
        lambda made, pair: sa.func.replace(made, _text(pair[0]), _text(pair[1])), pairs, text
    )


def _decimal(text: Any) -> Any:
    # Its zeros are of the width, not of the number.
    return sa.func.rtrim(sa.func.rtrim(_digits(text), _text("0")), _text("."))


_SQLITE_BOUNDS: Mapping[str, Any] = {
    "int8range": _int(sa.Integer()),
    "numrange": _decimal,
    "daterange": lambda text: text,
    "tstzrange": lambda text: text,
}
_MYSQL_BOUNDS: Mapping[str, Any] = {
    "int8range": _int(mysql.INTEGER()),
    "numrange": lambda text: sa.cast(_digits(text), sa.Numeric(DIGITS + SCALE, SCALE)),
    "daterange": lambda text: sa.cast(text, sa.Date()),
    "tstzrange": lambda text: sa.cast(text, mysql.DATETIME(fsp=6)),
}


# Values of rows, as they are looked for in a range.


def _postgresql_element(options: tuple[str], value: Any) -> Any:
    return sa.cast(value, RANGE_ELEMENTS[options[0]]())


def _sqlite_element(options: tuple[str], value: Any) -> Any:
    name = options[0]
    if name == "int8range":
        value = _written_int(value, lambda made: sa.func.printf(_text("%019d"), made))
    elif name == "numrange":
        raise _no_element("SQLite")
    return value.concat(_text(AT))


def _mysql_element(options: tuple[str], value: Any) -> Any:
    name = options[0]
    if name == "numrange":
        raise _no_element("MariaDB")
    if name == "int8range":
        value = _written_int(value, lambda made: sa.func.lpad(made, _number(19), _text("0")))
    else:
        form = "%Y-%m-%d" if name == "daterange" else "%Y-%m-%d %H:%i:%s.%f"
        value = sa.func.date_format(value, _text(form))
    return sa.func.concat(value, _text(AT))


def _written_int(value: Any, padded: Any) -> Any:
    below = padded(value + sa.literal_column("9223372036854775807") + _number(1))
    above = _text("0").concat(padded(value))
    return sa.case((value < _number(0), _text("-").concat(below)), (value >= _number(0), above))


def _no_element(product: str) -> QueryError:
    return QueryError(
        f"{product} does not look for the Decimal of a row in a range. Look for a value, or compare the "
        "bounds: Tier.amounts.lower() <= Order.amount."
    )


def _on_others(form: Any) -> Mapping[str, Any]:
    return {"sqlite": form, "mysql": form}


RANGE_CALLS: Mapping[str, Mapping[Any, Any]] = {
    "range_overlaps": {"postgresql": _operator("&&"), **_on_others(_overlaps)},
    "range_contains": {"postgresql": _operator("@>"), **_on_others(_contains)},
    "range_has": {"postgresql": _operator("@>"), **_on_others(_has)},
    "range_adjacent": {"postgresql": _operator("-|-"), **_on_others(_adjacent)},
    "range_before": {"postgresql": _operator("<<"), **_on_others(_before)},
    "range_empty": {
        "postgresql": lambda _, value: sa.func.isempty(value),
        **_on_others(lambda _, value: value == _text("")),
    },
    "range_lower": {
        "postgresql": lambda _, value: sa.func.lower(value),
        "sqlite": _lower(_SQLITE_BOUNDS),
        "mysql": _lower(_MYSQL_BOUNDS),
    },
    "range_upper": {
        "postgresql": lambda _, value: sa.func.upper(value),
        "sqlite": _upper(_SQLITE_BOUNDS),
        "mysql": _upper(_MYSQL_BOUNDS),
    },
    "range_element": {
        "postgresql": _postgresql_element,
        "sqlite": _sqlite_element,
        "mysql": _mysql_element,
    },
}
