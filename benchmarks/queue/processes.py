"""A row's processes: the one that pushes, which lives as long as the benchmark, and its workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.environments import Environment
from benchmarks.measure import cpu_seconds
from benchmarks.queue.peers import marks
from benchmarks.queue.rows import HASTY, WORKERS, Row
from benchmarks.servers import processes_of

__all__ = ["Client", "FailedError", "Place", "Pushed", "Worker"]

_FOLDER = Path(__file__).parent
_LOOK = 0.02  # seconds between two looks at the marks


class FailedError(Exception):
    """A peer did not do what it was to do; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many jobs were pushed, and the seconds that took: that passed, and of CPU of the client."""

    count: int
    seconds: float
    cpu: float


class Place:
    """What the processes of a row have in common: their store and their marks."""

    def __init__(
        self, row: Row, environment: Environment, url: str, folder: Path, *, is_hasty: bool = False
    ) -> None:
        self.row = row
        self.environment = environment
        self.url = url
        self.is_hasty = is_hasty
        self.path = folder / f"{row.key}.marks"
        self.path.write_bytes(bytes(marks.SIZE))
        self._memory = marks.opened(str(self.path))

    def variables(self, places: int) -> dict[str, str]:
        """Return the environment of a process."""
        folder = _FOLDER / "peers"
        mine = {
            "BENCH_URL": self.url,
            "BENCH_MARKS": str(self.path),
            "BENCH_VARIANT": self.row.variant,
            "BENCH_CONCURRENCY": str(places),
            "PYTHONPATH": os.pathsep.join((str(folder), str(folder / self.row.peer))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**os.environ, **mine, **({"BENCH_HASTY": "1"} if self.is_hasty else {})}

    def clear(self) -> None:
        """Forget all marks."""
        self._memory[:] = bytes(marks.SIZE)

    def begun(self, count: int) -> list[float]:
        """Return when the first ``count`` jobs began, as far as they have."""
        return [when for when in self._read(0, count) if when]

    def mark(self, number: int) -> float:
        """Return when a job began last, 0 if it has not."""
        return self._read(number, 1)[0]

    def waits(self, count: int) -> list[float]:
        """Return the seconds from the push to the beginning of each of the first ``count`` jobs that began."""
        pairs = zip(self._read(marks.NUMBERS, count), self._read(0, count), strict=True)
        return [begun - pushed for pushed, begun in pairs if begun]

    def _read(self, first: int, count: int) -> array[float]:
        return array("d", self._memory[first * 8 : (first + count) * 8])


class _Process:
    """A process with a session of its own, and the end of what it says."""

    def __init__(self, place: Place, command: Sequence[str], places: int, *, is_told: bool) -> None:
        self.place = place
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if is_told else subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_told else self._log,
            stderr=self._log,
            text=True,
            cwd=_FOLDER / "peers" / place.row.peer,
            env=place.variables(places),
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.kill()
        self._log.close()

    def kill(self) -> None:
        """End it and all that it started, as ``kill -9`` does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def failed(self, what: str) -> FailedError:
        """Return an error that has the last words of the process."""
        self._log.seek(0)
        return FailedError(f"{self.place.row.key}: {what}: {self._log.read()[-2000:].strip()}")


class Client(_Process):
    """The process that pushes."""

    def __init__(self, place: Place) -> None:
        python = str(place.environment.bin / "python")
        super().__init__(place, [python, str(_FOLDER / "harness.py")], 1, is_told=True)
        self._read()

    def push(self, work: str, most: int, seconds: float) -> Pushed:
        """Have it push, as the harness names it."""
        assert self.process.stdin is not None
        print(json.dumps([work, most, seconds]), file=self.process.stdin, flush=True)
        answer = json.loads(self._read())
        return Pushed(answer["count"], answer["seconds"], answer["cpu"])

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self.failed("the process that pushes ended")
        return line


class Worker(_Process):
    """A worker, started by the command of its manual."""

    def __init__(self, place: Place, places: int) -> None:
        command = WORKERS[place.row.peer](place.environment.bin, places)
        added = HASTY.get(place.row.peer, ()) if place.is_hasty else ()
        super().__init__(place, [*command, *added], places, is_told=False)

    def wait_for(self, count: int, seconds: float, starting: float = 30.0) -> list[float]:
        """Wait for the first ``count`` jobs to begin, but only for so long after the first has.

        Returns when those began that did, in order.
        """
        end = time.monotonic() + starting
        while not (begun := self.place.begun(count)):
            if self.process.poll() is not None:
                raise self.failed("the worker ended")
            if time.monotonic() > end:
                raise self.failed(f"no job began within {starting:g} s")
            time.sleep(_LOOK)
        end = min(begun) + seconds
        while len(begun) < count and time.monotonic() < end:
            time.sleep(_LOOK)
            begun = self.place.begun(count)
        return sorted(begun)

    def cpu(self) -> float:
        """Return the seconds of CPU that it and what it started have used."""
        return cpu_seconds(processes_of(self.process.pid))
