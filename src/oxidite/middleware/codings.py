"""Content codings: gzip from the standard library, zstd and br from the extra ``compress``.

RFC 9110 section 8.4.1, RFC 8878 and 9659 (zstd), RFC 7932 (br). Their packages are imported when an
application asks for them; which of those a client reads is told by its Accept-Encoding.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal, Protocol, TypeAlias, cast

from oxidite.errors import ConfigError, MissingExtraError

__all__ = ["Coding", "Encoder", "Encoding", "available", "encoding"]

Coding: TypeAlias = Literal["zstd", "br", "gzip"]
"""The name of a content coding, as in Content-Encoding."""

_MODULES = {
    "zstd": "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd",
    "br": "brotli",
    "gzip": "zlib",
}
# RFC 9659 lets clients refuse a window of more than 8 MB: that of level 19 is not.
_LEVELS: Mapping[Coding, tuple[int, int, int]] = {
    "zstd": (1, 19, 3),
    "br": (0, 11, 4),
    "gzip": (1, 9, 6),
}
_GZIP = 31  # zlib's number for a gzip header and the largest window

_SMALL_GZIP = 4096
"""Bytes that are all in sight of a window of the size below."""
_SMALL_WINDOW = 28
_SMALL_TABLES = 5
_SMALL_ZSTD = 65_536

# What an open stream keeps is a matter of these: 0.1 MB with gzip, 0.4 with zstd, 0.8 with br.
_STREAM_WINDOW = 17
_STREAM_TABLES = 14
_STREAM_WINDOW_BR = 16


class Encoder(Protocol):
    """Compresses one stream."""

    def push(self, data: bytes) -> bytes:
        """Return ``data`` compressed, all of it: the reader can decode what it has."""
        ...

    def finish(self) -> bytes:
        """Return the end of the stream."""
        ...


@dataclass(frozen=True, slots=True)
class Encoding:
    """A content coding at a level: ``encode`` for a whole body, ``encoder`` for a stream."""

    name: Coding
    encode: Callable[[bytes], bytes]
    encoder: Callable[[], Encoder]


def available() -> tuple[Coding, ...]:
    """Return the codings that are installed, the best first."""
    found: list[Coding] = []
    for name in _LEVELS:
        try:
            import_module(_MODULES[name])
        except ModuleNotFoundError:
            continue
        found.append(name)
    return tuple(found)


def encoding(name: Coding, level: int | None) -> Encoding:
    """Return a coding, ready for use; ``level`` is a usual one unless given.

    Raises:
        ConfigError: there is no such coding, or no such level of it.
        MissingExtraError: its package is not installed.
    """
    if name not in _LEVELS:
        raise ConfigError(f"There is no coding {name!r}. Choose among: {', '.join(_LEVELS)}.")
    lowest, highest, usual = _LEVELS[name]
    level = usual if level is None else level
    if not lowest <= level <= highest:
        raise ConfigError(f"Levels of {name} are from {lowest} to {highest}; {level} is none.")
    module = load(name)
    if name == "gzip":
        return Encoding(name, lambda data: _gzip(data, level), lambda: _Gzip(level))
    if name == "br":
        return Encoding(
            name,
            lambda data: cast("bytes", module.compress(data, quality=level)),
            lambda: _Brotli(module, level),
        )
    return Encoding(name, _zstd(module, level), lambda: _Zstd(module, level))


def load(name: str) -> ModuleType:
    """Import the module of a coding.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(_MODULES[name])
    except ModuleNotFoundError as exc:
        raise MissingExtraError("compress", needed_by=f"The content coding {name}") from exc


def _gzip(data: bytes, level: int) -> bytes:
    if len(data) > _SMALL_GZIP:
        return zlib.compress(data, level, _GZIP)
    # PERF: most of the time goes into 256 kB of tables, and here fewer are as good; benchmark `micro`.
    stream = zlib.compressobj(level, zlib.DEFLATED, _SMALL_WINDOW, _SMALL_TABLES)
    return stream.compress(data) + stream.flush()


def _zstd(module: ModuleType, level: int) -> Callable[[bytes], bytes]:
    # PERF: its tables are made once, for bodies that hold nobody up for long; benchmark `micro`.
    kept = module.ZstdCompressor(level)

    def compress(data: bytes) -> bytes:
        if len(data) > _SMALL_ZSTD:
            return cast("bytes", module.compress(data, level))
        return cast("bytes", kept.compress(data, kept.FLUSH_FRAME))

    return compress


class _Gzip:
    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, _GZIP)

    def push(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush()


class _Brotli:
    def __init__(self, module: ModuleType, level: int) -> None:
        self._stream = module.Compressor(quality=level, lgwin=_STREAM_WINDOW_BR)

    def push(self, data: bytes) -> bytes:
        return cast("bytes", self._stream.process(data) + self._stream.flush())

    def finish(self) -> bytes:
        return cast("bytes", self._stream.finish())


class _Zstd:
    def __init__(self, module: ModuleType, level: int) -> None:
        names = module.CompressionParameter
        self._stream = module.ZstdCompressor(
            options={
                names.compression_level: level,
                names.window_log: _STREAM_WINDOW,
                names.hash_log: _STREAM_TABLES,
                names.chain_log: _STREAM_TABLES,
            }
        )

    def push(self, data: bytes) -> bytes:
        return cast("bytes", self._stream.compress(data, mode=self._stream.FLUSH_BLOCK))

    def finish(self) -> bytes:
        return cast("bytes", self._stream.flush())
