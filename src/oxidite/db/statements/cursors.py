"""Cursors: a place in a query, as text that a client keeps and cannot change.

A cursor holds the values of the columns that a query is ordered by, of one row, and a digest of the
query. It is signed with the application's secret, so no client makes one up; it is not encrypted, so
a hidden column cannot be ordered by.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from oxidite.db.expressions.expressions import Call, Expr, Order
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.columns import Column
from oxidite.db.values.kinds import Kind
from oxidite.errors import BadRequestError
from oxidite.security.signing import BadSignatureError, Signer, Signers

__all__ = ["Cursor", "InvalidCursorError", "Position", "own_signers"]

_PURPOSE = "oxidite.db.cursor"
_LONGEST = 8_000
"""Characters of a cursor that are looked at: what is longer is none of ours."""


class InvalidCursorError(BadRequestError):
    """The cursor is not one of this list: take it from the answer before, as it is."""

    code = "invalid_cursor"


class Position(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor holds: of which query, in which direction, after which values."""

    query: bytes
    backwards: bool
    values: list[Any]


class Cursor:
    """Writes and reads the cursors of one query."""

    def __init__(
        self, signers: Signers, statement: SelectStatement, order: Sequence[Order]
    ) -> None:
        self._signers = signers
        self._query = _digest(statement, order)
        self._kinds = [each.expr.kind for each in order]

    @property
    def _signer(self) -> Signer:
        # Asked for when there is something to sign: an application with one page needs no secret.
        return self._signers(_PURPOSE)

    def write(self, values: Sequence[object], *, backwards: bool) -> str:
        """Return the cursor of a row, for what comes after it or, ``backwards``, before it."""
        position = Position(self._query, backwards, list(values))
        return self._signer.sign(msgspec.msgpack.encode(position))

    def read(self, cursor: str) -> Position:
        """Return what a cursor holds.

        Raises:
            InvalidCursorError: it was not made here, or for another query or order.
        """
        if len(cursor) > _LONGEST:
            raise InvalidCursorError
        try:
            found = msgspec.msgpack.decode(self._signer.unsign(cursor), type=Position)
        except (BadSignatureError, msgspec.MsgspecError):
            raise InvalidCursorError from None
        if found.query != self._query or len(found.values) != len(self._kinds):
            raise InvalidCursorError("This cursor belongs to another list, or to another order.")
        try:
            values = [_typed(v, k) for v, k in zip(found.values, self._kinds, strict=True)]
        except msgspec.ValidationError:
            # Signed by an older version of the program, in which a column was of another type.
            raise InvalidCursorError from None
        return Position(found.query, found.backwards, values)


def own_signers() -> Signers:
    """Return signers for a database that belongs to no application: good as long as they live."""
    secret = secrets.token_bytes(32)
    return Signers(lambda salt: Signer(secret, salt=salt))


def _typed(value: object, kind: Kind) -> Any:
    return None if value is None else msgspec.convert(value, kind.type, strict=False)


def _digest(statement: SelectStatement, order: Sequence[Order]) -> bytes:
    """Return what tells a query from others, the same in every process: no value is part of it."""
    parts: list[object] = [
        statement.table.name,
        [_text(each) for each in statement.columns or ()],
        [(join.key.label, join.key.name, _text(join.on)) for join in statement.joins],
        [_text(each) for each in statement.where],
        statement.deleted,
        [(_text(each.expr), each.descending, each.nulls_first) for each in order],
    ]
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()


def _text(expr: Expr[Any, Any]) -> str:
    if isinstance(expr, Column):
        return f"{expr.table.label}.{expr.column_name}"
    if isinstance(expr, Call):
        return f"{expr.name}({', '.join(_text(each) for each in expr.args)})"
    # A value, or whatever else: what kind of thing it is, without what it holds.
    return f"{type(expr).__name__}:{expr.kind.name}"
