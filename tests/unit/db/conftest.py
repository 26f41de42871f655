"""A database of each kind, empty, for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from oxidite.db import Database

POSTGRES = os.environ.get(
    "OXIDITE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)


async def _run(sql: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(POSTGRES)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(
    params=["memory", "file", pytest.param("postgresql", marks=pytest.mark.service("postgres"))]
)
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param != "postgresql":
        url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'app.db'}"
        async with Database.from_url(url) as found:
            yield found
        return
    schema = f"test_{uuid4().hex}"
    try:
        await _run(f"CREATE SCHEMA {schema}")
    except OSError as exc:
        pytest.skip(f"no PostgreSQL at {POSTGRES}: {exc}")
    try:
        async with Database.from_url(f"{POSTGRES}?search_path={schema}") as found:
            yield found
    finally:
        await _run(f"DROP SCHEMA {schema} CASCADE")
