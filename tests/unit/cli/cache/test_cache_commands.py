"""``oxidite cache``, as it is used, with a store that outlives a command."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from tests.unit.cli.conftest import Command

from oxidite.cache import Cache

T = TypeVar("T")


APP = """
    from oxidite import Oxidite
    from oxidite.cache import Cache, Warmer

    opened = []

    class Before:
        async def __aenter__(self):
            opened.append("before")
        async def __aexit__(self, *exc_info):
            opened.append("closed")

    class After(Before):
        async def __aenter__(self):
            opened.append("after")

    cache = Cache.from_url("sqlite:///cache.db", prefix="shop:", ttl=300)

    @cache.cached(key="square", tags=["numbers"])
    async def square(number: int) -> int:
        return number**2

    @cache.warm
    async def squares() -> None:
        for number in range(3):
            await square(number)

    @cache.warm(name="broken one")
    async def broken() -> None:
        await cache.set("before", 1)
        raise ConnectionError("the bank is closed")

    app = Oxidite(resources=[Before(), cache, Warmer(cache, "squares"), After()])
"""


@pytest.fixture
def project(oxidite: Command) -> Command:
    oxidite.write("app.py", APP)
    assert oxidite("cache", "stats").code == 0
    return oxidite


def in_cache(work: Callable[[Any, Cache], Awaitable[T]]) -> T:
    """Do something in the module of the application with its cache."""
    app = importlib.import_module("app")

    async def inside() -> T:
        async with app.cache as cache:
            return await work(app, cache)

    return asyncio.run(inside())


async def fill(app: Any, cache: Cache) -> None:
    await app.square(7)
    await cache.set("user:1", {"name": "Ann", "password": "hunter2"}, tags=["users"], grace=60)
    await cache.set("user:2", [1, 2, 3], ttl=None, tags=["users", "lists"])
    await cache.set("with space\n", "text")
    await cache.incr("visits", 41)


def plain(project: Command, *args: str) -> Any:
    return json.loads(project("cache", *args, "--json").out)


def test_only_the_cache_and_what_stands_before_it_is_opened(project: Command) -> None:
    assert importlib.import_module("app").opened == ["before", "closed"]
    assert project("cache", "inspect").err == "There is nothing.\n"  # and the Warmer did not begin


def test_stats_tell_where_it_is_and_how_much_is_in_it(project: Command) -> None:
    in_cache(fill)
    done = project("cache", "stats")
    assert done.out.splitlines()[0].split() == ["CACHE", "STORE", "ENTRIES", "BYTES", "LIMIT"]
    assert re.fullmatch(
        r"Cache 'shop:'  sqlite:///cache.db  5 +[\d.]+ k?B  268.4 MB", done.out.splitlines()[1]
    )
    assert "counted by each process" in done.err
    (line,) = plain(project, "stats")
    assert (line["entries"], line["limit"], line["error"]) == (5, 268435456, None)


def test_what_is_under_a_key_is_shown(project: Command) -> None:
    in_cache(fill)
    done = project("cache", "inspect", "user:1")
    assert done.code == 0
    assert re.search(r"^user:1\n  kind +map of 2\n  state +fresh\n  size +\d+ B\n", done.out)
    assert re.search(r"  fresh for +5 min\n  kept for +6 min\n  tags +users\n$", done.out)
    found = plain(project, "inspect", "user:2")
    assert (found["kind"], found["ttl"], found["tags"]) == ("list of 3", None, ["users", "lists"])
    assert plain(project, "inspect", "visits")["kind"] == "number of incr"
    assert plain(project, "inspect", "square:7")["kind"] == "number"
    missing = project("cache", "inspect", "absent")
    assert (missing.code, missing.out, missing.err) == (1, "", "There is nothing under absent.\n")


def test_a_value_is_shown_if_asked_for_without_its_secrets(project: Command) -> None:
    in_cache(fill)
    assert "Ann" not in project("cache", "inspect", "user:1").out
    done = project("cache", "inspect", "user:1", "--value")
    assert '{"name":"Ann","password":"[redacted]"}' in done.out
    assert plain(project, "inspect", "visits", "--value")["value"] == 41


def test_the_key_names_the_value(project: Command) -> None:
    in_cache(lambda _, cache: cache.set("reset-token:7", "f00ba4"))
    assert "f00ba4" not in project("cache", "inspect", "reset-token:7", "--value").out


def test_keys_of_a_prefix_and_of_a_tag_are_listed_with_their_bytes(project: Command) -> None:
    in_cache(fill)
    lines = project("cache", "inspect", "--prefix", "user:").out.splitlines()
    assert lines[0].split() == ["KEY", "KIND", "SIZE", "AGE", "FRESH", "FOR", "STATE", "TAGS"]
    assert [line.split()[0] for line in lines[1:]] == ["user:1", "user:2"]
    assert re.search(r"list of 3 +\d+ B +\d+ ms +ever +fresh +users lists$", lines[2])
    tagged = plain(project, "inspect", "--tag", "users")
    assert tagged["count"] == 2
    assert tagged["bytes"] == sum(each["size"] for each in tagged["values"])
    few = project("cache", "inspect", "--limit", "2")
    assert (len(few.out.splitlines()), few.err) == (3, "There are more: --limit 20\n")
    many = project("cache", "inspect", "--tag", "users", "--limit", "1")
    assert re.fullmatch(r"2 values, \d+ B.\nThere are more: --limit 10\n", many.err)
    assert project("cache", "inspect", "--tag", "nobody").code == 1


def test_keys_of_any_characters_and_length_are_found_and_do_no_harm(project: Command) -> None:
    odd = ["\x1b[31mred", "ä\udcff\0", "x" * 10_000, " ", "100%", "%41"]

    async def work(_: Any, cache: Cache) -> None:
        for number, key in enumerate(odd):
            await cache.set(key, number)
        await cache.set("", 99)

    in_cache(work)
    done = project("cache", "inspect")
    assert "\x1b" not in done.out
    assert len(done.out.splitlines()) == 8
    for number, key in enumerate(odd):
        found = plain(project, "inspect", key, "--value")
        assert found["value"] == number
    listed = {each["key"]: each for each in plain(project, "inspect")["values"]}
    assert {"\x1b[31mred", " ", "100%", "%41", ""} <= listed.keys()
    (cut,) = [key for key in listed if "%%" in key]
    assert plain(project, "inspect", cut, "--value")["value"] == 2


def test_an_encrypted_value_is_not_shown(oxidite: Command) -> None:
    oxidite.write("app.py", APP.replace("ttl=300", "ttl=300, secret='s' * 32"))
    oxidite("cache", "stats")
    in_cache(lambda _, cache: cache.set("plan", "attack at dawn", tags=["plans"]))
    done = oxidite("cache", "inspect", "plan", "--value")
    assert "dawn" not in done.out
    assert re.search(r"kind +encrypted\n", done.out)
    assert "not shown: it is encrypted" in done.out
    assert oxidite("cache", "inspect", "--tag", "plans").code == 0


def test_what_cannot_be_read_is_said_to_be(project: Command) -> None:
    async def work(_: Any, cache: Cache) -> None:
        await cache.set("key", 1)
        (item,) = [each async for each in cache.scan()]
        from oxidite.cache import Item

        await cache.backend.set_many([Item(item.stored, b"\xff of something else")])

    in_cache(work)
    found = plain(project, "inspect", "key")
    assert (found["state"], found["kind"][:11]) == ("unreadable", "unreadable:")
    assert "cannot be read" in project("cache", "inspect", "key", "--value").out


def test_tags_are_invalidated(project: Command) -> None:
    in_cache(fill)
    done = project("cache", "invalidate", "lists", "numbers", "--soft")
    assert done.err == "What has the tag lists is stale.\nWhat has the tag numbers is stale.\n"
    assert plain(project, "inspect", "user:2")["state"] == "stale"
    assert plain(project, "invalidate", "users") == {"invalidated": ["users"], "soft": False}
    assert plain(project, "inspect", "user:1")["state"] == "gone"
    assert in_cache(lambda _, cache: cache.get("user:1", dict)) is None
    assert project("cache", "invalidate").code == 2


def test_clearing_asks_and_takes_a_prefix(project: Command) -> None:
    in_cache(fill)
    refused = project("cache", "clear")
    assert refused.code == 2
    assert "say --yes where nobody can be asked" in refused.err
    done = project("cache", "clear", "--namespace", "user", "--yes")
    assert (
        done.err
        == "Deleted all values that begin with 'user:' of Cache 'shop:' (sqlite:///cache.db).\n"
    )
    assert plain(project, "inspect")["count"] == 3
    assert plain(project, "clear", "--prefix", "with", "--yes") == {"cleared": "with"}
    assert plain(project, "inspect")["count"] == 2
    assert project("cache", "clear", "--yes").code == 0
    assert project("cache", "inspect").code == 1
    assert project("cache", "clear", "--prefix", "x" * 200, "--yes").code == 1


def test_warming_stores_what_is_not_there(project: Command) -> None:
    done = project("cache", "warm", "squares")
    assert re.fullmatch(r"squares: 3 values stored \(\d+ B\), in \d+ ms\n", done.out)
    assert importlib.import_module("app").opened[-4:] == ["before", "after", "closed", "closed"]
    again = project("cache", "warm", "squares")
    assert re.fullmatch(r"squares: 0 values stored \(0 B\), 3 were there, in \d+ ms\n", again.out)


def test_a_warmer_that_fails_is_told_and_the_others_run(project: Command) -> None:
    done = project("cache", "warm")
    assert done.code == 1
    assert "squares: 3 values stored" in done.out
    assert "broken one: ConnectionError: the bank is closed; 1 value stored" in done.err
    wrong = project("cache", "warm", "square")
    assert wrong.code == 1
    assert "There are: squares, broken one." in wrong.err
    assert [each["error"] for each in plain(project, "warm")] == [
        None,
        "ConnectionError: the bank is closed",
    ]


def test_an_application_without_a_cache_is_told_how_to_have_one(oxidite: Command) -> None:
    oxidite.write("app.py", "from oxidite import Oxidite\napp = Oxidite()\n")
    done = oxidite("cache", "stats")
    assert done.code == 1
    assert "The application has no cache: Oxidite(resources=[Cache.from_url(…)])." in done.err


def test_several_caches_are_told_apart(oxidite: Command) -> None:
    oxidite.write(
        "app.py",
        """
        from oxidite import Oxidite
        from oxidite.cache import Cache

        class Pages(Cache): ...

        pages = Pages.from_url("sqlite:///pages.db")
        things = Cache.from_url("sqlite:///things.db", prefix="t:")
        app = Oxidite(resources=[Cache.from_url("memory://"), pages, things])
        """,
    )
    done = oxidite("cache", "stats")
    assert len(done.out.splitlines()) == 4
    assert "in each process" in done.out
    refused = oxidite("cache", "inspect")
    assert refused.code == 1
    assert "--which with a class or prefix of Cache, Pages, Cache 't:'." in refused.err
    assert oxidite("cache", "inspect", "--which", "Pages").err == "There is nothing.\n"
    assert oxidite("cache", "inspect", "--which", "t:").err == "There is nothing.\n"
    assert "no cache nope" in oxidite("cache", "inspect", "--which", "nope").err
    hidden = oxidite("cache", "inspect", "--which", "Cache")
    assert "several" in hidden.err


def test_a_cache_in_memory_cannot_be_seen_into(oxidite: Command) -> None:
    oxidite.write(
        "app.py",
        """
        from oxidite import Oxidite
        from oxidite.cache import Cache

        app = Oxidite(resources=[Cache.from_url("memory://")])
        """,
    )
    done = oxidite("cache", "clear", "--yes")
    assert done.code == 1
    assert "in the memory of each process" in done.err


def test_a_store_that_is_away_is_said_to_be_without_its_password(oxidite: Command) -> None:
    oxidite.write(
        "app.py",
        """
        from oxidite import Oxidite
        from oxidite.cache import Cache

        url = "redis://ann:hunter2@127.0.0.1:1/0?password=hunter3"
        try:
            cache = Cache.from_url(url)
        except Exception:
            cache = Cache.from_url(url.partition("?")[0])
        app = Oxidite(resources=[cache])
        """,
    )
    for args in (
        ["stats"],
        ["invalidate", "tag"],
        ["clear", "--yes"],
        ["inspect"],
        ["inspect", "k"],
    ):
        done = oxidite.apart("cache", *args)
        assert done.code == 1, args
        assert "Error: " in done.err, args
        assert "Traceback" not in done.err, args
        assert "hunter" not in done.out + done.err
    assert "redis://127.0.0.1:1/0" in oxidite.apart("cache", "stats").out


def test_in_redis_the_bytes_are_those_of_the_server(oxidite: Command) -> None:
    url = os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
    oxidite.write(
        "app.py",
        f"""
        from oxidite import Oxidite
        from oxidite.cache import Cache

        cache = Cache.from_url("{url}?prefix=cli-{os.getpid()}:", prefix="shop:")
        app = Oxidite(resources=[cache])
        """,
    )
    assert "bytes of the whole server" in oxidite("cache", "stats").out
    in_cache(lambda _, cache: cache.set("user:1", 1, tags=["users"]))
    assert plain(oxidite, "inspect", "--tag", "users")["count"] == 1
    assert oxidite("cache", "clear", "--yes").code == 0
    assert oxidite("cache", "inspect").code == 1


def test_the_help_of_each_command_ends_in_examples(oxidite: Command) -> None:
    for name in ("stats", "inspect", "invalidate", "clear", "warm"):
        done = oxidite("cache", name, "--help")
        assert done.code == 0
        assert f"oxidite cache {name}" in done.out.partition("Examples:")[2]
