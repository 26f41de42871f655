"""A thousand who miss the same key at the same moment, in four processes over one store."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tests.unit.cache.web.places import SHARED, store_url

ROOT = Path(__file__).parents[3]
PROCESSES = 4
ASKING = 250  # in each


@pytest.mark.parametrize("kind", SHARED)
async def test_a_thousand_misses_in_four_processes_make_the_value_once(
    kind: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    async with store_url(kind, tmp_path) as url:
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.unit.cache.missing", url, log, str(ASKING)),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            for _ in range(PROCESSES)
        ]
        try:
            async with asyncio.timeout(60):
                for each in processes:
                    assert each.stdout is not None
                    assert await each.stdout.readline() == b"ready\n"
                for each in processes:
                    assert each.stdin is not None
                    each.stdin.write(b"go\n")
                told = [await each.communicate() for each in processes]
        finally:
            for each in processes:
                if each.returncode is None:
                    each.kill()
                    await each.wait()
        values = [value for out, _ in told for value in json.loads(out)]

    assert log.read_text() == "made\n"
    assert len(values) == PROCESSES * ASKING
    assert len(set(values)) == 1
    assert values[0] in {each.pid for each in processes}
