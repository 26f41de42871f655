"""What makes models of classes: the only metaclass of the package.

It does three things: it takes the columns out of the class body, it copies in those of mixins such as
``Timestamps``, and it makes ``User.id`` an expression while ``user.id`` is the value. The last is a
property of the metaclass, of which each model has one of its own: objects are not looked up there, so
they pay nothing for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, dataclass_transform

from msgspec import Struct

from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Condition
from oxidite.db.models.declaration import (
    blind_indexes,
    declared_columns,
    hidden_columns,
    inherited_columns,
    inherited_options,
    made_column,
    place_column,
)
from oxidite.db.models.history import History
from oxidite.db.models.hooks import Hooks
from oxidite.db.models.inputs import input_struct
from oxidite.db.relations.declare import rel
from oxidite.db.relations.install import declare_relations, install_relations
from oxidite.db.rules.validators import validators_in
from oxidite.db.statements.aliases import Alias
from oxidite.db.tables.columns import Column, Declared, TableKey, col
from oxidite.db.tables.hidden import BlindIndex, construct, maker, reduce
from oxidite.db.tables.history import declare, history_of
from oxidite.db.tables.mixins import SoftDeletes, Version
from oxidite.db.tables.state import keep_row
from oxidite.db.tables.table import Check, Index, Table

__all__ = ["ModelStruct", "ModelType", "Scope"]

Scope: TypeAlias = Callable[[Any], Condition]
"""Makes, of the model, the condition that holds for the rows that may be seen now."""


if TYPE_CHECKING:
    # What a type checker is to know of a Struct is said here: its own constructor is another one.
    _StructType = type

    class ModelStruct:
        __slots__ = ()

else:
    _StructType = type(Struct)
    ModelStruct = Struct


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(col, rel))
class ModelType(_StructType):
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
        checks: Sequence[Check] = (),
        scope: Scope | None = None,
        prune_after: timedelta | None = None,
        prune_by: str | None = None,
        prune_history_after: timedelta | None = None,
        **options: Any,
    ) -> ModelType:
        where = f"{namespace.get('__module__', '')}.{namespace.get('__qualname__', name)}"
        locals_ = dict(sys._getframe(1).f_locals)  # noqa: SLF001 - where a type may be defined
        related = declare_relations(namespace, bases, locals_, where)
        if table is None and not abstract:
            raise ModelError(
                f'{where} says nothing of its table: class {name}(..., table="..."), or abstract=True.'
            )
        declared = declared_columns(namespace, bases, locals_, where)
        key = TableKey(table or "")
        own_columns = {
            each: made_column(key, each, annotation, told, where)
            for each, (annotation, told) in declared.items()
        }
        blind = blind_indexes(own_columns)
        columns = inherited_columns(bases, key) | own_columns
        hidden = hidden_columns(columns, bases, where)
        own = type.__new__(
            type,
            f"{name}Type",
            (mcls,),
            {each: property(partial(_column_of, name=each)) for each in own_columns}
            | ({"__call__": construct} if hidden else {}),
        )
        for each, (annotation, told) in declared.items():
            place_column(namespace, each, annotation, told, is_hidden=each in hidden)
        namespace |= {each: BlindIndex(of) for each, of in blind.items()}
        if hidden:
            namespace.setdefault("__reduce__", reduce)
        made: Any = super().__new__(
            own, name, bases, namespace, kw_only=True, eq=False, weakref=True, **options
        )
        _describe(made, bases, namespace, columns, hidden)
        own_options = {
            "indexes": indexes,
            "checks": checks,
            "database": database,
            "scope": scope,
            "prune_after": prune_after,
            "prune_by": prune_by,
            "prune_history_after": prune_history_after,
        }
        said = inherited_options(bases, own_options)
        type.__setattr__(made, "__options__", said)
        if table is not None:
            type.__setattr__(made, "__table__", _table(made, key, said))
        install_relations(made, related)
        found: ModelType = made
        return found

    if not TYPE_CHECKING:
        # What a type checker is to know of them is said in `Model`.

        Create = property(partial(input_struct, what="Create"))
        Patch = property(partial(input_struct, what="Patch"))
        Out = property(partial(input_struct, what="Out"))


def _table(made: Any, key: TableKey, options: Mapping[str, Any]) -> Table:
    columns = tuple(made.__columns__.values())
    table = Table(
        key,
        columns,
        maker(made, columns),
        keep_row,
        soft_deletes=_marked(made, SoftDeletes, "deleted_at"),
        version=_marked(made, Version, "version"),
        model=made,
        renamed=Alias,
        **options,
    )
    if issubclass(made, History):
        table.history = _history_of(table)
    elif table.prune_history_after is not None:
        raise ModelError(
            f"{table!r}: prune_history_after= is of a model with a History: class {made.__name__}(Model, "
            "History, ...)."
        )
    declare(table)
    return table


def _history_of(table: Table) -> Table:
    taken = sorted({"as_of", "history", "revert_to"} & table.by_name.keys())
    if taken:
        raise ModelError(
            f"{table!r}: {taken[0]}: a model with a History has {taken[0]} of its own. Call it "
            f"otherwise, and keep the name in the database: col(name={taken[0]!r})."
        )
    return history_of(table)


def _describe(
    made: Any,
    bases: tuple[type, ...],
    namespace: Mapping[str, Any],
    columns: Mapping[str, Column[Any, Any]],
    hidden: Mapping[str, Declared],
) -> None:
    """Note on a model what the rest of the package asks of it."""
    validators: dict[str, tuple[str, ...]] = {}
    for base in reversed(bases):
        # Those of plain mixins too.
        validators |= getattr(base, "__validators__", None) or validators_in(vars(base))
    facts: dict[str, object] = {
        "__columns__": columns,
        "__hidden__": hidden,
        "__validators__": {**validators, **validators_in(namespace)},
        "__inputs__": {},
        "__hooks__": Hooks(made),
        "__no_input__": _NO_INPUT.format(made.__name__),
    }
    for name, value in facts.items():
        type.__setattr__(made, name, value)


_NO_INPUT = (
    "{0} is a model, and a client must not decide on all of its columns. Take Json[{0}.Create], "
    "Json[{0}.Patch] or a Struct with the fields that it may give, and {0}.create_from(data)"
)


def _column_of(model: Any, *, name: str) -> Column[Any, Any]:
    found: Column[Any, Any] = model.__columns__[name]
    return found


def _marked(made: Any, mixin: type, name: str) -> Column[Any, Any] | None:
    column: Column[Any, Any] | None = made.__columns__.get(name)
    return column if issubclass(made, mixin) else None
