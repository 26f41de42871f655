"""The store in SQL."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.cache.backends.places import place

from oxidite.db import Database
from oxidite.queue.base import JobStore
from oxidite.queue.stores import stores
from oxidite.testing.contracts import JobStoreContract


@contextlib.asynccontextmanager
async def beside(url: str) -> AsyncIterator[tuple[Database, JobStore]]:
    """Open a database, and the store in it."""
    async with Database.from_url(url) as db, stores.create("db", resources=[db]) as store:
        yield db, store


class TestSQLiteFile(JobStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("sqlite", tmp_path) as url, stores.create(url) as store:
            yield store


class TestSQLiteOfTheApplication(JobStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("sqlite", tmp_path) as url, beside(url) as (_, store):
            yield store


class TestSQLiteInMemory(JobStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[JobStore]:
        async with stores.create("sqlite://") as store:
            yield store


@pytest.mark.service("postgres")
class TestPostgreSQL(JobStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("postgresql", tmp_path) as url, stores.create(url) as store:
            yield store


@pytest.mark.service("postgres")
class TestPostgreSQLOfTheApplication(JobStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("postgresql", tmp_path) as url, beside(url) as (_, store):
            yield store


@pytest.mark.service("mariadb")
class TestMariaDB(JobStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[JobStore]:
        async with place("mariadb", tmp_path) as url, beside(url) as (_, store):
            yield store
