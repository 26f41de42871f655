"""Models that keep what their rows were: ``class Price(Model, History, table="prices")``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar, cast

from msgspec import Struct

from oxidite.db.database import Database, database_of
from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Condition
from oxidite.db.queries.past import PastSelect, history_table, past_rows, versions
from oxidite.db.statements.selecting import checked_number
from oxidite.db.statements.selects import DerivedColumn, Lock, SelectStatement
from oxidite.db.tables.columns import Column
from oxidite.db.tables.history import BY, CHANGE, FROM, ID, REASON, UNTIL
from oxidite.db.tables.state import forget_row, keep_row, row_of
from oxidite.db.tables.table import Table
from oxidite.db.writes.undoing import remember

__all__ = ["HIDDEN", "History", "Revision"]

T = TypeVar("T")

_OWN = (ID, CHANGE, FROM, UNTIL, BY, REASON)
HIDDEN = "[hidden]"
"""Stands for the values of a hidden column among the changes of a revision."""


class Revision(Struct, Generic[T], frozen=True, kw_only=True):
    """A row as it was, from one change to the next."""

    row: T
    """The row; of one that was deleted, what it was then."""
    number: int
    """Larger than that of the one before, of all rows of the table."""
    change: Literal["begin", "insert", "update", "delete"]
    """What made it; ``begin`` stands for all that was before there was a history."""
    since: datetime
    until: datetime | None
    """The moment of the next change, ``None`` if there was none."""
    by: str | None
    """The user that was carried (``oxidite.carried.user``)."""
    reason: str | None

    def changes(self, before: Revision[T] | None) -> dict[str, tuple[object, object]]:
        """Return what is other than in an earlier revision: by column, its old and its new value.

        Without one before, all is new and was ``None``. Of hidden columns it is told that they changed,
        and not what they held.

        Raises:
            QueryError: the other one is of another row.
        """
        table = _table(self.row)
        if before is not None and _key(table, before.row) != _key(table, self.row):
            raise QueryError("Two revisions are compared that are of different rows.")
        found: dict[str, tuple[object, object]] = {}
        for column in table.columns:
            old = None if before is None else getattr(before.row, column.name)
            new = getattr(self.row, column.name)
            if old != new and column.kind.name != "blind index":
                found[column.name] = (HIDDEN, HIDDEN) if column.is_hidden else (old, new)
        return found


class History:
    """A mixin of models: what their rows were is kept, and can be read as of any moment.

    Each change of a row, whatever made it, leaves a version in the table ``<table>_history``, in the
    transaction of the change. ``prune_history_after`` says how long versions are kept that are past.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        __table__: ClassVar[Table]

        async def save(self) -> Self: ...

    @classmethod
    def as_of(cls, moment: datetime, *, unscoped: bool = False) -> PastSelect[Self]:
        """Return the rows as they were at a moment, to be asked further like those of ``query()``.

        What was changed at that very moment is seen. Scopes and ``SoftDeletes`` hold for what the rows
        were then; ``unscoped`` are those that the ``scope`` leaves out, too.

        Raises:
            QueryError: the moment has no time zone.
        """
        return PastSelect(past_rows(cls.__table__, moment, unscoped=unscoped))

    async def history(self, *, limit: int = 50, before: int | None = None) -> list[Revision[Self]]:
        """Return the versions of this row, the newest first; those of a row that is gone, too.

        ``before`` is the ``number`` of a revision: only older ones are returned, for the next page.
        """
        table = type(self).__table__
        of = versions(table)
        own = history_table(table).by_name
        columns = {name: DerivedColumn(table.key, name, own[name]) for name in _OWN}
        older = () if before is None else (columns[ID] < before,)
        rows = await database_of(table).fetch(
            SelectStatement(
                table=table,
                source=table.key,
                derived=of,
                where=(*_same(table, self), *older, *table.scoped()),
                order=(columns[ID].desc(),),
                limit=checked_number(limit, "limit"),
                extra=tuple(columns.values()),
                deleted="with",
                lazy="raise",
            )
        )
        return [
            Revision(
                row=row,
                number=number,
                change=change,
                since=since,
                until=until,
                by=by,
                reason=reason,
            )
            for row, number, change, since, until, by, reason in rows
        ]

    async def revert_to(self, revision: Revision[Self]) -> Self:
        """Make the row again what it was in a revision, as a new version; return the object.

        A row that was deleted since is made anew, with the same primary key. Columns that note when a
        row was changed, such as ``updated_at``, note this change. Hooks are called, and rules hold, as
        with ``save``.

        Raises:
            QueryError: the revision is of another row.
            ValidationError: what was allowed then is not now.
            ConstraintError: the database refuses it, such as a reference to what is gone.
        """
        table = type(self).__table__
        if type(revision.row) is not type(self) or _key(table, revision.row) != _key(table, self):
            raise QueryError(f"The revision is not one of this {type(self).__name__}.")
        database = database_of(table)
        async with database.transaction():
            remember(database, table, [self])
            present = await _present(database, table, self)
            for column in table.columns:
                if present is not None and _is_of_now(table, column):
                    setattr(self, column.name, getattr(present, column.name))
                elif not column.is_computed and column.kind.name != "blind index":
                    setattr(self, column.name, getattr(revision.row, column.name))
            if present is None:
                forget_row(self)
            else:
                keep_row(self, row_of(present))
            return await self.save()


def _table(row: object) -> Table:
    found: Table = cast("Any", type(row)).__table__
    return found


def _key(table: Table, row: object) -> list[object]:
    return [getattr(row, column.name) for column in table.pk]


def _is_of_now(table: Table, column: Column[Any, Any]) -> bool:
    """Tell whether a row keeps the value of a column that it has, whatever it becomes."""
    return column is table.version or "on_update" in column.rules


def _same(table: Table, row: object) -> list[Condition]:
    return [column == getattr(row, column.name) for column in table.pk]


async def _present(database: Database, table: Table, row: object) -> Any:
    found = await database.fetch(
        SelectStatement(
            table=table,
            source=table.key,
            where=(*_same(table, row), *table.scoped()),
            deleted="with",
            lock=Lock(),
        )
    )
    return found[0] if found else None
