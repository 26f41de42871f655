"""Values as JSON has them, and examples that are what they are examples of."""

from __future__ import annotations

from typing import Any

import msgspec

from oxidite.encoding import codec_for, encode_json
from oxidite.encoding.errors import DecodeError, MismatchError
from oxidite.encoding.fields import fields_of
from oxidite.openapi.base import JSON, OpenAPIError

__all__ = ["check_example", "check_field_examples", "plain"]


def plain(value: object) -> Any:
    """Return a value as JSON has it."""
    return msgspec.json.decode(encode_json(value))


def check_example(type_: object, value: object, where: str) -> Any:
    """Return an example as JSON has it.

    Raises:
        OpenAPIError: it is not of its type.
    """
    try:
        example = encode_json(value)
        codec_for(type_).decode_json(example)
    except MismatchError as exc:
        raise OpenAPIError(f"{where}: the example {value!r} does not fit: {exc.message}") from None
    except (TypeError, DecodeError) as exc:
        raise OpenAPIError(f"{where}: the example {value!r} cannot be used: {exc}") from None
    return msgspec.json.decode(example)


def check_field_examples(cls: object, properties: JSON) -> None:
    """Check the examples of the fields of a class, which stand in their schemas."""
    if not any("examples" in schema for schema in properties.values()):
        return
    name = getattr(cls, "__qualname__", str(cls))
    for field in fields_of(cls) or ():
        for example in properties.get(field.key, {}).get("examples", ()):
            check_example(field.type, example, f"{name}.{field.name}")
