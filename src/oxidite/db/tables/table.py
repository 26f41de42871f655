"""A table as its model declares it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, Self, TypeAlias

from oxidite.db.errors import ModelError, QueryError
from oxidite.db.expressions.expressions import Call, Condition, Expr
from oxidite.db.tables.columns import Column, TableKey

__all__ = [
    "SQL",
    "AnyColumn",
    "Check",
    "Index",
    "Indexed",
    "Operator",
    "Table",
    "check",
    "check_name",
    "check_reference",
    "exclude",
    "index",
    "indexes_of",
    "short_name",
]

AnyColumn = Column[Any, Any]
Operator: TypeAlias = Literal["=", "&&"]
"""How an exclusion constraint compares a column: whether it is equal, or overlaps."""
Indexed: TypeAlias = str | Expr[Any, Any] | Callable[[Any], Expr[Any, Any]]
"""The name of a column, an expression, or what makes one of the model."""


class SQL(str):
    """SQL as it stands: of the program, never of a user. ``index(SQL("lower(name)"))``.

    ``type`` is the kind of its values, such as ``integer`` or ``text``: MariaDB has to be told what an
    expression gives that an index is over, unless that is ``lower(column)``.
    """

    __slots__ = ("type",)

    type: str | None

    def __new__(cls, text: str, *, type: str | None = None) -> Self:
        """Make it of text."""
        made = super().__new__(cls, text)
        made.type = type
        return made

    def __repr__(self) -> str:
        typed = "" if self.type is None else f", type={self.type!r}"
        return f"SQL({super().__repr__()}{typed})"


@dataclass(frozen=True, slots=True)
class Index:
    """An index over columns, by name, or expressions of them."""

    on: tuple[Indexed, ...]
    unique: bool = False
    where: str | Condition | Callable[[Any], Condition] | None = None
    name: str | None = None
    using: str | None = None
    exclude: tuple[str, ...] = ()
    """Of an exclusion constraint: the operator of each column, ``=`` or ``&&``."""


def index(
    *on: Indexed,
    unique: bool = False,
    where: str | Condition | Callable[[Any], Condition] | None = None,
    name: str | None = None,
    using: str | None = None,
) -> Index:
    """Declare an index in ``class User(Model, indexes=[index("age", "name")])``.

    It is on columns, by name, or on expressions of them, made by a function of the model:
    ``index(lambda user: user.name.lower())``. Without a ``name`` it is called after what it is on; two
    that would be called the same need one. ``unique`` over several columns means all of them together.
    ``where`` makes it partial: a condition as SQL or as a function of the model. ``using`` is the
    database's own method, such as ``gin``.
    """
    return Index(on, unique, where, name, using)


def exclude(
    operators: Mapping[str, Operator] | None = None,
    /,
    *,
    where: str | Condition | Callable[[Any], Condition] | None = None,
    name: str | None = None,
    **columns: Operator,
) -> Index:
    """Declare an exclusion constraint in ``class Booking(Model, indexes=[exclude(room="=", during="&&")])``.

    No two rows may have the same ``room`` and a ``during`` that overlaps: columns are compared with ``=``, ranges also
    with ``&&``, and where all of it holds the second row is refused with an ``ExclusionError``. NULL and an empty
    range are in nobody's way. A column that is called ``name`` or ``where`` stands in a mapping:
    ``exclude({"name": "=", "during": "&&"})``. ``where`` says of which rows it is: a condition as SQL or as a function of the model.
    PostgreSQL has such constraints, SQLite keeps them by triggers, and MariaDB refuses the model.

    Raises:
        ModelError: no column is named, an operator is another one, or none is ``&&``.
    """
    columns = {**(operators or {}), **columns}
    if not columns or name in ("=", "&&") or not set(columns.values()) <= {"=", "&&"}:
        raise ModelError(
            f"exclude() names columns, each with '=' or '&&', and not {columns!r}: "
            'exclude(room="=", during="&&"), or exclude({"name": "=", "during": "&&"}).'
        )
    if "&&" not in columns.values():
        raise ModelError(
            "exclude() with '=' alone is a unique index: index(..., unique=True). One of the columns is a "
            "range, and has '&&'."
        )
    return Index(tuple(columns), False, where, name, exclude=tuple(columns.values()))


@dataclass(frozen=True, slots=True)
class Check:
    """A rule over columns of a row that the database keeps."""

    rule: str | Callable[[Any], Condition]
    name: str
    message: str
    columns: tuple[str, ...]


def check(
    rule: str | Callable[[Any], Condition],
    *,
    name: str,
    message: str = "breaks a rule",
    columns: Sequence[str] = (),
) -> Check:
    """Declare a rule in ``class Stay(Model, checks=[check("leaves > comes", name="in_order")])``.

    It is SQL, or a function of the model: ``lambda stay: stay.leaves > stay.comes``. What breaks it is
    told as ``message``, as an error of ``columns``, by name.
    """
    return Check(rule, name, message, tuple(columns))


@dataclass(eq=False, slots=True, weakref_slot=True)
class Table:
    """What is known of the table of a model; ``make`` makes an object of it out of column values."""

    key: TableKey
    columns: tuple[AnyColumn, ...]
    make: Callable[..., Any]  # the model
    keep: Callable[[Any, Any], Any]
    """Remembers the row that an object was made of; returns the object."""
    indexes: Sequence[Index] = ()
    database: str | None = None
    """The name of the database it lives in; ``None`` for the default one."""
    soft_deletes: AnyColumn | None = None
    """The column that says when a row was deleted, where rows only seem to be."""
    version: AnyColumn | None = None
    relations: Mapping[str, Any] = field(default_factory=dict)
    """The relations of the model, by name (``relations.Definition``)."""
    model: Any = None
    """The class whose rows are kept in it."""
    renamed: Callable[[Any, Any], Any] | None = None
    """Makes what the class is under another name of the table: an ``Alias``."""
    checks: Sequence[Check] = ()
    scope: Callable[[Any], Condition] | None = None
    """What makes the condition, from the model, that holds for all rows that may be seen now."""
    prune_after: timedelta | None = None
    prune_by: str = "created_at"
    history: Table | None = None
    """What has the versions of its rows, where they are kept."""
    prune_history_after: timedelta | None = None
    judges: dict[tuple[AnyColumn, ...], Callable[[Any], bool]] = field(default_factory=dict)
    """What `rules.py` has made to check columns together."""
    by_name: Mapping[str, AnyColumn] = field(init=False)
    places: Mapping[str, int] = field(init=False)
    """Where each column is in a row."""
    pk: tuple[AnyColumn, ...] = field(init=False)
    _aliases: dict[str, Table] = field(init=False, default_factory=dict)
    computed: tuple[AnyColumn, ...] = field(init=False)
    """The columns that the database computes."""

    def __post_init__(self) -> None:
        self.by_name = {column.name: column for column in self.columns}
        self.places = {column.name: place for place, column in enumerate(self.columns)}
        self.pk = tuple(column for column in self.columns if column.rules.get("pk"))
        self.computed = tuple(column for column in self.columns if column.is_computed)
        self.key.table = self

    @property
    def name(self) -> str:
        """What it is called in the database."""
        return self.key.name

    def aliased(self, name: str) -> Table:
        """Return it under another name, for a query that reads it twice; the same one each time.

        Raises:
            QueryError: the name is no identifier.
        """
        if name not in self._aliases:
            self._aliases[name] = self.under(TableKey(self.key.name, check_name(name)))
        return self._aliases[name]

    def under(self, key: TableKey) -> Table:
        """Return it as what ``key`` stands for; made once for each key, as its columns are new ones."""
        columns = {column.name: column.of(key) for column in self.columns}
        deletes, version = self.soft_deletes, self.version
        return replace(
            self,
            key=key,
            columns=tuple(columns.values()),
            soft_deletes=None if deletes is None else columns[deletes.name],
            version=None if version is None else columns[version.name],
        )

    def __repr__(self) -> str:
        return f"<table {self.key.label}>"

    def scoped(self) -> tuple[Condition, ...]:
        """Return the condition of the scope, marked as such, if there is one."""
        if self.scope is None:
            return ()
        model = self.model
        if self.key.alias is not None and self.renamed is not None:
            model = self.renamed(model, self)
        # Marked with what it keeps rows of, so that it counts for that table alone.
        return (Condition("scope", (self.scope(model),), (self.key,)),)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def check_name(name: str) -> str:
    """Return a name that is written into SQL, if it may be.

    Raises:
        QueryError: it is no identifier of ASCII letters, digits and _, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise QueryError(
            f"{name!r} cannot be a name in SQL: letters, digits and _ are allowed, 63 at most, and no "
            "digit first."
        )
    return name


def check_reference(tables: Container[str], table: str, column: str, references: str) -> None:
    """See to it that a column refers, as ``table.column``, to one of ``tables``.

    Raises:
        ModelError: it does not.
    """
    target = references.partition(".")[0]
    if target not in tables:
        raise ModelError(
            f"{table}.{column} refers to {target}, which is not among the tables. Is its model "
            "imported, and given as well?"
        )


def indexes_of(table: Table) -> Iterator[Index]:
    """Yield the indexes of a table, those of single columns first, each with its name.

    Raises:
        ModelError: one is on what is no column, or two have the same name.
    """
    names: set[str | None] = set()
    for each in _indexes(table):
        named = _named(table, each)
        if named.name in names:
            raise ModelError(
                f"{table!r}: two indexes are called {named.name!r}. Give one of them another name: "
                'index(..., name="...").'
            )
        names.add(named.name)
        yield named


def _indexes(table: Table) -> Iterator[Index]:
    for column in table.columns:
        # An encrypted column has its index on the blind one beside it.
        is_indexed = column.rules.get("unique") or column.rules.get("index")
        if is_indexed and "encrypted" not in column.rules:
            yield Index((column.name,), unique=bool(column.rules.get("unique")))
    yield from table.indexes


def _named(table: Table, index: Index) -> Index:
    if index.name is not None:
        return index
    words = [word for each in index.on for word in _words(table, each)]
    start = "ex" if index.exclude else "uq" if index.unique else "ix"
    name = f"{start}_{table.name}_{'_'.join(words)}"
    return replace(index, name=short_name(name))


def _words(table: Table, on: Indexed) -> list[str]:
    """Return what stands for a part of an index in its name."""
    match on:
        case SQL():
            return re.findall(r"\w+", on)
        case str() if on in table.by_name:
            return [table.by_name[on].column_name]
        case Column():
            return [on.column_name]
        case Call():
            return [on.name, *(word for each in on.args for word in _words(table, each))]
        case Expr():
            return []
        case str():
            raise ModelError(
                f"{table!r}: an index is on {on!r}, which is none of its columns. An expression is "
                f"written as one, such as lambda user: user.name.lower(), or as SQL({on!r})."
            )
        case _:
            return _words(table, on(table.model))


_LONGEST = 63
"""Characters of a name; PostgreSQL cuts what is longer, MariaDB refuses what is over 64."""


def short_name(name: str) -> str:
    """Return a name that every database takes whole: a long one ends in a digest of itself."""
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: _LONGEST - 9].decode(errors='ignore')}_{digest}"
