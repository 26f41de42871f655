"""Decompression of request bodies, within limits: a few bytes may stand for a great many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from oxidite.clock import perf, sleep
from oxidite.errors import ConfigError, HTTPError, PayloadTooLargeError
from oxidite.http.body import read_all
from oxidite.http.declared import declares
from oxidite.http.methods import PathMethods
from oxidite.http.middleware import complete, ordered
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.decode import Decoder, InvalidContentCodingError, decoder_of, decoders

__all__ = ["UnsupportedContentCodingError", "decompression"]

_FIELD = "content-encoding"
_MAX_CODINGS = 2
_FREE = 1024 * 1024  # bytes up to which no ratio is too large: a short text may repeat itself
_TURN = 0.005  # seconds of decoding after which the others get a turn


class UnsupportedContentCodingError(HTTPError):
    """The request body has a Content-Encoding that is not accepted here."""

    code = "unsupported_content_coding"
    status = 415


def decompression(
    *,
    max_size: int = 10 * 1024 * 1024,
    max_ratio: float = 100.0,
    encodings: Iterable[str] | None = None,
) -> Middleware:
    """Decode request bodies with a Content-Encoding, so that handlers read what was meant.

    A body that becomes more than ``max_size`` bytes, or more than what the route accepts, is refused
    with 413 when that shows; and so is one that beyond the first megabyte becomes ``max_ratio`` times
    as much as was sent. ``encodings`` are gzip, deflate, and zstd and br where they are installed; others
    get 415 with an Accept-Encoding (RFC 9110 section 15.5.16), and so do more than two, one over the
    other. The body is read into memory before the handler runs. A mounted application decodes its own.

    Raises:
        ConfigError: there is no such coding, or a limit is not positive.
        MissingExtraError: a coding was named whose package is not installed.
    """
    if min(max_size, max_ratio) <= 0:
        raise ConfigError("max_size= and max_ratio= of decompression are more than 0.")
    if isinstance(encodings, str):
        raise ConfigError(f"encodings={encodings!r} is one. Write a list: [{encodings!r}].")
    known = decoders() if encodings is None else {name: _decoder(name) for name in encodings}
    accepted = ", ".join(known)

    # They read bodies.
    @complete
    @declares(
        raises=[UnsupportedContentCodingError, InvalidContentCodingError, PayloadTooLargeError],
        methods=("POST", "PUT", "PATCH", "QUERY"),
    )
    @ordered(outside=["csrf", "idempotency"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        if _FIELD not in request.headers:
            return await call_next(request)
        codings = _codings(request)
        if not codings or "*" in request.resources.get(PathMethods)(request):
            return await call_next(request)
        if len(codings) > _MAX_CODINGS or not known.keys() >= set(codings):
            raise UnsupportedContentCodingError(
                f"Content-Encoding {', '.join(codings)[:100]!r} is not accepted here. Accepted: "
                f"{accepted}.",
                headers={"accept-encoding": accepted},
            )
        limit = min(max_size, request.max_body)
        chunks = request.stream()
        for name in reversed(codings):  # the last one applied comes off first
            chunks = _decoded(chunks, known[name](), limit, max_ratio)
        body = await read_all(chunks)
        request.replace_body(body, without=(_FIELD, "content-length"))
        return await call_next(request)

    return middleware


def _decoder(name: str) -> Callable[[], Decoder]:
    if name not in ("zstd", "br", "gzip", "deflate"):
        raise ConfigError(f"There is no coding {name!r}. Choose among: zstd, br, gzip, deflate.")
    return decoder_of(name)


def _codings(request: Request) -> list[str]:
    names = ",".join(request.headers.get_all(_FIELD)).lower().split(",")
    stripped = [name.strip(" \t").removeprefix("x-") for name in names]
    return [name for name in stripped if name not in ("", "identity")]


async def _decoded(
    chunks: AsyncIterator[bytes], decoder: Decoder, limit: int, max_ratio: float
) -> AsyncIterator[bytes]:
    size = read = 0
    due = perf() + _TURN
    async for chunk in chunks:
        read += len(chunk)
        for piece in decoder.pieces(chunk):
            size += len(piece)
            if size > limit:
                raise PayloadTooLargeError(
                    limit, f"The request body becomes more than the {limit} bytes allowed here."
                )
            if size > _FREE and size > max_ratio * read:
                raise PayloadTooLargeError(
                    limit, f"The request body becomes more than {max_ratio:g} times as large."
                )
            yield piece
            if perf() > due:
                await sleep(0)
                due = perf() + _TURN
    if not decoder.is_complete:
        raise InvalidContentCodingError("The request body ends before its Content-Encoding does.")
