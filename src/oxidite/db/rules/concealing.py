"""Errors of the database about rows with hidden columns: they name columns, and quote no value.

What a driver says may quote the whole row: ``Failing row contains (7, 'a secret')``. Our errors do not
repeat it, but an error keeps the one that it came from, and a log prints both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from oxidite.db.errors import ConstraintError, QueryError
from oxidite.db.rules.violations import in_words_of
from oxidite.db.tables.table import Table

__all__ = ["conceal", "has_hidden", "in_words", "unbound"]


def has_hidden(table: Table) -> bool:
    """Tell whether a table has columns whose values are not to be seen."""
    return any(column.is_hidden for column in table.columns)


def conceal(exc: BaseException) -> None:
    """Have an error forget what it came from."""
    exc.__cause__ = exc.__context__ = None
    exc.__suppress_context__ = True


def unbound() -> QueryError:
    """Return the error of a value that the codecs refuse, without the value."""
    return QueryError(
        "A value cannot be bound: it is none of its column's type. It is not shown, as the statement has "
        "to do with hidden columns."
    )


@contextlib.contextmanager
def in_words(table: Table, *, deleting: bool = False) -> Iterator[None]:
    """Tell what the database refuses in the words of a model, without the values of hidden columns."""
    try:
        yield
    except ConstraintError as exc:
        cause = None if has_hidden(table) else exc.__cause__
        raise in_words_of(table, exc, deleting=deleting) from cause
    except Exception as exc:
        if has_hidden(table):
            conceal(exc)
        raise
