"""What SQLite raises, as our errors."""

from __future__ import annotations

import re
import sqlite3
from types import TracebackType

from oxidite.db.errors import (
    IN_THE_WAY,
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    DiskFullError,
    ExclusionError,
    MissingReferenceError,
    NotNullError,
    QueryError,
    ReadOnlyError,
    UniqueError,
)
from oxidite.db.values.exclusions import EXCLUDED
from oxidite.db.values.words import not_made
from oxidite.errors import BackendUnavailableError, FieldError

__all__ = ["errors"]


class _Errors:
    """Raises our error for one of SQLite's: ``with errors:``."""

    # PERF: around each statement; a context made of a generator costs a microsecond. Benchmark `db get`.
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        match exc:
            case sqlite3.IntegrityError():
                raise _constraint(exc) from exc
            case OverflowError() | sqlite3.InterfaceError() | sqlite3.ProgrammingError():
                raise QueryError(f"A value cannot be bound: {exc}") from exc
            case sqlite3.Error():
                raise _failed(exc) from exc
            case _:
                pass


errors: _Errors = _Errors()


def _failed(exc: sqlite3.Error) -> Exception:
    # The lower byte is the kind; the rest says which of it.
    match getattr(exc, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return ConflictingTransactionsError(
                "The SQLite file was locked by another process for too long. Try again."
            )
        case sqlite3.SQLITE_FULL:
            return DiskFullError()
        case sqlite3.SQLITE_READONLY:
            return ReadOnlyError(
                "The SQLite file takes no changes: it, or its folder, may not be written, the URL says "
                "mode=ro, or the transaction read_only=True."
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR:
            return BackendUnavailableError(f"The SQLite file cannot be read or written: {exc}")
        case _:
            return DatabaseError(_missing(str(exc)) or f"SQLite: {exc}")


_NO_WORDS = re.compile(r"no such table: (?:\w+\.)?ox_words_(\w+)")


def _missing(message: str) -> str | None:
    """Say what a search has not; ``None`` where it is something else."""
    if message == "no such module: fts5":
        return (
            "SQLite: this one was built without FTS5, which search() takes. Use a Python whose sqlite3 has it, "
            "or look for text with Post.title.contains(...)."
        )
    found = _NO_WORDS.match(message)
    return None if found is None else not_made(found[1])


_CONSTRAINTS: dict[str, tuple[type[ConstraintError], str]] = {
    "UNIQUE": (UniqueError, "is taken"),
    "NOT NULL": (NotNullError, "is missing"),
    "FOREIGN KEY": (MissingReferenceError, "refers to nothing, or is still referred to"),
    "CHECK": (CheckError, "breaks a rule"),
}


def _constraint(exc: sqlite3.IntegrityError) -> ConstraintError:
    if str(exc).startswith(EXCLUDED):
        broken = [FieldError("body", IN_THE_WAY, pointer="", code=ExclusionError.code)]
        return ExclusionError(broken, constraint=str(exc).removeprefix(EXCLUDED))
    found = re.fullmatch(r"(\w+(?: \w+)?) constraint failed(?:: (.*))?", str(exc))
    kind, detail = found.groups() if found else ("", None)
    error, message = _CONSTRAINTS.get(kind, (ConstraintError, str(exc)))
    columns = [each.rpartition(".")[2] for each in (detail or "").split(", ") if "." in each]
    fields = [FieldError("body", message, pointer=f"/{name}", code=error.code) for name in columns]
    return error(
        fields or [FieldError("body", message, pointer="", code=error.code)], constraint=detail
    )
