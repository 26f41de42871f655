"""A cache in SQL: in a file of SQLite, in PostgreSQL or MariaDB; beside the application's, or elsewhere."""

from oxidite.cache.backends.sql.backend import SQLBackend

__all__ = ["SQLBackend"]
