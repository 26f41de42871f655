"""Decoding with msgspec: Structs, dataclasses, TypedDicts, attrs classes, builtins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar, cast

import msgspec

from oxidite.encoding.base import Field
from oxidite.encoding.errors import DecodeError, MismatchError
from oxidite.encoding.explain import explain
from oxidite.encoding.fields import fields_of
from oxidite.encoding.json import from_plain
from oxidite.encoding.text import Reader, read_fields, reader_of, readers_of

__all__ = ["StructCodec"]

T = TypeVar("T")
D = TypeVar("D", bytes, bytes | str)


class StructCodec(Generic[T]):
    """The codec of every type that msgspec knows."""

    def __init__(self, type_: object) -> None:
        self._type = type_
        decoder = cast("msgspec.json.Decoder[T]", msgspec.json.Decoder(type_, dec_hook=from_plain))
        packed = cast(
            "msgspec.msgpack.Decoder[T]", msgspec.msgpack.Decoder(type_, dec_hook=from_plain)
        )
        self._json: Callable[[bytes | str], T] = decoder.decode
        self._msgpack: Callable[[bytes], T] = packed.decode
        # Made when text is first converted: a JSON body never needs them.
        self._readers: Mapping[str, Reader] | None = None
        self._reader: Reader | None = None

    def decode_json(self, data: bytes | str) -> T:
        """Read JSON."""
        try:
            return self._json(data)
        except (ValueError, RecursionError) as exc:
            raise self._failure(exc, msgspec.json.decode, data) from None

    def decode_msgpack(self, data: bytes) -> T:
        """Read MessagePack."""
        try:
            return self._msgpack(data)
        except (ValueError, RecursionError) as exc:
            raise self._failure(exc, msgspec.msgpack.decode, data) from None

    def convert(self, value: object, *, strict: bool = True) -> T:
        """Convert plain values."""
        if not strict:
            value = self._read(value)
        try:
            return cast("T", msgspec.convert(value, self._type, dec_hook=from_plain))
        except msgspec.ValidationError as exc:
            raise MismatchError(explain(value, self._type, strict=True, error=exc)) from None
        except RecursionError:
            raise DecodeError("The data is nested too deeply.") from None

    def _read(self, value: object) -> object:
        if self._readers is None:
            self._readers = readers_of(self.fields() or ())
            self._reader = None if self._readers else reader_of(self._type)
        value = read_fields(value, self._readers)
        return value if self._reader is None else self._reader(value)

    def fields(self) -> tuple[Field, ...] | None:
        """Return the fields of a structured type."""
        return fields_of(self._type)

    def _failure(self, exc: Exception, decode: Callable[[D], object], data: D) -> Exception:
        if isinstance(exc, RecursionError):
            return DecodeError("The data is nested too deeply.")
        if isinstance(exc, UnicodeDecodeError):
            return DecodeError("The data is not valid UTF-8.")
        if not isinstance(exc, msgspec.ValidationError):
            return DecodeError(f"{exc}.")
        try:
            value = decode(data)
        except msgspec.ValidationError:
            value = msgspec.UNSET  # a number that no Python type can hold
        except (ValueError, RecursionError) as other:
            # What did not fit came before the place where it is malformed.
            return self._failure(other, decode, data)
        return MismatchError(explain(value, self._type, strict=True, error=exc))
