from collections.abc import Awaitable

from aiocache import SimpleMemoryCache, cached_stampede
from harness import Factory, User

cache = SimpleMemoryCache()
factory = Factory()


@cached_stampede(ttl=600, lease=10, key_builder=lambda function, uid: f"user:{uid}")
async def user(uid: int) -> User:
    return await factory(uid)


async def start() -> None:
    await cache.set("key", User(7), ttl=600)
    await hit()


def get() -> Awaitable[object]:
    return cache.get("key")


def hit() -> Awaitable[object]:
    return user(7)


def miss(number: int) -> Awaitable[object]:
    return user(number)
