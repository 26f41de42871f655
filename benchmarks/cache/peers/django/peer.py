from django.conf import settings
from harness import User

settings.configure(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}})
from django.core.cache import cache  # noqa: E402


async def start() -> None:
    cache.set("key", User(7), timeout=600)


async def get() -> object:
    # The sync way, which is the quicker one: its async methods call it in a thread.
    return cache.get("key")
