"""The types that PostgreSQL has of enums, ``col(native=True)``: made, added to, renamed and dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from oxidite.db.migrations.literals import text

__all__ = ["Native", "natives", "with_types"]


class Native(NamedTuple):
    """A type, and the column that is of it."""

    table: str
    column: str
    values: tuple[str, ...]


def natives(tables: Iterable[sa.Table]) -> dict[str, Native]:
    """Return the types that tables have, by name."""
    found: dict[str, Native] = {}
    for table in tables:
        for column in table.c:
            type_: Any = column.type
            if isinstance(type_, sa.Enum):
                found[str(type_.name)] = Native(table.name, column.name, tuple(type_.enums))
    return found


def with_types(
    statements: Sequence[str],
    old: Mapping[str, Native],
    new: Mapping[str, Native],
    renamed: Mapping[tuple[str, str], tuple[str, str]],
    quoted: Callable[[str], str],
) -> list[str]:
    """Return statements, and around them what the types need.

    ``renamed`` are tables and columns that the statements rename.
    """
    before: list[str] = []
    after: list[str] = []
    places = {(each.table, each.column): name for name, each in new.items()}
    kept: set[str] = set()
    for name, was in old.items():
        place = (was.table, was.column)
        now = places.get(renamed.get(place, place))
        if now is None:
            after.append(f"DROP TYPE {quoted(name)}")
            continue
        kept.add(now)
        if now != name:
            after.append(f"ALTER TYPE {quoted(name)} RENAME TO {quoted(now)}")
        elif new[name].values != was.values:
            before += _changed(name, was, new[name], quoted)
    for name, made in new.items():
        if name not in kept:
            before.append(_create(name, made, quoted))
    return [*before, *statements, *after]


def _create(name: str, made: Native, quoted: Callable[[str], str]) -> str:
    return f"CREATE TYPE {quoted(name)} AS ENUM ({', '.join(map(text, made.values))})"


def _changed(name: str, was: Native, now: Native, quoted: Callable[[str], str]) -> list[str]:
    here = quoted(name)
    if [each for each in now.values if each in was.values] == list(was.values):
        return list(_added(here, was.values, now.values))
    # No value is ever taken out of a type, nor moved: another takes its place.
    old, table, column = (quoted(each) for each in (f"{name}_old", now.table, now.column))
    return [
        f"ALTER TYPE {here} RENAME TO {old}",
        _create(name, now, quoted),
        f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {here} USING {column}::text::{here}",
        f"DROP TYPE {old}",
    ]


def _added(here: str, old: Sequence[str], new: Sequence[str]) -> Iterable[str]:
    for place, value in enumerate(new):
        if value in old:
            continue
        # Those before it are there already, as they are added in their order.
        where = f" AFTER {text(new[place - 1])}" if place else f" BEFORE {text(old[0])}"
        yield f"ALTER TYPE {here} ADD VALUE {text(value)}{where}"
