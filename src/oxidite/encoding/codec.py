"""Which codec a type gets."""

from __future__ import annotations

from typing import TypeVar, cast, get_args, overload

from oxidite.encoding.base import Codec
from oxidite.encoding.fields import fields_of
from oxidite.encoding.finite import FiniteCodec, has_decimals
from oxidite.encoding.structs import StructCodec

__all__ = ["Codec", "codec_for"]

T = TypeVar("T")


@overload
def codec_for(type_: type[T], *, finite: bool = False) -> Codec[T]: ...
@overload
def codec_for(type_: object, *, finite: bool = False) -> Codec[object]: ...
def codec_for(type_: object, *, finite: bool = False) -> Codec[object]:
    """Return a codec for ``type_``: a class, or any annotation made of classes.

    With ``finite``, for what clients send, a Decimal that is no finite number is refused.

    Raises:
        TypeError: nothing knows how to decode that type, or a class in it says in ``__no_input__`` why
            it is not to be.
    """
    refuse_output_only(type_)
    if _holds_model(type_):
        from oxidite.encoding.models import ModelCodec

        return ModelCodec(cast("type[object]", type_))
    try:
        codec = StructCodec[object](type_)
    except RecursionError:
        raise TypeError("it contains itself. A Struct may, but not a name of a type") from None
    for field in codec.fields() or ():
        if _holds_model(field.type):
            raise TypeError(
                f"its field {field.name!r} holds a pydantic model, which msgspec cannot make. Make "
                "the whole a pydantic model"
            )
    return FiniteCodec(codec) if finite and has_decimals(type_) else codec


def _holds_model(type_: object) -> bool:
    if hasattr(type_, "__pydantic_core_schema__") or hasattr(type_, "__pydantic_fields__"):
        return True
    return any(_holds_model(argument) for argument in get_args(type_))


def refuse_output_only(type_: object) -> None:
    """Refuse a type that data must never become, at any depth.

    Raises:
        TypeError: it is one, or holds one; the message is what the class says in ``__no_input__``.
    """
    seen: set[int] = set()
    left = [type_]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        reason = getattr(each, "__no_input__", None) if isinstance(each, type) else None
        if reason is not None:
            raise TypeError(reason)
        left += get_args(each)
        left += [field.type for field in fields_of(each) or ()]
