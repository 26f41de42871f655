"""Models: a table as a class, its rows as objects.

A model is a ``msgspec.Struct``, so it is made, compared and encoded at that speed. The metaclass, the
only one of the package, does three things: it takes the columns out of the class body, it copies in
those of mixins such as ``Timestamps``, and it makes ``User.id`` an expression while ``user.id`` is the
value. The last is a property of the metaclass, of which each model has one of its own: objects are not
looked up there, so they pay nothing for it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import (
    Annotated,
    Any,
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

from oxidite.db.columns import COLUMN, Col, Column, Declared, TableKey, col
from oxidite.db.database import database_of
from oxidite.db.errors import ModelError, RowNotFoundError
from oxidite.db.expressions import Condition, Expr, Order
from oxidite.db.kinds import kind_of, nullable
from oxidite.db.query import Select
from oxidite.db.statements import Insert, Query
from oxidite.db.table import Index, Table

__all__ = ["Model"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(col,))
class ModelType(type(Struct)):  # type: ignore[misc]  # msgspec does not export the class itself
    """Makes models of classes."""

    def __new__(
        mcls: type[ModelType],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        table: str | None = None,
        abstract: bool = False,
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
            {each: property(lambda cls, each=each: cls.__columns__[each]) for each in made_columns},
        )
        for each, (annotation, declared) in columns.items():
            _place(namespace, each, annotation, declared)
        made = super().__new__(
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
                    _set_row,
                    indexes=indexes,
                    database=database,
                ),
            )
        return made


def _declared(
    namespace: Mapping[str, Any], bases: tuple[type, ...], locals_: Mapping[str, Any], where: str
) -> dict[str, tuple[object, Declared]]:
    """Return the columns of a class body and of its mixins: annotation and what ``col`` was told."""
    found: dict[str, tuple[object, Declared]] = {}
    for base in bases:
        if not isinstance(base, ModelType) and base is not Struct:
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


class _State:
    """What an object knows of its row, beside the columns: no response ever has it."""

    __slots__ = ("_peers", "_row")


class Model(_State, Struct, metaclass=ModelType, abstract=True):
    """A row of a table."""

    @classmethod
    def query(cls) -> Select[Self]:
        """All the rows."""
        table: Table = cls.__table__  # type: ignore[attr-defined]  # the metaclass sets it
        return Select(Query(table=table, source=table.key))

    @classmethod
    def where(cls, *conditions: Condition) -> Select[Self]:
        """The rows for which all the conditions hold."""
        return cls.query().where(*conditions)

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
        table: Table = cls.__table__  # type: ignore[attr-defined]  # as above
        found = await cls.where(
            *(column == value for column, value in zip(table.pk, key, strict=True))
        ).all()
        return found[0] if found else None


_set_row = _State._row.__set__  # type: ignore[attr-defined]  # noqa: SLF001 - a slot has it


def _keep(one: Any, row: Any) -> None:
    _set_row(one, row)
