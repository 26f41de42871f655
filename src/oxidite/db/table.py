"""A table as its model declares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oxidite.db.columns import Column, TableKey
from oxidite.db.expressions import Condition, Expr

__all__ = ["SQL", "AnyColumn", "Index", "Table", "index"]

AnyColumn = Column[Any, Any]


class SQL(str):
    """SQL as it stands: of the program, never of a user. ``index(SQL("lower(name)"))``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"SQL({super().__repr__()})"


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
    by_name: Mapping[str, AnyColumn] = field(init=False)
    places: Mapping[str, int] = field(init=False)
    """Where each column is in a row."""
    pk: tuple[AnyColumn, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {column.name: column for column in self.columns}
        self.places = {column.name: place for place, column in enumerate(self.columns)}
        self.pk = tuple(column for column in self.columns if column.rules.get("pk"))

    @property
    def name(self) -> str:
        """What it is called in the database."""
        return self.key.name

    def __repr__(self) -> str:
        return f"<table {self.key.name}>"
