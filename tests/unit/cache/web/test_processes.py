"""Processes that miss the same page at the same moment, over one store: one of them asks the handler."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.cache.web.places import SHARED, store_url

ROOT = Path(__file__).parents[4]
PATIENCE = 30.0  # seconds

Told = list[tuple[int, str, str]]


class Asker:
    """A process that asks when it is told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def ask(self, path: str, language: str, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path} {language} {count}\n".encode())

    async def answers(self) -> Told:
        return [(status, text, told) for status, text, told in json.loads(await self.line())]

    async def line(self) -> bytes:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return await self.process.stdout.readline()


@asynccontextmanager
async def askers(kind: str, folder: Path) -> AsyncIterator[tuple[Asker, Asker]]:
    async with store_url(kind, folder) as url:
        found = [
            Asker(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.unit.cache.web.asking", url, folder / "log"),
                    cwd=ROOT,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=2**24,
                )
            )
            for _ in range(2)
        ]
        try:
            for each in found:
                assert await each.line() == b"ready\n"
            yield found[0], found[1]
        finally:
            for each in found:
                if each.process.returncode is None:
                    each.process.kill()
                await each.process.communicate()


def asked(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


@pytest.mark.parametrize("kind", SHARED)
async def test_two_hundred_who_miss_in_two_processes_ask_the_handler_once(
    kind: str, tmp_path: Path
) -> None:
    async with askers(kind, tmp_path) as both:
        for each in both:
            each.ask("/page", "en", 100)
        answers = [answer for each in both for answer in await each.answers()]

    assert asked(tmp_path) == ["page"]
    assert len(answers) == 200
    assert len({(status, text) for status, text, _ in answers}) == 1
    assert (
        sum("collapsed" in told for *_, told in answers) >= 100
    )  # some may come after it is there
    assert sum("stored" in told for *_, told in answers) == 1


@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("redis", marks=pytest.mark.service("redis"))]
)
async def test_each_variant_is_asked_for_once(kind: str, tmp_path: Path) -> None:
    # That there are variants is known only when the first one is there.
    async with askers(kind, tmp_path) as both:
        for each, language in zip(both, ("en", "de"), strict=True):
            each.ask("/said", language, 50)
        answers = [await each.answers() for each in both]

    assert sorted(asked(tmp_path)) == ["said de", "said en"]
    for told, language in zip(answers, ("en", "de"), strict=True):
        assert {text.split()[1] for _, text, _ in told} == {language}


@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("redis", marks=pytest.mark.service("redis"))]
)
async def test_who_waits_for_a_process_that_is_killed_asks_itself(
    kind: str, tmp_path: Path
) -> None:
    async with askers(kind, tmp_path) as (first, second):
        first.ask("/slow", "en", 10)
        async with asyncio.timeout(PATIENCE):
            while not (tmp_path / "log").exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.01)
        second.ask("/slow", "en", 50)
        await asyncio.sleep(0.3)
        first.process.kill()
        answers = await second.answers()

    assert asked(tmp_path) == ["slow", "slow"]
    assert {status for status, *_ in answers} == {200}
