"""``oxidite cache stats``."""

from __future__ import annotations

from typing import Any

import click

from oxidite.app import Oxidite
from oxidite.cache import Cache, Stats
from oxidite.cli.cache.project import cache_options, found_caches, in_cache, name_of
from oxidite.cli.cache.sizes import size
from oxidite.cli.commands import Command
from oxidite.cli.console import fail, harmless, say, table, write
from oxidite.cli.options import json_option
from oxidite.encoding import json_text
from oxidite.errors import BackendError

__all__ = ["stats"]

_FAILED = 1


@click.command(cls=Command)
@cache_options
@json_option
def stats(app: str | None, which: str | None, as_json: bool) -> int:
    """Show the caches of the application: where they are, how much is in their stores.

    What is counted is all that a store holds, of whoever uses it. Hits and misses are not in it: each
    process counts its own, see cache.counts. Ends with 1 if a store cannot be reached.

    Examples:
      oxidite cache stats
      oxidite cache stats --json | jq '.[].bytes'
    """
    found, caches = found_caches(app, which)
    lines = [_seen(found, each) for each in caches]
    if as_json:
        write(json_text(lines))
    else:
        _write(lines)
    return _FAILED if any(line["error"] for line in lines) else 0


def _seen(app: Oxidite, cache: Cache) -> dict[str, Any]:
    held: Stats | None = None
    error: str | None = None
    is_shared = True

    async def work(cache: Cache) -> tuple[Stats | None, bool]:
        return (await cache.stats()).store, cache.backend.is_shared

    try:
        held, is_shared = in_cache(app, cache, work)
    except BackendError as exc:
        error = exc.message
    if not is_shared:
        held = None  # that of this process, which has just begun
    return {
        "name": name_of(cache),
        "class": type(cache).__name__,
        "prefix": cache.prefix,
        "address": cache.address,
        "is_shared": is_shared,
        "entries": None if held is None else held.keys,
        "bytes": None if held is None else held.size,
        "limit": None if held is None else held.limit,
        "is_whole_server": held is not None and held.is_whole_server,
        "error": error,
    }


def _write(lines: list[dict[str, Any]]) -> None:
    table(
        ("CACHE", "STORE", "ENTRIES", "BYTES", "LIMIT", ""),
        [
            (
                harmless(line["name"]),
                harmless(line["address"]),
                "" if line["entries"] is None else str(line["entries"]),
                "" if line["bytes"] is None else size(line["bytes"]),
                "" if line["limit"] is None else size(line["limit"]),
                _note(line),
            )
            for line in lines
        ],
    )
    for line in lines:
        if line["error"]:
            fail(harmless(f"{line['name']}: {line['error']}"))
    say("Hits and misses are counted by each process of the application: cache.counts there.")


def _note(line: dict[str, Any]) -> str:
    if line["error"]:
        return "cannot be reached"
    if not line["is_shared"]:
        return "in each process"
    return "bytes of the whole server" if line["is_whole_server"] else ""
