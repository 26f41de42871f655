"""Servers of this test run's own, to be stopped, killed, cut off and filled up."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.faults.proxy import Proxy as AnyProxy

ROUNDS = int(os.environ.get("OXIDITE_FAULT_ROUNDS", "1"))
"""How often what depends on chance is tried; `make faults` says more."""

_BINARIES = [
    folder
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    + [Path(found).resolve().parent for found in (shutil.which("initdb"),) if found]
    if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready", "psql"))
]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class PostgreSQL:
    """A server in a folder of its own."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *args: str) -> None:
        subprocess.run(
            [str(_BINARIES[-1] / program), *args],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user(),
            cwd=self.folder,
            timeout=60,
        )

    def make(self) -> None:
        self.run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self, *, largest: int | None = None) -> None:
        """Start it, and return when it listens; no file may become larger than ``largest`` bytes."""
        limit = [] if largest is None else ["prlimit", f"--fsize={largest}"]
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 20,
            "superuser_reserved_connections": 0,
            "shared_buffers": "16MB",
            "wal_level": "replica",
            "wal_receiver_status_interval": "1s",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *limit,
                    str(_BINARIES[-1] / "postgres"),
                    *("-D", str(self.data)),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdout=log,
                stderr=log,
                user=user(),
                cwd=self.folder,
                start_new_session=True,
            )
        for _ in range(200):
            found = subprocess.run(
                [str(_BINARIES[-1] / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                check=False,
                timeout=10,
            )
            if found.returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self, sent: signal.Signals = signal.SIGINT) -> None:
        """End it: by SIGINT at once and in order, by SIGQUIT as if the machine had lost its power."""
        if self.process is not None:
            self.process.send_signal(sent)
            self.process.wait(30)
            self.process = None


def user() -> str | None:
    """Return whom the server runs as: not root, which it refuses."""
    return "postgres" if os.getuid() == 0 else None


def owned_folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"oxidite-{name}-"))
    if (owner := user()) is not None:
        entry = pwd.getpwnam(owner)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    return folder


@contextlib.contextmanager
def own_server() -> Iterator[PostgreSQL]:
    """Make one; it is gone after the block."""
    if not _BINARIES:
        pytest.skip("no PostgreSQL server is installed")
    folder = owned_folder("pg")
    server = PostgreSQL(folder)
    try:
        server.make()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(made_server: PostgreSQL) -> PostgreSQL:
    """A running server, empty."""
    if made_server.process is None or made_server.process.poll() is not None:
        made_server.start()
    sql = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    made_server.run("psql", "-q", made_server.url, "-c", sql)
    return made_server


class Proxy(AnyProxy):
    """Stands between an application and PostgreSQL."""

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"


@pytest.fixture
async def proxy(server: PostgreSQL) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as made:
        yield made
