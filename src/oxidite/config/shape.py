"""What a settings class looks like: its fields, their types and defaults, which of them nest."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final, TypeGuard, Union, get_args, get_origin, get_type_hints

import msgspec

from oxidite.config.secret import Secret
from oxidite.errors import ConfigError

_MISSING: Final = object()

SECRET_NAME = re.compile(
    r"(?:^|_)(?:secret|password|passwd|passphrase|token|credential|(?:secret|api|private|access|signing"
    r"|encryption)_?key)s?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a settings class; ``kind`` is its type as it was written."""

    name: str
    kind: object
    _default: object = _MISSING
    _factory: Callable[[], object] | None = None

    @property
    def is_required(self) -> bool:
        """Whether the class has no default for it."""
        return self._default is _MISSING and self._factory is None

    def default(self) -> object:
        """Return its default; a required field has none."""
        return self._factory() if self._factory else self._default


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field that holds a value and not a group of fields, with the way to it from the top."""

    path: tuple[str, ...]
    field: Field
    is_secret: bool


def unwrap(kind: object) -> tuple[object, tuple[object, ...]]:
    """Return the type inside ``Annotated``, ``NewType`` and ``type`` aliases, and its notes."""
    notes: tuple[object, ...] = ()
    while True:
        if get_origin(kind) is Annotated:
            kind, *more = get_args(kind)
            notes = (*more, *notes)
        elif (
            inner := getattr(kind, "__supertype__", getattr(kind, "__value__", None))
        ) is not None:
            kind = inner
        else:
            return kind, notes


def union_arms(kind: object) -> tuple[object, ...]:
    """Return the types of a union, ``None`` included; nothing for any other type."""
    return get_args(kind) if get_origin(kind) in {Union, types.UnionType} else ()


def is_settings(kind: object) -> TypeGuard[type[object]]:
    """Tell whether ``kind`` is a class of fields: a dataclass or a ``Struct``."""
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct)
    )


def group_of(kind: object) -> type[object] | None:
    """Return the settings class that ``kind`` is, or may be besides ``None``."""
    base, _ = unwrap(kind)
    arms = [arm for arm in union_arms(base) if arm is not types.NoneType] or [base]
    only, _ = unwrap(arms[0])
    return only if len(arms) == 1 and is_settings(only) else None


def fields_of(cls: type[object]) -> tuple[Field, ...]:
    """Return what the constructor of ``cls`` takes.

    Raises:
        ConfigError: ``cls`` is no settings class, or a type in it cannot be resolved.
    """
    if not is_settings(cls):
        raise ConfigError(f"Settings are a dataclass or a Struct; {cls!r} is neither.")
    try:
        hints = get_type_hints(cls, include_extras=True)
    except (NameError, TypeError) as exc:
        raise ConfigError(
            f"The types of {cls.__qualname__} cannot be resolved: {exc}. "
            "Define it and the types of its fields at the top level of a module."
        ) from exc
    if issubclass(cls, msgspec.Struct):
        return tuple(
            _field(each.name, hints, each.default, each.default_factory)
            for each in msgspec.structs.fields(cls)
        )
    return tuple(
        _field(each.name, hints, each.default, each.default_factory)
        for each in dataclasses.fields(cls)  # type: ignore[arg-type]  # is_settings: it is one
        if each.init
    )


def _field(name: str, hints: dict[str, object], default: object, factory: object) -> Field:
    absent: tuple[object, ...] = (dataclasses.MISSING, msgspec.NODEFAULT)
    return Field(
        name,
        hints[name],
        _MISSING if default in absent else default,
        factory if callable(factory) and factory not in absent else None,
    )


def leaves(
    cls: type[object], path: tuple[str, ...] = (), around: tuple[type[object], ...] = ()
) -> Iterator[Leaf]:
    """Yield the fields that hold values, in order, those of groups included.

    A group inside itself is a value: it cannot be spelt out.
    """
    for field in fields_of(cls):
        group = group_of(field.kind)
        here = (*path, field.name)
        if group is None or group is cls or group in around:
            yield Leaf(here, field, holds_secret(field.name, field.kind))
        else:
            yield from leaves(group, here, (*around, cls))


def holds_secret(name: str, kind: object, around: tuple[object, ...] = ()) -> bool:
    """Tell whether a value must not be shown: by its type, or by what it is called."""
    if SECRET_NAME.search(name):
        return True
    base, _ = unwrap(kind)
    if base is Secret or get_origin(base) is Secret:
        return True
    if is_settings(base) and base not in around:
        inside = (*around, base)
        return any(holds_secret(each.name, each.kind, inside) for each in fields_of(base))
    return any(holds_secret("", arm, around) for arm in get_args(base))
