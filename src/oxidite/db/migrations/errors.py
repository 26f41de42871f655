"""What can go wrong with migrations."""

from __future__ import annotations

from oxidite.db.errors import DatabaseError
from oxidite.errors import ConfigError

__all__ = [
    "HistoryError",
    "MigrationError",
    "MigrationFailedError",
    "PendingMigrationsError",
    "QuestionError",
]


class MigrationError(ConfigError):
    """A migration cannot work as it is written."""

    code = "migration"


class HistoryError(MigrationError):
    """The files of the migrations do not make one history."""

    code = "migration_history"


class QuestionError(MigrationError):
    """Something has to be decided by a person, and nobody can be asked."""

    code = "migration_question"


class MigrationFailedError(DatabaseError):
    """A migration did not run to its end; the message says what became of the schema."""

    code = "migration_failed"


class PendingMigrationsError(MigrationError):
    """The database is behind the application."""

    code = "pending_migrations"
