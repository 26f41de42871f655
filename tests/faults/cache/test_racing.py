"""Processes that invalidate, delete and read at the same time: nobody is told what was over before."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from pathlib import Path
from typing import cast

import pytest
from tests.unit.cache.backends.places import KINDS, place

ROUNDS = int(os.environ.get("OXIDITE_FAULT_ROUNDS", "1"))
REDIS = os.environ.get("OXIDITE_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
SECONDS = 2.0
ROOT = Path(__file__).parents[3]


async def test_of_two_processes_none_reads_what_was_over_before_redis(tmp_path: Path) -> None:
    await _race(REDIS, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_two_processes_none_reads_what_was_over_before(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as url:
        await _race(url, tmp_path)


async def _race(url: str, folder: Path) -> None:
    prefix = f"race {secrets.token_hex(4)}:"
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.cache.racing"),
            *(url, prefix, str(folder), str(SECONDS * ROUNDS), str(number)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for number in range(2)
    ]
    for told, _ in await asyncio.gather(*(process.communicate() for process in processes)):
        found = cast("dict[str, object]", json.loads(told))
        print(found)
        assert found["too_old"] == []
        assert cast("int", found["reads"]) > 100
        assert cast("int", found["changes"]) > 10
