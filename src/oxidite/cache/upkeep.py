"""What people do with a cache: look into it, fill it ahead, see what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeVar, overload

from oxidite.cache.core import Core
from oxidite.cache.counts import CacheStats, Counts
from oxidite.cache.inspection import Inspected, inspected, scanned
from oxidite.cache.warming import Warmed, add_warmer, run_warmers

__all__ = ["Upkeep"]

F = TypeVar("F", bound=Callable[[], Awaitable[object]])


class Upkeep:
    """The part of a ``Cache`` that looks after it."""

    _core: Core
    _prefix: str

    @property
    def address(self) -> str:
        """Where values are, as the URL says, without user, password and options."""
        return self._core.address

    @property
    def prefix(self) -> str:
        """What the keys of this cache, or of this namespace, begin with."""
        return self._prefix

    @property
    def raises(self) -> bool:
        """Whether a store that fails raises ``BackendError``; may be set."""
        return self._core.raises

    @raises.setter
    def raises(self, value: bool) -> None:
        self._core.raises = value

    @property
    def counts(self) -> Counts:
        """What happened in this process since it began."""
        return self._core.counts

    async def stats(self) -> CacheStats:
        """Return what is held, in the store and in this process."""
        core = self._core
        store = await core.attempt(core.backend.stats, None, is_long=True)
        near = core.near
        return CacheStats(
            store, len(near.entries), near.entries.weight, core.counts, core.guard.is_open
        )

    async def inspect(self, key: str) -> Inspected | None:
        """Return what the store has under a key, fresh or not; ``None`` if there is nothing.

        Raises:
            BackendError: the store failed.
        """
        return await inspected(self._core, self._prefix, key)

    def scan(self, prefix: str = "", *, tag: str | None = None) -> AsyncIterator[Inspected]:
        """Go through what the store has under keys that begin so, and that has a tag, in any order.

        For people: nothing lists the keys of a tag, so all values are read, and what changes meanwhile may
        be seen or not.

        Raises:
            BackendError: the store failed.
        """
        return scanned(self._core, self._prefix, prefix, tag)

    # Filling ahead

    @overload
    def warm(self, function: F, /) -> F: ...
    @overload
    def warm(self, function: None = None, /, *, name: str) -> Callable[[F], F]: ...
    def warm(
        self, function: F | None = None, /, *, name: str | None = None
    ) -> F | Callable[[F], F]:
        """Name an ``async`` function that fills this cache, for ``oxidite cache warm`` and ``Warmer``.

        ``name`` is what it is called by, if not as the function. What it calls is what fills: functions
        that are ``cached``, ``get_or_set``, ``set``.

        Raises:
            ConfigError: it is not async, wants arguments, or its name is taken.
        """

        def decorate(function: F) -> F:
            add_warmer(self._core, name, function)
            return function

        return decorate if function is None else decorate(function)

    @property
    def warmers(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """The functions that fill this cache, by name."""
        return MappingProxyType(self._core.warmers)

    def run_warmers(self, *names: str) -> AsyncIterator[Warmed]:
        """Run the functions of these names, or all, one after the other; tell what came of each.

        One that fails is told so, and the next ones run.

        Raises:
            ConfigError: there is none of this name.
        """
        return run_warmers(self._core, names)
