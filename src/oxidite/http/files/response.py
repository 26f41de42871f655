"""A response whose body is a file."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import ClassVar

from oxidite.concurrency import ThreadPool
from oxidite.errors import NotFoundError
from oxidite.http.conditional import Validators, not_modified
from oxidite.http.dates import format_timestamp
from oxidite.http.files.disposition import content_disposition
from oxidite.http.files.file import StoredFile, look
from oxidite.http.files.media_types import media_type_of
from oxidite.http.files.ranges import Range, Segments, length, multipart, parse_ranges
from oxidite.http.files.reader import read
from oxidite.http.request import Request
from oxidite.http.response import FilePart, Response, StreamingResponse

__all__ = ["FileResponse"]

_logger = logging.getLogger("oxidite")

_MISSING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO))


class FileResponse(StreamingResponse):
    """A file, with what belongs to it: its size, entity tag, last change, conditions and ranges.

    The content type comes from the name unless it is given. ``download`` has it saved rather than
    shown, under the file's own name (``True``) or another. ``etag=False`` sends no entity tag; one
    that is set in ``headers`` wins. A file that is not there, may not be read, or is no regular file
    is answered with 404.

    The file is looked at when the handler has returned, so that middleware sees the true status,
    size and type. A middleware that sets ``content`` sends that instead.
    """

    __slots__ = ("_etag", "_file", "_segments", "_threads", "path")

    carried: ClassVar[bool] = True

    path: str

    def __init__(
        self,
        path: str | os.PathLike[str],
        status: int = 200,
        *,
        content_type: str | None = None,
        download: bool | str = False,
        etag: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        name = Path(self.path).name
        super().__init__(
            (), status, content_type=content_type or media_type_of(name), headers=headers
        )
        if download:
            value = content_disposition(name if download is True else download)
            self.headers["content-disposition"] = value
        self._etag = etag
        self._file: StoredFile | None = None
        self._segments: Segments = ()
        self._threads: ThreadPool | None = None
        self.content = _Body(self)

    @property
    def file_part(self) -> FilePart | None:
        """The one part of the file that is the body, if it is one; for servers that send files."""
        file = self._file
        if file is None or type(self.content) is not _Body or len(self._segments) != 1:
            return None
        segment = self._segments[0]
        if isinstance(segment, bytes):
            return None
        return FilePart(file.path, segment.start, segment.stop, file.size)

    async def prepare(self, request: Request) -> Response:
        """Look at the file and answer the request's conditions and ranges.

        Raises:
            NotFoundError: there is no such file to be read.
            PreconditionFailedError: a condition does not hold.
            RangeNotSatisfiableError: none of the bytes that were asked for exist.
        """
        if self._file is not None:
            return self
        self._threads = request.resources.get(ThreadPool)
        return self.of(await self._threads.run(found, self.path), request)

    def of(self, file: StoredFile, request: Request) -> Response:
        """Return the answer to ``request`` from a file that was looked at: this one, or a complete one."""
        self._file = file
        self._threads = request.resources.get(ThreadPool)
        validators = self._describe(file)
        self._segments = (Range(0, file.size),)
        method, headers = request.method, request.headers
        if self.status == 200 and method in ("GET", "HEAD"):
            if validators.check(method, headers) == "same":
                return not_modified(self)
            asked = headers.get("range")
            if asked is not None and method == "GET" and validators.allow_range(headers):
                self._choose(parse_ranges(asked, file.size))
        return self._finished(head=method == "HEAD")

    def _describe(self, file: StoredFile) -> Validators:
        validators = file.validators()
        headers = self.headers
        if self._etag:
            headers.setdefault("etag", str(validators.etag))
        headers.setdefault("last-modified", format_timestamp(validators.modified or 0))
        headers["accept-ranges"] = "bytes"
        return Validators(headers.get("etag"), validators.modified, validators.settled)

    def _choose(self, ranges: list[Range]) -> None:
        """Send only these parts; the whole if there are none."""
        assert self._file is not None  # noqa: S101 - whoever calls this has set it
        size = self._file.size
        if not ranges:
            return
        self.status = 206
        if len(ranges) == 1:
            self.headers["content-range"] = ranges[0].content_range(size)
            self._segments = tuple(ranges)
            return
        self.content_type, self._segments = multipart(ranges, size, self.content_type or "")

    def _finished(self, *, head: bool) -> Response:
        """Return a complete response if the whole body is small, or is not sent."""
        assert self._file is not None  # noqa: S101 - as above
        size, content = length(self._segments), self._file.content
        if content is None or head:
            self.headers["content-length"] = str(size)
            if not head:
                return self
        answer = Response(b"" if head or content is None else _cut(self._segments, content))
        answer.status, answer.error, answer.made_headers = self.status, self.error, self.headers
        return answer


class _Body:
    """The content of a response that is a file, in pieces."""

    __slots__ = ("_response",)

    def __init__(self, response: FileResponse) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        response = self._response
        if response._file is None or response._threads is None:  # noqa: SLF001 - a part of it
            raise RuntimeError("the file was not looked at: await response.prepare(request) first")
        return read(response._file, response._segments, response._threads)  # noqa: SLF001


def found(path: str) -> StoredFile:
    """Look at a file that a client may not learn more of than whether it can have it.

    Raises:
        NotFoundError: there is no such file, or it may not be read.
    """
    try:
        return look(str(Path(path).absolute()))
    except PermissionError:
        _logger.warning("%s may not be read by this process, so it was answered with 404", path)
    except OSError as exc:
        if exc.errno not in _MISSING:
            raise
    except ValueError:  # a NUL in it
        pass
    raise NotFoundError


def _cut(segments: Segments, content: bytes) -> bytes:
    if len(segments) == 1 and segments[0] == (0, len(content)):
        return content
    return b"".join(
        each if isinstance(each, bytes) else content[each.start : each.stop] for each in segments
    )
