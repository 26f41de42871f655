"""A table under another name, for queries that read it twice."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, cast

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Selectable
from oxidite.db.statements.selects import RowOf
from oxidite.db.tables.table import Table

__all__ = ["Alias", "alias", "optional", "table_of"]

M = TypeVar("M")

_QUERIES = frozenset(
    ("query", "unscoped", "where", "order_by", "get", "get_or_none", "all", "count")
)
"""What of a model can be asked of its alias, too."""


class Alias:
    """A model under another name. Its columns are those of the model, in another place of the query."""

    __slots__ = ("__name__", "__table__", "_model")

    def __init__(self, model: Any, table: Table) -> None:
        self._model = model
        self.__table__: Table = table
        self.__name__: str = model.__name__

    def __getattr__(self, name: str) -> Any:
        column = self.__table__.by_name.get(name)
        if column is not None:
            return column
        if name in _QUERIES:
            found: Callable[..., Any] = getattr(self._model, name).__func__
            return MethodType(found, self)
        raise AttributeError(
            f"An alias of {self.__name__} has its columns and {', '.join(sorted(_QUERIES))}, but no "
            f"{name!r}. Ask {self.__name__} itself."
        )

    def __repr__(self) -> str:
        return f"<{self.__name__} as {self.__table__.key.label}>"


def alias(model: type[M], name: str | None = None) -> type[M]:
    """Return a model under another name, so that a query can read its table twice.

    ``Manager = alias(User, "manager")``, then ``User.query().join(Manager, on=...)``. Without a name it
    is that of the table with ``_2``. It is for queries alone: objects are made by the model.

    Raises:
        QueryError: the name cannot be one in SQL.
    """
    table = table_of(model)
    return cast("type[M]", Alias(model, table.aliased(name or f"{table.name}_2")))


def table_of(model: object) -> Table:
    """Return the table of a model or of an alias of one.

    Raises:
        QueryError: it has none.
    """
    found = getattr(model, "__table__", None)
    if isinstance(found, Table):
        return found
    raise QueryError(f"{model!r} is no model with a table.")


def optional(model: type[M]) -> Selectable[M | None]:
    """Say that the object of a model may be ``None`` in the rows of an outer join.

    It changes the type of the rows and nothing else: ``select(Post, optional(User))`` has rows of
    ``tuple[Post, User | None]``. Of a column say ``User.name.optional()``.
    """
    row: Selectable[Any] = RowOf(table_of(model))
    return row
