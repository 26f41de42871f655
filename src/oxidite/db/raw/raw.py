"""SQL that a person wrote, with named parameters, and rows of it as typed values."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Hashable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from oxidite.db.connections.notices import Changes, listeners
from oxidite.db.connections.running import fetch_rows, run_sql, stream_rows
from oxidite.db.connections.transaction import Owner, current_transaction
from oxidite.db.errors import ManyRowsError, QueryError, RowNotFoundError
from oxidite.db.raw.binding import bind_value
from oxidite.db.raw.parameters import check_names, parse_sql
from oxidite.db.raw.rows import RowReader, row_reader
from oxidite.db.statements.hearing import hear_changes
from oxidite.db.statements.watch import tell, watchers
from oxidite.db.values.dialects import Dialect

__all__ = ["CoreStatement", "RawOwner", "RawQuery", "bound_sql"]

T = TypeVar("T")
R = TypeVar("R")


class CoreStatement(Protocol):
    """A statement of SQLAlchemy's Core, such as ``sqlalchemy.select(table)``."""

    def compile(self, *args: Any, **options: Any) -> Any:  # SQLAlchemy's own
        """Write it as SQL."""
        ...


class RawOwner(Owner, Protocol):
    """What a raw query needs of a database."""

    @property
    def dialect(self) -> Dialect:
        """What the database can do."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class RawQuery(Generic[T]):
    """SQL as the driver takes it, with its values; ``T`` is what a row becomes.

    Nothing is asked of the database before ``all``, ``first`` or another of the methods that are awaited.
    """

    owner: RawOwner
    sql: str
    values: Sequence[object]
    writes: bool
    read: RowReader

    def into(self, type_: type[R]) -> RawQuery[R]:
        """Have each row become a ``type_``, converted and checked.

        A Struct, dataclass, TypedDict or ``dict[str, int]`` takes the columns by name, a model too (all of
        its columns must be there); ``tuple[int, str]`` takes them in order; any other type is that of the
        only column.

        Raises:
            QueryError: when rows are read that do not fit.
        """
        return dataclasses.replace(self, read=row_reader(type_, self.owner.dialect))  # type: ignore[return-value]  # of another type now

    async def all(self) -> list[T]:
        """Return all the rows."""
        rows = await self._rows()
        return self.read(rows)

    async def first(self) -> T | None:
        """Return the first row, ``None`` if there is none; all are read, unless the SQL has a LIMIT."""
        rows = await self._rows()
        found: list[T] = self.read(rows[:1])
        return found[0] if found else None

    async def one(self) -> T:
        """Return the only row.

        Raises:
            RowNotFoundError: there is none.
            ManyRowsError: there are more.
        """
        rows = await self._rows()
        if not rows:
            raise RowNotFoundError("The SQL has no row, and one was asked for.")
        if len(rows) > 1:
            raise ManyRowsError("The SQL has more than one row, and one was asked for.")
        found: list[T] = self.read(rows)
        return found[0]

    async def scalar(self) -> Any:
        """Return the first column of the first row, as the driver has it; ``None`` if there is no row."""
        rows = await self._rows()
        return rows[0][0] if rows else None

    async def run(self) -> int:
        """Run it for what it does, and return how many rows it touched."""
        self._tell()
        try:
            return (await run_sql(self.owner, self.sql, self.values)).rowcount
        finally:
            if listeners:
                await self._hear_changes()

    def key(self) -> Hashable:
        """Return what is the same for those that differ in their values alone."""
        return ("sql", self.sql)

    async def _rows(self) -> Sequence[Any]:
        self._tell()
        try:
            return await fetch_rows(
                self.owner, self.sql, self.values, write=self.writes, named=True
            )
        finally:
            if listeners and self.writes:
                await self._hear_changes()

    def _tell(self) -> None:
        if watchers:
            tell(self, self.sql)
        for each in listeners:
            if each.hears_reads:
                each.read_sql(self.sql)

    async def _hear_changes(self) -> None:
        changes = Changes()
        changes.add_sql(self.sql)
        await hear_changes(self.owner, changes)

    async def stream(self, *, chunk: int = 1000) -> AsyncGenerator[T, None]:
        """Yield the rows, ``chunk`` of them in memory at a time, as ``Select.stream`` does."""
        if self.writes and current_transaction(self.owner) is None:
            raise QueryError(
                "This SQL may change something, and a stream has a transaction that only reads. Open one "
                "around it, or read all() at once."
            )
        if chunk < 1:
            raise QueryError(f"Rows are read by one or more at a time, not by {chunk}.")
        self._tell()
        if listeners and self.writes:  # in the transaction that is open
            await self._hear_changes()
        async with aclosing(stream_rows(self.owner, self.sql, self.values, chunk)) as parts:
            async for rows in parts:
                for one in self.read(rows):
                    yield one


def bound_sql(
    owner: RawOwner, text: str, values: Mapping[str, object]
) -> RawQuery[tuple[Any, ...]]:
    """Return a query of SQL with named parameters.

    Raises:
        QueryError: a parameter has no value, or a value no parameter.
    """
    dialect = owner.dialect
    parsed = parse_sql(text, dialect)
    check_names(parsed, values)
    for name in parsed.lists:
        if not isinstance(values[name], list | tuple | set | frozenset):
            raise QueryError(f"IN :{name} takes a list, not {values[name]!r}.")
    bound = {name: bind_value(name, value, dialect) for name, value in values.items()}
    return RawQuery(
        owner,
        parsed.sql,
        [bound[name] for name in parsed.names],
        parsed.writes,
        row_reader(None, dialect),
    )
