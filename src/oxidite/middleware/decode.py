"""Decoders of content codings that give out what they have in small pieces, however much it becomes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Protocol

from oxidite.errors import BadRequestError, MissingExtraError
from oxidite.middleware.codings import load

__all__ = ["Decoder", "InvalidContentCodingError", "decoder_of", "decoders"]

PIECE = 64 * 1024
"""Bytes that a decoder gives out at a time, about."""

_WINDOW = 23  # 8 MB: who sends more breaks RFC 9659, and wants our memory


class InvalidContentCodingError(BadRequestError):
    """The request body is not what its Content-Encoding says."""

    code = "invalid_content_coding"


class Decoder(Protocol):
    """Decodes one body."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what ``data`` becomes."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether what came so far is a whole body."""
        ...


def decoders() -> dict[str, Callable[[], Decoder]]:
    """Return what makes a decoder, by the name of its coding, for all that are installed."""
    found = {}
    for name in ("zstd", "br", "gzip", "deflate"):
        try:
            found[name] = decoder_of(name)
        except MissingExtraError:
            continue
    return found


def decoder_of(name: str) -> Callable[[], Decoder]:
    """Return what makes a decoder.

    Raises:
        MissingExtraError: its package is not installed.
    """
    if name == "gzip":
        return lambda: _Members(lambda: _Zlib(31))
    if name == "deflate":
        return lambda: _Members(lambda: _Zlib(15), several=False)
    module = load(name)
    if name == "br":
        return lambda: _Brotli(module)
    return lambda: _Members(lambda: _Zstd(module))


class _Member(Protocol):
    """Decodes one of the members that a body may be made of."""

    @property
    def errors(self) -> type[Exception]:
        """What it raises for data that is none."""
        ...

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""
        ...

    def decode(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return a piece, what is left of ``data``, and whether there is more to come of it."""
        ...


class _Members:
    """gzip and zstd: several may follow each other (RFC 1952 section 2.2, RFC 8878 section 3.1)."""

    def __init__(self, begin: Callable[[], _Member], *, several: bool = True) -> None:
        self._begin = begin
        self._member = begin()
        self._several = several
        self._has_begun = False

    @property
    def is_complete(self) -> bool:
        return self._member.eof or not self._has_begun

    def pieces(self, data: bytes) -> Iterator[bytes]:
        has_more = bool(data)
        self._has_begun = self._has_begun or has_more
        while has_more:
            if self._member.eof:
                if not self._several:
                    raise InvalidContentCodingError("The request body goes on after its end.")
                self._member = self._begin()
            try:
                piece, data, has_more = self._member.decode(data)
            except self._member.errors as exc:
                raise InvalidContentCodingError from exc
            if piece:
                yield piece


class _Zlib:
    errors = zlib.error

    def __init__(self, window: int) -> None:
        self._stream = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    def decode(self, data: bytes) -> tuple[bytes, bytes, bool]:
        stream = self._stream
        piece = stream.decompress(data, PIECE)
        if stream.eof:
            return piece, stream.unused_data, bool(stream.unused_data)
        # A full piece: there may be more inside, although all of the data was taken.
        return piece, stream.unconsumed_tail, len(piece) == PIECE or bool(stream.unconsumed_tail)


class _Zstd:
    def __init__(self, module: ModuleType) -> None:
        options = {module.DecompressionParameter.window_log_max: _WINDOW}
        self._stream = module.ZstdDecompressor(options=options)
        self.errors: type[Exception] = module.ZstdError

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    def decode(self, data: bytes) -> tuple[bytes, bytes, bool]:
        stream = self._stream
        piece: bytes = stream.decompress(data, PIECE)
        if stream.eof:
            rest: bytes = stream.unused_data
            return piece, rest, bool(rest)
        return piece, b"", not stream.needs_input


class _Brotli:
    def __init__(self, module: ModuleType) -> None:
        self._stream = module.Decompressor()
        self._error: type[Exception] = module.error
        self._has_begun = False

    @property
    def is_complete(self) -> bool:
        return bool(self._stream.is_finished()) or not self._has_begun

    def pieces(self, data: bytes) -> Iterator[bytes]:
        has_more = bool(data)
        self._has_begun = self._has_begun or has_more
        while has_more:
            try:
                piece: bytes = self._stream.process(data, output_buffer_limit=PIECE)
            except self._error as exc:  # also when something follows the end
                raise InvalidContentCodingError from exc
            data = b""
            has_more = not self._stream.is_finished() and not self._stream.can_accept_more_data()
            if piece:
                yield piece
