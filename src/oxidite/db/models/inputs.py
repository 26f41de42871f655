"""The structs that belong to a model: what a client may give, what may be changed, what goes out.

A body never becomes a model: a client would decide on every column, its own rights included. It
becomes ``User.Create`` or ``User.Patch``, or a struct of the program's own with some of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from oxidite.db.errors import ModelError
from oxidite.db.tables.columns import Column
from oxidite.db.values.kinds import VECTOR
from oxidite.db.values.ranges import documented
from oxidite.db.values.vectors import Vector

__all__ = ["computed", "computed_in", "given_values", "input_struct"]

AnyColumn = Column[Any, Any]
R = TypeVar("R")

if TYPE_CHECKING:
    # A property in all that a type checker sees.
    computed = property
else:

    class computed(property):  # noqa: N801 - a decorator, as `property` is
        """A property that is in ``Model.Out``, and so in what ``out`` gives to a response."""


def computed_in(model: type) -> Mapping[str, object]:
    """Return the computed properties of a model and their types."""
    found: dict[str, object] = {}
    for base in reversed(model.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, property) and type(value).__name__ == "computed":
                found[name] = get_type_hints(value.fget, include_extras=True).get("return", Any)
    return found


def input_struct(model: Any, what: str) -> type[Struct]:
    """Return ``Create``, ``Patch`` or ``Out`` of a model, made at its first use."""
    kept: dict[str, type[Struct]] = model.__inputs__
    found = kept.get(what)
    if found is None:
        if "__table__" not in vars(model):
            raise ModelError(f"{model.__name__} is abstract, so it has no {what}.")
        found = kept[what] = msgspec.defstruct(
            f"{model.__name__}{what}",
            list(_FIELDS[what](model)),
            kw_only=True,
            module=model.__module__,
            namespace={"__doc__": _DOCS[what].format(model.__name__)},
        )
    return found


_DOCS = {
    "Create": "What a client may give for a new {}.",
    "Patch": "What a client may change of a {}; what is left out stays.",
    "Out": "What a response shows of a {}.",
}


def _create(model: Any) -> Iterator[tuple[str, Any, Any]]:
    for column in _open_columns(model):
        declared = column.declared
        if declared.default_factory is not None:
            default: Any = msgspec.field(default_factory=declared.default_factory)
        elif declared.default is not UNSET:
            default = msgspec.field(default=declared.default)
        else:
            default = msgspec.field()
        if not (column.rules.get("pk") and declared.default_factory is not None):
            yield column.name, _type(column), default


def _patch(model: Any) -> Iterator[tuple[str, Any, Any]]:
    for column in _open_columns(model):
        if not column.rules.get("pk"):
            yield column.name, _type(column) | UnsetType, msgspec.field(default=UNSET)


def _out(model: Any) -> Iterator[tuple[str, Any]]:
    for column in model.__table__.columns:
        if not column.is_hidden:
            yield column.name, _type(column)
    yield from computed_in(model).items()


_FIELDS: Mapping[str, Callable[[Any], Iterator[Any]]] = {
    "Create": _create,
    "Patch": _patch,
    "Out": _out,
}


def _open_columns(model: Any) -> Iterator[AnyColumn]:
    """Yield the columns that a client may set."""
    for column in model.__table__.columns:
        if _is_settable(column) and not column.is_hidden:
            yield column


def _is_settable(column: AnyColumn) -> bool:
    rules = column.rules
    return column.declared.init and not rules.get("readonly") and not column.is_computed


def _type(column: AnyColumn) -> Any:
    """Return the type of a column's values, with its rules as msgspec checks them."""
    # A client gives the numbers of a vector, each of which can be wrong.
    annotation: Any = list[float] if column.kind is VECTOR else column.kind.type
    annotation = documented(annotation)
    limits = _limits(column)
    if limits:
        annotation = Annotated[annotation, Meta(**limits)]
    comment = column.rules.get("comment")
    if comment:
        annotation = Annotated[annotation, Meta(description=comment)]
    return annotation | None if column.nullable else annotation


def _limits(column: AnyColumn) -> dict[str, Any]:
    """Return the rules that msgspec knows for this type; saving checks all of them anyway."""
    known = _LIMITS.get(column.kind.name, ())
    rules: Mapping[str, Any] = {**column.rules}
    limits = {name: rules[name] for name in known if name in rules}
    if column.kind.name == "datetime":
        limits["tz"] = True
    if column.kind is VECTOR:
        limits |= dict.fromkeys(("min_length", "max_length"), column.dimensions)
    bits = column.rules.get("bits")
    if column.kind.name == "integer" and bits is not None:
        bound = 2 ** (bits - 1)
        if "ge" not in limits and "gt" not in limits:
            limits["ge"] = -bound
        if "le" not in limits and "lt" not in limits:
            limits["le"] = bound - 1
    return limits


_NUMBERS = ("ge", "gt", "le", "lt", "multiple_of")
_LIMITS: Mapping[str, tuple[str, ...]] = {
    "integer": _NUMBERS,
    "float": _NUMBERS,
    "text": ("min_length", "max_length", "pattern"),
    "bytes": ("min_length", "max_length"),
    "array": ("min_length", "max_length"),
}


def given_values(
    model: Any, data: object, more: Mapping[str, object], *, of_row: bool = False
) -> dict[str, object]:
    """Return the values for columns that a struct has, and those that the program adds.

    Raises:
        ModelError: one of them is no column of the model, or none that is taken from a client.
    """
    values = {
        name: _made(model, name, value)
        for name in _taken(model, _class_of(data))
        if (value := getattr(data, name)) is not UNSET
    }
    unknown = [name for name in more if name not in model.__table__.by_name]
    if unknown:
        raise ModelError(_no_column(model, unknown[0]))
    keys = [column.name for column in model.__table__.pk if column.name in values]
    if of_row and keys:
        raise ModelError(
            f"{type(data).__name__} has {keys[0]}, the primary key of {model.__name__}, which a row keeps."
        )
    return {**values, **more}


def _made(model: Any, name: str, value: Any) -> Any:
    """Return a value of a struct as the column has it: a vector is a list of numbers there."""
    is_listed = isinstance(value, list) and model.__table__.by_name[name].kind is VECTOR
    return Vector(value) if is_listed else value


def _class_of(data: object) -> Any:
    return type(data)


@lru_cache(maxsize=1000)
def _taken(model: Any, struct: Any) -> tuple[str, ...]:
    names: tuple[str, ...] | None = getattr(struct, "__struct_fields__", None)
    if names is None:
        raise ModelError(
            f"{struct.__name__} is no msgspec Struct: take {model.__name__}.Create, or a struct that has "
            "some of its columns."
        )
    if struct is model:
        raise ModelError(f"A {model.__name__} is no input: take {model.__name__}.Create.")
    by_name: Mapping[str, AnyColumn] = model.__table__.by_name
    for name in names:
        if name not in by_name:
            raise ModelError(f"{struct.__name__}: {_no_column(model, name)}")
        if not _is_settable(by_name[name]):
            raise ModelError(
                f"{struct.__name__} has {name}, which is not taken from a client. Set it yourself: "
                f"{model.__name__}.create_from(data, {name}=...)."
            )
    return names


def _no_column(model: Any, name: str) -> str:
    close = get_close_matches(name, model.__table__.by_name, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{model.__name__} has no column {name!r}.{hint}"
