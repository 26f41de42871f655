"""Peers as processes, and databases for them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from benchmarks.database.results import Sample
from benchmarks.environments import Environment

__all__ = ["PeerProcess", "first_query", "postgresql_database"]

_HARNESS = Path(__file__).with_name("harness.py")
_FIRST = """
import sys, time
sys.path.insert(0, {peers!r})
sys.path.insert(0, {folder!r})
import peer, uvloop
from oxidite.db import Database

async def main():
    async with Database.from_url(sys.argv[1]):
        began = time.perf_counter()
        await peer.Author.where(peer.Author.age > 30).order_by(peer.Author.name).limit(3).all()
        print(time.perf_counter() - began)

uvloop.run(main())
"""


class PeerProcess:
    """A peer that has its tables and waits for workloads."""

    def __init__(self, peer: str, environment: Environment, url: str) -> None:
        self.peer = peer
        self.url = url
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [str(environment.bin / "python"), str(_HARNESS), peer, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        # On one core, as the database is on the other.
        os.sched_setaffinity(self._process.pid, {min(os.sched_getaffinity(0))})
        self.workloads: list[str] = json.loads(self._read())["workloads"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def run(self, workload: str, count: int) -> Sample:
        """Have it do a workload ``count`` times."""
        assert self._process.stdin is not None
        print(json.dumps([workload, count]), file=self._process.stdin, flush=True)
        return Sample(**json.loads(self._read()))

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"{self.peer} ended: {self._log.read()[-2000:]}")
        return line


def first_query(environment: Environment, url: str) -> float:
    """Return the seconds of the first query of a process that has just opened its database."""
    peers = _HARNESS.parent / "peers"
    code = _FIRST.format(peers=str(peers), folder=str(peers / "oxidite"))
    done = subprocess.run(
        [str(environment.bin / "python"), "-c", code, url],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


@contextmanager
def postgresql_database(server: str, name: str) -> Iterator[str]:
    """Make a database, and drop it at the end; yields its URL."""
    asyncio.run(_run(server, f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"'))
    try:
        yield urlsplit(server)._replace(path=f"/{name}", query="").geturl()
    finally:
        asyncio.run(_run(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def _run(server: str, *statements: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(server)
    try:
        for each in statements:
            await connection.execute(each)
    finally:
        await connection.close()
