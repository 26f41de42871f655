"""``oxidite.cli.dev.process``: a child is never left behind."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from pathlib import Path

from oxidite.cli.dev.process import Child
from oxidite.servers import Target


def living() -> list[str]:
    """Return the processes below this one that are not only waiting to be forgotten."""
    done = subprocess.run(
        ["ps", "-eww", "-o", "ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    ours = [row for row in rows if row[0] == str(os.getpid()) and "Z" not in row[1]]
    return [row[2] for row in ours if "oxidite.cli.dev.child" in row[2]]


async def test_a_start_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    started = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for turns in range(20):
            task = asyncio.create_task(Child.start(Target("app", None, tmp_path), listener))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            [outcome] = await asyncio.gather(task, return_exceptions=True)
            if isinstance(outcome, Child):
                started += 1
                await outcome.kill()
            assert living() == []

    assert 0 < started < 20
