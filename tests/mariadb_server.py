"""MariaDB servers of a test's own, to be killed, restarted, cut off and filled up."""

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
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.redis_server import free_port

__all__ = ["MariaDBServer", "mariadb_server"]

_STARTING = 30.0  # seconds that a server may take until it listens


class MariaDBServer:
    """A server in a folder of its own, on a free port. What it acknowledges is in its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "server.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mariadb://app:geheim%C3%A4@127.0.0.1:{self.port}/app"

    def install(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(self.folder / "other.pem"))
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        issued.cert_chain_pems[0].write_to_path(str(self.folder / "cert.pem"))
        (self.folder / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS app;\n"
            "CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'geheim\u00e4';\n"
            "GRANT ALL ON *.* TO 'app'@'%';\n",
            encoding="utf-8",
        )
        if os.getuid() == 0:
            owner = pwd.getpwnam("mysql")
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", *self._common(), "--skip-test-db"],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def start(self, *, largest: int | None = None) -> None:
        """Start, and return when it listens; no file may become larger than ``largest`` bytes."""
        limit = [] if largest is None else ["prlimit", f"--fsize={largest}:unlimited"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *limit,
                    "mariadbd",
                    "--no-defaults",
                    *self._common(),
                    f"--socket={self.socket}",
                    f"--port={self.port}",
                    "--bind-address=127.0.0.1",
                    f"--pid-file={self.folder / 'pid'}",
                    f"--init-file={self.folder / 'init.sql'}",
                    f"--ssl-ca={self.folder / 'ca.pem'}",
                    f"--ssl-cert={self.folder / 'cert.pem'}",
                    f"--ssl-key={self.folder / 'key.pem'}",
                    "--character-set-server=utf8mb4",
                    "--innodb-buffer-pool-size=32M",
                    "--max-connections=20",
                    "--max-allowed-packet=64M",
                    "--innodb-log-file-size=256M",
                ],
                stdout=log,
                stderr=log,
                # Then a file that is too large is an error for it, as a full disk is, and not its end.
                restore_signals=False,
            )
        end = time.monotonic() + _STARTING
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.socket() as found:
                found.connect(("127.0.0.1", self.port))
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text(errors="replace"))

    def end(self, sent: signal.Signals = signal.SIGTERM) -> None:
        """End it: by SIGTERM in order, by SIGKILL as if the machine had lost its power."""
        if self._process is not None:
            self._process.send_signal(sent)
            self._process.wait(30)
            self._process = None

    def _common(self) -> list[str]:
        user = ["--user=mysql"] if os.getuid() == 0 else []
        return [f"--datadir={self.folder / 'data'}", *user]


@contextlib.contextmanager
def mariadb_server() -> Iterator[MariaDBServer]:
    """Install a server, which has yet to be started; it is gone after the block."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("mariadbd is not installed")
    # Its user may not go where tests have their own folders.
    folder = Path(tempfile.mkdtemp(prefix="oxidite-mariadb-"))
    server = MariaDBServer(folder)
    try:
        server.install()
        yield server
    finally:
        server.end(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
