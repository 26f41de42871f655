"""Drivers by URL scheme. The driver's own name is in no URL: the database is what counts."""

from __future__ import annotations

from oxidite.backends import BackendRegistry
from oxidite.db.connections.base import Driver

__all__ = ["drivers"]

drivers: BackendRegistry[Driver] = BackendRegistry(
    "database",
    {
        "sqlite": ("oxidite.db.drivers.sqlite:SQLiteDriver", "db"),
        "postgresql": ("oxidite.db.drivers.postgresql:PostgreSQLDriver", "postgres"),
        "mysql": ("oxidite.db.drivers.mysql:MySQLDriver", "mysql"),
        "mariadb": ("oxidite.db.drivers.mysql:MySQLDriver", "mysql"),
    },
)
