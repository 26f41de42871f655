"""Makes a page of what the tests of faults have counted: ``python -m tests.faults.queue.report RECORDS PAGE``."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path

from tests.faults.queue.conftest import LEASE
from tests.faults.queue.record import Fault, Record, records_of

from oxidite import clock

__all__ = ["page"]

STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB", "redis": "Redis"}

FAULTS: Mapping[Fault, str] = {
    "kill": "`kill -9` of supervisor and worker, in mid-job",
    "stop_group": "`SIGSTOP` of both past the lease, then `SIGCONT`",
    "stop_child": "`SIGSTOP` of the worker alone, then `SIGCONT`",
    "deploy": "replaced under load by `SIGTERM`",
    "memory": "no memory left: the limit of the process; killed for it, three times",
    "restart": "store killed and started again under load",
    "cut": "connections broken again and again under load",
    "silent": "network silent past the lease, then back",
    "full": "no room left on the disk, or in memory",
    "skew_store": "clock of the store an hour ahead, or behind",
    "skew_worker": "clock of a worker's machine an hour ahead, or behind",
    "cron": "slots fired by three processes, one of them killed",
    "dst": "nightly slots where the clocks change, both ways",
    "misfit": "jobs whose task, arguments or version no longer fit",
}

WHY_NOT: Mapping[tuple[Fault, str], str] = {
    ("restart", "sqlite"): "it has no server",
    ("cut", "sqlite"): "it has no network",
    ("silent", "sqlite"): "it has no network",
    ("skew_worker", "sqlite"): "its clock is that of the one machine it is on",
}

_HEAD = """# Faults of jobs, counted

`make faults` makes this page: each fault is caused again and again, to real processes and real servers, and what became of every job
that was acknowledged to who pushed it is counted. The tests are those of `tests/faults/queue`.

| Column | Holds |
|---|---|
| tried | how often the fault was caused |
| jobs | how many were acknowledged |
| lost | those of them that never ran to their end |
| doubled | those that ran again after their outcome was acknowledged, and attempts that began twice |
| again | runs that began anew after a fault, as they are to |
| refused | late answers that were turned away |
| worst | the longest until what was lost ran again, and what it may be |

The tests fail if anything was lost or doubled, or came too late.
"""


def page(records: Sequence[Record], about: str) -> str:
    """Return the page, as Markdown."""
    of: defaultdict[tuple[Fault, str], list[Record]] = defaultdict(list)
    for each in records:
        of[each.fault, each.store].append(each)
    rows: list[str] = []
    for fault, title in FAULTS.items():
        rows += ["", f"## {title[0].upper()}{title[1:]}" if title[0] != "`" else f"## {title}", ""]
        rows += ["| | tried | jobs | lost | doubled | again | refused | worst |"]
        rows += ["|---|---|---|---|---|---|---|---|"]
        rows += [_row(fault, store, of[fault, store]) for store in STORES]
    return "\n".join([_HEAD.rstrip(), *rows, "", about, ""])


def _row(fault: Fault, store: str, some: Sequence[Record]) -> str:
    name = STORES[store]
    if not some:
        why = WHY_NOT.get((fault, store), "not in the run that made this page")
        return f"| {name} | not run: {why} | | | | | | |"
    refused = [each.refused for each in some if each.refused is not None]
    worst = [each.worst for each in some if each.worst is not None]
    bound = [each.bound for each in some if each.bound is not None]
    counts = [
        sum(each.tried for each in some),
        sum(each.jobs for each in some),
        sum(each.lost for each in some),
        sum(each.doubled for each in some),
        sum(each.again for each in some),
        sum(refused) if refused else "",
        f"{max(worst):.1f} s of {max(bound):g} s" if worst and bound else "",
    ]
    return f"| {name} | {' | '.join(map(str, counts))} |"


def about() -> str:
    """Return on what it ran."""
    versions = [
        ("PostgreSQL", ["postgres", "--version"]),
        ("MariaDB", ["mariadbd", "--version"]),
        ("Redis", ["redis-server", "--version"]),
    ]
    named = [f"{name} {found}" for name, command in versions if (found := _version(command))]
    return (
        f"{clock.now().astimezone(UTC):%Y-%m-%d}; leases of {LEASE:g} s; CPython {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors; {', '.join(named)}."
    )


def _version(command: Sequence[str]) -> str:
    folders = [*os.get_exec_path(), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
    for folder in folders:
        if (program := Path(folder) / command[0]).exists():
            said = subprocess.run(
                [program, *command[1:]], capture_output=True, text=True, check=False
            )
            words = said.stdout.replace("v=", "").replace("-MariaDB", " ").split()
            return next((each for each in words if each[:1].isdigit()), "")
    return ""


def main(records: str, to: str) -> None:
    """Write the page."""
    found = records_of(Path(records))
    if not found:
        sys.exit(f"Nothing was recorded in {records}: run make faults.")
    Path(to).write_text(page(found, about()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
