"""Where answers are kept: finding them, keeping them, and who is making which one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oxidite import clock
from oxidite.cache.base import Item
from oxidite.cache.cache import Cache
from oxidite.cache.claims import Claim
from oxidite.cache.core import Core, Writing
from oxidite.cache.envelope import MOST_TAGS
from oxidite.cache.keys import stored_key
from oxidite.cache.l1 import Entry
from oxidite.cache.tags import stored_tags
from oxidite.cache.values import encoded, typed
from oxidite.cache.web.pages import Kept, Page, Varies, variant_key
from oxidite.cache.web.policy import Limits
from oxidite.cache.writes import delete
from oxidite.errors import BackendError
from oxidite.http.headers import Headers

__all__ = ["Place", "Shelf"]

_TYPED = typed(Kept)
_MOST_NAMES = 16  # request fields by which the answers of one URL may differ
_ALONE = 60.0  # seconds for which nobody waits for an answer that others could not use
_MOST_ALONE = 10_000


class Place(NamedTuple):
    """Where the answer to a request is, and what is there.

    ``names`` are the request fields that answers of this URL differ by. ``is_valid`` tells whether
    nothing said since that it should be asked for, whatever its time.
    """

    url: str
    key: str
    names: tuple[str, ...] = ()
    page: Page | None = None
    is_valid: bool = True


class Shelf:
    """Answers in a cache, for all requests of one middleware."""

    def __init__(self, cache: Cache, limits: Limits, *, keep: float, patience: float) -> None:
        self.core: Core = cache._core  # noqa: SLF001 - of this package, and of no use outside
        self.limits: Limits = limits
        self.patience: float = patience
        self.flights: dict[str, asyncio.Future[bool | None]] = {}
        self._prefix = cache._prefix  # noqa: SLF001 - as above
        self._keep = keep
        self._alone: OrderedDict[str, float] = OrderedDict()

    def now(self) -> float:
        """Return the time of the store."""
        return self.core.backend.now()

    async def find(self, url: str, headers: Headers) -> Place:
        """Return where the answer to a request is; nothing is there if the store fails."""
        try:
            kept, is_valid = await self._get(url)
            if not isinstance(kept, Varies):
                return Place(url, url, (), kept, is_valid)
            key = variant_key(url, kept.names, headers)
            page, is_valid = await self._get(key)
        except BackendError:
            return Place(url, url)
        return Place(url, key, kept.names, page if isinstance(page, Page) else None, is_valid)

    async def _get(self, key: str) -> tuple[Page | Varies | None, bool]:
        core, full = self.core, self._prefix + key
        entry, is_valid = core.near.get(full), True
        if entry is None:
            found = await core.look(full)
            if found is None:
                return None, False
            entry = found.entry
            is_valid = found.is_fresh or found.envelope.fresh <= self.now()
        return self.read(key, entry), is_valid

    def read(self, key: str, entry: Entry) -> Page | Varies | None:
        """Return what was kept."""
        kept = self.core.read(self._prefix + key, entry, _TYPED)
        return kept if isinstance(kept, Page | Varies) else None

    def claim(self, key: str) -> Claim:
        """Return the claim of an answer that is to be made."""
        return Claim(self.core, self._prefix + key, _TYPED, ())

    async def put(
        self,
        claim: Claim,
        place: Place,
        page: Page,
        headers: Headers,
        *,
        names: Iterable[str],
        tags: Sequence[str],
        mark: int,
    ) -> bool:
        """Keep a page that was made under a claim; return whether it could be.

        ``names`` are those it differs by. Those of before count on: the same URL may say so only sometimes.
        """
        names = tuple(sorted({*place.names, *names}))
        if len(names) > _MOST_NAMES or len(tags) + 1 > MOST_TAGS:
            return False
        key = variant_key(place.url, names, headers) if names else place.url
        left = page.lifetime - (self.now() - page.born)
        has_validator = page.etag is not None or page.modified is not None
        grace = max(page.swr, page.sie, self._keep if has_validator else 0.0) + min(left, 0.0)
        if left <= 0 and grace <= 0:
            return False
        core, full = self.core, self._prefix + key
        writing = Writing(full, encoded(full, page), max(left, 0.0), max(grace, 0.0))
        kept = core.envelope(writing, stored_tags(core.prefix, (place.url, *tags)), claim.as_of)
        if key == place.key:
            if await claim.fill(kept):
                core.near.put(full, core.entry(kept), mark)
            core.wake(stored_key(full))
            return True
        pointer = self._prefix + place.url
        again = core.envelope(
            Writing(pointer, encoded(pointer, Varies(names)), writing.ttl, writing.grace), (), 0
        )
        marks = [core.change(each) for each in (full, pointer)]
        items = [core.item(full, kept), core.item(pointer, again)]
        is_kept = await core.attempt(lambda: self._set(items), False)
        for each, envelope, changed in zip((full, pointer), (kept, again), marks, strict=True):
            core.written(each, envelope, changed, is_kept=is_kept)
        return True

    async def drop(self, key: str) -> None:
        """Forget a page that another answer has taken the place of, which is not kept."""
        await delete(self.core, [self._prefix + key])

    async def _set(self, items: Sequence[Item]) -> bool:
        await self.core.backend.set_many(items)
        return True

    # Whose answers others could not use.

    def leave_alone(self, key: str) -> None:
        """Let nobody wait for the answer to another one's request, for a while."""
        self._alone[key] = clock.monotonic() + _ALONE
        self._alone.move_to_end(key)
        if len(self._alone) > _MOST_ALONE:
            self._alone.popitem(last=False)

    def is_alone(self, key: str) -> bool:
        """Tell whether nobody is to wait."""
        ends = self._alone.get(key)
        if ends is not None and ends <= clock.monotonic():
            del self._alone[key]
            return False
        return ends is not None

    def gather(self, key: str) -> None:
        """Let who asks wait again."""
        self._alone.pop(key, None)
