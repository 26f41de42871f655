"""Models: a table as a class, its rows as objects.

A model is a ``msgspec.Struct``, so it is made, compared and encoded at that speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, Self, TypeVar

from msgspec import UNSET, Struct

from oxidite.db.database import database_of
from oxidite.db.errors import ModelError, QueryError, RowNotFoundError
from oxidite.db.expressions.expressions import Condition, Expr, Order
from oxidite.db.models import lifecycle
from oxidite.db.models.declaration import RESERVED
from oxidite.db.models.hooks import Lifecycle
from oxidite.db.models.inputs import given_values
from oxidite.db.models.metaclass import ModelStruct, ModelType, Scope
from oxidite.db.models.writing import ModelWrites
from oxidite.db.queries.query import Select
from oxidite.db.relations import cascade
from oxidite.db.relations.install import forget_relations
from oxidite.db.rules.rules import is_storable
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.peers import Load
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.columns import Column
from oxidite.db.tables.keywords import field_keywords
from oxidite.db.tables.state import State
from oxidite.db.tables.table import Check, Index, Table
from oxidite.db.tables.tags import tag_maker
from oxidite.db.values.vectors import Vector
from oxidite.db.writes import saving

__all__ = ["Model"]

P = ParamSpec("P")
T = TypeVar("T")


class Model(ModelWrites, State, Lifecycle, ModelStruct, metaclass=ModelType, abstract=True):
    """A row of a table.

    ``class User(Model, table="users")``; ``indexes`` are those over several columns, ``checks`` the
    rules over several that the database keeps, ``database`` the name of another database than the
    default one. One that is ``abstract`` has no table and hands its columns on, and all of these.
    ``scope`` makes the condition that every query has. Rows are kept for ``prune_after``, counted from
    the moment in the column ``prune_by`` (``created_at``); ``prune`` deletes those that are older. Past
    versions of a model with a ``History`` are kept for ``prune_history_after``.
    """

    if TYPE_CHECKING:
        __table__: ClassVar[Table]

        class Create(Struct):
            """What a client may give for a new row: ``data: Json[User.Create]``."""

            def __init__(self, **values: Any) -> None: ...
            def __getattr__(self, name: str) -> Any: ...

        class Patch(Struct):
            """What a client may change of a row; what is left out stays."""

            def __init__(self, **values: Any) -> None: ...
            def __getattr__(self, name: str) -> Any: ...

        class Out(Struct):
            """What a response shows of a row: its columns that are not hidden, and what is computed."""

            def __init__(self, **values: Any) -> None: ...
            def __getattr__(self, name: str) -> Any: ...

        def __init_subclass__(
            cls,
            *,
            table: str | None = None,
            abstract: bool = False,
            indexes: Sequence[Index] = (),
            database: str | None = None,
            checks: Sequence[Check] = (),
            scope: Scope | None = None,
            prune_after: timedelta | None = None,
            prune_by: str | None = None,
            prune_history_after: timedelta | None = None,
        ) -> None: ...

    # Queries.

    @classmethod
    def query(cls) -> Select[Self]:
        """All the rows; with a ``scope``, those in it."""
        table = cls.__table__
        return Select(SelectStatement(table=table, source=table.key, where=table.scoped()))

    @classmethod
    def unscoped(cls) -> Select[Self]:
        """All the rows, whatever the ``scope`` says."""
        table = cls.__table__
        return Select(SelectStatement(table=table, source=table.key, where=(UNSCOPED,)))

    @classmethod
    def where(cls, *conditions: Condition) -> Select[Self]:
        """The rows for which all the conditions hold."""
        return cls.query().where(*conditions)

    @classmethod
    def order_by(cls, *orders: Order | Expr[Any, Any]) -> Select[Self]:
        """The rows in an order."""
        return cls.query().order_by(*orders)

    @classmethod
    def nearest(
        cls, column: Column[Vector, Any], to: Iterable[float], *, limit: int = 10
    ) -> Select[tuple[Self, float]]:
        """The rows whose vector is nearest to another one, each with its distance, the nearest first."""
        return cls.query().nearest(column, to, limit=limit)

    @classmethod
    async def get(cls, *key: object) -> Self:
        """Return the row with this primary key.

        Raises:
            RowNotFoundError: there is none.
        """
        found = await cls.get_or_none(*key)
        if found is None:
            raise RowNotFoundError(f"There is no {cls.__name__} {', '.join(map(repr, key))}.")
        return found

    @classmethod
    async def get_or_none(cls, *key: object) -> Self | None:
        """Return the row with this primary key, ``None`` if there is none."""
        table = cls.__table__
        if len(key) != len(table.pk):
            names = ", ".join(column.name for column in table.pk)
            raise QueryError(
                f"The primary key of {cls.__name__} is {names}; {len(key)} were given. Write "
                f"{cls.__name__}.get({names})."
            )
        if not all(map(is_storable, key)):
            return None  # a number beyond 64 bits, out of a path: it is in no row
        if len(key) == 1:
            one: Self | None = await database_of(table).get(cls.query().statement, key[0])
            return one
        found = await cls.where(
            *[column == value for column, value in zip(table.pk, key, strict=True)]
        ).all()
        return found[0] if found else None

    @classmethod
    async def all(cls) -> list[Self]:
        """Return all the rows."""
        return await cls.query().all()

    @classmethod
    async def count(cls) -> int:
        """Return the number of rows."""
        return await cls.query().count()

    @classmethod
    def with_(cls, *loads: Load[Self]) -> Select[Self]:
        """All the rows, with relations of theirs loaded."""
        return cls.query().with_(*loads)

    @classmethod
    def strict(cls) -> Select[Self]:
        """All the rows; it is an error to await a relation of theirs that is not loaded."""
        return cls.query().strict()

    # Writing.

    @classmethod
    async def create(cls: Callable[P, T], *args: P.args, **values: P.kwargs) -> T:
        """Make an object and its row.

        Raises:
            ModelError: it is what a client gave; see ``create_from``.
            ValidationError: some of its values are wrong.
            ConstraintError: the database refused it.
        """
        try:
            made = cls(*args, **values)
        except TypeError:
            if args and isinstance(args[0], Struct):
                raise ModelError(
                    f"{cls.__name__}.create(…) takes the columns by name. What a client gave, such as a "
                    f"{type(args[0]).__name__}, goes to {cls.__name__}.create_from(…)."
                ) from None
            raise
        await cascade.insert(made, lifecycle.create)
        return made

    @classmethod
    async def create_from(cls, data: Struct, **values: object) -> Self:
        """Make an object and its row of what a client gave, and of what the program adds to it.

        ``data`` is a ``Create`` of the model, or a struct whose fields are columns of it.

        Raises:
            ModelError: it has a field that is no column, or one that is not taken from a client.
            ValidationError: some of the values are wrong.
            ConstraintError: the database refused it.
        """
        made = cls(**given_values(cls, data, values))
        await cascade.insert(made, lifecycle.create)
        return made

    def apply(self, data: Struct, **values: object) -> Self:
        """Change the columns that a client gave, and those that the program adds; return the object.

        ``data`` is a ``Patch`` of the model, or a struct whose fields are columns of it; what is
        ``UNSET`` there is left alone. Nothing is written before ``save``.

        Raises:
            ModelError: it has a field that is no column, or one that is not taken from a client.
        """
        for name, value in given_values(type(self), data, values, of_row=True).items():
            setattr(self, name, value)
        return self

    def out(self) -> Model.Out:
        """Return what a response shows of the object, its ``computed`` properties included."""
        struct = type(self).Out
        made: Model.Out = struct(**{each: getattr(self, each) for each in struct.__struct_fields__})
        return made

    async def save(self) -> Self:
        """Write what has changed, or make the row if there is none; return the object.

        Raises:
            ValidationError: some of its values are wrong.
            ConstraintError: the database refused them.
            StaleRowError: somebody else has saved it since (models with a ``Version``).
        """
        await cascade.save(self, lifecycle.save)
        return self

    async def delete(self) -> None:
        """Delete the row; with ``SoftDeletes`` it only seems to be."""
        await cascade.delete(self, lifecycle.delete)

    async def force_delete(self) -> None:
        """Delete the row, with ``SoftDeletes`` too."""
        await cascade.delete(self, partial(lifecycle.delete, force=True), force=True)

    async def restore(self) -> Self:
        """Take back that the row was deleted, and what was marked with it; return the object.

        Raises:
            QueryError: the model has no ``SoftDeletes``.
        """
        await cascade.restore(self, lifecycle.save)
        return self

    async def refresh(self) -> Self:
        """Read the row again, and forget what was changed.

        Raises:
            RowNotFoundError: it is gone.
        """
        await saving.refresh(self)
        forget_relations(self)
        return self

    def changed(self) -> list[str]:
        """Return the names of the columns that differ from the row, all of them if there is none."""
        return saving.changed(self)

    # What a handler's answer and its document say of a row, see `routing/values.py`.

    @classmethod
    def __etag_maker__(cls) -> Callable[[Any], str]:
        return tag_maker(cls.__table__)

    @classmethod
    def __field_keywords__(cls) -> Mapping[str, Mapping[str, object]]:
        return field_keywords(cls.__table__)

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same row: of the same model, with the same primary key."""
        if type(other) is not type(self):
            return NotImplemented
        key = _key(self)
        return self is other or (UNSET not in key and key == _key(other))

    def __hash__(self) -> int:
        key = _key(self)
        return id(self) if UNSET in key else hash((type(self), key))


# Of any model, they are any struct: that is what annotations such as `Model.Out` mean.
vars(Model)["__inputs__"].update(dict.fromkeys(("Create", "Patch", "Out"), Struct))

# What a column must not be called: it would stand in the way.
RESERVED.update(name for name in dir(Model) if not name.startswith("_"))


def _key(one: Any) -> tuple[object, ...]:
    return tuple([getattr(one, column.name) for column in type(one).__table__.pk])
