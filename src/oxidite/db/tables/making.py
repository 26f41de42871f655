"""Objects of a model made of values in the order of its fields, faster than by their names.

A model takes its values by name. Before Python 3.12 a call with names packs them into a dictionary where
the class has a metaclass of Python, and the struct unpacks it again: that is most of what it costs to make
an object. So rows are read into a twin of the model, a struct with the same fields in the same memory that
takes them by place, and each object is then told its class.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import force_setattr

from oxidite.db.tables.table import Table

__all__ = ["TWIN", "twin_of"]

TWIN = "__is_twin__"
"""Marks a twin among the subclasses of its bases."""
_made: Any = type(Struct).__new__
_is_slow = sys.version_info < (3, 12)


def twin_of(table: Table) -> Any:
    """Return the twin of a table's model; ``None`` where there is no use for one, or it cannot be made."""
    model: Any = table.model
    is_plain = table.make is table.model  # there are no hidden columns
    if not _is_slow or not is_plain or _is_told(model):
        return None
    config = model.__struct_config__
    if config.dict or any(
        default is not UNSET
        for name, default in zip(model.__struct_fields__, _defaults(model), strict=True)
        if name not in table.by_name
    ):
        return None
    namespace = {
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__annotations__": dict.fromkeys(model.__struct_fields__, object),
        TWIN: True,
        **dict.fromkeys(_last(model, table), UNSET),
    }
    try:
        twin: Any = _made(
            type(model),
            model.__name__,
            model.__bases__,
            namespace,
            kw_only=False,
            eq=False,
            weakref=True,
            gc=config.gc,
        )
        return twin if _fits(twin, model) else None
    except TypeError:  # the memory of the two is not the same
        return None


def _last(model: Any, table: Table) -> tuple[str, ...]:
    """Return the fields that are no columns where they are the last: those may be left out of a call."""
    names: tuple[str, ...] = model.__struct_fields__
    columns = len(table.columns)
    return names[columns:] if table.by_name.keys() == set(names[:columns]) else ()


def _is_told(model: Any) -> bool:
    """Tell whether a program has a part in it when the class, or an object of it, is made."""
    words = {"__post_init__", "__init_subclass__"}
    return any(words & vars(each).keys() for each in model.__mro__ if each is not object)


def _defaults(model: Any) -> tuple[Any, ...]:
    """Return the default of each field; those without one come first, and are left out by msgspec."""
    found: tuple[Any, ...] = model.__struct_defaults__
    return (msgspec.NODEFAULT,) * (len(model.__struct_fields__) - len(found)) + found


def _fits(twin: Any, model: Any) -> bool:
    """Tell whether what is given by place arrives in the field of that place."""
    values = tuple(range(len(model.__struct_fields__)))
    one = twin(*values)
    force_setattr(one, "__class__", model)
    return type(one) is model and msgspec.structs.astuple(one) == values
