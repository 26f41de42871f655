from collections.abc import Awaitable

from harness import Factory, User
from oxidite.cache import Cache

cache = Cache.from_url("memory://", ttl=600)
factory = Factory()


@cache.cached(ttl=600, key="user")
async def user(uid: int) -> User:
    return await factory(uid)


async def start() -> None:
    await cache.__aenter__()
    await cache.set("key", User(7))
    await get()
    await hit()


def get() -> Awaitable[object]:
    return cache.get("key", User)


def hit() -> Awaitable[object]:
    return user(7)


def miss(number: int) -> Awaitable[object]:
    return user(number)
