"""Columns that are encrypted, and the blind index by which one of them can be looked for.

Each writing of a value is another cipher text, so nothing can be compared in the database. A
``searchable`` column has a second one beside it, ``<name>_index``, with a keyed hash of the value:
whoever has the database sees which rows have equal values, and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import msgspec

from oxidite.db.errors import ModelError, QueryError
from oxidite.db.expressions.expressions import Condition, Expr, Subselect, Value
from oxidite.db.tables.columns import Column, ColumnRules, Declared, TableKey
from oxidite.db.values.codecs import binder, reader
from oxidite.db.values.keys import Keys
from oxidite.db.values.kinds import BYTES, TEXT, Kind
from oxidite.encoding import encode_json

__all__ = ["EncryptedColumn", "encrypted_kind"]

O = TypeVar("O")  # noqa: E741 - the operand, as in columns.py
R = TypeVar("R")


def encrypted_kind(plain: Kind, keys: Keys, context: bytes) -> Kind:
    """Return the kind of values of ``plain`` that are encrypted for one column."""
    to_bytes, from_bytes = _bytes_codec(plain)
    return Kind(
        "encrypted",
        plain.type,
        plain,
        inner=BYTES,
        to_db=lambda value: keys.encrypt(to_bytes(value), context),
        from_db=lambda sealed: from_bytes(keys.decrypt(bytes(sealed), context)),
    )


def _bytes_codec(plain: Kind) -> tuple[Any, Any]:
    """Return how values become bytes and come back: as SQLite has them, which is as JSON has."""
    bind, read = binder(plain, "sqlite"), reader(plain, "sqlite")
    stored: Any = {"bytes": bytes, "uuid": bytes, "float": float, "integer": int}.get(
        plain.stored.name, Any
    )
    decode = msgspec.json.Decoder(stored).decode

    def to_bytes(value: object) -> bytes:
        return encode_json(value if bind is None else bind(value))

    def from_bytes(data: bytes) -> object:
        value = decode(data)
        return value if read is None else read(value)

    return to_bytes, from_bytes


class EncryptedColumn(Column[O, R]):
    """A column whose values only the application can read."""

    __slots__ = ("_wanted", "index")

    def __init__(
        self, table: TableKey, name: str, kind: Kind, declared: Declared, *, nullable: bool
    ) -> None:
        super().__init__(table, name, kind, declared, nullable=nullable)
        self.index: Column[Any, Any] | None = (
            _index(self) if declared.rules.get("searchable") else None
        )
        self._wanted: Kind = _wanted(self)

    def of(self, table: TableKey) -> EncryptedColumn[O, R]:
        """Return this column of another table or alias; a table's own name is part of what is sealed."""
        kind = self.kind
        if table.name != self.table.name:
            context = f"{table.name}.{self.column_name}".encode()
            kind = encrypted_kind(kind.element or TEXT, _keys(self), context)
        return EncryptedColumn(table, self.name, kind, self.declared, nullable=self.nullable)

    def _searched(self) -> Column[Any, Any]:
        if self.index is None:
            raise QueryError(
                f"{self!r} is encrypted, so the database cannot compare it. With searchable=True it "
                "can be compared for being equal."
            )
        return self.index

    if not TYPE_CHECKING:
        # The types are those of every column; what this one cannot do, it says when asked.

        def in_(self, values: object) -> Condition:
            return Condition("in", (self._searched(), Value(_operands(values), self._wanted)))

        def not_in(self, values: object) -> Condition:
            return Condition("not_in", (self._searched(), Value(_operands(values), self._wanted)))

        def __eq__(self, other: object) -> Condition:
            return self.is_null() if other is None else self.in_([other])

        def __ne__(self, other: object) -> Condition:
            return self.not_null() if other is None else self.not_in([other])

        __hash__ = Column.__hash__

        def _refuse(self, *_: object, **__: object) -> NoReturn:
            raise QueryError(
                f"{self!r} is encrypted, so the database cannot order it or look into it. Read the "
                "rows and compare them in Python."
            )

        __lt__ = __le__ = __gt__ = __ge__ = _refuse
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
        __truediv__ = __mod__ = __neg__ = _refuse
        like = ilike = contains = startswith = endswith = _refuse
        lower = upper = length = asc = desc = between = _refuse


def _operands(values: Any) -> list[Any]:
    made = [values] if isinstance(values, Subselect) else list(values)
    if any(isinstance(each, Expr | Subselect) for each in made):
        raise QueryError(
            "An encrypted column is compared with values, not with columns or expressions."
        )
    return made


def _keys(column: Column[Any, Any]) -> Keys:
    keys = column.rules.get("encrypted")
    if keys is None:
        raise ModelError(f"{column!r} has no keys to encrypt with.")
    return keys


def _context(column: Column[Any, Any]) -> bytes:
    return f"{column.table.name}.{column.column_name}".encode()


def _index(column: EncryptedColumn[Any, Any]) -> Column[Any, Any]:
    """Return the column of the blind index; its value is that of the column, bound as a hash."""
    to_bytes, _ = _bytes_codec(column.kind.element or TEXT)
    keys, context = _keys(column), _context(column)
    kind = Kind(
        "blind index",
        object,
        inner=TEXT,
        to_db=lambda value: keys.index(to_bytes(value), context),
    )
    rules: ColumnRules = {"hidden": True, "max_length": 32}
    rules["name"] = f"{column.column_name}_index"
    rules["unique" if column.rules.get("unique") else "index"] = True
    return Column(
        column.table,
        f"{column.name}_index",
        kind,
        Declared(init=False, default=None, rules=rules),
        nullable=column.nullable,
    )


def _wanted(column: EncryptedColumn[Any, Any]) -> Kind:
    """Return the kind of a list of values to look for: each becomes its hash by every key."""
    to_bytes, _ = _bytes_codec(column.kind.element or TEXT)
    keys, context = _keys(column), _context(column)
    return Kind(
        "blind indexes",
        list,
        inner=TEXT.list_of(),
        to_db=lambda values: [
            each for value in values for each in keys.indexes(to_bytes(value), context)
        ],
    )
