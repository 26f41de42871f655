"""A store that several processes share, and workers in processes that may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from tests.faults.queue.stands import KINDS, ROUNDS, stand
from tests.queue_server import register

from oxidite import clock
from oxidite.queue import Queue

__all__ = ["LEASE", "LIMIT", "LONG", "ROUNDS", "Workplace", "workplace"]

LEASE = float(os.environ.get("OXIDITE_FAULT_LEASE", "2"))
"""Seconds; that of production is 30, and nothing else differs."""
LONG = 30.0
"""The lease of those that are not to lose it: nothing that happens to them may be put right by its end."""
LIMIT = LEASE + 2.0
"""Seconds within which what a killed worker had runs again."""

_ROOT = Path(__file__).parents[3]


class Workplace:
    """Where jobs are pushed to, run by processes, and leave lines in a file."""

    def __init__(self, folder: Path, queue: Queue, url: str) -> None:
        self.folder = folder
        self.queue = queue
        self.url = url
        self.workers: list[asyncio.subprocess.Process] = []

    async def work(
        self,
        *options: str,
        lease: float = LEASE,
        app: str = "worker_app",
        url: str = "",
        env: Mapping[str, str] = {},
    ) -> asyncio.subprocess.Process:
        """Start ``oxidite queue work`` in a process group of its own, and wait until it works.

        ``url`` is by which way it reaches the store, if that is another.
        """
        (process,) = await self.work_many(1, *options, lease=lease, app=app, url=url, env=env)
        return process

    async def work_many(
        self,
        count: int,
        *options: str,
        lease: float = LEASE,
        app: str = "worker_app",
        url: str = "",
        env: Mapping[str, str] = {},
    ) -> list[asyncio.subprocess.Process]:
        """Start several."""
        known = {each.name for each in await self.queue.workers()}
        command = ("queue", "work", f"tests.faults.queue.{app}:app", "--lease", str(lease))
        started = [await self.start(*command, *options, url=url, env=env) for _ in range(count)]

        first: dict[str, float] = {}

        async def works() -> bool:
            new = [each for each in await self.queue.workers() if each.name not in known]
            if lease == LONG:
                return len(new) >= count
            # Whoever supervises has begun to prolong their leases.
            prolonged = [
                each
                for each in new
                if each.lease_until > first.setdefault(each.name, each.lease_until)
            ]
            return len(prolonged) >= count

        await self.until(works, within=120.0)
        return started

    async def start(
        self, *command: str, url: str = "", env: Mapping[str, str] = {}
    ) -> asyncio.subprocess.Process:
        """Start ``oxidite`` in a process group of its own."""
        with (self.folder / "said").open("ab") as said:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.faults.queue.work",
                *command,
                cwd=_ROOT,
                env={
                    **os.environ,
                    **env,
                    "OXIDITE_TEST_DIRECTORY": str(self.folder),
                    "OXIDITE_TEST_QUEUE": url or self.url,
                },
                process_group=0,
                stderr=said,
            )
        self.workers.append(process)
        return process

    @property
    def said(self) -> str:
        """What the workers wrote."""
        return (self.folder / "said").read_text()

    def say(self, name: str) -> None:
        """Let jobs go on that await a word."""
        (self.folder / name).touch()

    def seen(self, word: str) -> list[list[str]]:
        """Return the lines of jobs that begin with a word, without it."""
        path = self.folder / "seen"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1:] for line in lines if line.startswith(f"{word} ")]

    async def until(self, met: Callable[[], bool | Awaitable[bool]], within: float = 30.0) -> float:
        """Wait for something, and return the seconds that it took."""
        began = clock.perf()
        while True:
            found = met()
            if await found if isinstance(found, Awaitable) else found:
                return clock.perf() - began
            assert clock.perf() - began < within, self.said
            await self.queue.store.wait(["no such queue"], 0.02)

    def kill(self, process: asyncio.subprocess.Process, signum: int) -> None:
        """Send a signal to a whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)


@contextlib.asynccontextmanager
async def workplace(folder: Path, url: str) -> AsyncIterator[Workplace]:
    """Open one; its workers are gone after the block."""
    async with Queue.from_url(url, tasks=["tests.faults.queue.worker_app"]) as queue:
        place = Workplace(folder, queue, url)
        try:
            yield place
        finally:
            for each in place.workers:
                place.kill(each, signal.SIGKILL)
                await each.wait()


@pytest.fixture(params=["sqlite", "shared"] if ROUNDS > 1 else ["sqlite"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workplace]:
    """On a file of SQLite; in `make faults` also on a store that does next to nothing: workers alone."""
    async with _store(request.param, tmp_path) as url, workplace(tmp_path, url) as made:
        yield made


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """One kind of store after the other."""
    found: str = request.param
    return found


@pytest.fixture
async def everywhere(kind: str, tmp_path: Path) -> AsyncIterator[Workplace]:
    """On each durable store."""
    async with stand(kind, tmp_path) as url, workplace(tmp_path, url) as made:
        yield made


@contextlib.asynccontextmanager
async def _store(kind: str, folder: Path) -> AsyncIterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'jobs.db'}"
        return
    register()
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.queue_server",
        str(folder / "store"),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    assert await server.stdout.readline() == b"ready\n"
    yield f"shared://{folder / 'store'}"
    server.kill()
    await server.wait()
