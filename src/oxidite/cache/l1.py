"""What this process remembers of a cache, so that most reads ask nobody.

An entry lives for a few seconds at most, whatever happens: so long can a message of another process that was
lost be missed. What was read from the store is remembered only if nothing of it changed while it was read:
``mark`` before reading, and ``put`` with that mark.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import UNSET, Struct

from oxidite import clock
from oxidite.cache.envelope import Envelope
from oxidite.cache.keys import stored_key
from oxidite.cache.s3fifo import S3FIFO, Kept
from oxidite.cache.values import Typed
from oxidite.errors import ConfigError

__all__ = ["L1", "Entry", "Near"]

_OVERHEAD = 500  # bytes that an entry takes beside its value and its key, about
_MOST_CHANGES = 20_000
MISSING: Final = UNSET


class L1(Struct, frozen=True):
    """How much this process remembers, and for how many seconds.

    At most ``max_entries`` values, or if ``max_bytes`` is given as many as are encoded in so many bytes.
    """

    max_entries: int = 10_000
    max_bytes: int | None = None
    ttl: float = 5.0

    def __post_init__(self) -> None:
        if self.max_entries < 1 or (self.max_bytes is not None and self.max_bytes < 1):
            raise ConfigError("An L1 has room for something; l1=None is for a cache without one.")
        if not self.ttl > 0:
            raise ConfigError(f"L1(ttl={self.ttl!r}) would remember nothing; l1=None is for that.")


class Entry:
    """A value that is remembered.

    ``value`` is of type ``type``, or there is ``decode`` to make it anew for each who asks, as it could
    be changed by them. Before ``calm`` it needs no thought, and until ``until`` it may be used: monotonic
    times of this process. ``as_of``, ``made``, ``fresh`` and ``stale`` are the
    store's, as in its envelope.
    """

    __slots__ = (
        "as_of",
        "calm",
        "cost",
        "decode",
        "fresh",
        "made",
        "payload",
        "size",
        "stale",
        "tags",
        "type",
        "until",
        "value",
    )

    def __init__(self, envelope: Envelope, *, calm: float, until: float) -> None:
        self.payload: bytes | None = envelope.payload
        self.size: int = len(envelope.payload)
        self.type: object = MISSING
        self.value: object = None
        self.decode: Callable[[bytes], object] | None = None
        self.as_of: int = envelope.as_of
        self.made: float = envelope.made
        self.fresh: float = envelope.fresh
        self.stale: float = envelope.stale
        self.cost: float = envelope.cost
        self.tags: tuple[str, ...] = envelope.tags
        self.calm: float = calm
        self.until: float = until

    def read(self, typed: Typed[object]) -> object:
        """Return the value as of a type; ``MISSING`` if only its form as another one was kept.

        Raises:
            DecodeError, MismatchError: it is not of that type.
        """
        if self.type is not MISSING and self.type == typed.annotation:
            return self.value if self.decode is None else self.decode(self.payload or b"")
        if self.payload is None:
            return MISSING
        value = typed.decode(self.payload)
        self.type = typed.annotation
        if typed.is_fixed:
            self.value, self.decode, self.payload = value, None, None
        else:
            self.decode = typed.decode
        return value


class Near:
    """The entries, by the key before ``stored_key``, which most calls need not make then."""

    def __init__(self, options: L1 | None) -> None:
        self.is_on: bool = options is not None
        options = options or L1(max_entries=1)
        self.ttl: float = options.ttl
        self._by_size = options.max_bytes is not None
        self.entries: S3FIFO[Entry] = S3FIFO(
            options.max_bytes or options.max_entries, evicted=self._evicted
        )
        # PERF: as `get` of it, but for the use, which who reads counts: a call less where that is much;
        # benchmark `cache`.
        self.find: Callable[[str], Kept[Entry] | None] = self.entries._kept.get  # noqa: SLF001 - see above
        self._tagged: dict[str, set[str]] = {}
        # Keys as stored whose own form is another one: the bus tells of the former.
        self._odd: dict[str, str] = {}
        self._changes = 0
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._all_changed = 0

    def get(self, key: str) -> Entry | None:
        """Return an entry that may still be used.

        One that may not stays where it is in the queues: most are read anew and take its place.
        """
        entry = self.entries.get(key)
        return None if entry is None or clock.monotonic() >= entry.until else entry

    def mark(self) -> int:
        """Return where the count of changes is, before something is read that may be put here."""
        return self._changes

    def have_changed(self, tags: Iterable[str], mark: int) -> bool:
        """Tell whether one of these tags was invalidated since ``mark``, as far as is known here."""
        if mark < self._all_changed:
            return True
        return any(self._changed.get(f"tag {tag}", 0) > mark for tag in tags)

    def put(self, key: str, entry: Entry, mark: int) -> bool:
        """Remember what was read, unless it or a tag of it changed since ``mark``."""
        stored = stored_key(key)
        if not self.is_on or self._changed.get(f"key {stored}", 0) > mark:
            return False
        if self.have_changed(entry.tags, mark):
            return False
        before = self.entries.peek(key)
        if before is not None:
            self._unindex(key, before)
        size = entry.size + len(key) + _OVERHEAD if self._by_size else 1
        if stored != key:
            self._odd[stored] = key
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        self.entries.set(key, entry, size)
        if key not in self.entries:  # larger than all the room
            self._unindex(key, entry)
        return True

    def change(self, key: str) -> int:
        """Note that the value of a key changes, and forget it; return the mark of that."""
        mark = self._note(f"key {stored_key(key)}")
        self._forget(key)
        return mark

    def change_stored(self, stored: str) -> None:
        """Note that the value of a key, as it is stored, changed."""
        self._note(f"key {stored}")
        self._forget(self._odd.get(stored, stored))

    def change_tags(self, tags: Iterable[str]) -> None:
        """Note that tags were invalidated, and forget what has one of them."""
        for tag in tags:
            self._note(f"tag {tag}")
            for key in tuple(self._tagged.get(tag, ())):
                self._forget(key)

    def change_all(self, prefix: str = "") -> None:
        """Forget all whose keys, as they are stored, begin with a prefix; and what is being read."""
        self._changes += 1
        self._all_changed = self._changes
        if prefix:
            for key in [key for key in self.entries if stored_key(key).startswith(prefix)]:
                self._forget(key)
            return
        for each in (self.entries, self._tagged, self._odd, self._changed):
            each.clear()

    def _note(self, what: str) -> int:
        self._changes += 1
        self._changed.pop(what, None)
        self._changed[what] = self._changes
        if len(self._changed) > _MOST_CHANGES:
            # Of what is no longer known here it cannot be said that it did not change.
            _, self._all_changed = self._changed.popitem(last=False)
        return self._changes

    def _forget(self, key: str) -> None:
        entry = self.entries.delete(key)
        if entry is not None:
            self._unindex(key, entry)

    def _evicted(self, key: str, entry: Entry) -> None:
        self._unindex(key, entry)

    def _unindex(self, key: str, entry: Entry) -> None:
        if self._odd:
            self._odd.pop(stored_key(key), None)
        for tag in entry.tags:
            keys = self._tagged.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._tagged[tag]
