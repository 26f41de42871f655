"""An empty place in each kind of database."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from oxidite.cache.backends import backends
from oxidite.cache.backends.sql import SQLBackend
from oxidite.db import Database
from oxidite.errors import BackendUnavailableError

POSTGRES = os.environ.get(
    "OXIDITE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)
MARIADB = os.environ.get("OXIDITE_TEST_MARIADB_URL", "mariadb://root@127.0.0.1:3306")

KINDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service("postgres")),
    pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
]


@contextlib.asynccontextmanager
async def place(kind: str, folder: Path) -> AsyncIterator[str]:
    """Make an empty place for a kind of database; it is gone after the block."""
    name = f"test_{uuid4().hex}"
    match kind:
        case "sqlite":
            yield f"sqlite:///{folder / f'{name}.db'}"
        case "postgresql":
            await _run(POSTGRES, f"CREATE SCHEMA {name}")
            try:
                yield f"{POSTGRES}?search_path={name}"
            finally:
                await _run(POSTGRES, f"DROP SCHEMA {name} CASCADE")
        case _:
            server = f"{MARIADB}/information_schema"
            await _run(server, f"CREATE DATABASE {name}")
            try:
                yield f"{MARIADB}/{name}"
            finally:
                await _run(server, f"DROP DATABASE {name}")


async def _run(server: str, sql: str) -> None:
    try:
        async with (
            Database.from_url(server, name="server") as found,
            found.driver.connection(write=True) as connection,
        ):
            await connection.run(sql, ())
    except BackendUnavailableError as exc:
        pytest.skip(f"no database at {server}: {exc.message}")


def patient(url: str) -> str:
    """Return the URL of a backend that waits, for tests that are not about that, as long as a busy machine takes."""
    return f"{url}{'&' if '?' in url else '?'}timeout=30"


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[SQLBackend]:
    async with cast("SQLBackend", backends.create(url)) as made:
        yield made
