"""``oxidite cache invalidate`` and ``clear``."""

from __future__ import annotations

import sys

import click

from oxidite.cache import Cache
from oxidite.cli.cache.project import cache_options, name_of, with_cache
from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say, write
from oxidite.cli.options import json_option
from oxidite.encoding import json_text

__all__ = ["clear", "invalidate"]


@click.command(cls=Command)
@click.argument("tags", metavar="TAG...", nargs=-1, required=True)
@cache_options
@click.option("--soft", is_flag=True, help="It is stale, and may be served within its grace.")
@json_option
def invalidate(
    tags: tuple[str, ...], app: str | None, which: str | None, soft: bool, as_json: bool
) -> None:
    """Let no value that has one of these tags count any more, in all processes.

    Nothing lists the values of a tag, so it takes the same time for one as for a million. What they are
    is told by oxidite cache inspect --tag.

    Examples:
      oxidite cache invalidate user:7
      oxidite cache invalidate products prices --soft
    """

    async def work(cache: Cache) -> None:
        await cache.invalidate_tags(*tags, soft=soft)

    with_cache(app, which, work)
    if as_json:
        write(json_text({"invalidated": list(tags), "soft": soft}))
    else:
        what = "is stale" if soft else "is invalidated"
        for tag in tags:
            say(f"What has the tag {harmless(tag)} {what}.")


@click.command(cls=Command)
@cache_options
@click.option("--prefix", metavar="TEXT", help="Only what has a key that begins so.")
@click.option("--namespace", metavar="NAME", help="Only what is in this namespace.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def clear(
    app: str | None,
    which: str | None,
    prefix: str | None,
    namespace: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete the values of a cache: all, or those of a prefix or a namespace.

    Locks, counts of limits and tags stay. The store looks through all that it holds, and goes on to
    answer others meanwhile.

    Examples:
      oxidite cache clear --prefix shop.profile:
      oxidite cache clear --namespace users --yes
    """
    if prefix is not None and namespace is not None:
        raise click.UsageError("Either --prefix or --namespace.")
    begin = prefix or ("" if namespace is None else f"{namespace}:")
    which_values = f"all values that begin with {begin!r}" if begin else "all values"

    async def work(cache: Cache) -> str:
        where = f"{name_of(cache)} ({cache.address})"
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError(
                    f"This deletes {which_values} of {where}: say --yes where nobody can be asked."
                )
            click.confirm(f"Delete {which_values} of {where}?", abort=True, err=True)
        await cache.clear(begin)
        return where

    where = with_cache(app, which, work)
    if as_json:
        write(json_text({"cleared": begin}))
    else:
        say(harmless(f"Deleted {which_values} of {where}."))
