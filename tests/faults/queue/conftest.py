"""A store that several processes share, and workers in processes that may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.queue_server import register

from oxidite import clock
from oxidite.queue import Queue

__all__ = ["LEASE", "ROUNDS", "Workplace"]

ROUNDS = int(os.environ.get("OXIDITE_FAULT_ROUNDS", "1"))
"""How often what depends on chance is tried; `make faults` says more."""
LEASE = 2.0
"""Seconds; that of production is 30, and nothing else differs."""

_ROOT = Path(__file__).parents[3]


class Workplace:
    """Where jobs are pushed to, run by processes, and leave lines in a file."""

    def __init__(self, folder: Path, queue: Queue) -> None:
        self.folder = folder
        self.queue = queue
        self.workers: list[asyncio.subprocess.Process] = []

    async def work(self, *options: str, app: str = "worker_app") -> asyncio.subprocess.Process:
        """Start ``oxidite queue work`` in a process group of its own, and wait until it works."""
        process = await self.start(
            "queue", "work", f"tests.faults.queue.{app}:app", "--lease", str(LEASE), *options
        )
        known = {each.name for each in await self.queue.workers()}

        async def works() -> bool:
            return any(each.name not in known for each in await self.queue.workers())

        await self.until(works)
        return process

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        """Start ``oxidite`` in a process group of its own."""
        with (self.folder / "said").open("ab") as said:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.faults.queue.work",
                *command,
                cwd=_ROOT,
                env={**os.environ, "OXIDITE_TEST_DIRECTORY": str(self.folder)},
                process_group=0,
                stderr=said,
            )
        self.workers.append(process)
        return process

    @property
    def said(self) -> str:
        """What the workers wrote."""
        return (self.folder / "said").read_text()

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


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Workplace]:
    register()
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.queue_server",
        str(tmp_path / "store"),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    assert await server.stdout.readline() == b"ready\n"
    url = f"shared://{tmp_path / 'store'}"
    async with Queue.from_url(url, tasks=["tests.faults.queue.worker_app"]) as queue:
        place = Workplace(tmp_path, queue)
        yield place
        for each in place.workers:
            place.kill(each, signal.SIGKILL)
            await each.wait()
    server.kill()
    await server.wait()
