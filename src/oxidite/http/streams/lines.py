"""JSON Lines: one JSON value on each line, going out and coming in.

https://jsonlines.org. There is no registered media type; all that are in use are read.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import ClassVar, Generic, TypeVar

from oxidite.encoding import encode_json
from oxidite.errors import PayloadTooLargeError
from oxidite.http.disposition import content_disposition
from oxidite.http.response import LINES, StreamingResponse
from oxidite.http.streams.feed import Feed

__all__ = ["JSONLines", "split_lines"]

T = TypeVar("T")


class JSONLines(StreamingResponse, Generic[T]):
    """Values as JSON Lines, made while they are sent.

    ``download`` is the name under which a browser saves it. An exception of ``items`` cuts the
    stream off, so that it does not look complete.
    """

    __slots__ = ()

    media_type: ClassVar[str | None] = LINES

    def __init__(
        self,
        items: AsyncIterable[T] | Iterable[T],
        status: int = 200,
        *,
        download: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        feed = Feed(items, _line)
        super().__init__(feed, status, content_type=LINES, headers=headers)
        if download is not None:
            self.headers["content-disposition"] = content_disposition(download)


def _line(item: object) -> bytes:
    return encode_json(item) + b"\n"


async def split_lines(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, each with its number, beginning at 1.

    No more is held than one line and one chunk.

    Raises:
        PayloadTooLargeError: a line is longer than ``limit`` bytes.
    """
    number, kept = 1, bytearray()
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            line = bytes(kept) + end if kept else end
            kept.clear()
            _check(number, len(line), limit)
            if line.strip():
                yield number, line
            number += 1
        kept += rest
        _check(number, len(kept), limit)
    if kept.strip():
        yield number, bytes(kept)


def _check(number: int, size: int, limit: int) -> None:
    if size > limit:
        raise PayloadTooLargeError(
            limit, f"Line {number} is longer than the {limit} bytes allowed for one line."
        )
