"""Servers of this test run's own, as the database's tests of faults have them."""

from __future__ import annotations

from tests.faults.db.conftest import proxy, server

__all__ = ["proxy", "server"]
