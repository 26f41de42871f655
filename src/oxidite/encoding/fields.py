"""The fields of a structured type, whichever library made it."""

from __future__ import annotations

import dataclasses
from typing import (
    Annotated,
    NotRequired,
    Required,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec

from oxidite.encoding.aliases import spelt_out
from oxidite.encoding.base import Field

__all__ = ["fields_of"]


def fields_of(type_: object) -> tuple[Field, ...] | None:
    """Return the fields of a Struct, dataclass, TypedDict or attrs class; ``None`` for others."""
    if get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    origin = getattr(type_, "__origin__", type_)
    if not isinstance(origin, type):
        return None
    if issubclass(origin, msgspec.Struct):
        return tuple(
            Field(field.name, field.encode_name, spelt_out(field.type), field.required)
            for field in msgspec.structs.fields(cast("type[msgspec.Struct]", type_))
        )
    if is_typeddict(origin):
        hints = get_type_hints(origin, include_extras=True)
        required: frozenset[str] = getattr(origin, "__required_keys__", frozenset())
        return tuple(_key(name, hint, required=name in required) for name, hint in hints.items())
    if dataclasses.is_dataclass(origin):
        hints = get_type_hints(origin, include_extras=True)
        return tuple(
            Field(
                f.name, f.name, spelt_out(hints[f.name]), _is_required(f.default, f.default_factory)
            )
            for f in dataclasses.fields(origin)
            if f.init
        )
    if hasattr(origin, "__attrs_attrs__"):
        return _attrs_fields(origin)
    return None


def _key(name: str, hint: object, *, required: bool) -> Field:
    # `__required_keys__` knows nothing of a NotRequired that stood there as text.
    if get_origin(hint) in (Required, NotRequired):
        required = get_origin(hint) is Required
        hint = get_args(hint)[0]
    return Field(name, name, spelt_out(hint), required)


def _is_required(default: object, factory: object) -> bool:
    return default is dataclasses.MISSING and factory is dataclasses.MISSING


def _attrs_fields(cls: type) -> tuple[Field, ...]:
    import attrs

    hints = get_type_hints(cls, include_extras=True)
    return tuple(
        Field(
            field.name,
            field.name,
            spelt_out(hints.get(field.name, object)),
            field.default is attrs.NOTHING,
        )
        for field in attrs.fields(cls)
        if field.init
    )
