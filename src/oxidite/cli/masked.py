"""Values out of a store as commands show them: decoded, and without their secrets."""

from __future__ import annotations

from typing import Any

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, to_plain
from oxidite.security.redact import MASK, Redactor, is_sensitive

__all__ = ["decoded", "masked"]

_anything: Codec[object] = codec_for(object)


def decoded(data: bytes) -> object:
    """Return what MessagePack says, as plain data; a text that says so if it cannot be read."""
    try:
        return to_plain(_anything.decode_msgpack(data))
    except (DecodeError, MismatchError, TypeError, RecursionError) as exc:
        return f"(cannot be read: {exc})"


def masked(value: object, redactor: Redactor) -> Any:  # Any: whatever JSON has
    """Return plain data with whatever has the name of a secret masked, there and in other texts."""
    if isinstance(value, dict):
        return {name: _masked_field(name, each, redactor) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each, redactor) for each in value]
    return redactor.text(value) if isinstance(value, str) else value


def _masked_field(name: object, value: object, redactor: Redactor) -> object:
    if not is_sensitive(name) or value is None or isinstance(value, bool):
        return masked(value, redactor)
    redactor.learn(value)
    return MASK
