"""What a model does with many objects, and with rows that may be there already."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from oxidite.db.expressions.expressions import Expr
from oxidite.db.rules.concealing import in_words
from oxidite.db.tables.columns import Assignment, Column
from oxidite.db.tables.table import Table
from oxidite.db.writes import bulk, changes, saving, upserts
from oxidite.db.writes.upserts import Upserted

__all__ = ["ModelWrites"]

R = TypeVar("R")


class ModelWrites:
    """The part of ``Model`` that writes more than one object."""

    __slots__ = ()

    if TYPE_CHECKING:
        __table__: ClassVar[Table]

    @classmethod
    async def create_many(cls, objects: Iterable[Self]) -> list[Self]:
        """Make the rows of objects, all or none; they get the keys that the database makes.

        Raises:
            ValidationError: some values are wrong; the pointer begins with the place of the object.
            ConstraintError: the database refused a row.
            QueryError: one is of another model, or has a row already.
        """
        with in_words(bulk.table_of(cls)):
            return await bulk.create_many(cls, objects)

    @classmethod
    async def load_many(
        cls, objects: Iterable[Self] | AsyncIterable[Self], *, chunk: int = 10_000
    ) -> int:
        """Make the rows of more objects than there is memory, all or none; returns how many.

        They are taken from the iterator by ``chunk``, and do not get the keys that the database makes:
        on PostgreSQL they go through COPY.

        Raises:
            ValidationError: some values are wrong; the pointer begins with the place of the object.
            ConstraintError: the database refused a row.
        """
        with in_words(bulk.table_of(cls)):
            return await bulk.load_many(cls, objects, chunk=chunk)

    @classmethod
    async def update_many(cls, objects: Iterable[Self]) -> int:
        """Write what has changed of objects, all or none; returns how many had changed.

        Raises:
            ValidationError: some values are wrong; the pointer begins with the place of the object.
            ConstraintError: the database refused a row.
            StaleRowError: somebody else has saved one since (models with a ``Version``).
            RowNotFoundError: a row is gone.
        """
        with in_words(bulk.table_of(cls)):
            return await changes.update_many(cls, objects)

    @classmethod
    async def delete_many(cls, objects: Iterable[Self], *, force: bool = False) -> int:
        """Delete the rows of objects, all or none; with ``SoftDeletes`` mark them, unless ``force``.

        Returns how many there were.

        Raises:
            StaleRowError: somebody else has saved one since (models with a ``Version``).
        """
        with in_words(bulk.table_of(cls), deleting=True):
            return await changes.delete_many(cls, objects, force=force)

    @classmethod
    async def upsert(
        cls,
        objects: Self | Iterable[Self],
        *,
        on: Sequence[Expr[Any, Any]],
        update: Sequence[Expr[Any, Any] | Assignment] | None = None,
    ) -> Upserted[Self]:
        """Make the rows of one or many objects, and change those that are there already.

        ``on`` are the columns of a unique key. ``update`` says what changes: columns take the value of
        the object, ``User.visits.to(User.visits + excluded(User.visits))`` is any expression; all the
        columns of the constructor if it is not given; nothing if it is empty. The objects then have what
        their rows have. All or none.

        Raises:
            ValidationError: some values are wrong; the pointer begins with the place of the object.
            ConstraintError: the database refused a row.
            QueryError: ``on`` is no unique key, an object has none, or two have the same.
        """
        with in_words(bulk.table_of(cls)):
            return await upserts.upsert(cls, objects, on, update)

    @classmethod
    async def get_or_create(cls, one: Self, *, on: Sequence[Expr[Any, Any]]) -> tuple[Self, bool]:
        """Return the row with the same ``on`` columns, or make that of ``one``; and whether it is new.

        ``on`` is a unique key, so two who try at the same time get the same row.
        """
        with in_words(bulk.table_of(cls)):
            return await upserts.get_or_create(cls, one, on)

    @classmethod
    async def update_or_create(
        cls,
        one: Self,
        *,
        on: Sequence[Expr[Any, Any]],
        update: Sequence[Expr[Any, Any] | Assignment] | None = None,
    ) -> tuple[Self, bool]:
        """Write ``one`` over the row with the same ``on`` columns, or make its row; and whether it is new.

        It is ``upsert`` of one object.
        """
        with in_words(bulk.table_of(cls)):
            return await upserts.update_or_create(cls, one, on, update)

    async def increment(self, column: Column[Any, R], by: R) -> R:
        """Add ``by`` to a column in the database and return what it is now; nobody's change is lost.

        Raises:
            RowNotFoundError: the row is gone.
        """
        found: R = await saving.increment(self, column, by)
        return found
