"""Redis is killed, starts again empty, stands still, fills up and slows down; the application goes on."""

from __future__ import annotations

import asyncio
import os
import re
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import cast

import pytest
from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer, redis_server

from oxidite.cache import CacheBackend, Item
from oxidite.cache.backends import backends
from oxidite.cache.backends.redis import RedisBackend
from oxidite.drivers.redis import Redis, RedisFullError, RedisOptions
from oxidite.drivers.redis.subscriber import Subscriber
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError
from oxidite.rates import Claim, Rule

from .conftest import Heard, becomes, healed

ROUNDS = int(os.environ.get("OXIDITE_FAULT_ROUNDS", "1"))


def cache_of(url: str) -> RedisBackend:
    made = backends.create(url)
    assert isinstance(made, RedisBackend)
    return made


async def is_valid(backend: CacheBackend, tags: list[str], as_of: int) -> bool:
    """Tell what a cache would: whether a value made at ``as_of`` may still be used."""
    epochs = await backend.epochs(tags)
    return all(each is not None and each.hard <= as_of for each in epochs)


async def test_a_server_that_is_killed_leaves_nobody_waiting(server: RedisServer) -> None:
    for _ in range(ROUNDS):
        async with Redis.from_url(server.url) as redis:
            await redis.run("PING")
            server.pause()  # so that all of it is on its way when it dies
            asked = [redis.submit("INCR", "a") for _ in range(100)]
            reads = [redis.submit("GET", "a", safe=True) for _ in range(100)]
            await asyncio.sleep(0.01)
            began = perf_counter()
            server.kill()
            found = await asyncio.gather(*asked, *reads, return_exceptions=True)
            assert perf_counter() - began < 1
            assert all(isinstance(each, BackendUnavailableError) for each in found)
            began = perf_counter()
            with pytest.raises(BackendUnavailableError, match=f"127.0.0.1:{server.port}"):
                await redis.run("PING")
            assert perf_counter() - began < 0.1
            server.start()
            assert await healed(lambda: redis.run("GET", "a")) is None


async def test_a_write_on_a_connection_that_breaks_is_not_run_twice(
    server: RedisServer, proxy: Proxy
) -> None:
    async with Redis.from_url(f"redis://127.0.0.1:{proxy.port}") as redis:
        for number in range(4):
            write = redis.submit("INCR", f"n:{number}")
            read = redis.submit("ECHO", f"{number}", safe=True)
            await asyncio.sleep(0)
            proxy.cut()
            try:
                await write
            except BackendUnavailableError as exc:
                told = str(exc)
            else:
                told = "nobody knows"
            assert "nobody knows" in told
            # What is safe to be sent again is.
            assert await read == f"{number}".encode()
            counted = await healed(partial(redis.run, "GET", f"n:{number}", safe=True))
            assert counted in (None, b"1")


async def test_a_server_that_starts_again_empty_makes_nothing_valid_that_was_not(
    server: RedisServer,
) -> None:
    backend, heard = cache_of(server.url), Heard()
    backend.listen(heard)
    async with backend:
        old = (await backend.claim("key", "token", 60.0, ["a", "b"])).as_of
        await backend.fill(Item("key", b"old", 60.0, ("a", "b")), "token")
        assert await is_valid(backend, ["a", "b"], old)
        lock = await backend.acquire("lock", "me", 1, 60.0)
        losses = heard.losses
        server.kill()
        await heard.until(lambda: heard.losses == losses + 1)
        server.start()
        await heard.until(lambda: heard.losses == losses + 2)
        assert await healed(lambda: backend.get_many(["key"])) == [None]
        # What a process remembers of before is not taken for valid, and what is made now is.
        assert not await is_valid(backend, ["a", "b"], old)
        new = (await backend.claim("key", "token", 60.0, ["a", "b"])).as_of
        assert new > old
        assert not await is_valid(backend, ["a"], old)
        assert await is_valid(backend, ["a", "b"], new)
        await backend.invalidate(["a"], soft=False)
        assert not await is_valid(backend, ["a"], new)
        again = await backend.acquire("lock", "other", 1, 60.0)
        assert lock is not None
        assert again is not None
        assert again > lock


async def test_changes_are_heard_again_after_a_restart(server: RedisServer) -> None:
    mine, other, heard = cache_of(server.url), cache_of(server.url), Heard()
    mine.listen(heard)
    async with mine, other:
        losses = heard.losses
        server.kill()
        server.start()
        await heard.until(lambda: heard.losses >= losses + 2)
        await healed(lambda: other.set_many([Item("a", b"1")]))
        await heard.until(lambda: "a" in heard.keys)


async def test_a_server_that_stands_still_is_waited_for_no_longer_than_that(
    server: RedisServer,
) -> None:
    async with cache_of(f"{server.url}?timeout=0.3&connect_timeout=0.3") as backend:
        await backend.set_many([Item("a", b"1")])
        server.pause()
        began = perf_counter()
        found = await asyncio.gather(
            *(backend.get_many(["a"]) for _ in range(50)),
            *(backend.incr("n", 1, None) for _ in range(50)),
            return_exceptions=True,
        )
        assert perf_counter() - began < 1
        assert all(
            isinstance(each, BackendTimeoutError | BackendUnavailableError) for each in found
        )
        began = perf_counter()
        with pytest.raises(BackendError):
            await backend.get_many(["a"])
        assert perf_counter() - began < 1
        server.resume()
        assert await healed(lambda: backend.get_many(["a"])) == [b"1"]


async def test_no_reply_is_given_to_another_whenever_a_server_stands_still(
    server: RedisServer,
) -> None:
    url = f"{server.url}?timeout=0.05&connect_timeout=0.5"
    async with Redis.from_url(url) as redis:
        mistaken: list[tuple[str, object]] = []
        answered = 0

        async def ask(who: int) -> None:
            nonlocal answered
            for number in range(200):
                text = f"{who}:{number}"
                try:
                    reply = await redis.run("ECHO", text, safe=number % 2 == 0)
                except BackendError:
                    await asyncio.sleep(0.005)
                    continue
                answered += 1
                if reply != text.encode():
                    mistaken.append((text, reply))

        async def disturb() -> None:
            while True:
                server.pause()
                await asyncio.sleep(0.07)
                server.resume()
                await asyncio.sleep(0.05)

        disturbing = asyncio.create_task(disturb())
        try:
            for _ in range(ROUNDS):
                await asyncio.gather(*(ask(who) for who in range(20)))
        finally:
            disturbing.cancel()
            await asyncio.wait((disturbing,))
            server.resume()
        assert mistaken == []
        assert answered > 100


async def test_a_server_without_memory_refuses_values_and_still_invalidates(
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path, "--maxmemory-policy", "noeviction") as server:
        async with cache_of(server.url) as backend, cache_of(server.url) as other:
            made = (await backend.claim("key", "token", 60.0, ["a", "b"])).as_of
            await backend.fill(Item("key", b"1", 60.0, ("a", "b")), "token")
            lock = await backend.acquire("lock", "me", 1, 60.0)
            rule = Rule(2, 60.0, "concurrency")
            held = [Claim("a", rule, 1, "one"), Claim("b", rule, 1, "one")]
            assert all(each.allowed for each in await backend.rates.acquire(held))
            await backend.rates.acquire([Claim("b", rule, 1, "two")])
            filled = [f"fill:{number}" for number in range(50)]
            await backend.set_many([Item(key, b"x" * 100_000, None) for key in filled])
            async with Redis.from_url(server.url) as redis:
                await redis.run("CONFIG", "SET", "maxmemory", "4mb")
            await _refused(backend)
            # What was there is, until it is said to be invalid; then it is, for everybody.
            assert await backend.get_many(["key"]) == [b"1"]
            assert await is_valid(other, ["a", "b"], made)
            await backend.invalidate(["a"], soft=False)
            await backend.invalidate(["b"], soft=True)
            for tag in ("a", "b"):
                assert not await is_valid(other, [tag], made)
            # Giving back and deleting needs no memory.
            await backend.rates.release(held)
            assert await backend.leave("lock", "me")
            assert await backend.delete_many(filled) == len(filled)
            new = await backend.claim("key", "token", 60.0, ["a", "b"])
            assert new.granted
            assert new.as_of > made
            for tag in ("a", "b"):
                assert not await is_valid(other, [tag], made)
                assert await is_valid(other, [tag], new.as_of)
            again = await backend.acquire("lock", "me", 1, 60.0)
            assert lock is not None
            assert again is not None
            assert again > lock


async def _refused(backend: RedisBackend) -> None:
    """See each write refused, and nothing changed by it."""
    refused = await asyncio.gather(
        backend.set_many([Item("new", b"1")]),
        backend.incr("number", 1, None),
        backend.add(Item("new", b"1")),
        backend.claim("new", "token", 60.0, ["new tag"]),
        backend.acquire("new", "me", 1, 60.0),
        backend.rates.acquire([Claim("new", Rule(1, 60.0))]),
        return_exceptions=True,
    )
    assert [type(each) for each in refused] == [RedisFullError] * len(refused)
    assert all("maxmemory" in str(each) for each in refused)
    assert await backend.get_many(["number", "new"]) == [None, None]
    assert await backend.epochs(["new tag"]) == [None]


async def test_tags_that_a_server_evicts_make_nothing_valid(tmp_path: Path) -> None:
    options = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
    with redis_server(tmp_path, *options) as server:
        async with cache_of(server.url) as backend:
            made: dict[str, int] = {}
            for number in range(200):
                tag = f"tag:{number}"
                made[tag] = (await backend.claim(f"k:{number}", "t", 60.0, [tag])).as_of
                await backend.fill(Item(f"k:{number}", b"1", None, (tag,)), "t")
            await backend.invalidate([f"tag:{n}" for n in range(0, 200, 2)], soft=False)
            for number in range(200):
                await backend.set_many([Item(f"fill:{number}", b"x" * 50_000)])
            evicted = (await backend.epochs(list(made))).count(None)
            assert evicted > 20
            # Also when others make values with these tags, of which the server knows nothing any more.
            for tag in list(made)[::3]:
                await backend.claim(f"other {tag}", "t", 60.0, [tag])
            for number in range(0, 200, 2):
                assert not await is_valid(backend, [f"tag:{number}"], made[f"tag:{number}"])


async def test_a_slow_network_is_a_time_out_and_then_none(proxy: Proxy) -> None:
    async with cache_of(f"redis://127.0.0.1:{proxy.port}/0?timeout=0.2") as backend:
        await backend.set_many([Item("a", b"1")])
        proxy.delay = 0.02
        assert await backend.get_many(["a"]) == [b"1"]
        proxy.delay = 0.5
        began = perf_counter()
        with pytest.raises(BackendError, match=r"did not answer within 0\.2 seconds"):
            await backend.get_many(["a"])
        assert perf_counter() - began < 0.5
        proxy.delay = 0
        assert await healed(lambda: backend.get_many(["a"])) == [b"1"]


async def test_a_network_that_loses_everything_is_noticed(proxy: Proxy) -> None:
    url = f"redis://127.0.0.1:{proxy.port}/0?timeout=0.2&connect_timeout=0.2"
    async with cache_of(url) as backend:
        await backend.set_many([Item("a", b"1")])
        proxy.pause()
        for _ in range(5):
            began = perf_counter()
            with pytest.raises(BackendError):
                await backend.get_many(["a"])
            assert perf_counter() - began < 0.5
        proxy.resume()
        assert await healed(lambda: backend.get_many(["a"])) == [b"1"]


async def test_a_subscription_on_which_nothing_comes_is_made_anew(
    server: RedisServer, proxy: Proxy
) -> None:
    heard = Heard()
    options = RedisOptions(host="127.0.0.1", port=proxy.port, connect_timeout=0.2)

    def hear(data: bytes) -> None:
        heard.keys_changed([data.decode()])

    subscriber = Subscriber(options, ["c"], heard=hear, lost=heard.lost, beat=0.1)
    async with Redis.from_url(server.url) as redis, subscriber:
        assert subscriber.is_subscribed
        await redis.run("PUBLISH", "c", "first")
        await heard.until(lambda: heard.keys == ["first"])
        losses = heard.losses
        proxy.pause()
        await heard.until(lambda: heard.losses == losses + 1)
        await becomes(lambda: not subscriber.is_subscribed)
        proxy.resume()
        await heard.until(lambda: heard.losses == losses + 2)
        await redis.run("PUBLISH", "c", "second")
        await heard.until(lambda: heard.keys == ["first", "second"])


async def test_a_subscription_that_is_not_allowed_is_tried_again_and_hurries_nobody(
    tmp_path: Path,
) -> None:
    user = ("--user", "some", "on", ">secret", "~*", "resetchannels", "+@all")
    with redis_server(tmp_path, *user) as server:
        heard = Heard()
        options = RedisOptions(
            host="127.0.0.1",
            port=server.port,
            username="some",
            password="secret",
            connect_timeout=0.3,
        )
        async with Subscriber(options, ["c"], heard=lambda _: None, lost=heard.lost) as subscriber:
            assert not subscriber.is_subscribed
            await heard.until(lambda: heard.losses >= 2)
            async with Redis(options) as redis:
                await redis.run("ACL", "SETUSER", "some", "allchannels")
            await becomes(lambda: subscriber.is_subscribed)


async def test_a_password_that_changes_is_told_to_those_who_ask(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "first-secret") as server:
        url = f"redis://:first-secret@127.0.0.1:{server.port}/0"
        async with cache_of(url) as backend:
            await backend.set_many([Item("a", b"1")])
            server.kill()
            with redis_server(tmp_path, "--requirepass", "other", "--port", str(server.port)):
                said: list[str] = []

                async def is_told() -> None:
                    with pytest.raises(BackendUnavailableError) as caught:
                        await backend.get_many(["a"])
                    said.append(str(caught.value))
                    if "password" not in said[-1]:
                        raise BackendError("not yet")

                await healed(is_told)
                assert "first-secret" not in "".join(said)
            server.start()
            assert await healed(lambda: backend.get_many(["a"])) == [None]


async def test_a_server_that_is_not_there_is_found_when_it_comes(server: RedisServer) -> None:
    server.kill()
    async with cache_of(server.url) as backend:
        began = perf_counter()
        with pytest.raises(BackendUnavailableError, match="Connect call failed"):
            await backend.get_many(["a"])
        assert perf_counter() - began < 0.1
        server.start()
        await healed(lambda: backend.set_many([Item("a", b"1")]))
        assert await backend.get_many(["a"]) == [b"1"]


async def test_clearing_frees_in_steps_so_that_others_are_answered_between_them(
    server: RedisServer,
) -> None:
    async with cache_of(server.url) as backend, Redis.from_url(server.url) as redis:
        for begin in range(0, 20_000, 1000):
            await backend.set_many([Item(f"a:{begin + n}", b"v") for n in range(1000)])
        await backend.set_many([Item("b:1", b"v"), Item("a", b"v")])
        await redis.run("CONFIG", "RESETSTAT")
        await backend.clear("a:")
        said = cast("bytes", await redis.run("INFO", "commandstats")).decode()
        assert await backend.get_many(["b:1", "a", "a:0", "a:19999"]) == [b"v", b"v", None, None]

    # Values and claims that were looked for in thousands; none was deleted by KEYS or by a script.
    calls = {name: int(count) for name, count in re.findall(r"cmdstat_(\w+):calls=(\d+)", said)}
    assert calls["unlink"] >= 15
    assert "keys" not in calls
    assert "evalsha" not in calls
