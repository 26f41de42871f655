"""Functions whose results are kept."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, ParamSpec, Protocol, TypeVar, cast

from oxidite.cache.arguments import ArgumentKeys
from oxidite.cache.core import Core
from oxidite.cache.freshness import Freshness
from oxidite.cache.l1 import MISSING
from oxidite.cache.making import Making, Record
from oxidite.cache.memo import current_memo
from oxidite.cache.recording import depend_on
from oxidite.cache.s3fifo import MOST_USES
from oxidite.cache.tags import stored_tags
from oxidite.cache.values import Typed, typed
from oxidite.cache.writes import delete
from oxidite.clock import process
from oxidite.encoding import DecodeError, MismatchError
from oxidite.errors import ConfigError
from oxidite.extract.hints import UnresolvedHintError, resolve_hints
from oxidite.instrument import is_listening

__all__ = ["Cached", "TagsOf", "Tracked"]

P = ParamSpec("P")
T = TypeVar("T")

TagsOf = Callable[..., Iterable[str]] | Iterable[str]
"""Tags, or a function of the arguments that returns them."""


class Cached(Generic[P, T]):
    """A function whose results are kept: call it as before.

    Made by ``Cache.cached``.
    """

    # PERF: each call reads half of these; benchmark `cache`.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_base",
        "_core",
        "_counts",
        "_find",
        "_fresh",
        "_function",
        "_is_bypassed",
        "_localns",
        "_name",
        "_prefix",
        "_record",
        "_tags",
        "_text",
        "_type",
        "_typed",
    )
    __name__: str
    __qualname__: str

    def _begin(
        self,
        core: Core,
        prefix: str,
        function: Callable[P, Awaitable[T]],
        *,
        fresh: Freshness,
        tags: TagsOf,
        key: str | Callable[..., str] | None,
        type: object,
        localns: dict[str, object],
        track: bool = False,
    ) -> None:
        functools.update_wrapper(self, function)
        self._name = key if isinstance(key, str) else _name_of(function)
        _check(function, self._name)
        _claim_name(core, prefix + self._name, self)
        self._function = function
        self._core = core
        self._find = core.near.find
        self._counts = core.counts
        self._prefix = prefix
        self._base = f"{prefix}{self._name}:"
        self._fresh = fresh
        self._tags = tags
        self._text = _by_function(key) if callable(key) else ArgumentKeys(function, self._name).text
        self._localns = localns
        self._type = type
        self._typed: Typed[object] | None = None
        self._record: Record | None = None
        if track:
            from oxidite.cache import tracking

            tracking.track(core)
            self._record = tracking.record
            self._is_bypassed = tracking.has_changed_something
        with contextlib.suppress(UnresolvedHintError):  # then at the first call
            self._result()

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what is kept of these arguments, or call the function and keep what it returns."""
        # PERF: as in Cache.get.
        key = self._base + self._text(args, kwargs)
        kept = self._find(key)
        if kept is not None:
            entry = kept.value
            if (
                entry.type is self._type
                and process.monotonic() < entry.calm
                and current_memo() is None
                and not is_listening()
            ):
                try:
                    value = (
                        entry.value if entry.decode is None else entry.decode(entry.payload or b"")
                    )
                except (DecodeError, MismatchError):
                    pass
                else:
                    self._counts.hits += 1
                    if kept.uses < MOST_USES:
                        kept.uses += 1
                    if entry.tags:
                        depend_on(self._core, entry)
                    return value  # type: ignore[return-value]  # read as what is declared
        value = await self._making(key, args, kwargs).value()
        return cast("T", value)

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of these arguments, as ``Cache.get`` takes it."""
        return self._full(args, kwargs).removeprefix(self._prefix)

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return what this process remembers of these arguments, without asking the store."""
        key = self._full(args, kwargs)
        entry = self._core.near.get(key)
        value = MISSING if entry is None else self._core.read(key, entry, self._result())
        if entry is not None:
            depend_on(self._core, entry)
        return None if value is MISSING else cast("T", value)

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget what is kept of these arguments, everywhere."""
        await delete(self._core, [self._full(args, kwargs)])

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function, keep what it returns in place of what is kept, and return it."""
        making = self._making(self._full(args, kwargs), args, kwargs)
        return cast("T", await making.refresh())

    def _full(self, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
        return self._base + self._text(args, kwargs)

    def _making(self, key: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Making:
        tags = self._tags(*args, **kwargs) if callable(self._tags) else self._tags
        function = cast("Callable[..., Awaitable[object]]", self._function)
        return Making(
            self._core,
            key,
            self._result(),
            functools.partial(function, *args, **kwargs),
            self._fresh,
            stored_tags(self._core.prefix, tags),
            self._record,
        )

    def _result(self) -> Typed[object]:
        if self._typed is None:
            if self._type is None:
                hints = resolve_hints(self._function, self._localns)
                if "return" not in hints:
                    raise ConfigError(
                        f"{self._name} does not say what it returns, so nothing of it could be read "
                        "again. Annotate it, or give type=."
                    )
                self._type = hints["return"]
            self._typed = typed(self._type)
            self._type = self._typed.annotation
        return self._typed


class Tracked(Cached[P, T]):
    """One whose results depend on what it reads of the database.

    In a transaction that changed something it is called each time, as it sees what others do not.
    """

    __slots__ = ()

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what is kept of these arguments, or call the function and keep what it returns."""
        if self._is_bypassed():
            return await self._function(*args, **kwargs)
        return await super().__call__(*args, **kwargs)


def _by_function(
    key: Callable[..., str],
) -> Callable[[tuple[object, ...], Mapping[str, object]], str]:
    return lambda args, kwargs: key(*args, **kwargs)


class _Named(Protocol):
    __module__: str
    __qualname__: str


def _name_of(function: object) -> str:
    named = cast("_Named", function)
    return f"{named.__module__}.{named.__qualname__}"


def _check(function: Callable[..., object], name: str) -> None:
    if not inspect.iscoroutinefunction(function):
        raise ConfigError(
            f"{name} is not `async def`. What is kept may have to be asked for, so a cached function is; "
            "make it one, or use `await cache.get_or_set(...)` around the call."
        )
    first = next(iter(inspect.signature(function).parameters), None)
    if first in ("self", "cls"):
        raise ConfigError(
            f"{name} is a method, and its object cannot be part of a key. Cache a function outside of the "
            "class that takes what it needs, and call that."
        )


def _claim_name(core: Core, name: str, cached: object) -> None:
    if core.names.get(name) is not None:
        raise ConfigError(
            f"There is a cached function {name} already: their results would be mixed up. Give one of them "
            'a name of its own with key="…".'
        )
    core.names[name] = cached
