"""Compression of responses: whole bodies and streams, by what the client accepts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping

from oxidite.concurrency import ThreadPool
from oxidite.errors import ConfigError
from oxidite.http.headers import MutableHeaders
from oxidite.http.middleware import complete, ordered
from oxidite.http.negotiation import accepted_codings
from oxidite.http.request import Request
from oxidite.http.response import Response, StreamingResponse
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.codings import Coding, Encoder, Encoding, available, encoding

__all__ = ["compression"]

_IN_THREAD = 128 * 1024
"""Bytes from which on compressing takes longer than handing the work to a thread."""

_COMPRESSIBLE = re.compile(
    r"text/(?!x-compressed)[^;]+|[^/;]+/[^;]+\+(?:json|xml|yaml)|image/(?:svg\+xml|bmp|x-icon|"
    r"vnd\.microsoft\.icon)|font/(?:otf|ttf)|application/(?:json|jsonl|ndjson|x-ndjson|json-seq|"
    r"xml|javascript|x-javascript|ecmascript|wasm|yaml|x-yaml|graphql|msgpack|vnd\.msgpack|"
    r"x-msgpack|manifest|ld|sql|rtf|toml|x-www-form-urlencoded|vnd\.ms-fontobject)",
    re.IGNORECASE,
)
# PERF: the types of almost every response, looked at once; benchmark `middleware`.
_types: dict[str, bool] = {}
_TYPES_KEPT = 256

# A digest is of the bytes as they are sent (RFC 9530); what has one must not change.
_UNTOUCHABLE = ("content-encoding", "content-range", "content-digest", "repr-digest")


def compression(
    *,
    min_size: int = 1024,
    encodings: Iterable[Coding] | None = None,
    levels: Mapping[Coding, int] | None = None,
    breach_guard: bool = True,
) -> Middleware:
    """Compress responses that are text of some kind and at least ``min_size`` bytes.

    ``encodings`` are offered in that order; unless said, zstd and br where they are installed, and
    gzip. ``levels`` are by name, 3 for zstd, 4 for br and 6 for gzip otherwise. Of a stream every
    piece is sent at once, so that events arrive. What is encoded, partial, or marked
    ``no-transform`` stays as it is, and so does a route with ``meta={"compress": False}``.

    ``breach_guard`` leaves responses alone that carry secrets of a user at the wish of somebody else:
    a request with cookies that another site had a browser make. Compressed, their length would tell
    the secret bit by bit.

    Raises:
        ConfigError: there is no such coding, or no such level.
        MissingExtraError: a coding was named whose package is not installed.
    """
    if min_size < 0:
        raise ConfigError(f"min_size={min_size} is a number of bytes, so not negative.")
    known = _known(encodings, levels or {})
    names = tuple(known)

    # Those that keep or compare bodies want them as the handler made them.
    @complete
    @ordered(outside=["idempotency"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        if response.complete:
            if len(response.body) < min_size and response.status != 304:
                return response
        elif not isinstance(response, StreamingResponse):
            return response  # a file, or another application's: theirs to compress
        if response.status == 304:
            return _same_as_before(request, response)
        if not _may_change(request, response):
            return response
        liked = accepted_codings(request.headers.get("accept-encoding"), names)
        if not liked or (breach_guard and _may_leak(request)):
            response.headers.add_vary("accept-encoding")
            return response
        if isinstance(response, StreamingResponse):
            return _stream(request, response, known[liked[0]])
        return await _whole(request, response, known[liked[0]])

    return middleware


def _known(
    encodings: Iterable[Coding] | None, levels: Mapping[Coding, int]
) -> Mapping[str, Encoding]:
    if isinstance(encodings, str):
        raise ConfigError(f"encodings={encodings!r} is one. Write a list: [{encodings!r}].")
    names = available() if encodings is None else encodings
    known: dict[str, Encoding] = {name: encoding(name, levels.get(name)) for name in names}
    if not known:
        raise ConfigError("encodings=[] leaves nothing to compress with; leave the middleware out.")
    if unknown := levels.keys() - known.keys():
        raise ConfigError(
            f"levels= has {', '.join(sorted(unknown))}, and encodings= has only {', '.join(known)}."
        )
    return known


def _may_change(request: Request, response: Response) -> bool:
    content_type = response.content_type
    if content_type is None or not _is_compressible(content_type):
        return False
    if response.status in (204, 206):
        return False
    made = response.made_headers
    if made is not None:
        if any(name in made for name in _UNTOUCHABLE):
            return False
        if "no-transform" in made.get("cache-control", "").lower():
            return False
    route = request.route
    return route is None or route.meta.get("compress") is not False


def _is_compressible(content_type: str) -> bool:
    known = _types.get(content_type)
    if known is None:
        known = _COMPRESSIBLE.fullmatch(content_type.partition(";")[0].strip()) is not None
        if len(_types) < _TYPES_KEPT:
            _types[content_type] = known
    return known


def _may_leak(request: Request) -> bool:
    """Tell whether somebody else may have had the user's browser send this (the BREACH attack).

    The browser says where a request began. One that says nothing is old, or not a browser: then it
    counts as another site. Cookies are what browsers add by themselves, and passwords of HTTP.
    """
    headers = request.headers
    if "cookie" not in headers:
        authorization = headers.get("authorization")
        if authorization is None or authorization[:6].lower() != "basic ":
            return False
    return headers.get("sec-fetch-site") not in ("same-origin", "none")


def _same_as_before(request: Request, response: Response) -> Response:
    """Give a 304 the fields of the 200 that the client has (RFC 9110 section 15.4.5)."""
    made = response.made_headers
    etag = None if made is None else made.get("etag")
    if made is not None and etag is not None:
        weak = _weak(etag)
        # It was compressed if that is what the client knows it by. What was not, keeps its tag.
        if weak != etag and weak in request.headers.get("if-none-match", ""):
            made["etag"] = weak
            made.add_vary("accept-encoding")
    return response


def _fields(response: Response, coding: Coding) -> MutableHeaders:
    """Return the fields of the compressed response.

    In an object of their own: a handler may keep a response, and return it to somebody else.
    """
    fields = MutableHeaders(response.headers)
    fields["content-encoding"] = coding
    fields.add_vary("accept-encoding")
    fields.pop("content-length")
    # Ranges would be of the bytes that were compressed, and another time these may differ.
    fields.pop("accept-ranges")
    etag = fields.get("etag")
    if etag is not None:
        fields["etag"] = _weak(etag)
    return fields


def _weak(etag: str) -> str:
    # Equal content, other bytes (RFC 9110 section 8.8.3.3).
    return etag if etag.startswith("W/") else f"W/{etag}"


async def _whole(request: Request, response: Response, chosen: Encoding) -> Response:
    body = response.body
    if len(body) < _IN_THREAD:
        data = chosen.encode(body)
    else:
        data = await request.resources.get(ThreadPool).run(chosen.encode, body)
    if len(data) >= len(body):
        response.headers.add_vary("accept-encoding")
        return response
    answer = Response(data, response.status)
    answer.made_headers = _fields(response, chosen.name)
    answer.error = response.error
    return answer


def _stream(request: Request, response: StreamingResponse, chosen: Encoding) -> Response:
    content = _Compressed(request, response.content, chosen)
    answer = StreamingResponse(content, response.status)
    answer.made_headers = _fields(response, chosen.name)
    answer.error = response.error
    return answer


class _Compressed:
    """A stream, compressed as it is made. It begins, as it would itself, when it is iterated."""

    def __init__(
        self, request: Request, content: AsyncIterable[bytes | str], chosen: Encoding
    ) -> None:
        self._request = request
        self._content = content
        self._coding = chosen

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces(self._request, aiter(self._content), self._coding.encoder())


class _Pieces:
    def __init__(
        self, request: Request, chunks: AsyncIterator[bytes | str], encoder: Encoder
    ) -> None:
        self._request = request
        self._chunks = chunks
        self._encoder = encoder
        self._has_ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = b""
        while not data:
            if self._has_ended:
                raise StopAsyncIteration
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                self._has_ended = True
                return self._encoder.finish()
            data = chunk.encode() if isinstance(chunk, str) else chunk
        if len(data) < _IN_THREAD:
            return self._encoder.push(data)
        threads = self._request.resources.get(ThreadPool)
        return await threads.run(self._encoder.push, data)

    async def aclose(self) -> None:
        # What is closed early, or breaks off, gets no end: the reader sees that something is missing.
        self._has_ended = True
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
