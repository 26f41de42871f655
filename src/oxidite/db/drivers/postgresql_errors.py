"""What asyncpg raises, as our errors."""

from __future__ import annotations

import re
from typing import Any

import asyncpg

from oxidite.db.errors import (
    BEYOND_INDEX,
    IN_THE_WAY,
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    DiskFullError,
    ExclusionError,
    LockTimeoutError,
    MissingReferenceError,
    NotNullError,
    QueryError,
    ReadOnlyError,
    TransactionError,
    UniqueError,
)
from oxidite.errors import BackendTimeoutError, BackendUnavailableError, FieldError, OxiditeError

__all__ = ["translated"]


def translated(exc: BaseException, *, is_closed: bool) -> BaseException:
    """Return our error for one of the driver's, others as they are."""
    if isinstance(exc, asyncpg.IntegrityConstraintViolationError):
        return _constraint(exc)
    if isinstance(exc, asyncpg.StringDataRightTruncationError) or _is_beyond_index(exc):
        return _too_long(exc)
    if isinstance(exc, asyncpg.DataError):
        return QueryError(f"A value does not fit: {_unfit(exc)}")
    if isinstance(exc, asyncpg.PostgresError) and (advice := _advice(_message(exc))):
        return DatabaseError(f"PostgreSQL: {_message(exc)}. {advice}")
    if isinstance(exc, OverflowError | ValueError) and _YEARS.search(str(exc)):
        return DatabaseError(f"PostgreSQL has a date that Python does not: {exc}. {_BEYOND}")
    for theirs, ours, text in _ERRORS:
        if isinstance(exc, theirs):
            made: OxiditeError = ours(text.format(exc) if text else None)
            return made
    if not isinstance(exc, asyncpg.PostgresError | asyncpg.InterfaceError):
        return exc
    # Of a connection that was closed asyncpg only says that it cannot be used.
    return (BackendUnavailableError if is_closed else DatabaseError)(f"PostgreSQL: {_message(exc)}")


def _message(exc: Exception) -> str:
    """Return what the server says without its details, which quote values."""
    message: str | None = getattr(exc, "message", None)
    return message or str(exc)


def _unfit(exc: Exception) -> str:
    """Return what is wrong with a value, without the value."""
    what, _, rest = _message(exc).partition(": ")
    _, _, why = (
        rest.rpartition(" (") if what.startswith("invalid input for query") else ("", "", "")
    )
    # The driver's reason comes last, in parentheses, and may quote the value again.
    return f"{what}: {why.rstrip(')')}" if why and "'" not in why else what


def _advice(message: str) -> str | None:
    """Return what to do where it is an extension that is missing."""
    return next(
        (advice for words, advice in _ADVICE if all(each in message for each in words)), None
    )


_GIST = "An exclusion constraint over other columns than ranges needs the extension btree_gist"
_NEEDED = "Vectors need the extension pgvector"
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("permission denied", 'extension "vector"'),
        f"{_NEEDED}: have somebody who may run CREATE EXTENSION vector once in this database.",
    ),
    (
        ('extension "vector"', "not available"),
        f"{_NEEDED} where the server runs. Packages call it pgvector, or postgresql-VERSION-pgvector.",
    ),
    (
        ('type "vector"', "does not exist"),
        f"{_NEEDED}, in a schema of the search_path: CREATE EXTENSION vector.",
    ),
    (
        ("permission denied", 'extension "btree_gist"'),
        f"{_GIST}: have somebody who may run CREATE EXTENSION btree_gist once in this database.",
    ),
    (
        ('extension "btree_gist"', "not available"),
        f"{_GIST} where the server runs. It comes with PostgreSQL; packages call it postgresql-contrib.",
    ),
    (
        ("no default operator class for access method", "gist"),
        f"{_GIST}: CREATE EXTENSION btree_gist.",
    ),
    (
        ('access method "hnsw"', "does not exist"),
        "pgvector has that from version 0.5 on. Update it, or make the index using='ivfflat'.",
    ),
)


_YEARS = re.compile(r"date value out of range|year -?\d+ is out of range|ordinal must be")
_BEYOND = "Read it as text, or leave out rows beyond the years 1 to 9999."


_NO_MORE = (
    "A statement of this transaction has failed, so it takes no other one. Put what may fail into a "
    "transaction inside of this one, which is a savepoint."
)
_ERRORS: tuple[tuple[Any, Any, str | None], ...] = (
    (
        (asyncpg.SerializationError, asyncpg.DeadlockDetectedError),
        ConflictingTransactionsError,
        None,
    ),
    (asyncpg.LockNotAvailableError, LockTimeoutError, None),
    (asyncpg.QueryCanceledError, BackendTimeoutError, "PostgreSQL ended the statement: {}"),
    (asyncpg.DiskFullError, DiskFullError, None),
    (
        asyncpg.ReadOnlySQLTransactionError,
        ReadOnlyError,
        "PostgreSQL takes no changes here: {}. Is this a replica, or a transaction with read_only=?",
    ),
    (
        asyncpg.InFailedSQLTransactionError,
        TransactionError,
        _NO_MORE,
    ),
    (
        (
            asyncpg.PostgresConnectionError,
            asyncpg.exceptions.ConnectionDoesNotExistError,
            asyncpg.OperatorInterventionError,
            asyncpg.IdleInTransactionSessionTimeoutError,
            asyncpg.TooManyConnectionsError,
            # Of its own state: the server has said goodbye in the midst of something.
            asyncpg.InternalClientError,
            OSError,
        ),
        BackendUnavailableError,
        "PostgreSQL: {}",
    ),
)

_CONSTRAINTS: tuple[tuple[type[Exception], type[ConstraintError], str], ...] = (
    (asyncpg.UniqueViolationError, UniqueError, "is taken"),
    (asyncpg.NotNullViolationError, NotNullError, "is missing"),
    (
        asyncpg.ForeignKeyViolationError,
        MissingReferenceError,
        "refers to nothing, or is still referred to",
    ),
    (asyncpg.CheckViolationError, CheckError, "breaks a rule"),
    (asyncpg.ExclusionViolationError, ExclusionError, IN_THE_WAY),
)
_BEYOND_INDEX = re.compile(r"index row (?:size|requires) |string is too long for tsvector ")
_KEY = re.compile(r"\(([^)]*)\)=")


def _is_beyond_index(exc: BaseException) -> bool:
    """Tell whether a value is too long for an index over its column."""
    is_limit = isinstance(exc, asyncpg.ProgramLimitExceededError)
    return is_limit and _BEYOND_INDEX.match(str(exc)) is not None


def _too_long(failed: BaseException) -> CheckError:
    exc: Any = failed  # as below
    text = BEYOND_INDEX if _is_beyond_index(failed) else "is too long"
    fields = [FieldError("body", text, pointer="", code="max_length")]
    # The index, if it is told; never the column.
    return CheckError(fields, constraint=exc.constraint_name)


def _constraint(failed: Exception) -> ConstraintError:
    exc: Any = failed  # asyncpg sets its attributes from what the server says
    error, message = ConstraintError, _message(exc)
    for theirs, ours, text in _CONSTRAINTS:
        if isinstance(failed, theirs):
            error, message = ours, text
    found = _KEY.search(exc.detail or "")
    names = [exc.column_name] if exc.column_name else found.group(1).split(", ") if found else []
    fields = [FieldError("body", message, pointer=f"/{name}", code=error.code) for name in names]
    return error(
        fields or [FieldError("body", message, pointer="", code=error.code)],
        constraint=exc.constraint_name,
    )
