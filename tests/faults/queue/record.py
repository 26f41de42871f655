"""What the tests of faults count: a line of JSON for each fault that was tried on a store.

Nothing is written unless ``OXIDITE_FAULT_RECORDS`` says to which file; ``make faults`` makes a page of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["Fault", "Record", "records_of"]

Fault = Literal[
    "kill",
    "stop_group",
    "stop_child",
    "restart",
    "cut",
    "silent",
    "skew_store",
    "skew_worker",
    "full",
    "memory",
    "deploy",
    "cron",
    "dst",
    "misfit",
]


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What one test of a fault on one store has counted.

    ``lost`` are jobs that were acknowledged to who pushed them and never ran to their end, ``doubled`` those
    that ran again after their outcome was acknowledged; ``again`` began more than once, as they may.
    ``refused`` are late answers that were turned away. ``worst`` is the longest time, in seconds, until what
    was lost ran again, and ``bound`` what it may be.
    """

    fault: Fault
    store: str
    tried: int = 0
    jobs: int = 0
    lost: int = 0
    doubled: int = 0
    again: int = 0
    refused: int | None = None
    worst: float | None = None
    bound: float | None = None

    def settle(self) -> None:
        """Write it down, and fail if something was lost or doubled, or came too late."""
        path = os.environ.get("OXIDITE_FAULT_RECORDS")
        if path:
            # In one write, so that tests in several processes may share the file.
            with Path(path).open("ab", buffering=0) as file:
                file.write(msgspec.json.encode(self) + b"\n")
        assert self.tried, self
        assert not self.lost, self
        assert not self.doubled, self
        if self.bound is not None:
            assert self.worst is not None, self
            assert self.worst < self.bound, self


def records_of(path: Path) -> list[Record]:
    """Read what was written."""
    return [msgspec.json.decode(line, type=Record) for line in path.read_bytes().splitlines()]
