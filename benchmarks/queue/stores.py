"""Servers of the benchmark's own, on free ports and in a folder of its own: durable, and empty."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

__all__ = ["Stores", "own_stores"]

_STARTING = 20.0  # seconds that a server may take until it listens
_KEPT = ("ox_schema", "saq_versions")
"""Tables that say what was made, and are not to be emptied."""


class Stores:
    """Where each row has its jobs; a URL is a database of its own."""

    def __init__(self, folder: Path, redis: int, postgresql: int) -> None:
        self._folder = folder
        self._redis = redis
        self._server = f"postgresql://postgres@127.0.0.1:{postgresql}"
        self._made = 0

    def make(self, store: str) -> str:
        """Return the URL of a new database."""
        self._made += 1
        if store == "redis":
            return f"redis://127.0.0.1:{self._redis}/{self._made}"
        if store == "postgresql":
            name = f"bench_{self._made}"
            asyncio.run(_run(f"{self._server}/postgres", f"CREATE DATABASE {name}"))
            return f"{self._server}/{name}"
        full = "?synchronous=full" if store == "sqlite-full" else ""
        return f"sqlite:///{self._folder}/{self._made}.db{full}"

    def empty(self, url: str) -> None:
        """Take all jobs out of a database, whatever they are in; no worker is left of it."""
        if url.startswith("redis:"):
            with socket.create_connection(("127.0.0.1", self._redis), _STARTING) as found:
                number = url.rpartition("/")[2]
                found.sendall(f"SELECT {number}\r\nFLUSHDB\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    answer += found.recv(100)
                assert answer == b"+OK\r\n+OK\r\n", answer
        elif url.startswith("postgresql:"):
            asyncio.run(_empty(url))
        else:
            file = url.removeprefix("sqlite:///").partition("?")[0]
            with closing(sqlite3.connect(file, timeout=20)) as connection, connection:
                tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                for (name,) in tables.fetchall():
                    if name not in _KEPT and not name.startswith("sqlite_"):
                        connection.execute(f'DELETE FROM "{name}"')


@contextmanager
def own_stores() -> Iterator[Stores]:
    """Start Redis and PostgreSQL, and end them."""
    folder = Path(tempfile.mkdtemp(prefix="oxidite-bench-"))
    owner = "postgres" if os.getuid() == 0 else None
    if owner is not None:
        entry = pwd.getpwnam(owner)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    started: list[subprocess.Popen[bytes]] = []
    try:
        redis, postgresql = _free_port(), _free_port()
        started.append(_start_redis(folder, redis))
        started.append(_start_postgresql(folder, postgresql, owner))
        for port, process in zip((redis, postgresql), started, strict=True):
            _wait(port, process, folder)
        yield Stores(folder, redis, postgresql)
    finally:
        for each in started:
            each.kill()
            each.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _start_redis(folder: Path, port: int) -> subprocess.Popen[bytes]:
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is needed, and is not installed")
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": folder,
        "databases": 64,
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with (folder / "redis.log").open("ab") as log:
        return subprocess.Popen([program, *words], stdout=log, stderr=log)


def _start_postgresql(folder: Path, port: int, owner: str | None) -> subprocess.Popen[bytes]:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb")
    if found is None and not binaries:
        raise SystemExit("PostgreSQL's own programs are needed (initdb), and are not installed")
    programs = binaries[-1] if binaries else Path(found or "").resolve().parent
    data = folder / "data"
    subprocess.run(
        [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"],
        check=True,
        stdout=subprocess.DEVNULL,
        user=owner,
        cwd=folder,
    )
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "max_connections": 200,
        "shared_buffers": "256MB",
    }
    with (folder / "postgresql.log").open("ab") as log:
        return subprocess.Popen(
            [
                *(str(programs / "postgres"), "-D", str(data)),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            stdout=log,
            stderr=log,
            user=owner,
            cwd=folder,
        )


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + _STARTING
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    logs = "".join(each.read_text()[-2000:] for each in folder.glob("*.log"))
    raise SystemExit(f"a server of the benchmark did not start:\n{logs}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def _run(url: str, *statements: str) -> None:
    import asyncpg

    end = time.monotonic() + _STARTING
    while True:
        try:
            connection = await asyncpg.connect(url)
            break
        except (OSError, asyncpg.CannotConnectNowError):  # it listens before it is ready
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)
    try:
        for each in statements:
            await connection.execute(each)
    finally:
        await connection.close()


async def _empty(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        # Of workers that were killed, some statement may still be under way.
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND relation IS NOT NULL"
        )
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = ", ".join(f'"{row[0]}"' for row in rows if row[0] not in _KEPT)
        if names:
            await connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    finally:
        await connection.close()
