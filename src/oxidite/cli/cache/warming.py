"""``oxidite cache warm``."""

from __future__ import annotations

from typing import Any

import click

from oxidite.cache import Cache, Warmed
from oxidite.cli.cache.project import cache_options, with_cache
from oxidite.cli.cache.sizes import size, values
from oxidite.cli.commands import Command
from oxidite.cli.console import fail, harmless, say, write
from oxidite.cli.moments import length
from oxidite.cli.options import json_option
from oxidite.encoding import json_text

__all__ = ["warm"]

_FAILED = 1


@click.command(cls=Command)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@cache_options
@json_option
def warm(names: tuple[str, ...], app: str | None, which: str | None, as_json: bool) -> int:
    """Fill the cache ahead: run the functions that are marked with @cache.warm, or those named.

    All resources of the application are open meanwhile, but nothing that works by itself, such as a
    worker. What is fresh already is not made again. Ends with 1 if one of them failed.

    Examples:
      oxidite cache warm
      oxidite cache warm front_page prices
    """

    async def work(cache: Cache) -> list[Warmed]:
        done = []
        async for each in cache.run_warmers(*names):
            done.append(each)
            if not as_json:
                _tell(each)
        return done

    done = with_cache(app, which, work, with_all=True)
    if as_json:
        write(json_text([_plain(each) for each in done]))
    elif not done:
        say("Nothing fills this cache: mark an async function that does with @cache.warm.")
    return _FAILED if any(each.error for each in done) else 0


def _tell(done: Warmed) -> None:
    there = f", {done.found} {'was' if done.found == 1 else 'were'} there" if done.found else ""
    stored = f"{values(done.written)} stored ({size(done.size)}){there}, in {length(done.seconds)}"
    if done.error is None:
        write(f"{harmless(done.name)}: {stored}")
    else:
        fail(harmless(f"{done.name}: {type(done.error).__name__}: {done.error}; {stored}"))


def _plain(done: Warmed) -> dict[str, Any]:
    error = None if done.error is None else f"{type(done.error).__name__}: {done.error}"
    return {
        "name": done.name,
        "written": done.written,
        "bytes": done.size,
        "made": done.made,
        "found": done.found,
        "seconds": done.seconds,
        "error": error,
    }
