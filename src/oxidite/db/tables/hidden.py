"""Hidden columns: values that an object has and its struct has not.

What msgspec encodes, prints and compares are the fields of a struct. A hidden column is none: its value
lies beside them, where the program finds it as ``user.password`` and nothing else does. So no response,
log line, job or cache entry can have it by accident, and a model without hidden columns pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from oxidite.db.tables.columns import Column
from oxidite.db.tables.state import keep_hidden

__all__ = ["BlindIndex", "HiddenValue", "construct", "maker", "reduce"]

AnyColumn = Column[Any, Any]
_construct: Callable[..., Any] = type(Struct).__call__


class HiddenValue:
    """The value of a hidden column on an object."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: str = name

    def __get__(self, one: Any, owner: type) -> Any:
        if one is None:
            return self
        return getattr(one, "_hidden", _NOTHING).get(self.name, UNSET)

    def __set__(self, one: Any, value: object) -> None:
        found = getattr(one, "_hidden", None)
        if found is None:
            keep_hidden(one, {self.name: value})
        else:
            found[self.name] = value


_NOTHING: Mapping[str, Any] = {}


class BlindIndex:
    """The blind index of an encrypted column: its value is the other's, until it is bound."""

    __slots__ = ("of",)

    def __init__(self, of: str) -> None:
        self.of: str = of

    def __get__(self, one: Any, owner: type) -> Any:
        return self if one is None else getattr(one, self.of)

    def __set__(self, one: Any, value: object) -> None:
        """What is in the database was made of the other column."""


def construct(cls: Any, **values: Any) -> Any:
    """Make an object of a model with hidden columns: the ``__call__`` of its metaclass."""
    hidden: dict[str, Any] = {}
    missing: list[str] = []
    for name, declared in cls.__hidden__.items():
        if name in values and declared.init:
            hidden[name] = values.pop(name)
        elif declared.default_factory is not None:
            hidden[name] = declared.default_factory()
        elif declared.default is not UNSET or not declared.init:
            hidden[name] = declared.default
        else:
            missing.append(name)
    made = _construct(cls, **values)
    if missing:
        raise TypeError(f"Missing required argument {missing[0]!r}")
    keep_hidden(made, hidden)
    return made


def reduce(one: Any) -> Any:
    """Pickle an object without what is hidden: its ``__reduce__``."""
    return _unpickled, (type(one), msgspec.structs.asdict(one))


def _unpickled(cls: Any, values: Mapping[str, Any]) -> Any:
    return _construct(cls, **values)


def maker(model: Any, columns: Iterable[AnyColumn]) -> Callable[..., Any]:
    """Return what makes objects out of the values of a row, by the names of the columns."""
    if not model.__hidden__:
        found: Callable[..., Any] = model
        return found
    names = [column.name for column in columns]
    fields = ", ".join(f"{name}={name}" for name in names if name in model.__struct_fields__)
    hidden = ", ".join(f"{name!r}: {name}" for name in names if name in model.__hidden__)
    source = f"""
def make(*, {", ".join(names)}):
    one = construct({fields})
    keep_hidden(one, {{{hidden}}})
    return one
"""
    # PERF: written out, as the readers of rows are (plan.py); names come from class bodies.
    namespace: dict[str, Any] = {
        "construct": partial(_construct, model),
        "keep_hidden": keep_hidden,
    }
    exec(source, namespace)  # noqa: S102 - see above
    made: Callable[..., Any] = namespace["make"]
    return made
