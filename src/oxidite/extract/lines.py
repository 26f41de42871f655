"""The body of the request as lines of JSON, decoded one by one while it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for
from oxidite.errors import FieldError, UnsupportedMediaTypeError, ValidationError
from oxidite.extract.base import Description, Parameter
from oxidite.http.request import DEFAULT_MAX_BODY, InvalidJSONError, Request
from oxidite.http.response import LINES

__all__ = ["LINES_TYPES", "BodyLines", "MaxLine"]

LINES_TYPES = (LINES, "application/x-ndjson", "application/ndjson")
"""The names that JSON Lines go by; none is registered."""


@dataclass(frozen=True, slots=True)
class MaxLine:
    """The largest line of a body that is read, in bytes.

    ``items: Annotated[Lines[Item], MaxLine(10_000)]``
    """

    size: int


_MAX_LINE = MaxLine(DEFAULT_MAX_BODY)


class BodyLines:
    """``items: Lines[Item]``: an iterator that raises at the first line that is wrong."""

    def __init__(self, parameter: Parameter, item: object) -> None:
        self._parameter = parameter
        limits = [each for each in parameter.metadata if isinstance(each, MaxLine)]
        self._max_line = (limits or [_MAX_LINE])[0].size
        try:
            self._codec: Codec[object] = codec_for(item, finite=True)
        except TypeError as exc:
            raise parameter.refuse(f"cannot be decoded: {exc}.") from None

    def extract(self, request: Request) -> AsyncIterator[object]:
        """Return the iterator; nothing is read before it is asked."""
        media_type = request.content_type
        if media_type not in LINES_TYPES:
            raise UnsupportedMediaTypeError(media_type, LINES_TYPES)
        items = self._items(request)
        # One that is not read to its end is closed with the request, not whenever it is collected.
        request.scopes.stream.push_async_callback(items.aclose)
        return items

    async def _items(self, request: Request) -> AsyncGenerator[object]:
        from oxidite.http.streams.lines import split_lines

        async for number, line in split_lines(request.stream(), self._max_line):
            yield self._decoded(number, line)

    def _decoded(self, number: int, line: bytes) -> object:
        try:
            return self._codec.decode_json(line)
        except MismatchError as exc:
            raise ValidationError(_of_line(number, exc)) from None
        except DecodeError as exc:
            message = f"Line {number} of the request body is not valid JSON. {exc.message}"
            raise InvalidJSONError(message, extra={"line": number}) from None

    def describe(self) -> Description:
        """Say that it is the body; its type is the iterator, with that of an item inside."""
        p = self._parameter
        return Description("body", p.type, media_types=LINES_TYPES)


def _of_line(number: int, error: MismatchError) -> list[FieldError]:
    """Return the problems of a line, with the pointers they had if the lines were an array."""
    return [
        FieldError(
            "body",
            f"Line {number}: {problem.message}",
            pointer=f"/{number - 1}{problem.pointer}",
            code=problem.code,
        )
        for problem in error.problems
    ]
