"""Text of a request, or a list of it, into the type of one parameter."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from oxidite.encoding import MismatchError, Problem
from oxidite.encoding.explain import code_of
from oxidite.encoding.finite import has_decimals, refuse_infinite
from oxidite.encoding.text import reader_of
from oxidite.extract.base import Parameter

__all__ = ["conversion"]


def conversion(parameter: Parameter, type_: object, source: str) -> Callable[[object], object]:
    """Return what turns text, or a list of it, into ``type_``, raising ``MismatchError``.

    Raises:
        RouteError: nothing does, or what is said of the type does not fit it.
    """
    # A one-field struct, because msgspec keeps what it knows of a struct and works it out anew for
    # any other type at every call.
    holder = msgspec.defstruct("Parameter", [("value", type_)])
    try:
        # It looks at the type now; `convert` would only when the first request comes.
        msgspec.json.Decoder(holder)
    except TypeError as exc:
        reason = str(exc).partition("\n")[0].removesuffix(".")
        raise parameter.refuse(f"cannot be read from a {source}: {reason}.") from None
    convert = msgspec.convert
    read = reader_of(type_)

    def convert_text(raw: object) -> object:
        value = raw if read is None else read(raw)
        try:
            return convert({"value": value}, holder).value  # type: ignore[attr-defined]
        except msgspec.ValidationError as exc:
            message = _reason(raw, holder, exc).partition(" - at `")[0]
            raise MismatchError([Problem("", f"{message}.", code_of(message))]) from None

    if not has_decimals(type_):
        return convert_text
    return lambda raw: refuse_infinite(convert_text(raw))


def _reason(raw: object, holder: type[object], error: msgspec.ValidationError) -> str:
    # msgspec knows more of text that is no number when it has tried to read it as one.
    try:
        msgspec.convert({"value": raw}, holder, strict=False)
    except msgspec.ValidationError as exc:
        return str(exc)
    return str(error)
