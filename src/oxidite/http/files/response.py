"""A response whose body is a file."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from pathlib import Path

from oxidite.concurrency import ThreadPool
from oxidite.errors import NotFoundError
from oxidite.http.conditional import Validators, not_modified
from oxidite.http.dates import format_timestamp
from oxidite.http.disposition import content_disposition
from oxidite.http.files.file import SMALL, StoredFile, look
from oxidite.http.files.media_types import media_type_of
from oxidite.http.files.ranges import Range, Segments, length, multipart, parse_ranges
from oxidite.http.files.reader import cut, read, read_all
from oxidite.http.request import Request
from oxidite.http.response import FilePart, Response, StoredResponse

__all__ = ["FileResponse"]

_logger = logging.getLogger("oxidite")

_MISSING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO))


class FileResponse(StoredResponse):
    """A file, with what belongs to it: its size, entity tag, last change, conditions and ranges.

    The content type comes from the name unless it is given. ``download`` has it saved rather than
    shown, under the file's own name (``True``) or another. ``etag=False`` sends no entity tag; one
    that is set in ``headers`` wins. A file that is not there, may not be read, or is no regular file
    is answered with 404.

    The file is looked at when the handler has returned, so that middleware sees the true status,
    size and type. A middleware that sets ``content`` sends that instead.
    """

    __slots__ = ("_etag", "_file", "_segments", "_threads", "_type", "path")

    content: AsyncIterable[bytes | str]
    path: str
    status: int

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
        name = self.path.rpartition("/")[2]
        self._type = content_type or media_type_of(name)
        super().__init__(b"", status, content_type=self._type, headers=headers)
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
        [segment] = self._segments
        assert isinstance(segment, Range)  # noqa: S101 - ready bytes are only between several
        return FilePart(file.path, segment.start, segment.stop, file.size)

    def whole_file(self) -> FilePart | None:
        """Send all of the file instead of several parts."""
        file = self._file
        if file is None or type(self.content) is not _Body:
            return None
        self._segments = (Range(0, file.size),)
        self.status = 200
        self.content_type = self._type
        self.headers["content-length"] = str(file.size)
        return self.file_part

    async def prepare(self, request: Request) -> Response:
        """Look at the file and answer the request's conditions and ranges.

        Raises:
            NotFoundError: there is no such file to be read.
            PreconditionFailedError: a condition does not hold.
            RangeNotSatisfiableError: none of the bytes that were asked for exist.
        """
        if self._file is not None or type(self.content) is not _Body:
            return self
        threads = request.resources.get(ThreadPool)
        file = await threads.run(found, self.path)
        # One of its own for each request: the handler may keep this one, and return it again.
        answer = FileResponse(
            self.path,
            self.status,
            content_type=self.content_type,
            etag=self._etag,
            headers=self.headers,
        )
        answer.error = self.error
        return await answer.answer(file, request, threads)

    async def answer(self, file: StoredFile, request: Request, threads: ThreadPool) -> Response:
        """Return the answer from a file that was looked at: this one, or a complete one.

        Raises:
            PreconditionFailedError: a condition does not hold.
            RangeNotSatisfiableError: none of the bytes that were asked for exist.
        """
        self._file, self._threads = file, threads
        validators = self._describe(file)
        method = request.method
        is_read = self.status == 200 and method in ("GET", "HEAD")
        if is_read and validators.check(method, request.headers) == "same":
            return not_modified(self)
        asked = request.headers.get("range") if is_read and method == "GET" else None
        if asked is not None and not validators.allow_range(request.headers):
            asked = None
        segments = self._segments = self._choose(asked, file.size)
        size = length(segments)
        if method == "HEAD":
            self.headers["content-length"] = str(size)
            return self._complete(b"")
        if file.content is not None:
            return self._complete(cut(segments, file.content))
        if len(segments) > 1 and size <= SMALL:
            return self._complete(await threads.run(read_all, file, segments))
        self.headers["content-length"] = str(size)
        return self

    def _describe(self, file: StoredFile) -> Validators:
        validators = file.validators()
        headers = self.headers
        if self._etag:
            headers.setdefault("etag", str(validators.etag))
        headers.setdefault("last-modified", format_timestamp(validators.modified or 0))
        headers["accept-ranges"] = "bytes"
        return Validators(headers.get("etag"), validators.modified, validators.settled)

    def _choose(self, asked: str | None, size: int) -> Segments:
        """Return what to send of so many bytes, and say so in the header fields."""
        ranges = [] if asked is None else parse_ranges(asked, size)
        if not ranges:
            return (Range(0, size),)
        self.status = 206
        if len(ranges) == 1:
            self.headers["content-range"] = ranges[0].content_range(size)
            return tuple(ranges)
        self.content_type, segments = multipart(ranges, size, self._type)
        return segments

    def _complete(self, body: bytes) -> Response:
        answer = Response(body)
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
