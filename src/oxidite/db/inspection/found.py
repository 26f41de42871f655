"""What a database has, as plain data: what it is called there, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from oxidite.db.tables.table import SQL

__all__ = ["FoundCheck", "FoundColumn", "FoundIndex", "FoundKey", "FoundTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumn:
    """A column."""

    name: str
    type: sa.types.TypeEngine[Any]
    nullable: bool
    default: str | None = None
    """SQL."""
    computed: str | None = None
    counts: bool = False
    """Whether the database makes its values by counting."""
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIndex:
    """An index, or a rule that values are unique, which is one."""

    name: str
    on: tuple[str | SQL, ...]
    unique: bool = False
    where: str | None = None
    using: str | None = None
    lost: str | None = None
    """What of it no model says."""
    exclude: tuple[str, ...] = ()
    """Of an exclusion constraint: the operator of each column."""


@dataclass(frozen=True, slots=True)
class FoundCheck:
    """A rule over columns of a row."""

    name: str | None
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A foreign key."""

    name: str | None
    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]
    on_delete: str
    on_update: str
    lost: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table."""

    name: str
    columns: tuple[FoundColumn, ...]
    pk: tuple[str, ...]
    indexes: tuple[FoundIndex, ...] = ()
    checks: tuple[FoundCheck, ...] = ()
    keys: tuple[FoundKey, ...] = ()
    lost: list[str] = field(default_factory=list)
    """What no model says, in words."""
