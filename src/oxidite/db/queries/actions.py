"""What a query does beside reading its rows at once: changing them, streams, and showing itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Generic, Literal, TypeVar, overload

from oxidite.db.queries import explaining, mass, streaming
from oxidite.db.queries.explaining import BoundSQL
from oxidite.db.rules.concealing import in_words
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.columns import Assignment

__all__ = ["QueryActions"]

T = TypeVar("T")


class QueryActions(Generic[T]):
    """The part of ``Select`` that is not about building a query."""

    __slots__ = ()

    statement: SelectStatement

    # Changing rows without reading them.

    @overload
    async def update(
        self, *assignments: Assignment, returning: Literal[False] = False, **values: object
    ) -> int: ...
    @overload
    async def update(
        self, *assignments: Assignment, returning: Literal[True], **values: object
    ) -> list[T]: ...
    async def update(
        self, *assignments: Assignment, returning: bool = False, **values: object
    ) -> int | list[T]:
        """Change columns of the rows, by one statement; returns how many there were.

        ``User.age.to(User.age + 1)`` is checked by type checkers, ``age=User.age + 1`` when it runs.
        Values are checked as those of an object are. Columns with ``on_update`` and the version change
        too. With ``returning`` the changed rows come back.

        Raises:
            ValidationError: some values are wrong.
            ConstraintError: the database refused them.
            QueryError: there is no such column, or the query says more than which rows it is about.
        """
        with in_words(self.statement.table):
            return await mass.update_rows(self.statement, assignments, values, returning=returning)

    @overload
    async def delete(self, *, returning: Literal[False] = False) -> int: ...
    @overload
    async def delete(self, *, returning: Literal[True]) -> list[T]: ...
    async def delete(self, *, returning: bool = False) -> int | list[T]:
        """Delete the rows, by one statement; with ``SoftDeletes`` they only seem to be.

        Returns how many there were, or with ``returning`` the rows.
        """
        with in_words(self.statement.table, deleting=True):
            return await mass.delete_rows(self.statement, returning=returning)

    @overload
    async def force_delete(self, *, returning: Literal[False] = False) -> int: ...
    @overload
    async def force_delete(self, *, returning: Literal[True]) -> list[T]: ...
    async def force_delete(self, *, returning: bool = False) -> int | list[T]:
        """Delete the rows, with ``SoftDeletes`` too; those that seem to be deleted if they are seen."""
        with in_words(self.statement.table, deleting=True):
            return await mass.force_delete_rows(self.statement, returning=returning)

    @overload
    async def restore(self, *, returning: Literal[False] = False) -> int: ...
    @overload
    async def restore(self, *, returning: Literal[True]) -> list[T]: ...
    async def restore(self, *, returning: bool = False) -> int | list[T]:
        """Bring those of the rows back that only seem to be deleted.

        Raises:
            UniqueError: another row has taken a unique value since.
        """
        with in_words(self.statement.table):
            return await mass.restore_rows(self.statement, returning=returning)

    # Reading more rows than there is memory.

    def stream(self, *, chunk: int = 1000) -> AsyncGenerator[T, None]:
        """Yield the rows, ``chunk`` of them in memory at a time, through a cursor of the server.

        In a transaction they come over its connection. Else they have a connection and a read
        transaction of their own until the loop ends; after a ``break`` that is when the generator is
        let go, at once with ``contextlib.aclosing``.
        """
        return streaming.stream(self.statement, chunk)

    def chunk(self, size: int) -> AsyncGenerator[list[T], None]:
        """Yield the rows by ``size``, in the order of the primary key, each part by a query of its own.

        The rows may be changed or deleted meanwhile: none is left out, and none comes twice, as long
        as its key stays.
        """
        return streaming.chunks(self.statement, size)

    # What it is.

    def sql(self) -> BoundSQL:
        """Return its SQL and what is bound, to be read."""
        return explaining.sql_of(self.statement)

    async def explain(self, *, analyze: bool = False) -> str:
        """Return how the database means to run it; with ``analyze`` it is run, and timed."""
        return await explaining.explain(self.statement, analyze=analyze)
