"""What a cache does with keys besides making values: reading several, adding, prolonging, counting."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from oxidite.cache.core import Core, Writing
from oxidite.cache.envelope import Envelope
from oxidite.cache.keys import stored_key
from oxidite.cache.l1 import MISSING, Entry
from oxidite.cache.memo import current_memo
from oxidite.cache.recording import depend_on
from oxidite.cache.values import Typed
from oxidite.errors import BackendError
from oxidite.instrument import event

__all__ = ["add", "get_many", "incr", "touch"]

_LEASE = 1.0  # seconds that others wait, if this process is killed between two steps


async def get_many(core: Core, keys: Sequence[str], typed: Typed[object]) -> dict[str, object]:
    """Return the values of those keys that have a fresh one of a type."""
    memo = current_memo()
    found: dict[str, object] = {}
    asked: list[str] = []
    for key in keys:
        entry = core.near.get(key) if memo is None else memo.get(core, key) or core.near.get(key)
        if entry is not None and _took(core, key, entry, typed, "l1", found):
            core.counts.hits += 1
        elif memo is None or not memo.has(core, key):
            asked.append(key)
    # One that is asked for alone is asked for together with whoever does at this moment.
    looked = [await core.look(asked[0])] if len(asked) == 1 else await core.look_many(asked)
    for key, each in zip(asked, looked, strict=True):
        if each is not None and each.is_fresh:
            core.counts.shared_hits += _took(core, key, each.entry, typed, "store", found)
        if memo is not None:
            memo.put(core, key, each.entry if each is not None and each.is_fresh else None)
    for key in keys:
        if key not in found:
            core.counts.misses += 1
            event("cache.miss", key=key)
    return found


def _took(
    core: Core, key: str, entry: Entry, typed: Typed[object], tier: str, found: dict[str, object]
) -> bool:
    value = core.read(key, entry, typed)
    if value is MISSING:
        return False
    core.told_hit(entry, tier)
    depend_on(core, entry)
    found[key] = value
    return True


async def add(core: Core, writing: Writing, tags: tuple[str, ...]) -> bool:
    """Keep a value if there is none that is fresh; return whether there was none."""
    key, token = writing.key, secrets.token_hex(8)
    mark = core.change(key)
    backend = core.backend
    kept: list[Envelope] = []

    async def work() -> bool:
        claimed = await backend.claim(stored_key(key), token, _LEASE, tags)
        (found,) = await core.judged([key], [claimed.value])
        if found is not None and found.is_fresh:
            if claimed.granted:
                await backend.release(stored_key(key), token)
            return False
        # Who invalidates a tag after this began means this value, too.
        as_of = 0 if core.near.have_changed(tags, mark) else claimed.as_of
        kept[:] = [core.envelope(writing, tags, as_of)]
        item = core.item(key, kept[0])
        # Somebody makes the value and is not done: until then there is none, and this one counts.
        is_kept = await (backend.fill(item, token) if claimed.granted else backend.add(item))
        if is_kept:
            core.told_written([item])
        return is_kept

    added = await core.attempt(work, False)
    if added:
        core.written(key, kept[0], mark, is_kept=True)
    return added


async def touch(core: Core, key: str, ttl: float | None, grace: float) -> bool:
    """Let a value be fresh for ``ttl`` seconds from now; return whether there is one that is."""
    token = secrets.token_hex(8)
    core.change(key)
    backend, stored = core.backend, stored_key(key)

    async def work() -> bool:
        claimed = await backend.claim(stored, token, _LEASE, ())
        (found,) = await core.judged([key], [claimed.value])
        if found is None or not found.is_fresh:
            if claimed.granted:
                await backend.release(stored, token)
            return False
        if not claimed.granted:
            return True  # another is making a newer one, which lives as long as it says
        if found.is_number:
            await backend.release(stored, token)
            return await backend.touch(stored, ttl)
        old = found.envelope
        writing = Writing(key, old.payload, ttl, grace)
        new = core.envelope(writing, old.tags, old.as_of, cost=old.cost)
        await backend.fill(core.item(key, new), token)
        return True

    try:
        return await core.attempt(work, False)
    finally:
        core.change(key)


async def incr(core: Core, key: str, by: int, ttl: float | None) -> int:
    """Add to a number and return the sum.

    Raises:
        BackendError: the store failed, what is there is no number, or it would not fit into 64 bits.
    """
    core.change(key)
    backend = core.backend
    try:
        return await core.guard.call(lambda: backend.incr(stored_key(key), by, ttl))
    except BackendError as exc:
        core.counts.errors += 1
        event("cache.error", error=exc)
        raise
    finally:
        core.change(key)
