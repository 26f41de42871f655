"""Changing what a cache holds: what is remembered here is forgotten before and after the store is told.

Before, as what is read from now on may be the old value or the new one; after, as who read the old one
meanwhile may have remembered it. In an open transaction it is forgotten once more after the commit: whoever
makes it in between makes it of rows that are not changed yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence

from oxidite.cache.core import Core, Writing
from oxidite.cache.envelope import Envelope
from oxidite.cache.keys import stored_key, stored_prefix
from oxidite.concurrency import sees_alone

__all__ = ["clear", "delete", "invalidate", "write"]

_BATCH = 1000  # tags that a store is told of at once
_PART = 500  # values that are deleted at once
_LEASE = 1.0  # seconds that others wait, if this process is killed between two steps


async def write(core: Core, writings: Sequence[Writing], tags: tuple[str, ...]) -> None:
    """Keep values that were not made under a claim."""
    marks = [core.change(each.key) for each in writings]
    stored = [stored_key(each.key) for each in writings]
    written: list[Envelope] = []

    async def work() -> bool:
        as_of = 0
        if tags:  # asked before the values are kept, so that an invalidation in between counts
            token = secrets.token_hex(8)
            as_of = (await core.backend.claim(stored[0], token, _LEASE, tags)).as_of
            if core.near.have_changed(tags, marks[0]):
                as_of = 0  # the values were there before that
        written[:] = [core.envelope(each, tags, as_of) for each in writings]
        items = [core.item(each.key, kept) for each, kept in zip(writings, written, strict=True)]
        await core.backend.set_many(items)
        core.told_written(items)
        return True

    try:
        is_kept = await core.attempt(work, False, owe=lambda owed: owed.add(keys=stored))
        if not is_kept:
            written[:] = [core.envelope(each, tags, 0) for each in writings]
    except BaseException:
        for each in writings:
            core.change(each.key)
        raise
    for each, kept, mark in zip(writings, written, marks, strict=True):
        core.written(each.key, kept, mark, is_kept=is_kept)


async def delete(core: Core, keys: Sequence[str], *, once: bool = False) -> int:
    """Delete values; return how many there were.

    ``once``: also in a transaction, as what is there after its commit is no old value of rows.
    """
    if not once:
        _again_after_commit(lambda: delete(core, keys))
    for key in keys:
        core.change(key)
    stored = [stored_key(key) for key in keys]
    count = 0
    try:
        # In parts, each of which has its time: for thousands a store takes longer than for one.
        while stored:
            part, stored = stored[:_PART], stored[_PART:]
            count += await _deleted(core, part)
            if core.guard.owed:
                break  # it would have to hear that first
        return count
    finally:
        if stored and core.backend.is_shared:
            core.guard.owed.add(keys=stored)
        for key in keys:
            core.change(key)
            core.wake(stored_key(key))


async def _deleted(core: Core, stored: Sequence[str]) -> int:
    return await core.attempt(
        lambda: core.backend.delete_many(stored), 0, owe=lambda owed: owed.add(keys=stored)
    )


async def clear(core: Core, prefix: str) -> None:
    """Delete all that begins with a prefix."""
    _again_after_commit(lambda: clear(core, prefix))
    stored = stored_prefix(prefix)
    core.change_many(prefix=stored)
    try:
        await core.attempt(
            lambda: core.backend.clear(stored),
            None,
            owe=lambda owed: owed.add(prefixes=[stored]),
            is_long=True,
        )
    finally:
        core.change_many(prefix=stored)


async def invalidate(core: Core, tags: Sequence[str], *, soft: bool) -> None:
    """Invalidate tags, as they are stored."""
    _again_after_commit(lambda: invalidate(core, tags, soft=soft))
    core.change_many(tags=tags)

    async def work() -> None:
        for part in range(0, len(tags), _BATCH):
            await core.backend.invalidate(tags[part : part + _BATCH], soft=soft)

    try:
        await core.attempt(
            work,
            None,
            owe=lambda owed: owed.add(soft=tags) if soft else owed.add(hard=tags),
        )
    finally:
        core.change_many(tags=tags)


def _again_after_commit(change: Callable[[], Awaitable[object]]) -> None:
    """Make a change once more after the commit, if it is made in an open transaction."""
    if not sees_alone():
        return
    from oxidite.db.connections.transaction import innermost_transaction

    transaction = innermost_transaction()
    if transaction is not None:
        transaction.on_commit(change)
