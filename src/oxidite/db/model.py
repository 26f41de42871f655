"""Models: a table as a class, its rows as objects.

A model is a ``msgspec.Struct``, so it is made, compared and encoded at that speed. The metaclass, the
only one of the package, does three things: it takes the columns out of the class body, it copies in
those of mixins such as ``Timestamps``, and it makes ``User.id`` an expression while ``user.id`` is the
value. The last is a property of the metaclass, of which each model has one of its own: objects are not
looked up there, so they pay nothing for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    ParamSpec,
    Self,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, Struct

from oxidite.db import saving
from oxidite.db.columns import COLUMN, Column, Declared, TableKey, col
from oxidite.db.errors import ModelError, QueryError, RowNotFoundError
from oxidite.db.expressions import Condition, Expr, Order
from oxidite.db.keywords import field_keywords
from oxidite.db.kinds import kind_of, nullable
from oxidite.db.mixins import SoftDeletes, Version
from oxidite.db.query import Select
from oxidite.db.rules import is_storable
from oxidite.db.state import State, keep_row
from oxidite.db.statements import SelectStatement
from oxidite.db.table import Index, Table
from oxidite.db.tags import tag_maker

__all__ = ["Model"]

P = ParamSpec("P")
T = TypeVar("T")


if TYPE_CHECKING:
    # What a type checker is to know of a Struct is said here: its own constructor is another one.
    _StructType = type

    class _Struct:
        __slots__ = ()

else:
    _StructType = type(Struct)
    _Struct = Struct


@dataclass_transform(kw_only_default=True, field_specifiers=(col,))
class ModelType(_StructType):
    """Makes models of classes."""

    def __new__(
        mcls: type[ModelType],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        table: str | None = None,
        abstract: bool = False,  # noqa: ARG004 - what has no table is
        indexes: Sequence[Index] = (),
        database: str | None = None,
        **options: Any,
    ) -> ModelType:
        where = f"{namespace.get('__module__', '')}.{namespace.get('__qualname__', name)}"
        locals_ = dict(sys._getframe(1).f_locals)  # noqa: SLF001 - where a type may be defined
        columns = _declared(namespace, bases, locals_, where)
        key = TableKey(table or "")
        made_columns = {
            each: _column(key, each, annotation, declared, where)
            for each, (annotation, declared) in columns.items()
        }
        inherited = {
            each: column.of(key)
            for base in bases
            for each, column in getattr(base, "__columns__", {}).items()
        }
        own = type.__new__(
            type,
            f"{name}Type",
            (mcls,),
            {each: property(partial(_column_of, name=each)) for each in made_columns},
        )
        for each, (annotation, declared) in columns.items():
            _place(namespace, each, annotation, declared)
        made: Any = super().__new__(
            own, name, bases, namespace, kw_only=True, eq=False, weakref=True, **options
        )
        type.__setattr__(made, "__columns__", {**inherited, **made_columns})
        if table is not None:
            type.__setattr__(
                made,
                "__table__",
                Table(
                    key,
                    tuple(made.__columns__.values()),
                    made,
                    keep_row,
                    indexes=indexes,
                    database=database,
                    soft_deletes=_marked(made, SoftDeletes, "deleted_at"),
                    version=_marked(made, Version, "version"),
                ),
            )
        found: ModelType = made
        return found


def _column_of(model: Any, *, name: str) -> Column[Any, Any]:
    found: Column[Any, Any] = model.__columns__[name]
    return found


def _marked(made: Any, mixin: type, name: str) -> Column[Any, Any] | None:
    column: Column[Any, Any] | None = made.__columns__.get(name)
    return column if issubclass(made, mixin) else None


def _declared(
    namespace: Mapping[str, Any], bases: tuple[type, ...], locals_: Mapping[str, Any], where: str
) -> dict[str, tuple[object, Declared]]:
    """Return the columns of a class body and of its mixins: annotation and what ``col`` was told."""
    found: dict[str, tuple[object, Declared]] = {}
    for base in bases:
        if not isinstance(base, ModelType) and base is not _Struct:
            found |= _columns_in(vars(base), sys.modules[base.__module__].__dict__, {}, where)
    module = sys.modules.get(namespace.get("__module__", ""))
    return found | _columns_in(namespace, vars(module) if module else {}, locals_, where)


def _columns_in(
    body: Mapping[str, Any], globals_: dict[str, Any], locals_: Mapping[str, Any], where: str
) -> dict[str, tuple[object, Declared]]:
    annotations = SimpleNamespace(__annotations__=dict(body.get("__annotations__", {})))
    try:
        hints = get_type_hints(annotations, globals_, dict(locals_), include_extras=True)
    except NameError as exc:
        raise ModelError(
            f"{where}: an annotation names {exc.name!r}, which is not defined. Define it before the "
            "model, outside `if TYPE_CHECKING:`."
        ) from None
    found: dict[str, tuple[object, Declared]] = {}
    for name, hint in hints.items():
        if get_origin(hint) is Annotated and COLUMN in get_args(hint):
            told = body.get(name, UNSET)
            declared = told if isinstance(told, Declared) else Declared(default=told)
            found[name] = (get_args(hint)[0], declared)
    return found


def _column(
    key: TableKey, name: str, annotation: object, declared: Declared, where: str
) -> Column[Any, Any]:
    type_, may_be_none = nullable(annotation)
    rules = declared.rules
    try:
        kind = kind_of(type_, json=rules.get("json", False), array=rules.get("array", False))
    except ModelError as exc:
        raise ModelError(f"{where}: {name}: {exc.message}") from None
    return Column(key, name, kind, declared, nullable=may_be_none)


def _place(namespace: dict[str, Any], name: str, annotation: object, declared: Declared) -> None:
    """Write the field of a column into the class body, as msgspec wants it."""
    namespace.setdefault("__annotations__", {})[name] = annotation
    if declared.default_factory is not None:
        namespace[name] = msgspec.field(default_factory=declared.default_factory)
    elif declared.default is not UNSET or not declared.init:
        namespace[name] = declared.default
    else:
        namespace.pop(name, None)


class Model(State, _Struct, metaclass=ModelType, abstract=True):
    """A row of a table.

    ``class User(Model, table="users")``; ``indexes`` are those over several columns, ``database`` the
    name of another database than the default one. One that is ``abstract`` has no table and hands its
    columns on.
    """

    if TYPE_CHECKING:
        __table__: ClassVar[Table]

        def __init_subclass__(
            cls,
            *,
            table: str | None = None,
            abstract: bool = False,
            indexes: Sequence[Index] = (),
            database: str | None = None,
        ) -> None: ...

    # Queries.

    @classmethod
    def query(cls) -> Select[Self]:
        """All the rows."""
        table = cls.__table__
        return Select(SelectStatement(table=table, source=table.key))

    @classmethod
    def where(cls, *conditions: Condition) -> Select[Self]:
        """The rows for which all the conditions hold."""
        return cls.query().where(*conditions)

    @classmethod
    def order_by(cls, *orders: Order | Expr[Any, Any]) -> Select[Self]:
        """The rows in an order."""
        return cls.query().order_by(*orders)

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
                f"The primary key of {cls.__name__} is {names}; {len(key)} were given."
            )
        if not all(map(is_storable, key)):
            return None  # a number beyond 64 bits, out of a path: it is in no row
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

    # Writing.

    @classmethod
    async def create(cls: Callable[P, T], *args: P.args, **values: P.kwargs) -> T:
        """Make an object and its row.

        Raises:
            ValidationError: some of its values are wrong.
            ConstraintError: the database refused it.
        """
        made = cls(*args, **values)
        await saving.insert(made)
        return made

    async def save(self) -> Self:
        """Write what has changed, or make the row if there is none; return the object.

        Raises:
            ValidationError: some of its values are wrong.
            ConstraintError: the database refused them.
            StaleRowError: somebody else has saved it since (models with a ``Version``).
        """
        await saving.save(self)
        return self

    async def delete(self) -> None:
        """Delete the row; with ``SoftDeletes`` it only seems to be."""
        await saving.delete(self)

    async def force_delete(self) -> None:
        """Delete the row, with ``SoftDeletes`` too."""
        await saving.delete(self, force=True)

    async def refresh(self) -> Self:
        """Read the row again, and forget what was changed.

        Raises:
            RowNotFoundError: it is gone.
        """
        await saving.refresh(self)
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


def _key(one: Any) -> tuple[object, ...]:
    return tuple([getattr(one, column.name) for column in type(one).__table__.pk])
