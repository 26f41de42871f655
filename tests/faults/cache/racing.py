"""One of several processes that change what values are made of while all of them read the values.

It is run with the URL of a store, a prefix, the folder in which what is true is written, how many seconds it
goes on, and the number chance begins with. It prints how much it has read, and what of that was too old.

What is made of a source has the number that the source had. A change counts the source on, then invalidates
the tag or deletes the key, then tells. So what is read by the process that told may not have a smaller number,
and what another one reads may not either, once that was told for longer than things are remembered there.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from oxidite import clock
from oxidite.cache import L1, Cache

REMEMBERED = 0.5  # seconds
_MARGIN = 0.05
_READERS, _WRITERS, _SOURCES = 20, 6, 8


class Sources:
    """Numbers in files, that are only counted on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: dict[str, int] = {}

    def read(self, name: str) -> int:
        path = self._folder / name
        return int(path.read_text() or 0) if path.exists() else 0

    @contextmanager
    def counted_on(self, name: str) -> Iterator[None]:
        """Count on, and tell that everybody was told when the block has ended."""
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            number = int(os.pread(file, 9, 0) or 0) + 1
            os.pwrite(file, b"%09d" % number, 0)  # at once: who reads sees the one or the other
        finally:
            os.close(file)
        yield
        self._told[name] = max(number, self._told.get(name, 0))
        with (self._folder / f"{name} told").open("a") as told:
            told.write(f"{time.time():.6f} {number}\n")

    def told_here(self, name: str) -> int:
        """Return the number of which this process has told everybody."""
        return self._told.get(name, 0)

    def told_before(self, name: str, moment: float) -> int:
        """Return the largest number of which anybody had told by then."""
        path = self._folder / f"{name} told"
        lines = path.read_text().splitlines()[-50:] if path.exists() else []
        told = [line.split() for line in lines if line.count(" ") == 1]
        return max((int(number) for at, number in told if float(at) < moment), default=0)


class Race:
    """Readers and writers in this process."""

    def __init__(self, cache: Cache, sources: Sources, chance: random.Random) -> None:
        self._cache = cache
        self._sources = sources
        self._chance = chance
        self.reads = 0
        self.changes = 0
        self.too_old: list[str] = []

    async def run(self, seconds: float) -> None:
        end = clock.perf() + seconds
        await asyncio.gather(
            *(self._read(end) for _ in range(_READERS)),
            *(self._write(end) for _ in range(_WRITERS)),
        )

    def _name(self) -> str:
        return f"{self._chance.choice(('tagged', 'plain'))}{self._chance.randrange(_SOURCES)}"

    async def _make(self, name: str) -> int:
        number = self._sources.read(name)
        await asyncio.sleep(self._chance.choice((0, 0, self._chance.random() / 250)))
        return number

    async def _read(self, end: float) -> None:
        while clock.perf() < end:
            name = self._name()
            tags = [f"tag {name}", "all"] if name.startswith("tagged") else []
            least = self._sources.told_here(name)
            if self._chance.random() < 0.1:
                before = time.time() - REMEMBERED - _MARGIN
                least = max(least, self._sources.told_before(name, before))
            if self._chance.random() < 0.5:
                found: int | None = await self._cache.get_or_set(
                    name, partial(self._make, name), type=int, tags=tags
                )
            else:
                found = await self._cache.get(name, int)
            self.reads += 1
            if found is not None and found < least:
                self.too_old.append(f"{name} was {found}, at least {least} was told")
            await asyncio.sleep(0)

    async def _write(self, end: float) -> None:
        while clock.perf() < end:
            name = self._name()
            with self._sources.counted_on(name):
                if name.startswith("tagged"):
                    await self._cache.invalidate_tags(f"tag {name}")
                else:
                    await self._cache.delete(name)
            self.changes += 1
            await asyncio.sleep(self._chance.random() / 50)


async def main(url: str, prefix: str, folder: str, seconds: str, seed: str) -> None:
    async with Cache.from_url(
        url, prefix=prefix, l1=L1(ttl=REMEMBERED), store_timeout=20, raises=True
    ) as cache:
        race = Race(cache, Sources(Path(folder)), random.Random(int(seed)))
        await race.run(float(seconds))
    print(json.dumps({"reads": race.reads, "changes": race.changes, "too_old": race.too_old}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
