"""The cache an application uses."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TypeVar, Unpack, cast, overload

from msgspec import UNSET, UnsetType

from oxidite.cache.base import CacheBackend
from oxidite.cache.cached import Cached, P, TagsOf, Tracked
from oxidite.cache.coordination import Coordination
from oxidite.cache.core import Core, Writing
from oxidite.cache.entry import CacheEntry
from oxidite.cache.envelope import Wrapping
from oxidite.cache.freshness import Freshness, Options, Seconds, freshness, seconds
from oxidite.cache.keys import stored_prefix
from oxidite.cache.l1 import L1, MISSING
from oxidite.cache.making import Making
from oxidite.cache.memo import current_memo, remembering
from oxidite.cache.operations import add, get_many, touch
from oxidite.cache.recording import depend_on
from oxidite.cache.s3fifo import MOST_USES
from oxidite.cache.tags import stored_tags
from oxidite.cache.upkeep import Upkeep
from oxidite.cache.values import encoded, typed
from oxidite.cache.writes import clear, delete, invalidate, write
from oxidite.clock import process
from oxidite.encoding import DecodeError, MismatchError
from oxidite.extract.hints import resolve_hints
from oxidite.instrument import is_listening
from oxidite.security import SecretLike

__all__ = ["Cache", "CacheOptions"]

T = TypeVar("T")
D = TypeVar("D")


class CacheOptions(Options, total=False):
    """What ``Cache`` takes beside its store."""

    prefix: str
    l1: L1 | None
    compress: int | None
    secret: SecretLike | Sequence[SecretLike] | None
    store_timeout: Seconds
    raises: bool
    track: bool


class Cache(Upkeep, Coordination):
    """Values of declared types, kept for a time, in this process and in a store.

    A resource: ``Oxidite(resources=[cache])``. ``prefix`` begins all of its keys, tags and locks, so that
    several applications can have one store. ``l1`` is what this process remembers, ``None`` for nothing.
    Values of ``compress`` bytes and more are compressed (``oxidite[compress]``); with a ``secret`` values
    are encrypted (``oxidite[encryption]``): of several the first one writes, and all of them read.

    A store that fails, or does not answer within ``store_timeout`` seconds, is as one that holds nothing;
    with ``raises`` it raises ``BackendError``. Locks and numbers always do, as there is no answer without
    it. ``options`` are what values have that say nothing else, see ``Options``.

    ``track`` lets it hear what this process changes with ``oxidite.db``, also if none of its own functions
    are tracked (``cached(track=True)``), but those of other processes.

    One ``Cache`` for a store in a process: what one deletes, another one's ``l1`` does not hear.

    Raises:
        ConfigError: an option makes no sense.
        MissingExtraError: a package is not installed.
    """

    def __init__(
        self,
        backend: CacheBackend | str,
        *,
        prefix: str = "",
        l1: L1 | None = L1(),  # noqa: B008 - it is immutable
        compress: int | None = None,
        secret: SecretLike | Sequence[SecretLike] | None = None,
        store_timeout: Seconds = 0.5,
        raises: bool = False,
        track: bool = False,
        **options: Unpack[Options],
    ) -> None:
        stored_prefix(prefix)  # refuses one that is too long
        self._core = Core(
            backend,
            prefix=prefix,
            l1=l1,
            wrapping=Wrapping(compress=compress, secret=secret),
            timeout=seconds("store_timeout", store_timeout),
            raises=raises,
        )
        if track:
            from oxidite.cache.tracking import track as hear

            hear(self._core)
        self._find = self._core.near.find
        self._counts = self._core.counts
        self._prefix = prefix
        self._fresh = freshness(Freshness(), options)

    @classmethod
    def from_url(cls, url: str, **options: Unpack[CacheOptions]) -> Self:
        """Make one whose store is at ``url``: ``memory://``, ``redis://…``, ``db``.

        ``db`` is the ``Database`` that was opened before it: ``resources=[db, cache]``.

        Raises:
            UnknownBackendError: there is no such store.
            MissingExtraError: its driver is not installed.
        """
        return cls(url, **options)

    async def __aenter__(self) -> Self:
        await self._core.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._core.close()

    def namespace(self, name: str) -> Cache:
        """Return a part of this cache, for keys that begin with ``name:``; ``clear`` clears only those.

        Tags are those of the whole cache.
        """
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part._prefix = f"{self._prefix}{name}:"
        stored_prefix(part._prefix)  # refuses one that is too long
        return part

    @property
    def backend(self) -> CacheBackend:
        """The store itself; while the cache is open."""
        return self._core.backend

    # One value

    @overload
    async def get(self, key: str, type: type[T]) -> T | None: ...
    @overload
    async def get(self, key: str, type: type[T], default: D) -> T | D: ...
    @overload
    async def get(self, key: str, type: object, default: object = None) -> object: ...
    async def get(self, key: str, type: object, default: object = None) -> object:
        """Return the value of a key, ``default`` if there is none that is fresh.

        What is of another type counts as not there.
        """
        # PERF: what this process remembers is why there is one; benchmark `cache`. Here is all of it but
        # what is rare: that somebody listens, or remembers for a request.
        kept = self._find(self._prefix + key)
        if kept is not None:
            entry = kept.value
            if (
                (entry.type is type or entry.type == type)
                and process.monotonic() < entry.calm
                and current_memo() is None
                and not is_listening()
            ):
                try:
                    value = (
                        entry.value if entry.decode is None else entry.decode(entry.payload or b"")
                    )
                except (DecodeError, MismatchError):
                    pass  # a type that looks at more than the data; a miss, which is told of below
                else:
                    self._counts.hits += 1
                    if kept.uses < MOST_USES:
                        kept.uses += 1
                    if entry.tags:
                        depend_on(self._core, entry)
                    return value
        key = self._prefix + key
        return (await get_many(self._core, [key], typed(type))).get(key, default)

    async def set(
        self,
        key: str,
        value: object,
        *,
        ttl: Seconds | UnsetType | None = UNSET,
        grace: Seconds | UnsetType = UNSET,
        tags: Iterable[str] = (),
        type: object = None,
    ) -> None:
        """Keep a value. With ``type`` it must be readable as that."""
        await self.set_many({key: value}, ttl=ttl, grace=grace, tags=tags, type=type)

    async def add(
        self,
        key: str,
        value: object,
        *,
        ttl: Seconds | UnsetType | None = UNSET,
        tags: Iterable[str] = (),
    ) -> bool:
        """Keep a value if there is none that is fresh; return whether there was none.

        Of several who do it at once one is told so, if the store answers; without it nobody is.
        """
        writing = self._writing(self._prefix + key, value, ttl, 0.0, None)
        return await add(self._core, writing, stored_tags(self._core.prefix, tags))

    async def touch(self, key: str, ttl: Seconds | UnsetType | None = UNSET) -> bool:
        """Let a value be fresh for ``ttl`` seconds from now; return whether there is one that is."""
        return await touch(self._core, self._prefix + key, self._ttl(ttl), self._fresh.grace)

    async def exists(self, key: str) -> bool:
        """Tell whether there is a value that is fresh, of whatever type."""
        key = self._prefix + key
        if self._core.near.get(key) is not None:
            return True
        found = await self._core.look(key)
        return found is not None and found.is_fresh

    @overload
    async def pop(self, key: str, type: type[T]) -> T | None: ...
    @overload
    async def pop(self, key: str, type: type[T], default: D) -> T | D: ...
    @overload
    async def pop(self, key: str, type: object, default: object = None) -> object: ...
    async def pop(self, key: str, type: object, default: object = None) -> object:
        """Delete a value and return it; of several who do, one gets it."""
        full = self._prefix + key
        self._core.change(full)  # what is only remembered here may be gone
        found = await get_many(self._core, [full], typed(type))
        was_there = await delete(self._core, [full], once=True) > 0
        return found.get(full, default) if was_there else default

    async def delete(self, key: str) -> bool:
        """Delete a value; return whether there was one."""
        return await self.delete_many([key]) > 0

    @overload
    async def get_or_set(
        self,
        key: str,
        factory: Callable[[], Awaitable[T]],
        *,
        type: object = None,
        tags: Iterable[str] = (),
        **options: Unpack[Options],
    ) -> T: ...
    @overload
    async def get_or_set(
        self,
        key: str,
        factory: Callable[[], T],
        *,
        type: object = None,
        tags: Iterable[str] = (),
        **options: Unpack[Options],
    ) -> T: ...
    async def get_or_set(
        self,
        key: str,
        factory: Callable[[], Awaitable[object] | object],
        *,
        type: object = None,
        tags: Iterable[str] = (),
        **options: Unpack[Options],
    ) -> object:
        """Return the value of a key; if there is none, let ``factory`` make it, and keep that.

        However many ask at once, in however many processes, one makes it. ``type`` is what it is read as;
        without, what the factory is annotated to return. If the last one who waits is cancelled, so is
        the factory.

        Raises:
            BackendTimeoutError: it was not made within ``timeout``, and there is nothing stale.
        """
        return await Making(
            self._core,
            self._prefix + key,
            typed(_returned(factory) if type is None else type),
            factory,
            freshness(self._fresh, options),
            stored_tags(self._core.prefix, tags),
        ).value()

    def entry(self, key: str, type: type[T], **options: Unpack[Options]) -> CacheEntry[T]:
        """Return what is kept under a key, for a block that makes it if it is not there."""
        entry: CacheEntry[T] = CacheEntry()
        fresh = freshness(self._fresh, options)
        entry._begin(self._core, self._prefix + key, typed(type), fresh)  # noqa: SLF001 - the constructor, whose types are not public
        return entry

    def peek(self, key: str, type: type[T]) -> T | None:
        """Return what this process remembers of a key, without asking the store."""
        entry = self._core.near.get(self._prefix + key)
        value = (
            MISSING if entry is None else self._core.read(self._prefix + key, entry, typed(type))
        )
        if entry is not None:
            depend_on(self._core, entry)
        return None if value is MISSING else cast("T", value)

    # Several values

    async def get_many(self, keys: Iterable[str], type: type[T]) -> dict[str, T]:
        """Return the values of those keys that have one, in one call of the store."""
        full = {self._prefix + key: key for key in keys}
        found = await get_many(self._core, list(full), typed(type))
        return {full[key]: cast("T", value) for key, value in found.items()}

    async def set_many(
        self,
        values: Mapping[str, object],
        *,
        ttl: Seconds | UnsetType | None = UNSET,
        grace: Seconds | UnsetType = UNSET,
        tags: Iterable[str] = (),
        type: object = None,
    ) -> None:
        """Keep several values, in one call of the store."""
        kept = (
            self._fresh.grace
            if isinstance(grace, UnsetType)
            else seconds("grace", grace, zero=True)
        )
        writings = [
            self._writing(self._prefix + key, value, ttl, kept, type)
            for key, value in values.items()
        ]
        if writings:
            await write(self._core, writings, stored_tags(self._core.prefix, tags))

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Delete values; return how many there were."""
        return await delete(self._core, [self._prefix + key for key in keys])

    async def clear(self, prefix: str = "") -> None:
        """Delete all values of this cache, or of this namespace, whose keys begin with ``prefix``.

        The store looks through all that it has, which takes as long as that takes; what is to be forgotten
        at once, however much it is, has a tag.

        Raises:
            ConfigError: the prefix is too long.
        """
        await clear(self._core, self._prefix + prefix)

    async def invalidate_tags(self, *tags: str, soft: bool = False) -> None:
        """Let no value that has one of these tags count any more.

        ``soft``: they are stale, and may be served within their grace until there are new ones.
        """
        if tags:
            stored = stored_tags(self._core.prefix, tags, most=None)
            await invalidate(self._core, stored, soft=soft)

    # Functions

    def cached(
        self,
        *,
        key: str | Callable[..., str] | None = None,
        tags: TagsOf = (),
        type: object = None,
        track: bool = False,
        **options: Unpack[Options],
    ) -> Callable[[Callable[P, Awaitable[T]]], Cached[P, T]]:
        """Keep what an ``async`` function returns, by its arguments.

        The key is the name of the function and its arguments, with defaults filled in. ``key`` is another
        name, or a function of the arguments that returns what to tell them apart by. ``tags`` may be a
        function of the arguments, too. ``type`` is what results are read as, if not as annotated.
        ``track``: what it reads of models of ``oxidite.db`` are its tags, too, invalidated when that is
        changed and committed; SQL of your own has to say what it reads, see ``reads``.

        Raises:
            ConfigError: it is not async, is a method, does not say what it returns, or its name is taken.
        """
        localns = sys._getframe(1).f_locals  # noqa: SLF001 - annotations may name what is local there

        def decorate(function: Callable[P, Awaitable[T]]) -> Cached[P, T]:
            cached: Cached[P, T] = Tracked() if track else Cached()
            cached._begin(  # noqa: SLF001 - the constructor, whose types are not public
                self._core,
                self._prefix,
                function,
                fresh=freshness(self._fresh, options),
                tags=tags,
                key=key,
                type=type,
                localns=localns,
                track=track,
            )
            return cached

        return decorate

    def memo(self) -> AbstractContextManager[None]:
        """Ask for nothing twice in the block, and see there what was written in it."""
        return remembering()

    def _writing(
        self,
        key: str,
        value: object,
        ttl: Seconds | UnsetType | None,
        grace: float,
        type: object,
    ) -> Writing:
        payload = encoded(key, value, None if type is None else typed(type))
        return Writing(key, payload, self._ttl(ttl), grace)

    def _ttl(self, ttl: Seconds | UnsetType | None) -> float | None:
        if isinstance(ttl, UnsetType):
            return self._fresh.ttl
        return None if ttl is None else seconds("ttl", ttl)


def _returned(factory: Callable[[], object]) -> object:
    hints = {} if getattr(factory, "__name__", "") == "<lambda>" else resolve_hints(factory, {})
    if "return" not in hints:
        raise TypeError(
            "get_or_set cannot tell what its factory returns, so nothing of it could be read again. Give "
            "type=, or annotate the factory."
        )
    return hints["return"]
