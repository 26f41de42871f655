"""An application that uses a cache for all that there is, and whoever asks it again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from time import perf_counter

from msgspec import Struct

from oxidite import Oxidite
from oxidite.cache import L1, Cache
from oxidite.middleware import rate_limit
from oxidite.testing import Client

__all__ = ["Asked", "Product", "Shop", "fares_well", "opened"]

_AT_ONCE = 10
WORST = 3.0
"""Seconds. What is waited for is half a second of each call until the store is left alone, and here the
application does four things one after the other."""


class Product(Struct, frozen=True):
    id: int
    price: int


class Page(Struct, frozen=True):
    known: Product | None
    made: Product
    cached: Product
    several: int


class Asked(Struct):
    """What came of many requests: how many seconds the worst one took, and what was wrong."""

    worst: float
    wrong: list[str]


class Shop:
    """Prices, as they are, and as they are told."""

    def __init__(self, url: str, l1: L1 | None) -> None:
        self.prices = dict.fromkeys(range(10), 1)
        self.told = dict(self.prices)
        self.cache = Cache.from_url(url, prefix="shop:", ttl=600, l1=l1)
        self.app = Oxidite(
            resources=[self.cache],
            middleware=[rate_limit("1000000/minute", store=self.cache.rates)],
        )
        cache = self.cache

        @cache.cached(tags=lambda number: [f"product:{number}"], key="cached")
        async def cached(number: int) -> Product:
            return self.product(number)

        @self.app.get("/products/{number}")
        async def show(number: int) -> Page:
            known = await cache.get(f"known:{number}", Product)
            made = await cache.get_or_set(
                f"made:{number}",
                lambda: self.product(number),
                type=Product,
                tags=[f"product:{number}"],
            )
            if known is None:
                await cache.set(f"known:{number}", self.product(number), tags=[f"product:{number}"])
            several = await cache.get_many([f"made:{n}" for n in range(10)], Product)
            return Page(known, made, await cached(number), len(several))

        @self.app.put("/products/{number}")
        async def change(number: int, price: int) -> int:
            self.prices[number] = price
            await cache.invalidate_tags(f"product:{number}")
            self.told[number] = price
            return price

    def product(self, number: int) -> Product:
        return Product(number, self.prices[number])

    async def ask(self, client: Client, count: int = 1000) -> Asked:
        """Ask so often, several at once, and change prices now and then.

        Wrong is what is no 200, and a price of before a change that was answered.
        """
        wrong: list[str] = []
        times: list[float] = []

        async def one(number: int) -> None:
            product = number % 10
            least = self.told[product]
            began = perf_counter()
            if number % 50 == 49:
                answer = await client.put(f"/products/{product}?price={least + 1}")
            else:
                answer = await client.get(f"/products/{product}")
            times.append(perf_counter() - began)
            if answer.status_code != 200:
                wrong.append(f"{number}: {answer.status_code} {answer.text[:200]}")
            elif number % 50 != 49:
                told = answer.json()
                prices = [told[each]["price"] for each in ("known", "made", "cached") if told[each]]
                if min(prices) < least:
                    wrong.append(f"{number}: {prices} although it was {least}")

        for begin in range(0, count, _AT_ONCE):
            await asyncio.gather(*(one(number) for number in range(begin, begin + _AT_ONCE)))
        return Asked(max(times), wrong)

    async def _is_used(self) -> bool:
        await self.cache.set("probe", 1)
        return (await self.cache.stats()).store is not None

    async def until_healed(self, client: Client, *, within: float = 60.0) -> None:
        """Ask until the store is used again."""
        async with asyncio.timeout(within):
            while True:
                errors = self.cache.counts.errors
                await client.get("/products/0")
                if self.cache.counts.errors == errors and await self._is_used():
                    return
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def opened(url: str, *, l1: L1 | None) -> AsyncIterator[tuple[Shop, Client]]:
    shop = Shop(url, l1)
    async with Client(shop.app) as client:
        yield shop, client


async def fares_well(asking: Awaitable[Asked]) -> None:
    asked = await asking
    assert asked.wrong == []
    assert asked.worst < WORST
