"""Decoding with pydantic, for types that hold a pydantic model. Imported only for those."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
import pydantic  # noqa: TID253 - this module is imported only when an application uses pydantic
from pydantic.fields import FieldInfo  # noqa: TID253 - as above
from pydantic_core import ErrorDetails

from oxidite.encoding.base import Field
from oxidite.encoding.errors import DecodeError, MismatchError, Problem
from oxidite.encoding.explain import MAX_PROBLEMS, pointer_of

__all__ = ["ModelCodec"]

T = TypeVar("T")

_MAX_LISTED = 10_000

_CODES = {"missing": "missing", "extra_forbidden": "unknown"}


class ModelCodec(Generic[T]):
    """The codec of a pydantic model, or of a type made of some."""

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._adapter = pydantic.TypeAdapter(type_)

    def decode_json(self, data: bytes | str) -> T:
        """Read JSON."""
        try:
            # What JSON is, is decided in one place: pydantic would let NaN pass.
            msgspec.json.decode(data, type=msgspec.Raw)
            return self._adapter.validate_json(data)
        except pydantic.ValidationError as exc:
            raise _translated(exc, _plain(data)) from None
        except (msgspec.DecodeError, RecursionError) as exc:
            raise _malformed(exc) from None

    def decode_msgpack(self, data: bytes) -> T:
        """Read MessagePack."""
        try:
            plain = msgspec.msgpack.decode(data)
        except (ValueError, RecursionError) as exc:
            raise _malformed(exc) from None
        return self.convert(plain)

    def convert(self, value: object, *, strict: bool = True) -> T:
        """Convert plain values; pydantic's own configuration decides how lax it is."""
        try:
            return self._adapter.validate_python(value)
        except pydantic.ValidationError as exc:
            raise _translated(exc, value) from None

    def fields(self) -> tuple[Field, ...] | None:
        """Return the fields of a model; ``None`` for a type that is not one."""
        if not (isinstance(self._type, type) and issubclass(self._type, pydantic.BaseModel)):
            return None
        return tuple(
            Field(name, _key_of(name, info), info.annotation, info.is_required())
            for name, info in self._type.model_fields.items()
        )


def _key_of(name: str, info: FieldInfo) -> str:
    return info.validation_alias if isinstance(info.validation_alias, str) else name


def _malformed(error: Exception) -> DecodeError:
    if isinstance(error, RecursionError):
        return DecodeError("The data is nested too deeply.")
    return DecodeError(f"{error}.")


def _plain(data: bytes | str) -> object:
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return msgspec.UNSET  # such as a number no Python type can hold


def _translated(error: pydantic.ValidationError, value: object) -> DecodeError | MismatchError:
    count = error.error_count()
    if count > _MAX_LISTED:
        # pydantic lists all or none, and a hostile body has hundreds of thousands.
        return MismatchError([Problem("", f"There are {count} problems, too many to list.")])
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return DecodeError(f"{found[0]['msg']}.")
    return MismatchError(
        Problem(_pointer(each, value), f"{each['msg']}.", _code_of(each["type"]))
        for each in found[:MAX_PROBLEMS]
    )


def _pointer(error: ErrorDetails, value: object) -> str:
    """Follow the steps that are places in ``value``; others name the member of a union that failed."""
    steps = error["loc"]
    if value is msgspec.UNSET:
        return pointer_of(*steps)
    keys = []
    for step in steps:
        try:
            value = value[step]  # type: ignore[index]  # tried
        except (TypeError, LookupError):
            continue
        keys.append(step)
    return pointer_of(*keys, *(steps[-1:] if error["type"] == "missing" else ()))


def _code_of(kind: str) -> str:
    if kind.endswith(("_type", "_parsing")):
        return "type"
    return _CODES.get(kind, "constraint")
