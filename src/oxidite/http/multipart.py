"""The parts of a ``multipart/form-data`` body (RFC 7578), one after the other as they arrive.

Nothing is kept: the next piece of the body is asked for when the one before was taken, and every
limit is checked before a byte is handed out.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Protocol, Self

from oxidite.encoding.explain import pointer_of
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
from oxidite.http.multipart_events import Events, Head, boundary_of
from oxidite.http.negotiation import parse_content_type
from oxidite.http.newfile import NewFile, new_file
from oxidite.http.sniff import HEAD, sniff

__all__ = ["Part", "Parts", "Sink"]

_BLOCK = 256 * 1024  # bytes that are worth a thread
_ANY_FILE = FileRule()


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
    ``size`` is how many bytes were read. It can be read until the next part is asked for, and once.
    """

    __slots__ = (
        "_pieces",
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
    pointer: str
    """JSON Pointer to it in the form."""

    def __init__(
        self,
        name: str,
        raw_filename: str | None,
        content_type: str,
        pieces: AsyncIterator[bytes],
        *,
        sniffed: str | None = None,
        pointer: str = "",
    ) -> None:
        self.name = name
        self.raw_filename = raw_filename
        self.filename = None if raw_filename is None else safe_filename(raw_filename)
        self.content_type = content_type
        self.sniffed = sniffed
        self.size = 0
        self.pointer = pointer
        self._pieces = pieces

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._pieces)
        self.size += len(piece)
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
                message = f"{self.name[:100]!r} of the form is larger than {limit} bytes."
                raise FormLimitError("limit", limit, message, pointer=self.pointer)
        return bytes(data)

    async def text(self, limit: int | None = None) -> str:
        """Return the rest of the content as text.

        ``limit`` is in bytes; without it a field may have what ``FormLimits`` allow, a file 1 MiB.

        Raises:
            FormLimitError: that is more than ``limit`` bytes.
            InvalidFormError: it is not UTF-8, or has NUL.
        """
        if limit is None:
            limit = sys.maxsize if self.raw_filename is None else 1024 * 1024
        data = await self.read(limit)
        try:
            return _checked(data.decode())
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

    def __repr__(self) -> str:
        return f"<Part {self.name[:100]!r} {self.content_type}>"


class Parts:
    """The parts of a form, in the order in which the client sends them.

    Iterate over it once; what is left of a part is skipped when the next one is asked for. A file
    input that was left empty (no name, no content) is left out. ``files`` has rules for the files of
    a field, by its name. Errors are those of ``parse_multipart``.
    """

    def __init__(
        self,
        content_type: str,
        chunks: AsyncIterable[bytes],
        limits: FormLimits | None = None,
        *,
        files: Mapping[str, FileRule] | None = None,
    ) -> None:
        self._limits = limits or FormLimits()
        self._rules = files or {}
        self._events = Events(chunks, boundary_of(content_type), self._limits)
        self._current: _Content | None = None
        self._fields = 0
        self._fields_size = 0
        self._files = 0
        self._files_of: dict[str, int] = {}

    def __aiter__(self) -> AsyncIterator[Part]:
        return self

    async def __anext__(self) -> Part:
        while True:
            if self._current is not None:
                await self._current.leave()
                self._current = None
            head = await self._events.next()
            if not isinstance(head, Head):
                raise StopAsyncIteration
            part = self._field(head) if head.filename is None else await self._file(head)
            if part is not None:
                return part

    def _field(self, head: Head) -> Part:
        _refuse_nested(head)
        name, limits = _checked(head.name), self._limits
        self._fields += 1
        if self._fields > limits.max_fields:
            raise too_many("fields", limits.max_fields)
        self._add_to_fields(len(name))

        def check(size: int, more: int) -> None:
            if size > limits.max_field_size:
                raise field_too_large(name, limits)
            self._add_to_fields(more)

        self._current = _Content(self._events, name, check)
        media_type = parse_content_type(head.content_type)[0] or "text/plain"
        return Part(name, None, media_type, self._current, pointer=pointer_of(name[:100]))

    async def _file(self, head: Head) -> Part | None:
        name, limits = _checked(head.name), self._limits
        self._files += 1
        if self._files > limits.max_files:
            raise too_many("files", limits.max_files)
        count = self._files_of[name] = self._files_of.get(name, 0) + 1
        rule = self._rules.get(name, _ANY_FILE)
        rule.check_count(name, count)
        index = () if rule is _ANY_FILE or rule.max_files == 1 else (count - 1,)
        pointer = pointer_of(name[:100], *index)
        raw_filename = head.filename or ""
        filename = safe_filename(raw_filename)

        def check(size: int, _: int) -> None:
            rule.check_size(filename, size, pointer=pointer, otherwise=limits.max_file_size)

        content = self._current = _Content(self._events, name, check)
        sniffed = sniff(await content.head())
        if not raw_filename and not content.size:
            return None  # an input of a page that was left empty
        claimed = parse_content_type(head.content_type)[0] or "application/octet-stream"
        rule.check_type(filename, sniffed=sniffed, claimed=claimed, field=name, pointer=pointer)
        return Part(name, raw_filename, claimed, content, sniffed=sniffed, pointer=pointer)

    def _add_to_fields(self, size: int) -> None:
        self._fields_size += size
        if self._fields_size > self._limits.max_fields_total:
            raise fields_too_large(self._limits)


class _Content:
    """The pieces of one part, as long as it is the current one.

    ``check`` is called with the size of the part and of what was added to it.
    """

    def __init__(self, events: Events, name: str, check: Callable[[int, int], None]) -> None:
        self.size = 0
        """Bytes that have arrived."""
        self._events = events
        self._name = name
        self._check = check
        self._ahead: deque[bytes] = deque()  # arrived, and not handed out yet
        self._ended = False
        self._left = False

    async def head(self) -> bytes:
        """Wait for the first bytes, and return them; they will be handed out too."""
        while self.size < HEAD and (piece := await self._pull()) is not None:
            self._ahead.append(piece)
        return b"".join(self._ahead)

    async def leave(self) -> None:
        """Read what is left, and refuse to be read from now on."""
        self._ahead.clear()
        while await self._pull() is not None:
            pass
        self._left = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = self._ahead.popleft() if self._ahead else await self._pull()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def _pull(self) -> bytes | None:
        if self._left:
            raise RuntimeError(
                f"The part {self._name[:100]!r} was left behind: parts are read in the order in which "
                "they come, each before the next one is asked for."
            )
        event = None if self._ended else await self._events.next()
        if not isinstance(event, bytes):
            self._ended = True
            return None
        self.size += len(event)
        self._check(self.size, len(event))
        return event


class _Blocks:
    """Writes to a file in blocks that are worth a thread."""

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self._block = bytearray()

    async def write(self, data: bytes, /) -> None:
        self._block += data
        if len(self._block) >= _BLOCK:
            await self.flush()

    async def flush(self) -> None:
        block, self._block = self._block, bytearray()
        await asyncio.to_thread(self._file.write, block)


def _refuse_nested(head: Head) -> None:
    if head.content_type.startswith("multipart/"):
        # RFC 7578 section 4.3 has done away with it.
        raise InvalidFormError(
            f"The form field {(head.name or '')[:100]!r} is a form itself. Send each file as a part of "
            "its own, all with the same name."
        )


def _checked(text: str) -> str:
    if "\0" in text:
        raise InvalidFormError("The form is not valid: it contains NUL.")
    return text
