"""What a database refuses, told as errors of the fields of the model.

The database speaks of its columns, its indexes and its constraints; whoever filled in a form knows the
names of the model. A rule that the model has as well is told in the same words as if it had been checked
before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from oxidite.db.errors import (
    BEYOND_INDEX,
    CheckError,
    ConstraintError,
    ExclusionError,
    MissingReferenceError,
    UniqueError,
)
from oxidite.db.rules.rules import RULES
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Index, Table, indexes_of, short_name
from oxidite.db.values.dialects import ONLY
from oxidite.db.values.kinds import options_of
from oxidite.errors import FieldError

__all__ = ["in_words_of"]

AnyColumn = Column[Any, Any]


class _Broken(NamedTuple):
    columns: Sequence[str]
    message: str
    code: str


def in_words_of(table: Table, exc: ConstraintError, *, deleting: bool = False) -> ConstraintError:
    """Return the error of a database in the words of a model."""
    if deleting and isinstance(exc, MissingReferenceError):
        broken = _Broken((), "is still referred to", exc.code)
    else:
        broken = _found(table, exc)
    return type(exc)(
        [
            FieldError("body", broken.message, pointer=f"/{name}", code=broken.code)
            for name in broken.columns
        ]
        or [FieldError("body", broken.message, pointer="", code=broken.code)],
        constraint=exc.constraint,
    )


def _found(table: Table, exc: ConstraintError) -> _Broken:
    # SQLite says: index 'uq_users_email'.
    name = re.sub(r"^index '(.*)'$", r"\1", exc.constraint or "")
    message = exc.errors[0].message
    if exc.errors[0].code == _TOO_LONG:
        return _too_long(table, exc, name)
    known = _known(table, exc, name)
    if known is not None:
        return known
    names = [_own_name(table, each.pointer or "") for each in exc.errors]
    columns = [each for each in names if each]
    if isinstance(exc, UniqueError):
        return _taken(columns, exc.code)
    is_reference = isinstance(exc, MissingReferenceError)
    if is_reference and not columns:
        # SQLite does not say which one.
        references = [each.name for each in table.columns if "references" in each.rules]
        columns = references if len(references) == 1 else []
    if (
        is_reference
        and columns
        and all("references" in table.by_name[each].rules for each in columns)
    ):
        message = "refers to nothing"
    return _Broken(columns, message, exc.code)


def _known(table: Table, exc: ConstraintError, name: str) -> _Broken | None:
    """Return what a unique key or a check of the model is about, if the database tells which one it is."""
    if isinstance(exc, UniqueError):
        for index in indexes_of(table):
            if name == index.name:
                return _taken(list(_columns_of(table, index)), exc.code)
        if name == short_name(f"pk_{table.name}"):
            return _taken([column.name for column in table.pk], exc.code)
    if isinstance(exc, ExclusionError):
        for index in indexes_of(table):
            if name == index.name and index.exclude:
                return _Broken(list(_overlapping(table, index)), exc.errors[0].message, exc.code)
    if isinstance(exc, CheckError):
        checks = {each.constraint: each.broken for each in _checks(table)}
        # Where names are not to be long, they are called by their short ones.
        return {**{short_name(each): broken for each, broken in checks.items()}, **checks}.get(name)
    return None


def _overlapping(table: Table, index: Index) -> Iterator[str]:
    """Yield the columns of an exclusion constraint that overlap: the others are alike by intent."""
    for on, operator in zip(index.on, index.exclude, strict=True):
        if operator != "=" and isinstance(on, str):
            yield _seen(table.by_name[on])


def _too_long(table: Table, exc: ConstraintError, name: str) -> _Broken:
    """Return what is too long: for its column, or for an index that it is in."""
    columns = list(_told(table, exc))
    if not columns and exc.errors[0].message == BEYOND_INDEX:
        # PostgreSQL tells the index, or nothing at all; then it is one of those that are in any.
        key = Index(tuple(column.name for column in table.pk), name=short_name(f"pk_{table.name}"))
        indexes = [*indexes_of(table), key]
        meant = [each for each in indexes if each.name == name] or indexes
        names = dict.fromkeys(each for index in meant for each in _columns_of(table, index))
        columns = [each for each in names if table.by_name[each].kind.stored.name in _LONG]
    if len(columns) < 2:
        return _Broken(columns, "is too long", _TOO_LONG)
    return _Broken(columns, f"are too long together: {', '.join(columns)}", _TOO_LONG)


def _told(table: Table, exc: ConstraintError) -> Iterator[str]:
    """Yield the columns that a database names; MariaDB has some of its own for indexes."""
    for each in exc.errors:
        name = (each.pointer or "").removeprefix("/")
        own = _own_name(table, name)
        if own is not None:
            yield own
        elif found := _OF_INDEX.match(name):
            for index in indexes_of(table):
                place = int(found["place"])
                if f"{ONLY}{place}_{index.name}"[:64] == name:
                    yield from _columns_of(table, replace(index, on=index.on[place : place + 1]))


_TOO_LONG = "max_length"
_LONG = frozenset(("text", "bytes", "json", "array", "decimal"))
"""What may be longer than an index takes."""
_OF_INDEX = re.compile(rf"{ONLY}(?P<place>\d+)_")


def _taken(columns: list[str], code: str) -> _Broken:
    message = "is taken" if len(columns) < 2 else f"are taken together: {', '.join(columns)}"
    return _Broken(columns, message, code)


def _own_name(table: Table, pointer: str) -> str | None:
    """Return what the model calls a column of the database."""
    name = pointer.removeprefix("/").strip('"')  # PostgreSQL quotes what is a word of SQL
    for column in table.columns:
        if name == column.column_name:
            return _seen(column)
    return None


def _seen(column: AnyColumn) -> str:
    """Return the name of a column; for a blind index, of the one that it is of."""
    is_index = column.kind.name == "blind index"
    return column.name.removesuffix("_index") if is_index else column.name


def _columns_of(table: Table, index: Index) -> Iterator[str]:
    for each in index.on:
        if isinstance(each, str):
            yield _seen(table.by_name[each])
        else:
            expr = each(table.model) if not hasattr(each, "shape") and callable(each) else each
            yield from dict.fromkeys(_names_in(expr))


def _names_in(expr: Any) -> Iterator[str]:
    if isinstance(expr, Column):
        yield _seen(expr)
    for each in getattr(expr, "args", ()):
        yield from _names_in(each)


class _Check(NamedTuple):
    constraint: str
    broken: _Broken


def _checks(table: Table) -> Iterator[_Check]:
    """Yield the checks of a table as `schema.py` names them."""
    start = f"ck_{table.name}_"
    for column in table.columns:
        options = options_of(column.kind)
        if options:
            text = f"must be one of {', '.join(map(repr, options))}"
            yield _Check(f"{start}{column.column_name}", _Broken((column.name,), text, "type"))
        for rule, wanted in column.rules.items():
            if rule in RULES:
                broken = _Broken((column.name,), RULES[rule][1].format(wanted), rule)
                yield _Check(f"{start}{column.column_name}_{rule}", broken)
    for each in table.checks:
        yield _Check(f"{start}{each.name}", _Broken(each.columns, each.message, "check"))
