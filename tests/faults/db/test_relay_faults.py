"""Relays are killed at any moment; no message is lost, and those of a key stay in order."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oxidite.db import Database, Message, Outbox, Relay

from .conftest import ROUNDS, PostgreSQL

PROGRAM = """
import asyncio, os, sys
from oxidite.db import Database, Outbox, Relay

async def main(url, path):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def handler(message):
        await asyncio.sleep(0.002)
        os.write(file, f"{message.key} {message.payload}\\n".encode())

    async with Database.from_url(url) as db, Outbox(db) as outbox:
        async with Relay(outbox, {"numbers": handler}, timeout=0.2, poll=0.05, concurrency=4):
            print("running", flush=True)
            await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'app.db'}"
    else:
        server: PostgreSQL = request.getfixturevalue("server")
        yield server.url


async def _run(url: str, path: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, url, str(path)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"running\n"
    return process


async def test_none_is_lost_when_relays_are_killed(url: str, tmp_path: Path) -> None:
    path = tmp_path / "delivered"
    dice = random.Random(5)
    number = 100
    async with Database.from_url(url) as db, Outbox(db) as outbox:
        for n in range(number):
            async with db.transaction():
                await outbox.add("numbers", n, key=f"k{n % 5}")
        for _ in range(3 * ROUNDS):
            process = await _run(url, path)
            await asyncio.sleep(0.02 + dice.random() / 5)
            process.kill()
            await process.wait()

        async def handler(message: Message) -> None:
            line = f"{message.key} {message.payload}\n"
            with path.open("a") as file:
                file.write(line)

        relay = Relay(outbox, {"numbers": handler})
        async with asyncio.timeout(20):
            while (await outbox.stats()).waiting:
                await relay.deliver()
                await asyncio.sleep(0.05)
    lines = [line.split() for line in path.read_text().splitlines()]
    assert {int(n) for _, n in lines} == set(range(number))
    assert len(lines) <= number + 4 * 3 * ROUNDS  # at most what was being handled comes twice
    for key in {key for key, _ in lines}:
        seen = [int(n) for each, n in lines if each == key]
        # The first time each is seen, it is in order.
        assert list(dict.fromkeys(seen)) == sorted(set(seen))
