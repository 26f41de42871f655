"""A cache gives back values of the types that were asked for."""

from __future__ import annotations

from typing import assert_type

from msgspec import Struct

from oxidite.cache import Cache, Cached, CacheEntry


class User(Struct):
    id: int


async def load() -> User:
    return User(1)


def plain() -> User:
    return User(1)


async def values(cache: Cache) -> None:
    assert_type(await cache.get("k", User), User | None)
    assert_type(await cache.get("k", list[User]), list[User] | None)
    assert_type(await cache.get("k", User, 0), User | int)
    assert_type(await cache.pop("k", User), User | None)
    assert_type(await cache.get_many(["a"], User), dict[str, User])
    assert_type(await cache.get_or_set("k", load, ttl=60), User)
    assert_type(await cache.get_or_set("k", plain, grace=60, tags=["a"]), User)
    assert_type(cache.peek("k", User), User | None)
    assert_type(await cache.incr("n"), int)
    async with cache.lock("name") as token:
        assert_type(token, int)
    async with cache.entry("k", User) as entry:
        assert_type(entry, CacheEntry[User])
        assert_type(entry.value, User | None)
        entry.value = User(2)
        entry.value = "text"  # type: ignore[assignment]
    await cache.get("k")  # type: ignore[call-overload]
    await cache.get_or_set("k", load, tll=60)  # type: ignore[call-overload]


cache = Cache.from_url("memory://", prefix="app:", ttl=60, jitter=0.2)


@cache.cached(ttl=600, grace=86400, eager=0.8, tags=lambda uid: [f"user:{uid}"])
async def profile(uid: int, *, detail: str = "") -> User:
    return User(uid)


async def functions() -> None:
    assert_type(await profile(7), User)
    assert_type(await profile(7, detail="x"), User)
    assert_type(await profile.refresh(7), User)
    assert_type(profile.peek(7), User | None)
    assert_type(profile.key(7), str)
    await profile.invalidate(7)
    await profile("7")  # type: ignore[arg-type]
    await profile.refresh(7, wrong=1)  # type: ignore[call-arg]


def takes(function: Cached[[int], User]) -> None: ...
