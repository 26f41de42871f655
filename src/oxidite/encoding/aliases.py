"""What a name of a type stands for: ``type Tags = list[str]`` of Python 3.12, at any depth."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

__all__ = ["spelt_out"]


def spelt_out(type_: object) -> object:
    """Return ``type_`` with what its names stand for in their place.

    A name that is part of what it stands for stays there. The value of a name is looked up now.

    Raises:
        NameError: it names something that is not defined, at least not yet.
    """
    return _spelt_out(type_, {}, ())


def _spelt_out(type_: object, given: Mapping[object, object], inside: tuple[object, ...]) -> object:
    if isinstance(type_, TypeVar):
        return given.get(type_, type_)
    origin, arguments = get_origin(type_), get_args(type_)
    alias: Any = next(filter(_is_alias, (origin, type_)), None)  # Python 3.11 has no such class
    if alias is not None and alias not in inside:
        made = [_spelt_out(each, given, inside) for each in arguments]
        named = dict(zip(alias.__type_params__, made, strict=False))
        return _spelt_out(alias.__value__, named, (*inside, alias))
    # What stands in a `Literal` is no type, nor is what stands beside one in `Annotated`.
    if not arguments or origin is Literal or alias is not None:
        return type_
    kept = arguments[1:] if origin is Annotated else ()
    parts = arguments[:1] if origin is Annotated else arguments
    made = [_spelt_out(each, given, inside) for each in parts]
    if all(one is other for one, other in zip(made, parts, strict=True)):
        return type_
    if origin is Annotated:
        return Annotated[(made[0], *kept)]
    if origin is Union or origin is types.UnionType:
        return Union[tuple(made)]  # noqa: UP007 - made at run time
    return cast("Any", origin)[tuple(made)]  # made at run time


def _is_alias(type_: object) -> bool:
    return type(type_).__name__ == "TypeAliasType"
