"""JSON documents and arrays. Arrays are JSON where the database has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from oxidite.db.sql.types import Element, Form, Forms, word

__all__ = ["DOCUMENTS"]

# PostgreSQL. A path is an array of text.


def _at(document: Element, path: Element) -> Element:
    return document.op("#>", precedence=10)(path)


def _text_at(document: Element, path: Element) -> Element:
    return document.op("#>>", precedence=10)(path)


def _type_at(document: Element, path: Element) -> Element:
    return sa.func.jsonb_typeof(_at(document, path))


def _where_number(document: Element, path: Element) -> tuple[Element, Element]:
    return (
        _type_at(document, path) == word("number"),
        sa.cast(_text_at(document, path), sa.Numeric),
    )


def _postgresql_text(document: Element, path: Element) -> Element:
    known = _type_at(document, path).in_([word("string"), word("number"), word("boolean")])
    return sa.case((known, _text_at(document, path)))


def _postgresql_int(document: Element, path: Element) -> Element:
    is_number, value = _where_number(document, path)
    return sa.case((is_number, sa.cast(sa.func.trunc(value), sa.BigInteger)))


def _postgresql_float(document: Element, path: Element) -> Element:
    is_number, value = _where_number(document, path)
    return sa.case((is_number, sa.cast(value, sa.Double)))


def _postgresql_bool(document: Element, path: Element) -> Element:
    is_bool = _type_at(document, path) == word("boolean")
    return sa.case((is_bool, sa.cast(_text_at(document, path), sa.Boolean)))


def _postgresql_length(document: Element) -> Element:
    is_list = sa.func.jsonb_typeof(document) == word("array")
    return sa.case((is_list, sa.func.jsonb_array_length(document)))


def _postgresql_contains(document: Element, part: Element) -> Element:
    return document.op("@>", is_comparison=True)(part)


# SQLite, and MariaDB with MySQL. A path is text, such as $."theme"[0].


def _extract(document: Element, path: Element) -> Element:
    return sa.func.json_extract(document, path)


def _sqlite_type(document: Element, path: Element) -> Element:
    return sa.func.json_type(document, path)


def _sqlite_numbers(document: Element, path: Element) -> Element:
    return _sqlite_type(document, path).in_([word("integer"), word("real")])


def _sqlite_text(document: Element, path: Element) -> Element:
    found = _sqlite_type(document, path)
    plain = found.in_([word("text"), word("integer"), word("real")])
    return sa.case(
        (plain, sa.cast(_extract(document, path), sa.Text)),
        (found.in_([word("true"), word("false")]), found),
    )


def _sqlite_number(type_: type[sa.types.TypeEngine[Any]]) -> Form:
    return lambda document, path: sa.case(
        (_sqlite_numbers(document, path), sa.cast(_extract(document, path), type_))
    )


def _sqlite_bool(document: Element, path: Element) -> Element:
    found = _sqlite_type(document, path)
    return sa.case(
        (found == word("true"), sa.literal_column("1")),
        (found == word("false"), sa.literal_column("0")),
    )


def _sqlite_eq(options: tuple[str], document: Element, path: Element, value: Element) -> Element:
    same = _extract(document, path) == _extract(value, word("$"))
    match options[0]:
        case "text":
            return sa.and_(_sqlite_type(document, path) == word("text"), same)
        case "number":
            return sa.and_(_sqlite_numbers(document, path), same)
        case _:
            return _sqlite_type(document, path) == _sqlite_type(value, word("$"))


def _sqlite_length(document: Element) -> Element:
    is_list = sa.func.json_type(document) == word("array")
    return sa.case((is_list, sa.func.json_array_length(document)))


def _sqlite_contains(document: Element, part: Element) -> Element:
    return sa.func.ox_json_contains(document, part) == sa.literal_column("1")


def _elements(array: Element, name: str) -> Any:
    return sa.func.json_each(array).table_valued("value", name=name)


def _sqlite_overlaps(array: Element, others: Element) -> Element:
    mine = sa.select(_elements(array, "mine").c.value)
    theirs = _elements(others, "theirs")
    return sa.select(theirs.c.value).where(theirs.c.value.in_(mine)).exists()


def _mysql_type(document: Element, path: Element) -> Element:
    return sa.func.json_type(_extract(document, path))


def _mysql_numbers(document: Element, path: Element) -> Element:
    return _mysql_type(document, path).in_([word("INTEGER"), word("DOUBLE"), word("DECIMAL")])


def _mysql_plain(document: Element, path: Element) -> Element:
    # As text of the connection: it would have a collation of its own, and could not be compared.
    return sa.cast(sa.func.json_unquote(_extract(document, path)), sa.CHAR)


def _mysql_text(document: Element, path: Element) -> Element:
    found = _mysql_type(document, path)
    known = sa.or_(_mysql_numbers(document, path), found.in_([word("STRING"), word("BOOLEAN")]))
    return sa.case((known, _mysql_plain(document, path)))


def _mysql_int(document: Element, path: Element) -> Element:
    cut = sa.func.truncate(_mysql_plain(document, path), sa.literal_column("0"))
    return sa.case((_mysql_numbers(document, path), sa.cast(cut, mysql.INTEGER())))


def _mysql_float(document: Element, path: Element) -> Element:
    value = sa.cast(_mysql_plain(document, path), mysql.DOUBLE())
    return sa.case((_mysql_numbers(document, path), value))


def _mysql_bool(document: Element, path: Element) -> Element:
    is_bool = _mysql_type(document, path) == word("BOOLEAN")
    return sa.case((is_bool, _mysql_plain(document, path) == word("true")))


def _mysql_eq(options: tuple[str], document: Element, path: Element, value: Element) -> Element:
    mine = _mysql_plain(document, path)
    theirs = _mysql_plain(value, word("$"))
    match options[0]:
        case "text":
            return sa.and_(_mysql_type(document, path) == word("STRING"), mine == theirs)
        case "number":
            same = sa.cast(mine, mysql.DOUBLE()) == sa.cast(theirs, mysql.DOUBLE())
            return sa.and_(_mysql_numbers(document, path), same)
        case _:
            return sa.and_(_mysql_type(document, path) == word("BOOLEAN"), mine == theirs)


def _mysql_is_null(document: Element, path: Element) -> Element:
    return sa.func.coalesce(_mysql_type(document, path), word("NULL")) == word("NULL")


def _not(form: Form) -> Form:
    return lambda *args: sa.not_(form(*args))


def _is_true(condition: Element) -> Element:
    return condition == sa.literal_column("1")


DOCUMENTS: Mapping[str, Form | Forms] = {
    "json_at": {
        "postgresql": _at,
        "sqlite": lambda document, path: document.op("->", precedence=10)(path),
        # As text: a comparison would take the quotes off what is still JSON.
        "mysql": lambda document, path: sa.cast(_extract(document, path), sa.CHAR),
    },
    "json_text": {"postgresql": _postgresql_text, "sqlite": _sqlite_text, "mysql": _mysql_text},
    "json_int": {
        "postgresql": _postgresql_int,
        "sqlite": _sqlite_number(sa.Integer),
        "mysql": _mysql_int,
    },
    "json_float": {
        "postgresql": _postgresql_float,
        "sqlite": _sqlite_number(sa.REAL),
        "mysql": _mysql_float,
    },
    # To be compared: with no digit lost.
    "json_number": {
        "postgresql": lambda document, path: sa.case(_where_number(document, path)),
        "sqlite": lambda document, path: sa.case(
            (_sqlite_numbers(document, path), _extract(document, path))
        ),
        "mysql": _mysql_float,
    },
    "json_bool": {"postgresql": _postgresql_bool, "sqlite": _sqlite_bool, "mysql": _mysql_bool},
    "json_eq": {
        "postgresql": lambda _, document, path, value: _at(document, path) == value,
        "sqlite": _sqlite_eq,
        "mysql": _mysql_eq,
    },
    "json_ne": {
        "postgresql": lambda _, document, path, value: _at(document, path) != value,
        "sqlite": _not(_sqlite_eq),
        "mysql": _not(_mysql_eq),
    },
    "json_is_null": {
        "postgresql": lambda document, path: _text_at(document, path).is_(None),
        "sqlite": lambda document, path: _extract(document, path).is_(None),
        "mysql": _mysql_is_null,
    },
    "json_not_null": {
        "postgresql": lambda document, path: _text_at(document, path).is_not(None),
        "sqlite": lambda document, path: _extract(document, path).is_not(None),
        "mysql": _not(_mysql_is_null),
    },
    "json_exists": {
        "postgresql": lambda document, path: _at(document, path).is_not(None),
        "sqlite": lambda document, path: _sqlite_type(document, path).is_not(None),
        "mysql": lambda document, path: _extract(document, path).is_not(None),
    },
    "json_contains": {
        "postgresql": _postgresql_contains,
        "sqlite": _sqlite_contains,
        "mysql": lambda document, part: _is_true(sa.func.json_contains(document, part)),
    },
    "json_length": {
        "postgresql": _postgresql_length,
        "sqlite": _sqlite_length,
        "mysql": lambda document: sa.case(
            (sa.func.json_type(document) == word("ARRAY"), sa.func.json_length(document))
        ),
    },
    "array_contains": {
        "postgresql": _postgresql_contains,
        "sqlite": _sqlite_contains,
        "mysql": lambda array, part: _is_true(sa.func.json_contains(array, part)),
    },
    "array_overlaps": {
        "postgresql": lambda array, others: array.op("&&", is_comparison=True)(others),
        "sqlite": _sqlite_overlaps,
        "mysql": lambda array, others: _is_true(sa.func.json_overlaps(array, others)),
    },
    "array_length": {
        "postgresql": sa.func.cardinality,
        "sqlite": sa.func.json_array_length,
        "mysql": sa.func.json_length,
    },
}
