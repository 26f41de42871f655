"""Jobs in SQL: in SQLite, PostgreSQL, MariaDB and MySQL."""

from oxidite.queue.stores.sql.store import SQLStore

__all__ = ["SQLStore"]
