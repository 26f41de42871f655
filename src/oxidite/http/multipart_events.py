"""The grammar of a ``multipart/form-data`` body: what is in it, one event after the other.

The parser is that of the package ``multipart``, in its strict mode.
"""
# The parser's package has no marker file for type checkers.
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterable, Iterator
from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from oxidite.errors import UnsupportedMediaTypeError
from oxidite.http.limits import FormLimitError, FormLimits, InvalidFormError
from oxidite.http.negotiation import parse_content_type

__all__ = ["End", "Event", "Events", "Head", "boundary_of"]

_MAX_EPILOGUE = 1024  # bytes after the last boundary; what is well-formed has two

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


class End(Enum):
    """The end of something."""

    CHUNK = 0
    FORM = 1


class Head(NamedTuple):
    """The header of a part, as it was sent."""

    name: str
    filename: str | None
    content_type: str


Event: TypeAlias = Head | bytes | None
"""The header of a part, some of its content, or ``None`` for its end."""


class Events:
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
        self._parsed: Iterator[MultipartSegment | bytes | None] = iter(())
        self._start = b""  # what has arrived of the first boundary; the parser gets it whole
        self._started = False
        self._between_parts = True
        self._epilogue = -1  # bytes after the last boundary, once that was seen

    async def next(self) -> Event | Literal[End.FORM]:
        """Return the next event; ``FORM`` when the body has ended, as it has to."""
        try:
            while (event := next(self._parsed, End.CHUNK)) is End.CHUNK:
                if self._started and self._between_parts and self._epilogue < 0:
                    self._epilogue = 0 if _is_complete(self._parser) else -1
                if not await self._receive():
                    return End.FORM
        except ParserLimitReached as exc:
            raise _header_too_large(self._limits, str(exc)) from None
        except MultipartError as exc:
            raise InvalidFormError(f"The form is not valid: {exc.args[0]}.") from None
        self._between_parts = event is None
        if isinstance(event, MultipartSegment):
            return Head(event.name or "", event.filename, event.content_type or "")
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


def boundary_of(content_type: str) -> str:
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
