"""Starting, suspending and stopping servers. Whatever happens to the runner, none survives it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from benchmarks.contract import write_files
from benchmarks.environments import PEERS, STATE, Environment
from benchmarks.targets import Target

SERVER_CORE = 0
CLIENT_CORE = 1
OPEN_FILES = 20_000
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 5.0
# Below the range from which the kernel gives clients theirs.
_PORTS = itertools.cycle(range(20_000, 30_000))

# Reads "+group" and "-group" lines; when the runner is gone, however it went, ends what is left.
_GUARD = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class ServerFailedError(Exception):
    """A server did not start, stopped answering, or ended; the message says what it said last."""


@contextlib.contextmanager
def affinity(core: int) -> Iterator[None]:
    """Let children that are started inside run on one core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Guard:
    """A process that outlives the runner for a moment, to end the servers it left running."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _GUARD],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.close()
        self._process.wait(timeout=_STOP_TIMEOUT)

    def _tell(self, line: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(line)
        stdin.flush()


class Server:
    """One running application, as a process group of its own on the servers' core."""

    def __init__(self, target: Target, mode: str, environment: Environment, guard: Guard) -> None:
        self.target = target
        self.mode = mode
        self.port = _free_port()
        self._log = STATE / "logs" / f"{target.label}-{mode}.log"
        self._guard = guard
        self._ended = False
        self._process = self._start(environment)
        self._group = self._process.pid
        guard.watch(self._group)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def suspend(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the whole group: asked first, killed if it takes longer than a few seconds."""
        if self._ended:
            return
        self._ended = True
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self.pids() and time.monotonic() < deadline:
            self._process.poll()
            time.sleep(0.02)
        if self.pids():
            self._signal(signal.SIGKILL)
        self._process.wait()
        self._guard.forget(self._group)

    def pids(self) -> frozenset[int]:
        """The processes of the group that are not zombies."""
        return processes_of(self._group)

    def check(self) -> None:
        """Raise ServerFailedError if the server has ended."""
        if self._process.poll() is not None:
            raise ServerFailedError(
                f"ended with {_exit(self._process.returncode)}: {self.last_words()}"
            )

    def memory(self) -> int:
        """Bytes that the group has to itself in memory, its share of shared pages included."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                line = next(li for li in text.splitlines() if li.startswith("Pss:"))
                total += int(line.split()[1]) * 1024
        return total

    def last_words(self) -> str:
        """The last line of its log that names an error, else the last line."""
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        return (errors or lines)[-1].strip()[:200]

    def _start(self, environment: Environment) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log, affinity(SERVER_CORE):
            return _spawn(self.target, self.mode, environment, self.port, log)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, number)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            self.check()
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), timeout=1),
            ):
                return
            time.sleep(0.05)
        raise ServerFailedError(
            f"opened no port within {_START_TIMEOUT:.0f} s: {self.last_words()}"
        )


def _spawn(
    target: Target, mode: str, environment: Environment, port: int, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        target.command(environment, port),
        cwd=PEERS / target.peer,
        env=_surroundings(environment, mode),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _surroundings(environment: Environment, mode: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "HOME", "TMPDIR") if name in os.environ}
    path = f"{environment.bin}:/usr/local/bin:/usr/bin:/bin"
    files = STATE / "files"
    if mode == "files":
        write_files(files)
    return {
        **kept,
        "PATH": path,
        "WORKLOAD": mode,
        "FILES": str(files),
        "PYTHONUNBUFFERED": "1",
    }


def raise_file_limit() -> int:
    """Allow this process and its children as many open files as ten thousand clients need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _free_port() -> int:
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("cycle() ends never")


def processes_of(group: int) -> frozenset[int]:
    """The processes of a group that are not zombies."""
    return frozenset(pid for pid, its_group in _processes() if its_group == group)


def _processes() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # The name in brackets may hold anything, so count from its end.
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if state != "Z":
                    yield int(entry.name), int(group)


def _exit(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
