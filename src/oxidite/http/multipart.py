"""The parts of a ``multipart/form-data`` body (RFC 7578), one after the other as they arrive.

Nothing is kept: the next piece of the body is asked for when the one before was taken, and every
limit is checked before a byte is handed out. The grammar is the parser's of the package
``multipart``, in its strict mode.
"""
# The parser's package has no marker file for type checkers.
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import asyncio
import copy
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from enum import Enum
from typing import Literal, Protocol, Self, TypeAlias

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from oxidite.encoding.explain import pointer_of
from oxidite.errors import UnsupportedMediaTypeError
from oxidite.http.filename import safe_filename
from oxidite.http.limits import (
    FileRule,
    FormLimitError,
    FormLimits,
    InvalidFormError,
    field_too_large,
    fields_too_large,
    too_many,
)
from oxidite.http.negotiation import parse_content_type
from oxidite.http.newfile import NewFile, new_file
from oxidite.http.sniff import HEAD, sniff

__all__ = ["Part", "Parts", "Sink"]

_BLOCK = 256 * 1024  # bytes that are worth a thread
_MAX_EPILOGUE = 1024  # bytes after the last boundary; what is well-formed has two
_ANY_FILE = FileRule()

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


class Sink(Protocol):
    """What takes the pieces of a file, such as an upload to an object store."""

    async def write(self, data: bytes, /) -> object:
        """Take one piece; the next one is read from the client when this returns."""
        ...


class Part:
    """A part of a form, as it arrives: a field, or a file.

    ``filename`` is safe to use as the name of a file and ``raw_filename`` is what the client said; both
    are ``None`` for a field that is no file. ``content_type`` is what the client said too: a claim.
    ``sniffed`` is the type by the first bytes of a file, ``None`` if they are not recognised.
    It can be read until the next part is asked for, and once.
    """

    __slots__ = (
        "_left",
        "_parts",
        "_pieces",
        "_rule",
        "content_type",
        "filename",
        "name",
        "pointer",
        "raw_filename",
        "size",
        "sniffed",
    )
    name: str
    filename: str | None
    raw_filename: str | None
    content_type: str
    sniffed: str | None
    size: int
    """Bytes that have arrived so far."""
    pointer: str
    """JSON Pointer to it in the form."""

    def __init__(self, parts: Parts, segment: MultipartSegment, pointer: str) -> None:
        self.name = segment.name or ""
        self.raw_filename = segment.filename
        self.filename = None if segment.filename is None else safe_filename(segment.filename)
        media_type = parse_content_type(segment.content_type or "")[0]
        default = "text/plain" if segment.filename is None else "application/octet-stream"
        self.content_type = media_type or default
        self.sniffed = None
        self.size = 0
        self.pointer = pointer
        self._parts: Parts | None = parts  # None when it was left behind
        self._rule = parts.files.get(self.name, _ANY_FILE)
        self._pieces: list[bytes] = []  # read ahead, last first
        self._left = False  # whether all of it has arrived

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = self._pieces.pop() if self._pieces else await self._pull()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def read(self, limit: int = 1024 * 1024) -> bytes:
        """Return the rest of the content.

        Raises:
            FormLimitError: that is more than ``limit`` bytes.
        """
        data = bytearray()
        async for piece in self:
            data += piece
            if len(data) > limit:
                what = f"{self.name[:100]!r} of the form"
                raise FormLimitError(
                    "limit", limit, f"{what} is larger than {limit} bytes.", pointer=self.pointer
                )
        return bytes(data)

    async def text(self, limit: int = 1024 * 1024) -> str:
        """Return the rest of the content as text.

        Raises:
            FormLimitError: that is more than ``limit`` bytes.
            InvalidFormError: it is not UTF-8, or has NUL.
        """
        if self.raw_filename is None:
            limit = self._reader().limits.max_field_size
        try:
            return _checked((await self.read(limit)).decode())
        except UnicodeDecodeError:
            raise InvalidFormError(f"The form field {self.name[:100]!r} is not UTF-8.") from None

    async def pipe(self, sink: Sink) -> int:
        """Hand each piece to ``sink.write`` as it comes; return how many bytes that was."""
        size = 0
        async for piece in self:
            await sink.write(piece)
            size += len(piece)
        return size

    async def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> int:
        """Write the content to ``path``: all of it or, on any failure, nothing. Return its size.

        The directory has to exist, and has to hold nothing else of that name unless ``overwrite``
        allows to replace it.

        Raises:
            FileExistsError: there is something at ``path``.
            InsufficientStorageError: the disk is full.
        """
        async with new_file(path, overwrite=overwrite) as file:
            blocks = _Blocks(file)
            size = await self.pipe(blocks)
            await blocks.flush()
            return size

    async def skip(self) -> None:
        """Read what is left and forget it."""
        async for _ in self:
            pass

    async def look_ahead(self) -> None:
        """Wait for the first bytes of a file, and tell its type by them."""
        pieces: list[bytes] = []
        size = 0
        while size < HEAD and (piece := await self._pull()) is not None:
            pieces.append(piece)
            size += len(piece)
        self.sniffed = sniff(b"".join(pieces))
        self._pieces = pieces[::-1]
        if size or self.raw_filename:
            self._rule.check_type(
                self.filename or "",
                sniffed=self.sniffed,
                claimed=self.content_type,
                field=self.name,
                pointer=self.pointer,
            )

    def leave(self) -> None:
        """Refuse to be read from now on."""
        self._parts = None

    def _reader(self) -> Parts:
        if self._parts is None:
            raise RuntimeError(
                f"The part {self.name[:100]!r} was left behind: parts are read in the order in which "
                "they come, each before the next one is asked for."
            )
        return self._parts

    async def _pull(self) -> bytes | None:
        parts = self._reader()
        if self._left:
            return None
        piece = await parts.piece()
        if piece is None:
            self._left = True
            return None
        self.size += len(piece)
        if self.raw_filename is None:
            parts.count_field(self, len(piece))
        else:
            self._rule.check_size(
                self.filename or "",
                self.size,
                pointer=self.pointer,
                otherwise=parts.limits.max_file_size,
            )
        return piece

    def __repr__(self) -> str:
        return f"<Part {self.name[:100]!r} {self.content_type}>"


class Parts:
    """The parts of a form, in the order in which the client sends them.

    Iterate over it once; what is left of a part is skipped when the next one is asked for. A file
    input that was left empty (no name, no content) is left out. Errors are those of
    ``parse_multipart``.
    """

    def __init__(
        self,
        content_type: str,
        chunks: AsyncIterable[bytes],
        limits: FormLimits | None = None,
        *,
        files: Mapping[str, FileRule] | None = None,
    ) -> None:
        self.limits: FormLimits = limits or FormLimits()
        self.files: Mapping[str, FileRule] = files or {}
        self._events = _Events(chunks, _boundary(content_type), self.limits)
        self._part: Part | None = None
        self._fields = 0
        self._fields_size = 0
        self._files = 0
        self._files_of: dict[str, int] = {}

    def __aiter__(self) -> AsyncIterator[Part]:
        return self

    async def __anext__(self) -> Part:
        while True:
            if self._part is not None:
                await self._part.skip()
                self._part.leave()
                self._part = None
            event = await self._events.next()
            if not isinstance(event, MultipartSegment):
                raise StopAsyncIteration
            part = self._part = self._begin(event)
            if part.raw_filename is None:
                return part
            await part.look_ahead()
            if part.size or part.raw_filename:
                return part

    async def piece(self) -> bytes | None:
        """Return the next bytes of the current part; ``None`` at its end."""
        event = await self._events.next()
        return event if isinstance(event, bytes) else None

    def count_field(self, part: Part, size: int) -> None:
        """Count bytes of a field, and refuse those that are too many."""
        if part.size > self.limits.max_field_size:
            raise field_too_large(part.name, self.limits)
        self._fields_size += size
        if self._fields_size > self.limits.max_fields_total:
            raise fields_too_large(self.limits)

    def _begin(self, segment: MultipartSegment) -> Part:
        limits, name = self.limits, _checked(segment.name or "")
        if segment.filename is None:
            _refuse_nested(segment)
            self._fields += 1
            if self._fields > limits.max_fields:
                raise too_many("fields", limits.max_fields)
            part = Part(self, segment, pointer_of(name[:100]))
            self.count_field(part, len(name))
            return part
        self._files += 1
        if self._files > limits.max_files:
            raise too_many("files", limits.max_files)
        count = self._files_of[name] = self._files_of.get(name, 0) + 1
        rule = self.files.get(name, _ANY_FILE)
        rule.check_count(name, count)
        index = () if rule is _ANY_FILE or rule.max_files == 1 else (count - 1,)
        return Part(self, segment, pointer_of(name[:100], *index))


class _Blocks:
    """Writes to a file in blocks that are worth a thread."""

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self._block = bytearray()

    async def write(self, data: bytes) -> None:
        self._block += data
        if len(self._block) >= _BLOCK:
            await self.flush()

    async def flush(self) -> None:
        block, self._block = self._block, bytearray()
        await asyncio.to_thread(self._file.write, block)


class _End(Enum):
    """The end of something."""

    CHUNK = 0
    FORM = 1


_Event: TypeAlias = MultipartSegment | bytes | None
"""The header of a part, some of its content, or ``None`` for its end."""


class _Events:
    """What the parser finds in the body, one at a time."""

    def __init__(self, chunks: AsyncIterable[bytes], boundary: str, limits: FormLimits) -> None:
        self._chunks = aiter(chunks)
        self._boundary = boundary
        self._limits = limits
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=limits.max_header_size,
            max_header_count=limits.max_headers,
            strict=True,
        )
        self._parsed: Iterator[_Event] = iter(())
        self._start = b""  # what has arrived of the first boundary; the parser gets it whole
        self._started = False
        self._between_parts = True
        self._epilogue = -1  # bytes after the last boundary, once that was seen

    async def next(self) -> _Event | Literal[_End.FORM]:
        """Return the next event; ``FORM`` when the body has ended, as it has to."""
        try:
            while (event := next(self._parsed, _End.CHUNK)) is _End.CHUNK:
                if self._started and self._between_parts and self._epilogue < 0:
                    self._epilogue = 0 if _is_complete(self._parser) else -1
                if not await self._receive():
                    return _End.FORM
        except ParserLimitReached as exc:
            raise _header_too_large(self._limits, str(exc)) from None
        except MultipartError as exc:
            raise InvalidFormError(f"The form is not valid: {exc.args[0]}.") from None
        self._between_parts = event is None
        return event

    async def _receive(self) -> bool:
        """Give the parser the next chunk of the body; tell whether there was one."""
        chunk = await anext(self._chunks, None)
        if chunk is None:
            self._parser.close()  # raises if the end of the form has not come
            return False
        if self._epilogue >= 0:
            self._epilogue += len(chunk)
            _check_epilogue(self._epilogue)
        elif chunk := self._whole_start(chunk):  # an empty one would mean the end to the parser
            self._parsed = iter(self._parser.parse(chunk))
        return True

    def _whole_start(self, chunk: bytes) -> bytes:
        """Return what the parser may have: nothing until the first boundary is there."""
        if self._started:
            return chunk
        self._start += chunk
        if len(self._start) < len(self._boundary) + 4:  # with CRLF and two hyphens
            return b""
        # The parser tolerates a preamble if it comes in one piece with the boundary; no client sends
        # one, and what is accepted may not depend on how the network cuts the body.
        if not self._start.removeprefix(b"\r\n").startswith(b"--" + self._boundary.encode()):
            raise InvalidFormError("The form is not valid: it does not begin with its boundary.")
        self._started = True
        start, self._start = self._start, b""
        return start


def _is_complete(parser: PushMultipartParser) -> bool:
    # The parser tells only when it is closed, so a copy of it is.
    try:
        copy.copy(parser).close()
    except MultipartError:
        return False
    return True


def _check_epilogue(size: int) -> None:
    if size > _MAX_EPILOGUE:
        raise FormLimitError(
            "epilogue",
            _MAX_EPILOGUE,
            f"There are more than {_MAX_EPILOGUE} bytes after the end of the form.",
        )


def _header_too_large(limits: FormLimits, reason: str) -> FormLimitError:
    if "count" in reason:
        return FormLimitError(
            "max_headers",
            limits.max_headers,
            f"A part of the form has more than {limits.max_headers} header fields.",
        )
    return FormLimitError(
        "max_header_size",
        limits.max_header_size,
        f"A part of the form has a header field of more than {limits.max_header_size} bytes.",
    )


def _refuse_nested(segment: MultipartSegment) -> None:
    if (segment.content_type or "").startswith("multipart/"):
        # RFC 7578 section 4.3 has done away with it.
        raise InvalidFormError(
            f"The form field {(segment.name or '')[:100]!r} is a form itself. Send each file as a part of "
            "its own, all with the same name."
        )


def _checked(text: str) -> str:
    if "\0" in text:
        raise InvalidFormError("The form is not valid: it contains NUL.")
    return text


def _boundary(content_type: str) -> str:
    type_, params = parse_content_type(content_type)
    if type_ != "multipart/form-data":
        raise UnsupportedMediaTypeError(content_type[:100] or None, ["multipart/form-data"])
    boundary = params.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidFormError(
            "The Content-Type of the form has no valid boundary: 1 to 70 letters, digits or '-_."
            "+,:=/?()."
        )
    return boundary
