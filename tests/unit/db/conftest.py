"""A database of each kind, empty, for each test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.vector_server import vector_server

from oxidite.db import Database
from oxidite.errors import BackendUnavailableError

POSTGRES = os.environ.get(
    "OXIDITE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)
MARIADB = os.environ.get("OXIDITE_TEST_MARIADB_URL", "mariadb://root@127.0.0.1:3306")

KINDS = [
    "memory",
    "file",
    pytest.param("postgresql", marks=pytest.mark.service("postgres")),
    pytest.param("mariadb", marks=pytest.mark.service("mariadb")),
]


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with database_url(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    async with Database.from_url(url) as found:
        yield found


@contextlib.asynccontextmanager
async def database_url(kind: str, folder: Path, *, server: str = POSTGRES) -> AsyncIterator[str]:
    """Make an empty database of a kind; it is gone after the block."""
    name = f"test_{uuid4().hex}"
    match kind:
        case "memory":
            yield "sqlite://"
        case "file":
            yield f"sqlite:///{folder / f'{name}.db'}"
        case "postgresql":
            await _run(server, f"CREATE SCHEMA {name}")
            try:
                yield f"{server}?search_path={name}"
            finally:
                await _run(server, f"DROP SCHEMA {name} CASCADE")
        case _:
            theirs = f"{MARIADB}/information_schema"
            await _run(theirs, f"CREATE DATABASE {name}")
            try:
                yield f"{MARIADB}/{name}"
            finally:
                await _run(theirs, f"DROP DATABASE {name}")


async def _run(server: str, sql: str) -> None:
    try:
        async with (
            Database.from_url(server, name="server") as found,
            found.driver.connection(write=True) as connection,
        ):
            await connection.run(sql, ())
    except BackendUnavailableError as exc:
        pytest.skip(f"no database at {server}: {exc.message}")


@contextlib.asynccontextmanager
async def vectors_url(kind: str, folder: Path) -> AsyncIterator[str]:
    """Make an empty database of a kind; one of PostgreSQL has pgvector."""
    if kind != "postgresql":
        async with database_url(kind, folder) as url:
            yield url
        return
    server = await vectors_server()
    async with database_url(kind, folder, server=server) as url:
        yield f"{url},public"


async def vectors_server() -> str:
    """Return the URL of a PostgreSQL that has pgvector, in a schema that stays: there is one for all tests."""
    server = os.environ.get("OXIDITE_TEST_VECTORS_URL") or vector_server() or POSTGRES
    try:
        async with (
            Database.from_url(server, name="server") as found,
            found.driver.connection(write=True) as connection,
        ):
            known = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
            if not await connection.fetch(known, ()):
                pytest.skip(
                    "no pgvector: make setup installs one, OXIDITE_TEST_VECTORS_URL names another"
                )
            await connection.begin(isolation=None, read_only=False)
            # Another process of the tests may be about to make it, too.
            await connection.fetch("SELECT pg_advisory_xact_lock(7310420)", ())
            await connection.run("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public", ())
            await connection.commit()
    except BackendUnavailableError as exc:
        pytest.skip(f"no database at {server}: {exc.message}")
    return server
