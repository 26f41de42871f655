"""A codec gives values of its type."""

from __future__ import annotations

from typing import assert_type

from msgspec import Struct

from oxidite.concurrency import ThreadPool, call
from oxidite.encoding import Codec, codec_for, encode_json


class Post(Struct):
    title: str


assert_type(codec_for(Post), Codec[Post])
assert_type(codec_for(Post).decode_json(b""), Post)
assert_type(codec_for(list[Post]).convert([]), list[Post])
assert_type(codec_for(Post | None).decode_msgpack(b""), object)
assert_type(encode_json(Post("")), bytes)


def function(a: int, *, b: str = "") -> Post:
    return Post(b)


async def asynchronous(a: int) -> Post:
    return Post("")


async def in_threads(threads: ThreadPool) -> None:
    assert_type(await threads.run(function, 1, b="x"), Post)
    await threads.run(function, "1")  # type: ignore[arg-type]
    assert_type(await call(function, 1), Post)
    assert_type(await call(asynchronous, 1), Post)
