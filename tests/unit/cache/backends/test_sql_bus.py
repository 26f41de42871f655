"""What one process changes in SQL the others are told, soon."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.unit.cache.backends.places import KINDS, opened, patient, place

from oxidite import clock
from oxidite.cache import Epochs, Item, Listener
from oxidite.cache.backends.sql import SQLBackend
from oxidite.db.connections.base import Connection
from oxidite.errors import BackendError


class Ear(Listener):
    """Keeps what it hears, and wakes who waits for it."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.tags: dict[str, Epochs] = {}
        self.prefixes: list[str] = []
        self.losses = 0
        self._heard = asyncio.Event()

    def keys_changed(self, keys: Sequence[str]) -> None:
        self.keys += keys
        self._heard.set()

    def tags_changed(self, epochs: Mapping[str, Epochs]) -> None:
        self.tags |= epochs
        self._heard.set()

    def cleared(self, prefix: str) -> None:
        self.prefixes.append(prefix)
        self._heard.set()

    def lost(self) -> None:
        self.losses += 1
        self._heard.set()

    async def until(self, holds: Callable[[Ear], object], within: float = 30.0) -> float:
        """Wait until something is so; return the seconds that it took."""
        began = clock.perf()
        async with asyncio.timeout(within):
            while not holds(self):
                self._heard.clear()
                await self._heard.wait()
        return clock.perf() - began


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with place(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def hears(url: str, ear: Ear) -> AsyncIterator[SQLBackend]:
    made = SQLBackend.from_url(urlsplit(url))
    made.listen(ear)
    async with made:
        ear.losses = 0
        yield made


@pytest.fixture
async def tells(url: str, hears: SQLBackend) -> AsyncIterator[SQLBackend]:
    async with opened(patient(url)) as made:
        yield made


async def test_every_change_is_heard_soon(hears: SQLBackend, tells: SQLBackend, ear: Ear) -> None:
    await tells.set_many([Item("set:1", b"1"), Item("set:2", b"1")])
    assert await ear.until(lambda ear: sorted(ear.keys) == ["set:1", "set:2"]) < 1.0
    ear.keys.clear()

    await tells.add(Item("added", b"1"))
    await tells.add(Item("added", b"2"))
    await tells.incr("count", 1, None)
    await tells.claim("filled", "token", 60.0, [])
    await tells.fill(Item("filled", b"1"), "token")
    await tells.delete_many(["gone"])
    await ear.until(lambda ear: ear.keys == ["added", "count", "filled", "gone"])

    await tells.invalidate(["tag"], soft=False)
    await tells.invalidate(["tag"], soft=True)
    (epochs,) = await tells.epochs(["tag"])
    await ear.until(lambda ear: ear.tags.get("tag") == epochs)
    assert epochs is not None
    assert epochs.soft > epochs.hard

    await tells.clear("set:")
    await tells.clear("")
    await ear.until(lambda ear: ear.prefixes == ["set:", ""])
    assert ear.losses == 0


async def test_nobody_is_told_what_it_did_itself(
    hears: SQLBackend, tells: SQLBackend, ear: Ear
) -> None:
    await hears.set_many([Item("own", b"1")])
    await hears.invalidate(["own"], soft=False)
    await hears.clear("own")
    await tells.set_many([Item("other", b"1")])
    await ear.until(lambda ear: ear.keys)

    assert (ear.keys, ear.tags, ear.prefixes, ear.losses) == (["other"], {}, [], 0)


async def test_what_was_undone_is_told_to_nobody(
    hears: SQLBackend, tells: SQLBackend, ear: Ear
) -> None:
    await tells.set_many([Item("text", b"no number")])
    with pytest.raises(BackendError):
        await tells.incr("text", 1, None)
    await tells.set_many([Item("last", b"1")])
    await ear.until(lambda ear: "last" in ear.keys)

    assert ear.keys == ["text", "last"]


async def test_long_keys_and_many_of_them_are_told(
    hears: SQLBackend, tells: SQLBackend, ear: Ear
) -> None:
    keys = {f'{number:03}"\\{"x" * 240}' for number in range(300)}
    await tells.set_many([Item(key, b"1") for key in keys])
    await ear.until(lambda ear: set(ear.keys) == keys)

    assert ear.losses == 0


async def test_who_is_far_behind_is_told_that_all_may_have_changed(
    hears: SQLBackend, tells: SQLBackend, ear: Ear
) -> None:
    keys = [f"key:{number}" for number in range(3000)]
    await tells.set_many([Item(key, b"1") for key in keys])
    await ear.until(lambda ear: ear.losses or set(ear.keys) == set(keys))
    await tells.set_many([Item("later", b"1")])
    await ear.until(lambda ear: "later" in ear.keys)


async def test_who_begins_to_listen_later_hears_from_then_on(url: str, ear: Ear) -> None:
    async with opened(url) as hears, opened(url) as tells:
        hears.listen(ear)
        await ear.until(lambda ear: ear.losses)
        await tells.set_many([Item("key", b"1")])
        await ear.until(lambda ear: ear.keys)


async def test_a_connection_that_is_lost_is_told_and_taken_up_again(
    hears: SQLBackend, tells: SQLBackend, ear: Ear
) -> None:
    for connection in _listening(hears):
        connection.is_broken = True
        await _kill(tells, connection)
    await ear.until(lambda ear: ear.losses >= 2)
    await tells.set_many([Item("key", b"1")])
    await ear.until(lambda ear: "key" in ear.keys)


def _listening(backend: SQLBackend) -> list[Connection]:
    driver = backend._store.driver
    pools = [getattr(driver, name, None) for name in ("_pool", "_readers")]
    return [kept.connection for pool in pools if pool is not None for kept in pool._out]


async def _kill(backend: SQLBackend, connection: Connection) -> None:
    if backend._store.dialect.name == "postgresql":
        pid = connection._connection.get_server_pid()  # type: ignore[attr-defined]  # asyncpg's
        async with backend._store.connection(write=True) as other:
            await other.fetch("SELECT pg_terminate_backend($1)", (pid,))


async def test_a_message_that_is_none_of_ours_does_no_harm(
    hears: SQLBackend, tells: SQLBackend, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("", "{}", "[]", "[1, 2]", '["other", "tag", "x"]', "null"):
        before = ear.losses
        hears._ears.hear(text)
        assert ear.losses == before + 1
    await tells.set_many([Item("key", b"1")])
    await ear.until(lambda ear: "key" in ear.keys)
    assert "cannot be read" in caplog.text


# Processes

_CLAIMS = """
import asyncio, sys
from oxidite.cache import Item
from oxidite.cache.backends import backends

async def main():
    async with backends.create(sys.argv[1]) as backend:
        print("ready", flush=True)
        sys.stdin.readline()
        granted = 0
        for number in range(50):
            claimed = await backend.claim(f"key:{number}", sys.argv[2], 60.0, ["tag"])
            granted += claimed.granted and claimed.value is None
            if claimed.granted and claimed.value is None:
                assert await backend.fill(Item(f"key:{number}", sys.argv[2].encode()), sys.argv[2])
            await backend.incr("count", 1, None)
            number = await backend.acquire("lock", sys.argv[2], 1, 60.0)
            if number is not None:
                print("lock", number, flush=True)
                await backend.leave("lock", sys.argv[2])
        print("granted", granted, flush=True)

asyncio.run(main())
"""


async def test_processes_share_claims_counts_and_locks(url: str, ear: Ear) -> None:
    # The tables are there before: what is measured is the sharing.
    async with opened(url) as backend:
        backend.listen(ear)
        told = await asyncio.to_thread(_results, url)
        granted = [int(line.split()[1]) for line in told if line.startswith("granted")]
        fences = [int(line.split()[1]) for line in told if line.startswith("lock")]
        total = await backend.get_many(["count"])
        values = await backend.get_many([f"key:{number}" for number in range(50)])
        await ear.until(lambda ear: ear.keys.count("count") == 150 or ear.losses > 1)

    assert len(granted) == 3
    assert sum(granted) == 50
    assert total == [b"150"]
    assert None not in values
    assert len(set(fences)) == len(fences) >= 50


def _results(url: str) -> list[str]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMS, url, f"process-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = []
    for process in processes:
        told += process.communicate(timeout=60)[0].splitlines()
        assert process.returncode == 0
    return told
