"""A table as its model declares it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oxidite.db.columns import Column, TableKey
from oxidite.db.errors import QueryError
from oxidite.db.expressions import Condition, Expr

__all__ = ["AnyColumn", "Index", "Table", "check_name", "index"]

AnyColumn = Column[Any, Any]


@dataclass(frozen=True, slots=True)
class Index:
    """An index over columns, by name, or expressions of them."""

    on: tuple[str | Expr[Any, Any], ...]
    unique: bool = False
    where: str | Condition | None = None
    name: str | None = None
    using: str | None = None


def index(
    *on: str | Expr[Any, Any],
    unique: bool = False,
    where: str | Condition | None = None,
    name: str | None = None,
    using: str | None = None,
) -> Index:
    """Declare an index in ``class User(Model, indexes=[index("age", "name")])``.

    ``where`` makes it partial: a condition as SQL or as an expression. ``using`` is the database's
    own method, such as ``gin``.
    """
    return Index(on, unique, where, name, using)


@dataclass(eq=False, slots=True)
class Table:
    """What is known of the table of a model; ``make`` makes an object of it out of column values."""

    key: TableKey
    columns: tuple[AnyColumn, ...]
    make: Callable[..., Any]  # the model
    keep: Callable[[Any, Any], Any]
    """Remembers the row that an object was made of; returns the object."""
    indexes: Sequence[Index] = ()
    database: str | None = None
    """The name of the database it lives in; ``None`` for the default one."""
    soft_deletes: AnyColumn | None = None
    """The column that says when a row was deleted, where rows only seem to be."""
    version: AnyColumn | None = None
    relations: Mapping[str, Any] = field(default_factory=dict)
    """The relations of the model, by name (``relations.Definition``)."""
    by_name: Mapping[str, AnyColumn] = field(init=False)
    places: Mapping[str, int] = field(init=False)
    """Where each column is in a row."""
    pk: tuple[AnyColumn, ...] = field(init=False)
    _aliases: dict[str, Table] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.by_name = {column.name: column for column in self.columns}
        self.places = {column.name: place for place, column in enumerate(self.columns)}
        self.pk = tuple(column for column in self.columns if column.rules.get("pk"))

    @property
    def name(self) -> str:
        """What it is called in the database."""
        return self.key.name

    def aliased(self, name: str) -> Table:
        """Return it under another name, for a query that reads it twice; the same one each time.

        Raises:
            QueryError: the name is no identifier.
        """
        if name not in self._aliases:
            check_name(name)
            key = TableKey(self.key.name, name)
            columns = {column.name: column.of(key) for column in self.columns}
            deletes, version = self.soft_deletes, self.version
            self._aliases[name] = replace(
                self,
                key=key,
                columns=tuple(columns.values()),
                soft_deletes=None if deletes is None else columns[deletes.name],
                version=None if version is None else columns[version.name],
            )
        return self._aliases[name]

    def __repr__(self) -> str:
        return f"<table {self.key.label}>"


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def check_name(name: str) -> str:
    """Return a name that is written into SQL, if it may be.

    Raises:
        QueryError: it is no identifier of ASCII letters, digits and _, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise QueryError(
            f"{name!r} cannot be a name in SQL: letters, digits and _ are allowed, 63 at most, and no "
            "digit first."
        )
    return name
