"""A PostgreSQL server that all tests of faults of a process share: to make one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.db.conftest import PostgreSQL, own_server


@pytest.fixture(scope="session")
def made_server() -> Iterator[PostgreSQL]:
    with own_server() as server:
        yield server
