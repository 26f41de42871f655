"""What a schema consists of, as plain data that means the same in every database.

Each of these can be written into a file and read from there: ``repr`` is what stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oxidite.db.errors import ModelError
from oxidite.db.migrations.column_specs import NOW, Bound, ColumnSpec, code, column
from oxidite.db.tables.columns import TableKey
from oxidite.db.tables.table import SQL, Check, Index, Table, indexes_of
from oxidite.db.tables.table import check as check_of_model
from oxidite.db.values.dialects import Dialect

__all__ = [
    "NOW",
    "TO_WRITE",
    "Bound",
    "CheckSpec",
    "ColumnSpec",
    "IndexSpec",
    "SyncSpec",
    "TableSpec",
    "check",
    "code",
    "column",
    "index",
    "sql_code",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSpec:
    """An index."""

    name: str
    on: tuple[str | SQL, ...]
    """Names of columns, and expressions as ``SQL``."""
    unique: bool = False
    where: str | None = None
    using: str | None = None
    exclude: tuple[str, ...] = ()
    """Of an exclusion constraint: the operator of each column."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, expressions left out."""
        return tuple(each for each in self.on if not isinstance(each, SQL))

    def index(self) -> Index:
        """Return it as a model has it."""
        return Index(self.on, self.unique, self.where, self.name, self.using, self.exclude)

    def arguments(self) -> str:
        """Return what stands in a file after its name."""
        words = [code(list(self.on))]
        words += ["unique=True"] if self.unique else []
        words += [
            f"{name}={code(value)}"
            for name, value in (("where", self.where), ("using", self.using))
            if value is not None
        ]
        words += [f"exclude={code(list(self.exclude))}"] if self.exclude else []
        return ", ".join(words)

    def __repr__(self) -> str:
        return f"index({code(self.name)}, {self.arguments()})"


def index(
    name: str,
    on: Sequence[str | SQL],
    *,
    unique: bool = False,
    where: str | None = None,
    using: str | None = None,
    exclude: Sequence[str] = (),
) -> IndexSpec:
    """Describe an index in a migration; ``on`` are names of columns, or ``SQL("lower(name)")``.

    With ``exclude``, the operator of each column, it is an exclusion constraint: ``exclude=["=", "&&"]``.

    Raises:
        ModelError: there are not as many operators as columns, or others than ``=`` and ``&&``.
    """
    operators = tuple(exclude)
    if operators and (len(operators) != len(on) or not set(operators) <= {"=", "&&"}):
        raise ModelError(
            f"The exclusion constraint {name}: exclude= has '=' or '&&' for each column, and not {exclude!r}."
        )
    return IndexSpec(
        name=name, on=tuple(on), unique=unique, where=where, using=using, exclude=operators
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """A rule over columns of a row that the database keeps."""

    name: str
    sql: str

    def check(self) -> Check:
        """Return it as a model has it."""
        return check_of_model(self.sql, name=self.name)

    def __repr__(self) -> str:
        return f"check({code(self.name)}, {code(self.sql)})"


def check(name: str, sql: str) -> CheckSpec:
    """Describe a rule over columns of a row in a migration: ``check("in_order", "leaves > comes")``."""
    return CheckSpec(name=name, sql=sql)


TO_WRITE = "(SQL to be written)"
"""Stands in a migration where only a person knows the SQL; it is not run before that is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSpec:
    """Columns that triggers keep in step while two versions of a program write a table."""

    name: str
    new: Mapping[str, str] = field(default_factory=dict)
    """SQL over the old columns, by new column."""
    old: Mapping[str, str] = field(default_factory=dict)
    """SQL over the new columns, by old column."""
    fill: Mapping[str, Bound | bool] = field(default_factory=dict)
    """Values in the place of none, by column."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the triggers write."""
        return (*self.new, *self.old, *self.fill)

    def arguments(self) -> list[str]:
        """Return what stands in a file after its name."""
        sides = [(each, getattr(self, each)) for each in ("new", "old", "fill")]
        return [f"{name}={_dictionary(side)}" for name, side in sides if side]

    def __repr__(self) -> str:
        return f"sync({', '.join([code(self.name), *self.arguments()])})"


def _dictionary(values: Mapping[str, object]) -> str:
    pairs = [f"{code(name)}: {sql_code(value)}" for name, value in values.items()]
    return f"{{{', '.join(pairs)}}}"


def sql_code(value: object) -> str:
    """Return SQL, or a value, as it stands in a file."""
    return "TO_WRITE" if value == TO_WRITE else "NOW" if value == NOW else code(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """A table."""

    name: str
    columns: tuple[ColumnSpec, ...]
    indexes: tuple[IndexSpec, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    history: bool = False
    """Whether triggers write the versions of its rows into the table of that name beside it."""
    syncs: tuple[SyncSpec, ...] = ()

    def find(self, name: str) -> ColumnSpec | None:
        """Return the column of that name, if there is one."""
        return next((each for each in self.columns if each.name == name), None)

    def find_index(self, name: str) -> IndexSpec | None:
        """Return the index of that name, if there is one."""
        return next((each for each in self.indexes if each.name == name), None)

    def find_check(self, name: str) -> CheckSpec | None:
        """Return the check of that name, if there is one."""
        return next((each for each in self.checks if each.name == name), None)

    def find_sync(self, name: str) -> SyncSpec | None:
        """Return the sync of that name, if there is one."""
        return next((each for each in self.syncs if each.name == name), None)

    @property
    def references(self) -> frozenset[str]:
        """The names of the tables that it refers to, itself left out."""
        found = {each.references.partition(".")[0] for each in self.columns if each.references}
        return frozenset(found - {self.name})

    def without_references(self) -> TableSpec:
        """Return it without its foreign keys."""
        return replace(
            self,
            columns=tuple(
                replace(each, references=None, on_delete="restrict", on_key_update=None)
                for each in self.columns
            ),
        )

    def table(self) -> Table:
        """Return it as the table of a model, which makes no objects."""
        key = TableKey(self.name)
        return Table(
            key,
            tuple(each.column(key) for each in self.columns),
            dict,
            _keep,
            indexes=[each.index() for each in self.indexes],
            checks=[each.check() for each in self.checks],
        )

    @classmethod
    def of(cls, table: Table, dialect: Dialect) -> TableSpec:
        """Return what a model says of its table, its expressions in the SQL of a kind of database."""
        # Imported here: it imports SQLAlchemy, and a migration file does not need it.
        from oxidite.db.sql.indexes import check_of, index_of

        names = [each.name for each in table.checks]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ModelError(
                f"{table!r}: two checks are called {twice!r}. Give one of them another name: "
                "check(..., name=...)."
            )
        return cls(
            name=table.name,
            columns=tuple(map(ColumnSpec.of, table.columns)),
            indexes=tuple(
                IndexSpec(
                    name=made.name,
                    on=made.on,
                    unique=made.unique,
                    where=made.where,
                    using=made.using,
                    exclude=made.exclude,
                )
                for made in (index_of(table, each, dialect) for each in indexes_of(table))
            ),
            checks=tuple(
                CheckSpec(name=each.name, sql=check_of(table, each, dialect))
                for each in table.checks
            ),
            history=table.history is not None,
        )


def _keep(made: Any, _row: Any) -> Any:
    return made
