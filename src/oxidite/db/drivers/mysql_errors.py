"""What MariaDB and MySQL say went wrong, by their numbers, as our errors."""

from __future__ import annotations

import re
from collections.abc import Sequence

from oxidite.db.errors import (
    CheckError,
    ConflictingTransactionsError,
    ConstraintError,
    DatabaseError,
    DiskFullError,
    LockTimeoutError,
    MissingReferenceError,
    NotNullError,
    QueryError,
    ReadOnlyError,
    UniqueError,
)
from oxidite.db.values.dialects import ONLY
from oxidite.db.values.words import not_made
from oxidite.errors import BackendTimeoutError, BackendUnavailableError, FieldError, OxiditeError

__all__ = ["LOST", "TAKEN", "UNDONE", "another_key", "index_of", "table_of", "typed"]

TAKEN = frozenset((1062, 1586))
"""A unique index has the value already."""
UNDONE = frozenset((1213, 1020))
"""The server has undone the whole transaction, not the statement alone."""
LOST = frozenset(
    (1053, 1077, 1079, 1080, 1152, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2055, 4031)
)
"""The connection is no more."""
_REFUSED = frozenset((1040, 1044, 1045, 1049, 1129, 1130, 1203, 1226, 1698, 2002, 2003, 2059))
_LOCKED = frozenset((1205, 3572))
_READ_ONLY = frozenset((1290, 1792, 1836))
_FULL = frozenset((1021, 1114))
_SLOW = frozenset((1969, 3024))
_UNFIT = frozenset((1153, 1264, 1265, 1292, 1365, 1366, 1367, 1411, 1690, 1918, 3140, 3141))
_LONG = 1406
_CONSTRAINTS: dict[int, tuple[type[ConstraintError], str]] = {
    **dict.fromkeys(TAKEN, (UniqueError, "is taken")),
    **dict.fromkeys((1048, 1364), (NotNullError, "is missing")),
    **dict.fromkeys(
        (1216, 1217, 1451, 1452),
        (MissingReferenceError, "refers to nothing, or is still referred to"),
    ),
    **dict.fromkeys((3819, 4025), (CheckError, "breaks a rule")),
    _LONG: (CheckError, "is too long"),
}
_COLUMN = re.compile(r"(?:[Cc]olumn|Field) '([^']*)'")
_CHECK = re.compile(r"CONSTRAINT [`'\"](.*?)[`'\"] failed|[Cc]heck constraint '(.*?)'")
_REFERENCE = re.compile(  # quoted by backticks, or as our sessions are set up
    r"CONSTRAINT [`\"](?P<name>.*?)[`\"] FOREIGN KEY \((?P<own>[^)]*)\) "
    r"REFERENCES \S+ \((?P<other>[^)]*)\)"
)
_QUOTED = re.compile(r"(?<= value): '.*'(?= for )|(?<=out of range) in '.*'", re.DOTALL)
"""The value in a message."""
_INDEX = re.compile(r"for key '(?:[^']*\.)?([^'.]*)'$")
_NO_COLUMN = 1054
_NO_WORDS = re.compile(rf"Unknown column '(?:.*\.)?{ONLY}0_(\w+)'")
_TABLE = re.compile(r"\b(?:INTO|UPDATE)\s+([`\"]?)([\w$]+)\1", re.IGNORECASE)


def typed(number: int, message: str, product: str, *, columns: Sequence[str] = ()) -> OxiditeError:
    """Return our error; ``columns`` are those of the unique index, where that is what it is about."""
    if number in _CONSTRAINTS:
        return _constraint(number, message, columns)
    if number in UNDONE:
        return ConflictingTransactionsError()
    if number in _LOCKED:
        return LockTimeoutError()
    if number in LOST or number in _REFUSED:
        return BackendUnavailableError(f"{product}: {message}")
    if number in _UNFIT:
        return QueryError(f"A value does not fit: {_QUOTED.sub('', message)}")
    if number in _FULL:
        return DiskFullError()
    if number in _SLOW:
        return BackendTimeoutError(f"{product} ended the statement: {message}")
    if number in _READ_ONLY:
        return ReadOnlyError(
            f"{product} takes no changes here: {message} Is this a replica, or a transaction with "
            "read_only=?"
        )
    words = _NO_WORDS.match(message) if number == _NO_COLUMN else None
    return DatabaseError(f"{product}: {message}" if words is None else not_made(words[1]))


def another_key() -> UniqueError:
    """Return the error of an upsert that another unique key stands in the way of; it is not told which."""
    text = "another unique key than the one of the upsert is taken"
    return UniqueError([FieldError("body", text, pointer="", code=UniqueError.code)])


def _constraint(number: int, message: str, columns: Sequence[str]) -> ConstraintError:
    error, text = _CONSTRAINTS[number]
    names, constraint = list(columns), index_of(message)
    if error is NotNullError or number == _LONG:
        names, constraint = _COLUMN.findall(message), None
    elif error is MissingReferenceError:
        found = _REFERENCE.search(message)
        if found:
            # 1451 is about the row that others refer to, 1452 about one that refers to nothing.
            side = "other" if number in (1217, 1451) else "own"
            names = [each.strip('`" ') for each in found[side].split(",")]
            constraint = found["name"]
    elif error is CheckError:
        found = _CHECK.search(message)
        constraint = next((each for each in found.groups() if each), None) if found else None
    code = "max_length" if number == _LONG else error.code
    fields = [FieldError("body", text, pointer=f"/{name}", code=code) for name in names]
    return error(fields or [FieldError("body", text, pointer="", code=code)], constraint=constraint)


def index_of(message: str) -> str | None:
    """Return the name of the index that a message is about."""
    found = _INDEX.search(message)
    return found.group(1) if found else None


def table_of(sql: str) -> str | None:
    """Return the name of the table that a statement writes to; messages do not tell it."""
    found = _TABLE.search(sql)
    return found.group(2) if found else None
