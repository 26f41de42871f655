"""Commands of many tasks over one connection."""

from __future__ import annotations

import asyncio

import pytest

from oxidite.drivers.redis import Redis, RedisOptions, Script
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError

from .pretender import command, login, pretender


async def test_replies_are_what_redis_says(redis: Redis, prefix: str) -> None:
    key = f"{prefix}a"
    assert await redis.run("SET", key, b"\0\r\n\xff") == b"OK"
    assert await redis.run("GET", key) == b"\0\r\n\xff"
    assert await redis.run("GET", f"{prefix}absent") is None
    assert await redis.run("STRLEN", key) == 4
    assert await redis.run("MGET", key, f"{prefix}absent") == [b"\0\r\n\xff", None]
    assert await redis.run("HSET", f"{prefix}h", "f", 1, "g", 1.5) == 2
    assert await redis.run("HGETALL", f"{prefix}h") == {b"f": b"1", b"g": b"1.5"}


async def test_each_of_a_thousand_gets_its_own_reply(redis: Redis, prefix: str) -> None:
    texts = [str(number) * (1 + number % 50) for number in range(1000)]
    replies = await asyncio.gather(*(redis.run("ECHO", text) for text in texts))
    assert replies == [text.encode() for text in texts]


async def test_large_values_and_many_fit_through(redis: Redis, prefix: str) -> None:
    large = bytes(range(256)) * 20_000
    await asyncio.gather(*(redis.run("SET", f"{prefix}{n}", large) for n in range(8)))
    replies = await asyncio.gather(*(redis.run("GET", f"{prefix}{n}") for n in range(8)))
    assert all(reply == large for reply in replies)


async def test_commands_of_one_turn_leave_as_one_write() -> None:
    chunks: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        while data := await reader.read(1_000_000):
            chunks.append(data)
            writer.write(b"+PONG\r\n" * data.count(b"PING"))

    async with pretender(talk) as port, Redis(RedisOptions(host="127.0.0.1", port=port)) as redis:
        await asyncio.gather(*(redis.run("PING") for _ in range(100)))
        assert [chunk.count(b"PING") for chunk in chunks] == [100]


async def test_an_error_is_of_the_command_that_made_it(redis: Redis, prefix: str) -> None:
    await redis.run("SET", f"{prefix}text", "a")
    replies = await asyncio.gather(
        redis.run("PING"),
        redis.run("INCR", f"{prefix}text"),
        redis.run("ECHO", "b"),
        return_exceptions=True,
    )
    assert replies[0] == b"PONG"
    assert isinstance(replies[1], BackendError)
    assert "not an integer" in str(replies[1])
    assert replies[2] == b"b"


async def test_many_commands_are_all_run_before_an_error_of_theirs_is_raised(
    redis: Redis, prefix: str
) -> None:
    commands = [("SET", f"{prefix}a", "x"), ("INCR", f"{prefix}a"), ("SET", f"{prefix}b", "y")]
    with pytest.raises(BackendError, match="not an integer"):
        await redis.run_many(commands)
    assert await redis.run_many([("GET", f"{prefix}a"), ("GET", f"{prefix}b")]) == [b"x", b"y"]
    assert await redis.run_many([]) == []


async def test_who_is_cancelled_leaves_the_replies_of_others_alone(redis: Redis) -> None:
    for _ in range(50):
        asked = [asyncio.create_task(redis.run("ECHO", f"{n}")) for n in range(20)]
        await asyncio.sleep(0)  # some are on their way now
        late = [asyncio.create_task(redis.run("ECHO", f"late {n}")) for n in range(20)]
        for task in (*asked[::2], *late[::3]):
            task.cancel()
        found = await asyncio.gather(*asked, *late, return_exceptions=True)
        for number, reply in enumerate(found):
            wanted = f"{number}" if number < 20 else f"late {number - 20}"
            assert reply == wanted.encode() or isinstance(reply, asyncio.CancelledError)
        assert found[1] == b"1"
        assert found[21] == b"late 1"


async def test_what_is_cancelled_before_it_is_sent_is_not_sent(redis: Redis, prefix: str) -> None:
    future = redis.submit("SET", f"{prefix}a", "1")
    future.cancel()
    assert await redis.run("GET", f"{prefix}a") is None


async def test_a_script_is_sent_once(redis: Redis, prefix: str) -> None:
    script = Script(f"return {{KEYS[1], ARGV[1], '{prefix}'}}")
    assert await redis.run("SCRIPT", "EXISTS", script.digest) == [0]
    assert await redis.call(script, ["k"], [b"\xff"]) == [b"k", b"\xff", prefix.encode()]
    assert await redis.run("SCRIPT", "EXISTS", script.digest) == [1]
    assert await redis.call(script, ["k"], [2]) == [b"k", b"2", prefix.encode()]


async def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_that() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        await reader.read()

    async with pretender(talk) as port:
        options = RedisOptions(host="127.0.0.1", port=port, timeout=0.05)
        async with Redis(options) as redis, asyncio.timeout(2):
            with pytest.raises(BackendTimeoutError, match=f"{port}/0 did not answer within 0.05"):
                await redis.run("PING")


async def test_a_late_reply_is_not_given_to_the_next() -> None:
    """The server goes on to answer, only later than somebody waits."""
    proceed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        while True:
            asked = await command(reader)
            if asked[1] == b"slow":
                writer.write(b"$9\r\nhalf")
                await proceed.wait()
                writer.write(b" done\r\n")
            else:
                writer.write(b"+" + asked[1] + b"\r\n")

    async with pretender(talk) as port:
        options = RedisOptions(host="127.0.0.1", port=port, timeout=0.3)
        async with Redis(options) as redis, asyncio.timeout(5):
            slow = redis.submit("ECHO", "slow")
            handle = asyncio.get_running_loop().call_later(0.2, proceed.set)
            later = asyncio.create_task(redis.run("ECHO", "next"))
            assert await slow == b"half done"
            assert await later == b"next"
            handle.cancel()
            proceed.clear()
            lost = redis.submit("ECHO", "slow")
            with pytest.raises(BackendTimeoutError):
                await lost
            proceed.set()
            while True:
                try:
                    assert await redis.run("ECHO", "after", safe=True) == b"after"
                    break
                except BackendError:
                    await asyncio.sleep(0.01)


async def test_more_commands_than_may_wait_are_refused_at_once() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        await reader.read()

    async with pretender(talk) as port:
        options = RedisOptions(host="127.0.0.1", port=port, timeout=30, max_pending=10)
        async with Redis(options) as redis:
            waiting = [redis.submit("PING") for _ in range(10)]
            with pytest.raises(BackendUnavailableError, match="does not keep up: 10 commands"):
                await redis.run("PING")
            await asyncio.sleep(0)
            with pytest.raises(BackendUnavailableError, match="does not keep up"):
                await redis.run("PING")
        for future in waiting:
            with pytest.raises(BackendUnavailableError, match="closed"):
                await future


async def test_what_a_server_does_not_take_is_not_gathered_without_end() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # it can read
        await asyncio.Event().wait()

    async with pretender(talk) as port:
        options = RedisOptions(host="127.0.0.1", port=port, timeout=30, max_unsent=1_000_000)
        async with Redis(options) as redis:
            waiting: list[asyncio.Future[object]] = []

            async def send(count: int) -> None:
                for _ in range(count):
                    waiting.append(redis.submit("SET", "a", b"x" * 100_000))
                    await asyncio.sleep(0)

            with pytest.raises(BackendUnavailableError, match="does not keep up"):
                await send(500)
            for future in waiting:
                future.cancel()


async def test_what_is_no_reply_breaks_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        await command(reader)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with (
        pretender(talk) as port,
        Redis(RedisOptions(host="127.0.0.1", port=port)) as redis,
    ):
        with pytest.raises(BackendUnavailableError, match="cannot be read"):
            await redis.run("PING")


async def test_a_reply_that_nobody_asked_for_breaks_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        await command(reader)
        writer.write(b"+PONG\r\n+AGAIN\r\n")
        await reader.read()

    async with (
        pretender(talk) as port,
        Redis(RedisOptions(host="127.0.0.1", port=port)) as redis,
    ):
        assert await redis.run("PING") == b"PONG"
        with pytest.raises(BackendUnavailableError):
            await redis.run("PING")


async def test_a_closed_one_refuses(redis: Redis) -> None:
    async with Redis(redis.options) as other:
        assert await other.run("PING") == b"PONG"
    assert not other.is_connected
    with pytest.raises(BackendUnavailableError, match="closed"):
        await other.run("PING")
    with pytest.raises(BackendUnavailableError, match="not open"):
        await Redis(redis.options).run("PING")


async def test_it_can_be_opened_again() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        await command(reader)
        writer.write(b"+PONG\r\n")
        await reader.read()

    async with pretender(talk) as port:
        redis = Redis(RedisOptions(host="127.0.0.1", port=port, timeout=0.1))
        for _ in range(3):
            async with redis, asyncio.timeout(2):
                assert await redis.run("PING") == b"PONG"
                with pytest.raises(BackendTimeoutError):
                    await redis.run("PING")


async def test_the_server_knows_the_connection_by_name(redis: Redis) -> None:
    assert await redis.run("CLIENT", "GETNAME") == b"oxidite"


async def test_who_is_told_of_a_connection_and_fails_keeps_nobody_waiting(redis: Redis) -> None:
    def fail() -> None:
        raise LookupError("a mistake")

    async with asyncio.timeout(5), Redis(redis.options, connected=fail) as other:
        with pytest.raises(BackendUnavailableError, match="a mistake"):
            await other.run("PING")
