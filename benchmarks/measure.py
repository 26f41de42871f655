"""One window of load on one server, and what many windows say.

CPU per request is the CPU time of the server's whole process group over the window (user and
system, from the kernel's per-process clocks, in nanoseconds) by the requests that wrk counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median

from benchmarks.contract import Workload
from benchmarks.environments import REPOSITORY, STATE
from benchmarks.servers import CLIENT_CORE, SERVER_CORE, Server, ServerFailedError, affinity

CONNECTIONS = 64
# More foreign time on a core than this share of a window, and the window is taken again. A disturbed
# client matters too: it sends fewer requests at a time, and each then costs the server more.
DISTURBED = 0.05

_LUA = """
wrk.method = %(method)s
wrk.body = %(body)s
%(headers)s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests":%%d,"microseconds":%%d,"bytes":%%d,"failed":%%d,"refused":%%d,"p50":%%f,"p99":%%f}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect + e.read + e.write + e.timeout,
    e.status, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Window:
    """What one window of load showed."""

    requests: int
    seconds: float
    cpu_us: float
    """CPU microseconds of the server per request."""
    p50_us: float
    p99_us: float
    reply_bytes: float
    server_busy: float
    """Share of the window in which the server used its core."""
    client_busy: float
    """Share of the window in which wrk used its core."""
    foreign: float
    """Share of the window in which something else ran on either core, whichever is more."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def disturbed(self) -> bool:
        return self.foreign > DISTURBED


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the range around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        """The median, and the range in brackets."""
        low, high = (f"{value:,.{digits}f}" for value in (self.low, self.high))
        return f"{self.median:,.{digits}f} [{low}-{high}]"


def wrk_version() -> str:
    """The version of wrk; a SystemExit that says how to get it if there is none."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: install the package `wrk` of your distribution")
    done = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group() if found else "of unknown version"


def window(
    server: Server, workload: Workload, *, seconds: float, connections: int = CONNECTIONS
) -> Window:
    """Put load on a running server and measure it.

    Raises:
        ServerFailedError: it ended, replaced its worker, or did not answer every request well.
    """
    server.check()
    pids = server.pids()
    cpu, client, cores = cpu_seconds(pids), _children_cpu(), _cores_busy()
    started = time.perf_counter()
    load = _echo if workload.is_socket else _wrk
    counted = load(server, workload, seconds, connections)
    elapsed = time.perf_counter() - started
    server.check()
    if not pids <= server.pids():
        raise ServerFailedError(f"a process of it ended under load: {server.last_words()}")
    used, client = cpu_seconds(pids) - cpu, _children_cpu() - client
    busy = [after - before for before, after in zip(cores, _cores_busy(), strict=True)]
    if counted["failed"] or counted["refused"] or not counted["requests"]:
        raise ServerFailedError(
            f"{counted['failed']:.0f} connection errors and {counted['refused']:.0f} replies"
            f" of another status in {counted['requests']:.0f} requests"
        )
    return Window(
        requests=int(counted["requests"]),
        seconds=counted["microseconds"] / 1e6,
        cpu_us=used * 1e6 / counted["requests"],
        p50_us=counted["p50"],
        p99_us=counted["p99"],
        reply_bytes=counted["bytes"] / counted["requests"],
        server_busy=used / elapsed,
        client_busy=client / elapsed,
        foreign=max(0.0, busy[0] - used, busy[1] - client) / elapsed,
    )


def _wrk(server: Server, workload: Workload, seconds: float, connections: int) -> dict[str, float]:
    # wrk knows whole seconds only, so it is given more than enough and told when to sum up.
    command = [
        *("wrk", "-t1", f"-c{connections}", f"-d{ceil(seconds) + 5}s", "--timeout", "5s"),
        *("-s", str(_script(workload)), f"http://127.0.0.1:{server.port}{workload.request.path}"),
    ]
    with affinity(CLIENT_CORE):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        raise ServerFailedError("the load did not end: the server stopped answering") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    last = output.strip().splitlines()[-1:]
    if process.returncode != 0 or not last or not last[0].startswith(b"{"):
        raise ServerFailedError(f"wrk: {b' '.join(last).decode(errors='replace')[:200]}")
    return {name: float(value) for name, value in json.loads(last[0]).items()}


def _echo(server: Server, _: Workload, seconds: float, connections: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.echo", str(server.port), f"{seconds}"]
    with affinity(CLIENT_CORE):
        process = subprocess.Popen(
            [*command, str(connections)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    try:
        output = process.communicate(timeout=seconds + 20)[0]
    except subprocess.TimeoutExpired:
        raise ServerFailedError("the load did not end: the server stopped answering") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    last = output.strip().splitlines()[-1:]
    if process.returncode != 0 or not last:
        raise ServerFailedError(f"echo: {b' '.join(last).decode(errors='replace')[:200]}")
    return {name: float(value) for name, value in json.loads(last[0]).items()}


def _script(workload: Workload) -> Path:
    request = workload.request
    path = STATE / "wrk" / f"{workload.name}.lua"
    headers = "\n".join(f"wrk.headers[ {_lua(n)} ] = {_lua(v)}" for n, v in request.headers)
    body = "nil" if request.body is None else _lua(request.body.decode())
    text = _LUA % {"method": _lua(request.method), "body": body, "headers": headers}
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path


def _lua(text: str) -> str:
    assert "]==]" not in text
    return f"[==[{text}]==]"


def cpu_seconds(pids: frozenset[int]) -> float:
    """Seconds of CPU that processes have used, threads that ended included."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            # The clock of another process: how clock_getcpuclockid(3) makes its number.
            total += time.clock_gettime((~pid << 3) | 2)
    return total


def _cores_busy() -> list[float]:
    """Seconds that the servers' core and the client's have spent on processes, anyone's."""
    lines = Path("/proc/stat").read_text().splitlines()
    counts = {line.split()[0]: line.split()[1:4] for line in lines if line.startswith("cpu")}
    tick = os.sysconf("SC_CLK_TCK")
    return [sum(map(int, counts[f"cpu{core}"])) / tick for core in (SERVER_CORE, CLIENT_CORE)]


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
