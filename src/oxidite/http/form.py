"""Forms: URL-encoded and multipart (RFC 7578) bodies, read whole.

Text is UTF-8 or refused; limits are checked before a byte is kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeAlias, TypeVar, overload

from oxidite.http.limits import (
    FileRule,
    FormLimits,
    InvalidFormError,
    field_too_large,
    fields_too_large,
    too_many,
)
from oxidite.http.multipart import Part, Parts
from oxidite.http.spool import Spool, Upload
from oxidite.http.url import decode_pairs

__all__ = ["FormData", "FormValue", "parse_multipart", "parse_urlencoded"]

T = TypeVar("T")

FormValue: TypeAlias = str | Upload
"""What a form holds under a name: the text of a field, or a file."""


class FormData(Mapping[str, FormValue]):
    """The fields and files of a form, by name, in the order they came.

    ``form["x"]`` is the first value of a repeated name, ``get_all`` gives every one. As a mapping
    it has each name once; ``multi_items`` has everything. Close it (``aclose``, or ``async with``)
    to free the files.
    """

    __slots__ = ("_first", "_pairs", "_spool")
    _pairs: tuple[tuple[str, FormValue], ...]
    _first: dict[str, FormValue]
    _spool: Spool | None

    def __init__(
        self, pairs: Iterable[tuple[str, FormValue]] = (), *, spool: Spool | None = None
    ) -> None:
        self._pairs = tuple(pairs)
        self._first = dict(reversed(self._pairs))
        self._spool = spool

    def __getitem__(self, name: str) -> FormValue:
        return self._first[name]

    @overload
    def get(self, name: str, /) -> FormValue | None: ...
    @overload
    def get(self, name: str, default: FormValue, /) -> FormValue: ...
    @overload
    def get(self, name: str, default: T, /) -> FormValue | T: ...
    def get(self, name: str, default: object = None, /) -> object:
        """Return the first value of ``name``, or ``default``."""
        return self._first.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))  # in the order of first appearance

    def __len__(self) -> int:
        return len(self._first)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def get_all(self, name: str) -> list[FormValue]:
        """Return every value of ``name``, in order; an empty list without one."""
        return [value for key, value in self._pairs if key == name]

    def multi_items(self) -> list[tuple[str, FormValue]]:
        """Return everything in order, repeated names included."""
        return list(self._pairs)

    def fields(self) -> list[tuple[str, str]]:
        """Return what is not a file, in order, repeated names included."""
        return [(name, value) for name, value in self._pairs if isinstance(value, str)]

    def files(self) -> list[tuple[str, Upload]]:
        """Return the files in order, repeated names included."""
        return [(name, value) for name, value in self._pairs if isinstance(value, Upload)]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FormData):
            return self._pairs == other._pairs
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._pairs)

    async def aclose(self) -> None:
        """Close all files; may be called again."""
        if self._spool is not None:
            await self._spool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # Only names: values carry passwords, and a repr ends in logs.
        return f"FormData({', '.join(self)})"


def parse_urlencoded(body: bytes, limits: FormLimits | None = None) -> FormData:
    """Read an ``application/x-www-form-urlencoded`` body, as UTF-8 whatever ``_charset_`` says.

    Raises:
        InvalidFormError: it is not UTF-8, has NUL, or a ``%`` without two hexadecimal digits.
        FormLimitError: it has more fields or bytes than ``limits`` allow.
    """
    limits = limits or FormLimits()
    if len(body) > limits.max_fields_total:
        raise fields_too_large(limits)
    if body.count(b"&") >= limits.max_fields:
        raise too_many("fields", limits.max_fields)
    try:
        pairs = decode_pairs(body.decode(), max_fields=limits.max_fields)
    except UnicodeDecodeError:
        raise InvalidFormError("The form is not valid: it is not UTF-8.") from None
    except ValueError as exc:
        raise InvalidFormError(f"The form is not valid: {exc}.") from None
    for name, value in pairs:
        if len(value.encode()) > limits.max_field_size:
            raise field_too_large(name, limits)
    return FormData(pairs)


async def parse_multipart(
    content_type: str,
    chunks: AsyncIterable[bytes],
    limits: FormLimits | None = None,
    *,
    files: Mapping[str, FileRule] | None = None,
) -> FormData:
    """Read a ``multipart/form-data`` body as it arrives; close the result when it is used up.

    ``files`` has the rules for the files of a field, by its name.

    Raises:
        InvalidFormError: it is malformed, ends early, has no usable boundary, or text that is not
            UTF-8.
        FormLimitError: it has more of something than ``limits`` allow. The rest is not read.
        UnsupportedFileError: a file is not of a type that its rule has. The rest is not read.
        UnsupportedMediaTypeError: ``content_type`` is another type.
        InsufficientStorageError: there is no room for its files.
    """
    limits = limits or FormLimits()
    parts = Parts(content_type, chunks, limits, files=files)
    spool = Spool(limits.spool_size)
    try:
        pairs = [(part.name, await _kept(part, spool)) async for part in parts]
        await spool.settle()
    except BaseException:
        await spool.aclose()
        raise
    return FormData(pairs, spool=spool)


async def _kept(part: Part, spool: Spool) -> FormValue:
    if part.raw_filename is None:
        return await part.text()
    upload = Upload(
        spool,
        raw_filename=part.raw_filename,
        content_type=part.content_type,
        sniffed=part.sniffed,
    )
    async for chunk in part:
        await spool.write(chunk)
        upload.size += len(chunk)
    return upload
