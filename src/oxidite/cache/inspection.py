"""What a store has under keys, as people look at it: also what no longer counts, or cannot be read."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from oxidite.cache.base import Epochs, Stored
from oxidite.cache.core import Core
from oxidite.cache.envelope import Envelope, UnreadableError, wrapped_as
from oxidite.cache.keys import LONGEST, given_key, stored_key, stored_prefix

__all__ = ["Inspected", "inspected", "scanned"]

_MOST_KEYS, _MOST_BYTES = 200, 4 * 1024 * 1024  # that are read at once

# The first byte of MessagePack says what follows.
_FIXED = {0xC0: "null", 0xC2: "boolean", 0xC3: "boolean", 0xCA: "number", 0xCB: "number"}
_SIZED = {
    0xC4: ("bytes", 1),
    0xC5: ("bytes", 2),
    0xC6: ("bytes", 4),
    0xD9: ("text", 1),
    0xDA: ("text", 2),
    0xDB: ("text", 4),
    0xDC: ("list", 2),
    0xDD: ("list", 4),
    0xDE: ("map", 2),
    0xDF: ("map", 4),
}


class Inspected(Struct, frozen=True):
    """What is stored under a key.

    ``key`` is as it was given, and ``stored`` as the store has it; if it was too long to be kept whole,
    both are the latter. ``size`` is in bytes, as they are stored. ``kind`` says what the value is, not of
    which class: ``map of 5``, ``text of 12``, ``number of incr``. ``age`` is in seconds since it was made,
    and ``ttl`` until it is no longer fresh, ``kept`` until it is gone; both are ``None`` if never. ``cost``
    is how many seconds it took to make. ``contents`` is the value as MessagePack; ``None`` if it is
    encrypted, or cannot be read.

    ``state`` is ``fresh``; ``stale``, within its grace; ``gone``: a tag of it was invalidated, or is not
    known any more, or its time is over; ``unreadable``: of another version, or of a secret that is not
    known.
    """

    key: str
    stored: str
    size: int
    kind: str
    state: Literal["fresh", "stale", "gone", "unreadable"]
    age: float | None = None
    ttl: float | None = None
    kept: float | None = None
    cost: float = 0.0
    tags: tuple[str, ...] = ()
    is_compressed: bool = False
    is_encrypted: bool = False
    contents: bytes | None = None


async def inspected(core: Core, prefix: str, key: str) -> Inspected | None:
    """Return what is stored under a key, or if there is nothing under its stored form."""
    guard = core.guard
    stored = stored_key(prefix + key)
    (found,) = await guard.call(lambda: _read(core, prefix, [stored]))
    # A key that was cut is known to who looks only as it is stored.
    if found is None and "%%" in key and len(key) <= LONGEST:
        (found,) = await guard.call(lambda: _read(core, prefix, [key]))
    return found


async def scanned(
    core: Core, prefix: str, within: str, tag: str | None
) -> AsyncIterator[Inspected]:
    """Go through what is stored under keys that begin so, and that has a tag, as it is stored."""
    async for keys in _parts(core.backend.scan(stored_prefix(prefix + within))):
        for found in await _read(core, prefix, keys):
            if found is not None and (tag is None or tag in found.tags):
                yield found


async def _parts(found: AsyncIterator[Stored]) -> AsyncIterator[list[str]]:
    keys: list[str] = []
    size = 0
    async for each in found:
        keys.append(each.key)
        size += each.size
        if len(keys) >= _MOST_KEYS or size >= _MOST_BYTES:
            yield keys
            keys, size = [], 0
    if keys:
        yield keys


async def _read(core: Core, prefix: str, stored: Sequence[str]) -> list[Inspected | None]:
    """Return what is under keys, as they are stored."""
    values = await core.backend.get_many(stored)
    there = {key: value for key, value in zip(stored, values, strict=True) if value is not None}
    opened = {key: _opened(core, key, value) for key, value in there.items()}
    known = [each for each in opened.values() if isinstance(each, Envelope)]
    tags = list(dict.fromkeys(tag for each in known for tag in each.tags))
    epochs = dict(zip(tags, await core.backend.epochs(tags), strict=True))
    return [
        _told(core, prefix, key, there[key], opened[key], epochs) if key in there else None
        for key in stored
    ]


def _opened(core: Core, stored: str, value: bytes) -> Envelope | UnreadableError:
    try:
        return core.wrapping.unwrap(stored, value)
    except UnreadableError as exc:
        return exc


def _told(
    core: Core,
    prefix: str,
    stored: str,
    value: bytes,
    opened: Envelope | UnreadableError,
    epochs: Mapping[str, Epochs | None],
) -> Inspected:
    compressed, encrypted = wrapped_as(value)
    about = Inspected(
        _given(stored, prefix),
        stored,
        len(value),
        f"unreadable: {opened}",
        "unreadable",
        is_compressed=compressed,
        is_encrypted=encrypted,
    )
    if isinstance(opened, UnreadableError):
        return about
    now = core.backend.now()
    is_number = opened.made == 0.0  # those of `incr` have no envelope
    return replace(
        about,
        kind="encrypted" if encrypted else "number of incr" if is_number else _kind(opened.payload),
        state=_state(opened, epochs, now),
        age=None if is_number else max(now - opened.made, 0.0),
        ttl=_left(opened.fresh, now),
        kept=_left(opened.stale, now),
        cost=opened.cost,
        tags=tuple(_given(tag, core.prefix) for tag in opened.tags),
        contents=None if encrypted else opened.payload,
    )


def _given(stored: str, prefix: str) -> str:
    given = given_key(stored)
    return stored if given is None else given.removeprefix(prefix)


def _state(
    envelope: Envelope, epochs: Mapping[str, Epochs | None], now: float
) -> Literal["fresh", "stale", "gone"]:
    found = [epochs[tag] for tag in envelope.tags]
    if now >= envelope.stale or any(each is None or each.hard > envelope.as_of for each in found):
        return "gone"
    is_soft = any(each is not None and each.soft > envelope.as_of for each in found)
    return "stale" if is_soft or now >= envelope.fresh else "fresh"


def _left(until: float, now: float) -> float | None:
    return None if until == math.inf else max(until - now, 0.0)


def _kind(payload: bytes) -> str:
    """Return what a value is, by the first bytes of its MessagePack."""
    first = payload[0] if payload else 0xC1
    if first <= 0x7F or first >= 0xE0 or 0xCC <= first <= 0xD3:
        return "number"
    if first in _FIXED:
        return _FIXED[first]
    if first <= 0xBF:
        name, mask = (
            ("map", 15) if first <= 0x8F else ("list", 15) if first <= 0x9F else ("text", 31)
        )
        return f"{name} of {first & mask}"
    name, width = _SIZED.get(first, ("extension", 0))
    return f"{name} of {int.from_bytes(payload[1 : 1 + width])}" if width else name
