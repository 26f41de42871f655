from collections.abc import Awaitable

from cashews import cache
from harness import Factory, User

factory = Factory()


@cache(ttl="10m", key="user:{uid}", lock=True)
async def user(uid: int) -> User:
    return await factory(uid)


async def start() -> None:
    cache.setup("mem://?size=10000")
    await cache.set("key", User(7), expire=600)
    await hit()


def get() -> Awaitable[object]:
    return cache.get("key")


def hit() -> Awaitable[object]:
    return user(7)


def miss(number: int) -> Awaitable[object]:
    return user(number)
