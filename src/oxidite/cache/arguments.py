"""Arguments of a call as part of a key: readable, and the same in every process."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from msgspec import Struct

from oxidite.encoding.fields import fields_of

__all__ = ["ArgumentKeys"]

_TEXTS: dict[type[object], Callable[[object], str]] = {
    int: str,
    str: repr,
    bool: repr,
    type(None): repr,
    float: repr,
    bytes: repr,
    Decimal: repr,
    UUID: str,
    date: str,
    datetime: lambda value: value.isoformat(),  # type: ignore[attr-defined]  # as the key says
    time: str,
    timedelta: repr,
}


class ArgumentKeys:
    """Writes the arguments of a function: what is left out is its default, whoever names it or not."""

    def __init__(self, function: Callable[..., object], name: str) -> None:
        self._name = name
        self._signature = inspect.signature(function)
        parameters = self._signature.parameters.values()
        plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self._count = len(parameters) if all(each.kind in plain for each in parameters) else None

    def text(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> str:
        """Return the arguments as text; different ones never as the same.

        Raises:
            TypeError: one cannot be written, or the function does not take them.
        """
        # PERF: most calls name nothing and leave nothing out; benchmark `cache`.
        if not kwargs and len(args) == self._count:
            if len(args) == 1 and (type(args[0]) is int or type(args[0]) is str):
                return repr(args[0])
            texts = [
                writer(value) if (writer := _TEXTS.get(type(value))) else None for value in args
            ]
            if None not in texts:
                return ",".join(texts)  # type: ignore[arg-type]  # None of them is None
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return ",".join(self._text(name, value) for name, value in bound.arguments.items())

    def _text(self, parameter: str, value: object) -> str:
        try:
            return _text(value)
        except TypeError as exc:
            raise TypeError(
                f"{self._name}: the argument {parameter!r} cannot be part of a key, as {exc}. Give "
                "key=, a function of the arguments that returns the text to tell calls apart by."
            ) from None


def _text(value: object) -> str:
    writer = _TEXTS.get(type(value))
    if writer is not None:
        return writer(value)
    if isinstance(value, Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, list | tuple):
        return f"({','.join(map(_text, value))})"
    if isinstance(value, set | frozenset):
        return f"{{{','.join(sorted(map(_text, value)))}}}"
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{_text(k)}:{_text(v)}' for k, v in value.items()))}}}"
    return _text_of_object(value)


def _text_of_object(value: object) -> str:
    cls = type(value)
    for base in cls.__mro__[1:-1]:
        if base in _TEXTS:  # such as a class UserId(int)
            return f"{cls.__qualname__}({_plain(base, value)})"
    if not (isinstance(value, Struct) or is_dataclass(value)):
        raise TypeError(f"{cls.__module__}.{cls.__qualname__} is neither plain data nor made of it")
    fields = fields_of(cls) or ()
    shown = ",".join(f"{each.name}={_text(getattr(value, each.name))}" for each in fields)
    return f"{cls.__qualname__}({shown})"


def _plain(
    base: Any, value: object
) -> str:  # Any: a class whose `__repr__` takes more than a type says
    text: str = base.__repr__(value)
    return text
