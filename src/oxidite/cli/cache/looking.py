"""``oxidite cache inspect``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast

import click
from msgspec import Struct, structs

from oxidite.cache import Cache, Inspected
from oxidite.cli.cache.project import cache_options, with_cache
from oxidite.cli.cache.sizes import size, values
from oxidite.cli.commands import Command
from oxidite.cli.console import bold, harmless, say, table, write
from oxidite.cli.masked import decoded, masked
from oxidite.cli.moments import length
from oxidite.cli.options import json_option
from oxidite.encoding import encode_json, json_text
from oxidite.security.redact import Redactor

__all__ = ["inspect"]

_NOTHING = 1
_WIDEST = 60  # characters of a key in a table


class _Seen(Struct):
    first: list[Inspected]
    count: int = 0
    bytes: int = 0
    is_all: bool = True


@click.command(cls=Command)
@click.argument("key", required=False)
@cache_options
@click.option("--prefix", metavar="TEXT", help="What has a key that begins so.")
@click.option("--tag", metavar="TAG", help="What has this tag; all values are read for that.")
@click.option("--value", "with_value", is_flag=True, help="With KEY: show the value, too.")
@click.option("--limit", type=click.IntRange(1), default=50, help="How many at most.  [50]")
@json_option
def inspect(
    key: str | None,
    app: str | None,
    which: str | None,
    prefix: str | None,
    tag: str | None,
    with_value: bool,
    limit: int,
    as_json: bool,
) -> int:
    """Show what is stored under a key, or under those of a prefix or a tag: kind, size, age, time left.

    Also what no longer counts is shown: what is stale, and what has a tag that was invalidated. A value
    is shown only if it is asked for, with what looks like a secret masked, and never one that is encrypted.
    Ends with 1 if there is nothing.

    Examples:
      oxidite cache inspect shop.profile:7
      oxidite cache inspect shop.profile:7 --value
      oxidite cache inspect --prefix shop.profile:
      oxidite cache inspect --tag user:7 --json
    """
    if key is not None:
        if prefix is not None or tag is not None:
            raise click.UsageError("Either a KEY, or --prefix and --tag.")
        return _one(app, which, key, with_value=with_value, as_json=as_json)
    if with_value:
        raise click.UsageError("--value is for a KEY.")
    return _several(app, which, prefix, tag, limit, as_json=as_json)


def _one(app: str | None, which: str | None, key: str, *, with_value: bool, as_json: bool) -> int:
    found = with_cache(app, which, lambda cache: cache.inspect(key))
    if found is None:
        if as_json:
            write(json_text(None))
        say(f"There is nothing under {harmless(key)}.")
        return _NOTHING
    plain = _plain(found)
    if with_value and found.contents is not None:
        # The key names the value: what is kept as token:7 is a secret, whatever it says.
        (plain["value"],) = masked({found.key: decoded(found.contents)}, Redactor()).values()
    if as_json:
        write(json_text(plain))
        return 0
    write(bold(harmless(found.key)))
    told = {
        "kind": found.kind,
        "state": found.state,
        "size": _size(found),
        "age": _age(found),
        "fresh for": _left(found.ttl),
        "kept for": _left(found.kept),
        "cost": length(found.cost) if found.cost else "",
        "tags": " ".join(found.tags),
    }
    if "value" in plain:
        told["value"] = encode_json(plain["value"]).decode()
    elif with_value:
        told["value"] = "not shown: it is encrypted" if found.is_encrypted else "cannot be read"
    width = max(map(len, told))
    for name, value in told.items():
        if value:
            write(f"  {name:<{width}}  {harmless(value)}")
    return 0


def _several(
    app: str | None,
    which: str | None,
    prefix: str | None,
    tag: str | None,
    limit: int,
    *,
    as_json: bool,
) -> int:
    async def work(cache: Cache) -> _Seen:
        seen = _Seen([])
        found = cast("AsyncGenerator[Inspected, None]", cache.scan(prefix or "", tag=tag))
        async with contextlib.aclosing(found):
            async for each in found:
                if seen.count == limit and prefix is None and tag is None:
                    seen.is_all = False
                    break
                seen.count += 1
                seen.bytes += each.size
                if seen.count <= limit:
                    seen.first.append(each)
        return seen

    seen = with_cache(app, which, work)
    seen.first.sort(key=lambda each: each.key)
    if as_json:
        write(
            json_text(
                {
                    "count": seen.count,
                    "bytes": seen.bytes,
                    "is_all": seen.is_all,
                    "values": [_plain(each) for each in seen.first],
                }
            )
        )
        return 0 if seen.count else _NOTHING
    if not seen.count:
        say("There is nothing.")
        return _NOTHING
    table(
        ("KEY", "KIND", "SIZE", "AGE", "FRESH FOR", "STATE", "TAGS"),
        [
            (
                _short(each.key),
                _short(each.kind),
                _size(each),
                _age(each),
                _left(each.ttl),
                each.state,
                _short(" ".join(each.tags)),
            )
            for each in seen.first
        ],
    )
    if seen.is_all:
        say(f"{values(seen.count)}, {size(seen.bytes)}.")
    if seen.count > limit or not seen.is_all:
        say(f"There are more: --limit {limit * 10}")
    return 0


def _plain(found: Inspected) -> dict[str, Any]:
    plain = structs.asdict(found)
    del plain["contents"]
    # Half a surrogate, as in a key that was no UTF-8 on a command line, has no place in JSON.
    plain["key"] = _encodable(found.key)
    plain["tags"] = list(map(_encodable, found.tags))
    return plain


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _size(found: Inspected) -> str:
    marks = [
        mark
        for mark, is_so in (("zstd", found.is_compressed), ("encrypted", found.is_encrypted))
        if is_so
    ]
    return f"{size(found.size)} ({', '.join(marks)})" if marks else size(found.size)


def _age(found: Inspected) -> str:
    return "" if found.age is None else length(found.age)


def _left(seconds: float | None) -> str:
    return "ever" if seconds is None else length(seconds) if seconds > 0 else "over"


def _short(text: str) -> str:
    line = harmless(" ".join(text.split()))
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
