"""``oxidite.middleware.codings``: whole bodies of every size, one after the other and side by side."""

from __future__ import annotations

import random
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from oxidite.middleware.codings import Coding, Encoding, encoding

brotli = import_module("brotli")
zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

DECODERS: dict[Coding, Callable[[bytes], bytes]] = {
    "zstd": zstd.decompress,
    "br": brotli.decompress,
    "gzip": lambda data: zlib.decompress(data, 31),
}
SIZES = [0, 1, 27, 1000, 4095, 4096, 4097, 65_535, 65_536, 65_537, 300_000]


@pytest.fixture(params=DECODERS)
def coding(request: pytest.FixtureRequest) -> Encoding:
    name: Coding = request.param
    return encoding(name, None)


def bodies(size: int) -> list[bytes]:
    chance = random.Random(size)
    return [b"a" * size, chance.randbytes(size), b"".join(b'{"id":%d},' % n for n in range(size))]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_encoded_is_decoded_whatever_came_before(coding: Encoding, size: int) -> None:
    decode = DECODERS[coding.name]
    for body in bodies(size):
        first, again = coding.encode(body[:size]), coding.encode(body[:size])
        assert first == again
        assert decode(first) == body[:size]


def test_threads_do_not_mix_their_bodies(coding: Encoding) -> None:
    decode = DECODERS[coding.name]
    wanted = [b"%d " % n * 3000 for n in range(64)]
    with ThreadPoolExecutor(8) as threads:
        for body, data in zip(wanted, threads.map(coding.encode, wanted * 4), strict=False):
            assert decode(data) == body


def test_a_small_body_becomes_no_larger_than_by_the_usual_tables() -> None:
    gzip = encoding("gzip", 6)
    for size in (500, 2000, 4096):
        for body in bodies(size):
            assert len(gzip.encode(body[:size])) <= len(zlib.compress(body[:size], 6, 31)) * 1.02
