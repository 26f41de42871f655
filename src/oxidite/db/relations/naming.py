"""Which model a name means: models may name each other before they are there."""

from __future__ import annotations

import builtins
import re
import weakref
from collections.abc import Mapping
from typing import Any, get_args

from oxidite.db.errors import ModelError

__all__ = ["Later", "all_models", "candidates", "evaluate", "find_model", "register"]

_models: dict[str, list[weakref.ReferenceType[Any]]] = {}
"""All models that have a table, by the name of the class; the newest last."""


class Later:
    """A name that nothing is called yet: ``User``, ``models.User``, ``User | None``, ``Post | Film``."""

    def __init__(self, *options: Any, may_be_none: bool = False) -> None:
        self.options: tuple[Any, ...] = options
        """Names, and classes that are there already."""
        self.may_be_none: bool = may_be_none

    def __or__(self, other: Any) -> Later:
        return self._joined(self.options, other)

    def __ror__(self, other: Any) -> Later:
        return self._joined((), other, self.options)

    def _joined(self, before: tuple[Any, ...], other: Any, after: tuple[Any, ...] = ()) -> Later:
        if other is None:
            return Later(*before, *after, may_be_none=True)
        options = other.options if isinstance(other, Later) else get_args(other) or (other,)
        may_be_none = (
            self.may_be_none or getattr(other, "may_be_none", False) or type(None) in options
        )
        options = tuple(each for each in options if each is not type(None))
        return Later(*before, *options, *after, may_be_none=may_be_none)

    def __getattr__(self, name: str) -> Later:
        if name.startswith("__"):
            raise AttributeError(name)
        return Later(f"{self.options[0]}.{name}")

    def __repr__(self) -> str:
        return " | ".join(map(str, self.options))


class _Names(dict[str, Any]):
    """What names mean in an annotation: one that is not known means a model that comes later."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            return getattr(builtins, name)
        return Later(name)


def evaluate(text: str, globals_: Mapping[str, Any], locals_: Mapping[str, Any]) -> Any:
    """Evaluate an annotation of a class body; names that are not known become ``Later``."""
    return eval(text, {"__builtins__": {}}, _Names({**globals_, **locals_}))  # noqa: S307 - what is in a class body is code


def register(model: type) -> None:
    """Remember a model, so that others can name it."""
    known = [each for each in _models.get(model.__name__, []) if each() is not None]
    _models[model.__name__] = [*known, weakref.ref(model)]


def all_models() -> list[Any]:
    """Return all the models that have a table."""
    return [one for known in _models.values() for each in known if (one := each()) is not None]


def candidates(name: str) -> list[type]:
    """Return the models of that name, the oldest first; a dotted one says the module too."""
    module, _, last = name.rpartition(".")
    found = [one for each in _models.get(last, []) if (one := each()) is not None]
    if module:
        found = [
            one
            for one in found
            if re.search(
                rf"(?:^|\.){re.escape(module)}$", f"{one.__module__}.{_around(one)}".rstrip(".")
            )
            or one.__module__.rpartition(".")[2] == module
        ]
    return found


def find_model(name: str, owner: type, where: str) -> Any:
    """Return the model that ``name`` means for the class ``owner``.

    That is the one defined beside it, else the only one of that name.

    Raises:
        ModelError: there is none, or there are several.
    """
    found = candidates(name)
    for near in (
        [
            one
            for one in found
            if one.__module__ == owner.__module__ and _around(one) == _around(owner)
        ],
        [one for one in found if one.__module__ == owner.__module__],
    ):
        if near:
            return near[
                -1
            ]  # the newest: a class that was defined again took the place of the old one
    places = {one.__module__: one for one in found}
    if len(places) == 1:
        return found[-1]
    if not found:
        raise ModelError(
            f"{where}: there is no model {name!r}. Import the module that defines it before the "
            "first query, or put the name right; it is that of a class with table=."
        )
    raise ModelError(
        f"{where}: {name!r} may be {' or '.join(f'{m}.{o.__qualname__}' for m, o in places.items())}. "
        f"Say which one: {next(iter(places))}.{name}."
    )


def _around(model: type) -> str:
    return model.__qualname__.rpartition(".")[0]
