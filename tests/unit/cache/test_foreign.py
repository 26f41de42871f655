"""Whatever somebody put into the store under a key of the cache: it is a miss, and replaced."""

from __future__ import annotations

import random
from collections.abc import Iterator

from msgspec import Struct
from tests.unit.cache.stores import Remote

from oxidite.cache import Cache, Item


class Point(Struct, frozen=True):
    x: int
    name: str


NUMBERS = [b"-", b"0x1", b"1_0", b"9" * 5000, b"9" * 30, b"1e5", b"5 ", b"-1.5", b"\xd9\xa1"]
PAYLOADS = [
    b"\x91" * 200_000,
    b"\x81" * 5000,
    b"\xdd\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
]
TYPES = [Point, int, str, bytes, list, dict, object, list[Point], float]


def _foreign(good: bytes, chance: random.Random) -> Iterator[bytes]:
    yield from NUMBERS
    for payload in PAYLOADS:
        yield good[: -len(b"\x82\xa1x\x01\xa4name\xa1a")] + payload
    for length in range(len(good)):
        yield good[:length]
    for _ in range(300):
        changed = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        yield bytes(changed)
        yield b"\x01" + chance.randbytes(chance.randrange(200))


async def test_what_others_put_into_the_store_raises_nothing_and_is_made_anew() -> None:
    backend, chance = Remote(), random.Random(5)
    async with Cache(backend, l1=None) as cache:
        await cache.set("key", Point(1, "a"), tags=["a", "b"], ttl=100)
        (good,) = await backend.get_many(["key"])
        assert good is not None
        for data in _foreign(good, chance):
            for ask in (
                cache.get("key", chance.choice(TYPES)),
                cache.exists("key"),
                cache.get_many(["key", "other"], object),
                cache.touch("key", 5),
                cache.add("key", 7),
                cache.pop("key", chance.choice(TYPES)),
            ):
                await backend.set_many([Item("key", data)])
                await ask
            await backend.set_many([Item("key", data)])
            await cache.get_or_set("key", lambda: Point(2, "b"), type=Point)
            assert isinstance(await cache.get("key", Point), Point)
        assert cache.counts.undecodable > 1000
        assert cache.counts.errors == 0
