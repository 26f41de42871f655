"""What the commands of ``oxidite cache`` work with: a cache of the application, open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click

from oxidite.app import Oxidite
from oxidite.cache import Cache
from oxidite.cli.options import load_app
from oxidite.errors import ConfigError
from oxidite.lifespan import Late, Lifespan

__all__ = ["cache_options", "found_caches", "in_cache", "name_of", "with_cache"]

C = TypeVar("C", bound=Callable[..., object])
T = TypeVar("T")


def cache_options(command: C) -> C:
    """Give a command the options --app and --which."""
    command = click.option(
        "--which", metavar="NAME", help="Which cache, by its class or prefix.  [the only one]"
    )(command)
    return click.option("--app", metavar="APP", help="The application.  [that of the project]")(
        command
    )


def name_of(cache: Cache) -> str:
    """Return how a cache is told from others: by its class, and its prefix if it has one."""
    kind = type(cache).__name__
    return f"{kind} {cache.prefix!r}" if cache.prefix else kind


def found_caches(app: str | None, which: str | None) -> tuple[Oxidite, list[Cache]]:
    """Return the caches among the resources of the application: all, or those of a name.

    Raises:
        ConfigError: there is none.
    """
    found = load_app(app)
    if not isinstance(found, Oxidite):
        raise ConfigError(
            f"This is a {type(found).__name__}: only an Oxidite application has caches."
        )
    caches = [each for each in found.lifespan.resources if isinstance(each, Cache)]
    if not caches:
        raise ConfigError("The application has no cache: Oxidite(resources=[Cache.from_url(…)]).")
    fit = [each for each in caches if which in (None, type(each).__name__, each.prefix)]
    if not fit:
        raise ConfigError(f"The application has no cache {which}. It has: {_listed(caches)}.")
    return found, fit


def with_cache(
    app: str | None,
    which: str | None,
    work: Callable[[Cache], Awaitable[T]],
    *,
    with_all: bool = False,
) -> T:
    """Open a cache of the application, and what stands before it, and do some work with it.

    ``with_all`` opens the other resources, too. What fails raises.

    Raises:
        ConfigError: the application has no such cache, several, or one that no command can see into.
        BackendError: its store failed.
    """
    found, fit = found_caches(app, which)
    if len(fit) > 1:
        raise ConfigError(
            f"The application has several caches: --which with a class or prefix of {_listed(fit)}."
        )
    (cache,) = fit

    async def inside(cache: Cache) -> T:
        if not cache.backend.is_shared:
            raise ConfigError(
                f"{name_of(cache)} keeps its values in the memory of each process, where no command sees "
                "them. Give it a store that is shared: Cache.from_url('redis://…'), or 'db'."
            )
        return await work(cache)

    return in_cache(found, cache, inside, with_all=with_all)


def in_cache(
    app: Oxidite, cache: Cache, work: Callable[[Cache], Awaitable[T]], *, with_all: bool = False
) -> T:
    """Do some work with a cache of an application."""
    resources = app.lifespan.resources
    opened = resources if with_all else resources[: resources.index(cache) + 1]
    # What works by itself, such as a worker, must not begin because somebody looks.
    lifespan = Lifespan(each for each in opened if not isinstance(each, Late))
    # A command that could not do what it was told says so.
    cache.raises = True

    async def inside() -> T:
        async with lifespan:
            return await work(cache)

    return asyncio.run(inside())


def _listed(caches: Sequence[Cache]) -> str:
    return ", ".join(map(name_of, caches))
