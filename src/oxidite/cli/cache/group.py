"""The command ``oxidite cache``, and what is below it."""

from __future__ import annotations

import click

from oxidite.cli.commands import Lazy, LazyGroup

__all__ = ["cache"]

_HOME = "oxidite.cli.cache"

CACHE = {
    "stats": Lazy(f"{_HOME}.statistics:stats", "Show the caches, and how much is in them."),
    "inspect": Lazy(f"{_HOME}.looking:inspect", "Show what is stored, under a key or many."),
    "invalidate": Lazy(f"{_HOME}.changing:invalidate", "Let nothing count that has a tag."),
    "clear": Lazy(f"{_HOME}.changing:clear", "Delete values, all or those of a prefix."),
    "warm": Lazy(f"{_HOME}.warming:warm", "Fill the cache ahead."),
}


@click.group(cls=LazyGroup, lazy=CACHE)
def cache() -> None:
    """Look into the cache of the application, invalidate tags, delete values, fill it ahead.

    Examples:
      oxidite cache stats                  where it is, how much is in it
      oxidite cache inspect --tag user:7   what has a tag, and how large that is
      oxidite cache invalidate user:7      let none of it count any more
      oxidite cache warm                   run the functions marked with @cache.warm
    """
