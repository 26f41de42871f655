"""Filling a cache ahead: functions that do, and what came of it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from msgspec import Struct

from oxidite import clock
from oxidite.cache.core import Core
from oxidite.concurrency import call
from oxidite.errors import ConfigError
from oxidite.instrument import span

__all__ = ["Warmed", "add_warmer", "check_names", "run_warmers"]


class Warmed(Struct, frozen=True):
    """What a function that fills a cache did.

    ``written`` values of ``size`` bytes were stored, ``made`` of them by factories; ``found`` were there
    already. It counts what the whole process did meanwhile with this cache. ``error`` is what the function
    raised, after as many.
    """

    name: str
    written: int
    size: int
    made: int
    found: int
    seconds: float
    error: Exception | None = None


def add_warmer(core: Core, name: str | None, function: Callable[[], Awaitable[object]]) -> None:
    """Name a function that fills the cache.

    Raises:
        ConfigError: it is not async, wants arguments, or its name is taken.
    """
    name = name or str(getattr(function, "__name__", type(function).__name__))
    if not inspect.iscoroutinefunction(function):
        raise ConfigError(f"{name} fills a cache, which takes time: make it `async def`.")
    wanted = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if wanted:
        raise ConfigError(
            f"{name} fills a cache and is called without arguments, but wants {', '.join(wanted)}."
        )
    if name in core.warmers:
        raise ConfigError(
            f'There is a function {name} that fills this cache already. Give one a name: name="…".'
        )
    core.warmers[name] = function


def check_names(warmers: Mapping[str, object], names: Sequence[str]) -> None:
    """Refuse names of functions that there are not.

    Raises:
        ConfigError: the message has those that there are.
    """
    for name in names:
        if name not in warmers:
            known = ", ".join(warmers) or "none; mark one with @cache.warm"
            raise ConfigError(f"No function {name} fills this cache. There are: {known}.")


async def run_warmers(core: Core, names: Sequence[str]) -> AsyncIterator[Warmed]:
    """Run functions that fill the cache, and tell what came of each.

    Raises:
        ConfigError: there is none of this name.
    """
    check_names(core.warmers, names)
    for name in names or tuple(core.warmers):
        yield await _run(core, name)


async def _run(core: Core, name: str) -> Warmed:
    counts = core.counts
    before = (counts.written, counts.written_bytes, counts.made, counts.hits + counts.shared_hits)
    began = clock.perf()
    error: Exception | None = None
    try:
        with span("cache.warm", name=name):
            await call(core.warmers[name])
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is told, and the others are run
        error = exc
    after = (counts.written, counts.written_bytes, counts.made, counts.hits + counts.shared_hits)
    written, size, made, found = (b - a for a, b in zip(before, after, strict=True))
    return Warmed(name, written, size, made, found, clock.perf() - began, error)
