"""Forms: URL-encoded and multipart (RFC 7578) bodies, and the files that come with them.

The bytes of all files of one form lie one after the other in one place: memory at first, and one
temporary file when they outgrow it. So a form costs a bounded amount of memory and one file
descriptor, however many files it has. Text is UTF-8 or refused; limits are checked before a byte
is kept.
"""
# The parser's package has no marker file for type checkers.
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import asyncio
import copy
import os
import re
import secrets
import tempfile
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeAlias, TypeVar, overload

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from oxidite.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from oxidite.http.negotiation import parse_content_type
from oxidite.http.url import decode_pairs

__all__ = [
    "FormData",
    "FormLimits",
    "FormValue",
    "InvalidFormError",
    "Spool",
    "Upload",
    "parse_multipart",
    "parse_urlencoded",
    "safe_filename",
]

T = TypeVar("T")

_BLOCK = 64 * 1024  # bytes per read or write of a file
_MAX_EPILOGUE = 1024  # bytes after the last boundary; what is well-formed has two
_MAX_FILENAME = 200  # bytes; file systems take 255, and names get prefixes

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_RESERVED = str.maketrans(dict.fromkeys('<>:"|?*', "_"))  # on Windows, and in shells
_DEVICE = re.compile(r"(?i:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\..*)?")


class InvalidFormError(BadRequestError):
    """The form in the request body is not valid."""

    code = "invalid_form"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """What a form may have; sizes are in bytes.

    ``max_field_size`` is for each field that is not a file, ``max_fields_total`` for all of them
    with their names. ``max_file_size`` is for each file; without one only the limit of the body
    counts. ``max_header_size`` and ``max_headers`` are for the header of one part. Files take
    ``spool_size`` bytes of memory together; what is more goes to a temporary file.
    """

    max_fields: int = 1000
    max_files: int = 100
    max_field_size: int = 1024 * 1024
    max_fields_total: int = 2 * 1024 * 1024
    max_file_size: int | None = None
    max_header_size: int = 4096
    max_headers: int = 8
    spool_size: int = 1024 * 1024


_DEFAULT_LIMITS = FormLimits()


class Spool:
    """The bytes of all files of a form: in memory, or in one temporary file.

    Writing is for the parser, one at a time; reading is for any thread.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._buffer = bytearray()  # what is not in the file yet
        self._file: IO[bytes] | None = None
        self._file_size = 0
        self._closed = False
        # Closing may meet a read or write that its caller has abandoned, still running in a thread.
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file_size + len(self._buffer)

    @property
    def on_disk(self) -> bool:
        """Whether reading touches a file, so that it belongs in a thread."""
        return self._file is not None

    def write(self, data: bytes) -> None:
        """Append ``data``, in memory; ``settle`` before much more comes."""
        self._buffer += data

    async def settle(self, *, last: bool = False) -> None:
        """Move what is too much for the memory to the file; ``last`` leaves nothing in between."""
        allowed = self._memory if self._file is None else 0 if last else _BLOCK
        if len(self._buffer) > allowed:
            await asyncio.to_thread(self._flush)

    def _flush(self) -> None:
        with self._lock:
            self._check_open()
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `aclose` closes it
            self._file.seek(self._file_size)
            self._file.write(self._buffer)
            self._file_size += len(self._buffer)
            self._buffer.clear()

    def read(self, start: int, size: int) -> bytes:
        """Return a piece.

        Raises:
            ValueError: the form was closed.
        """
        with self._lock:
            self._check_open()
            if self._file is None:
                return bytes(memoryview(self._buffer)[start : start + size])
            self._file.seek(start)
            return self._file.read(size)

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the form is closed: read its files, or save them, before it is")

    async def aclose(self) -> None:
        """Forget everything; may be called again."""
        if self.on_disk:
            await asyncio.to_thread(self._close)
        else:
            self._close()

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._buffer = bytearray()
            if self._file is not None:
                self._file.close()


class Upload:
    """A file of a form.

    ``filename`` is safe to use as the name of a file; ``raw_filename`` is what the client said, for
    nothing but display. ``content_type`` is what the client said too: a claim, not a fact.
    It can be read until the form is closed, which happens when the request ends.
    """

    __slots__ = (
        "_position",
        "_spool",
        "_start",
        "content_type",
        "filename",
        "raw_filename",
        "size",
    )
    filename: str
    raw_filename: str
    content_type: str
    size: int

    def __init__(self, spool: Spool, *, raw_filename: str, content_type: str) -> None:
        self._spool = spool
        self._start = spool.size
        self._position = 0
        self.raw_filename = raw_filename
        self.filename = safe_filename(raw_filename)
        self.content_type = content_type
        self.size = 0

    async def read(self, n: int = -1) -> bytes:
        """Return the next ``n`` bytes, or all that is left; ``b""`` at the end.

        Raises:
            ValueError: the form was closed.
        """
        left = self.size - self._position
        data = await self._piece(self._position, left if n < 0 else min(n, left))
        self._position += len(data)
        return data

    async def seek(self, position: int) -> int:
        """Go to a position from the start, at most to the end; return it."""
        if position < 0:
            raise ValueError(f"{position} is not a position in a file")
        self._position = min(position, self.size)
        return self._position

    async def chunks(self, size: int = _BLOCK) -> AsyncIterator[bytes]:
        """Yield the whole content in pieces of ``size`` bytes, from the start; ``read`` stays put.

        Raises:
            ValueError: the form was closed.
        """
        if size < 1:
            raise ValueError(f"{size} is not the size of a piece")
        for start in range(0, self.size, size):
            yield await self._piece(start, min(size, self.size - start))

    async def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the whole content to ``path``: all of it or, on any failure, nothing.

        The directory has to exist, and has to hold nothing else of that name unless ``overwrite``
        allows to replace it.

        Raises:
            FileExistsError: there is something at ``path``.
            ValueError: the form was closed.
        """
        await asyncio.to_thread(self._save, Path(path), overwrite)

    async def _piece(self, start: int, size: int) -> bytes:
        if self._spool.on_disk:
            return await asyncio.to_thread(self._spool.read, self._start + start, size)
        return self._spool.read(self._start + start, size)

    def _save(self, target: Path, overwrite: bool) -> None:
        part = target.parent / f".{secrets.token_hex(8)}.part"
        try:
            with part.open("xb") as file:
                for start in range(0, self.size, _BLOCK):
                    piece = self._spool.read(self._start + start, min(_BLOCK, self.size - start))
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                part.replace(target)
            else:
                _rename_to_new(part, target)
        finally:
            part.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type} {self.size} bytes>"


def _rename_to_new(part: Path, target: Path) -> None:
    try:
        target.hardlink_to(part)  # unlike a rename, it fails if there is something
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: take the name first, with nothing in it.
        target.open("xb").close()
        part.replace(target)


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
        PayloadTooLargeError: it has more fields or bytes than ``limits`` allow.
    """
    limits = limits or _DEFAULT_LIMITS
    if len(body) > limits.max_fields_total:
        raise _fields_too_large(limits)
    if body.count(b"&") >= limits.max_fields:
        raise _too_many("fields", limits.max_fields)
    try:
        pairs = decode_pairs(body.decode(), max_fields=limits.max_fields)
    except UnicodeDecodeError:
        raise InvalidFormError("The form is not valid: it is not UTF-8.") from None
    except ValueError as exc:
        raise InvalidFormError(f"The form is not valid: {exc}.") from None
    for name, value in pairs:
        if len(value.encode()) > limits.max_field_size:
            raise _field_too_large(name, limits)
    return FormData(pairs)


async def parse_multipart(
    content_type: str, chunks: AsyncIterable[bytes], limits: FormLimits | None = None
) -> FormData:
    """Read a ``multipart/form-data`` body as it arrives; close the result when it is used up.

    A file input that was left empty (no name, no content) is left out.

    Raises:
        InvalidFormError: it is malformed, ends early, has no usable boundary, or text that is not
            UTF-8.
        PayloadTooLargeError: it has more of something than ``limits`` allow. The rest is not read.
        UnsupportedMediaTypeError: ``content_type`` is another type.
    """
    limits = limits or _DEFAULT_LIMITS
    boundary = _boundary(content_type)
    spool = Spool(limits.spool_size)
    form = _Collector(limits, spool)
    try:
        await _feed(chunks, boundary, form)
        await spool.settle(last=True)
    except BaseException:
        await spool.aclose()
        raise
    return FormData(form.pairs, spool=spool)


async def _feed(chunks: AsyncIterable[bytes], boundary: str, form: _Collector) -> None:
    limits = form.limits
    parser = PushMultipartParser(
        boundary,
        max_header_size=limits.max_header_size,
        max_header_count=limits.max_headers,
        strict=True,
    )
    start, start_size = b"", len(boundary) + 4  # CRLF, two hyphens and the boundary
    epilogue = -1
    try:
        async for received in chunks:
            chunk = received
            if len(start) < start_size:
                start = chunk = start + received
                if len(start) < start_size:
                    continue
                _check_start(start, boundary)
            if epilogue >= 0:
                epilogue += len(chunk)
                _check_epilogue(epilogue)
            elif chunk:  # an empty one would mean the end to the parser
                for event in parser.parse(chunk):
                    form.add(event)
                await form.spool.settle()
                if form.between_parts and _is_complete(parser):
                    epilogue = 0
        parser.close()  # raises if the end has not come
    except ParserLimitReached:
        raise PayloadTooLargeError(
            limits.max_header_size,
            f"A part of the form has a header field of more than {limits.max_header_size} bytes, "
            f"or more than {limits.max_headers} of them.",
        ) from None
    except MultipartError as exc:
        raise InvalidFormError(f"The form is not valid: {exc.args[0]}.") from None


def _check_start(body: bytes, boundary: str) -> None:
    # The parser tolerates a preamble if it comes in one piece with the boundary; no client sends
    # one, and what is accepted may not depend on how the network cuts the body.
    if not body.removeprefix(b"\r\n").startswith(b"--" + boundary.encode()):
        raise InvalidFormError("The form is not valid: it does not begin with its boundary.")


def _check_epilogue(size: int) -> None:
    if size > _MAX_EPILOGUE:
        raise PayloadTooLargeError(
            _MAX_EPILOGUE, f"There are more than {_MAX_EPILOGUE} bytes after the end of the form."
        )


def _is_complete(parser: PushMultipartParser) -> bool:
    # The parser tells only when it is closed, so a copy of it is.
    try:
        copy.copy(parser).close()
    except MultipartError:
        return False
    return True


class _Collector:
    """Makes fields and files of what the parser finds, within the limits."""

    def __init__(self, limits: FormLimits, spool: Spool) -> None:
        self.limits = limits
        self.spool = spool
        self.pairs: list[tuple[str, FormValue]] = []
        self.between_parts = True
        self._fields = 0
        self._files = 0
        self._fields_size = 0
        self._name = ""
        self._text = bytearray()
        self._upload: Upload | None = None

    def add(self, event: MultipartSegment | bytes | None) -> None:
        """Take one event: the header of a part, some of its content, or ``None`` for its end."""
        if event is None:
            self._end()
        elif isinstance(event, MultipartSegment):
            self._start(event)
        elif self._upload is None:
            self._add_text(event)
        else:
            self._add_bytes(self._upload, event)

    def _start(self, part: MultipartSegment) -> None:
        self.between_parts = False
        self._name = _checked(part.name or "")
        if part.filename is None:
            self._fields += 1
            if self._fields > self.limits.max_fields:
                raise _too_many("fields", self.limits.max_fields)
            self._count(len(self._name))
        else:
            self._files += 1
            if self._files > self.limits.max_files:
                raise _too_many("files", self.limits.max_files)
            self._upload = Upload(
                self.spool,
                raw_filename=part.filename,
                content_type=parse_content_type(part.content_type or "")[0]
                or "application/octet-stream",
            )

    def _count(self, size: int) -> None:
        self._fields_size += size
        if self._fields_size > self.limits.max_fields_total:
            raise _fields_too_large(self.limits)

    def _add_text(self, data: bytes) -> None:
        if len(self._text) + len(data) > self.limits.max_field_size:
            raise _field_too_large(self._name, self.limits)
        self._count(len(data))
        self._text += data

    def _add_bytes(self, upload: Upload, data: bytes) -> None:
        limit = self.limits.max_file_size
        if limit is not None and upload.size + len(data) > limit:
            raise PayloadTooLargeError(
                limit, f"The file {upload.filename!r} is larger than {limit} bytes."
            )
        self.spool.write(data)
        upload.size += len(data)

    def _end(self) -> None:
        upload = self._upload
        if upload is None:
            try:
                text = self._text.decode()
            except UnicodeDecodeError:
                raise InvalidFormError(
                    f"The form field {self._name[:100]!r} is not UTF-8."
                ) from None
            self.pairs.append((self._name, _checked(text)))
        elif upload.size or upload.raw_filename:
            self.pairs.append((self._name, upload))
        self._upload = None
        self._text = bytearray()
        self.between_parts = True


def _checked(text: str) -> str:
    if "\0" in text:
        raise InvalidFormError("The form is not valid: it contains NUL.")
    return text


def _boundary(content_type: str) -> str:
    type_, params = parse_content_type(content_type)
    if type_ != "multipart/form-data":
        raise UnsupportedMediaTypeError(content_type[:100], ["multipart/form-data"])
    boundary = params.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidFormError(
            "The Content-Type of the form has no valid boundary: 1 to 70 letters, digits or '-_."
            "+,:=/?()."
        )
    return boundary


def _too_many(what: str, limit: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(limit, f"The form has more than {limit} {what}.")


def _field_too_large(name: str, limits: FormLimits) -> PayloadTooLargeError:
    limit = limits.max_field_size
    return PayloadTooLargeError(
        limit, f"The form field {name[:100]!r} is larger than {limit} bytes."
    )


def _fields_too_large(limits: FormLimits) -> PayloadTooLargeError:
    limit = limits.max_fields_total
    return PayloadTooLargeError(
        limit, f"The fields of the form are larger than {limit} bytes together."
    )


def safe_filename(name: str) -> str:
    """Return a name that stays in the directory it is used in, whatever a client sent.

    It is the last part of the path in ``name``, on any system, without control characters, marks
    that reverse or hide text, reserved characters, or dots and blanks at its ends. It is not the
    name of a device, and has at most 200 bytes of UTF-8, the extension kept. If nothing is left it
    is ``upload``.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    # Not printable: control and format characters, half surrogate pairs, blanks but the space.
    base = "".join(filter(str.isprintable, base)).translate(_RESERVED).lstrip(" .-").rstrip(" .")
    if _DEVICE.fullmatch(base):
        base = "_" + base
    return _shortened(base) or "upload"


def _shortened(name: str) -> str:
    data = name.encode()
    if len(data) <= _MAX_FILENAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not 0 < len(extension.encode()) <= 16 or not dot:
        stem, extension = name, ""
    suffix = dot + extension if extension else ""
    kept = stem.encode()[: _MAX_FILENAME - len(suffix.encode())].decode(errors="ignore")
    return kept.rstrip(" .") + suffix
