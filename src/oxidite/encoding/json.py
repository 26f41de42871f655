"""Values to bytes.

A class that msgspec does not know says with two methods what it is in JSON and MessagePack:
``__plain__()`` returns the value as lists, numbers and the like, and the class method ``__from_plain__(value)``
makes one of that, or raises ``ValueError`` with what a client is told; a generic one is given its type arguments
after the value. ``__plain_schema__`` is its JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import PurePath
from typing import get_args, get_origin

import msgspec

__all__ = ["encode_json", "encode_msgpack", "from_plain", "json_text", "to_plain"]


def _encode_other(value: object) -> object:
    """Encode what msgspec does not know; called by it for those values only."""
    if hasattr(value, "__pydantic_serializer__"):
        return msgspec.Raw(value.model_dump_json(by_alias=True).encode())  # type: ignore[attr-defined]
    return _plain_other(value)


def _plain_other(value: object) -> object:
    if hasattr(value, "__pydantic_serializer__"):
        return value.model_dump(mode="json", by_alias=True)  # type: ignore[attr-defined]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Coroutine):
        value.close()  # or Python would warn of it, too
        name = getattr(value, "__qualname__", "a coroutine").replace("<locals>.", "")
        raise TypeError(f"{name}() was called, but not awaited. Write `await` before the call.")
    kind = type(value)
    plain: Callable[[object], object] | None = getattr(kind, "__plain__", None)
    if plain is not None:
        return plain(value)
    raise TypeError(
        f"{kind.__module__}.{kind.__qualname__} cannot be encoded. Return a Struct, a dataclass, "
        "builtin values, or a Response."
    )


def from_plain(type_: type, value: object) -> object:
    """Make a value of a class that msgspec does not know; called by it for those classes only."""
    make: Callable[..., object] | None = getattr(get_origin(type_) or type_, "__from_plain__", None)
    return value if make is None else make(value, *get_args(type_))


encode_json: Callable[[object], bytes] = msgspec.json.Encoder(enc_hook=_encode_other).encode
"""Encode a value as JSON bytes. Not-a-number and infinities become ``null``."""

encode_msgpack: Callable[[object], bytes] = msgspec.msgpack.Encoder(enc_hook=_plain_other).encode
"""Encode a value as MessagePack bytes."""


def to_plain(value: object) -> object:
    """Return a value made of what JSON has: dicts, lists, text, numbers, booleans and ``None``."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_plain_other)


def json_text(value: object) -> str:
    """Encode a value as indented JSON text, for people."""
    return msgspec.json.format(encode_json(value), indent=2).decode()
