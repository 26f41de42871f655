"""Columns: how they are declared, and the expressions that they are in a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from msgspec import UNSET

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Condition, Expr, IsJson, Shape
from oxidite.db.expressions.paths import JsonPath, json_path
from oxidite.db.expressions.vectors import Distance, distance
from oxidite.db.values.casts import Cast
from oxidite.db.values.keys import Keys
from oxidite.db.values.kinds import INTEGER, VECTOR, Kind
from oxidite.db.values.vectors import Vector, VectorMetric

__all__ = [
    "COLUMN",
    "AnyCast",
    "Assignment",
    "Col",
    "Column",
    "ColumnRules",
    "Declared",
    "OnDelete",
    "TableKey",
    "col",
]

T = TypeVar("T")
V = TypeVar("V")
O = TypeVar("O")  # noqa: E741 - the operand: what it may be compared with
R = TypeVar("R")
J = TypeVar("J", bound=IsJson)

OnDelete: TypeAlias = Literal["restrict", "cascade", "set null", "no action"]
"""What becomes of a row when the one that it refers to is deleted."""

AnyCast: TypeAlias = Cast[Any, Any]

COLUMN = object()
"""Marks the annotation of a column at run time."""


class ColumnRules(TypedDict, total=False):
    """What can be said of a column, beside its default and whether the constructor takes it."""

    pk: bool
    unique: bool
    index: bool
    references: Expr[Any, Any] | str
    on_delete: OnDelete
    on_key_update: OnDelete
    ge: object
    gt: object
    le: object
    lt: object
    multiple_of: object
    min_length: int
    max_length: int
    pattern: str
    check: bool
    json: bool
    array: bool
    native: bool
    precision: int
    scale: int
    dimensions: int
    metric: VectorMetric
    bits: Literal[16, 32, 64]
    ignore_case: bool
    cast: AnyCast
    computed: str
    hidden: bool
    readonly: bool
    encrypted: Keys
    searchable: bool
    on_update: Callable[[], object]
    name: str
    renamed_from: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What ``col`` was told: a column as it stands in the body of a class."""

    init: bool = True
    default: object = UNSET
    default_factory: Callable[[], object] | None = None
    rules: ColumnRules = field(default_factory=ColumnRules)


class TableKey:
    """Stands for a table in queries; two aliases of one table are two.

    Compared by identity, so the key of an alias is made once (``Table.aliased``).
    """

    __slots__ = ("alias", "name", "table")

    def __init__(self, name: str, alias: str | None = None) -> None:
        self.name: str = name
        self.alias: str | None = alias
        self.table: Any = None
        """The ``Table`` it stands for; ``None`` where that is what a query gives."""

    @property
    def label(self) -> str:
        """What it is called in a query."""
        return self.alias or self.name


class Column(Expr[O, R]):
    """A column of a table, or of an alias of one."""

    __slots__ = (
        "checks",
        "column_name",
        "declared",
        "is_computed",
        "is_generated",
        "is_hidden",
        "name",
        "nullable",
        "rules",
        "table",
    )

    def __init__(
        self, table: TableKey, name: str, kind: Kind, declared: Declared, *, nullable: bool
    ) -> None:
        self.table: TableKey = table
        self.name: str = name
        """What it is called in Python."""
        self.column_name: str = declared.rules.get("name", name)
        """What it is called in the database."""
        self.kind: Kind = kind
        self.declared: Declared = declared
        self.rules: ColumnRules = declared.rules
        self.nullable: bool = nullable
        rules = declared.rules
        self.is_generated: bool = (
            rules.get("pk", False)
            and not declared.init
            and kind is INTEGER
            and declared.default is UNSET
            and declared.default_factory is None
        )
        """Whether the database makes its values: an integer primary key outside the constructor."""
        self.is_computed: bool = "computed" in rules
        """Whether the database computes its values out of the other columns."""
        self.is_hidden: bool = rules.get("hidden", "encrypted" in rules or kind.name == "secret")
        """Whether its values never leave by themselves: hidden, encrypted, or of a ``Secret``."""
        self.checks: Any = None  # what `rules.py` has made of the rules
        self.shape: Shape = (next(_numbers),)
        self.values: tuple[object, ...] = ()

    @property
    def dimensions(self) -> int:
        """How many numbers its vectors have; 0 if it is no column of vectors."""
        return self.rules.get("dimensions", 0)

    @property
    def metric(self) -> VectorMetric:
        """What the distances of its vectors are measured by."""
        return self.rules.get("metric", "cosine")

    def to(self, value: R | Expr[O, Any]) -> Assignment:
        """Say what the column is to become in an update: ``User.age.to(User.age + 1)``."""
        return Assignment(self, value)

    def of(self, table: TableKey) -> Column[O, R]:
        """Return this column of another alias of its table."""
        return type(self)(table, self.name, self.kind, self.declared, nullable=self.nullable)

    def __getitem__(self: Column[J, Any], part: str | int) -> JsonPath:
        """A part of the JSON document, by key or place: ``User.prefs["theme"]``."""
        return json_path(self, part)

    def has_key(self: Column[J, Any], key: str) -> Condition:
        """Whether the JSON document is an object with that key."""
        return json_path(self, key).exists()

    @overload
    def distance(
        self: Column[Vector, Vector], to: Iterable[float] | Expr[Vector, Vector]
    ) -> Distance[float]: ...
    @overload
    def distance(
        self: Column[Vector, Vector | None], to: Iterable[float] | Expr[Vector, Any]
    ) -> Distance[float | None]: ...
    @overload
    def distance(
        self: Column[Vector, Vector], to: Expr[Vector, Vector | None]
    ) -> Distance[float | None]: ...
    def distance(
        self: Column[Vector, Any], to: Iterable[float] | Expr[Vector, Any]
    ) -> Distance[Any]:
        """How far its vector is from another one, by the metric of the column; less is nearer.

        Raises:
            QueryError: it is no column of vectors, or the other one is none.
            ValidationError: the other one has another number of dimensions, is not finite, or is all zeros
                where the metric is cosine.
        """
        if self.kind is not VECTOR:
            raise QueryError(f"{self!r} has no distance from anything: it is no column of vectors.")
        return distance(
            self,
            to,
            name=self.name,
            dimensions=self.dimensions,
            metric=self.metric,
        )

    def __repr__(self) -> str:
        return f"<column {self.table.label}.{self.column_name}>"


class Assignment:
    """What a column is to become in an update: a value, or an expression of the row."""

    __slots__ = ("column", "value")

    def __init__(self, column: Column[Any, Any], value: object) -> None:
        self.column: Column[Any, Any] = column
        self.value: object = value

    def __repr__(self) -> str:
        return f"<{self.column!r} to {self.value!r}>"


_numbers = count(1)
"""A shape of its own for each column, so that none is mistaken for another."""


if TYPE_CHECKING:

    class Col(Generic[T]):
        """A column: ``age: Col[int] = col(ge=0)``.

        On the class it is an expression for queries, on an instance it is the value.
        """

        @overload
        def __get__(self: Col[V | None], instance: None, owner: type) -> Column[V, V | None]: ...
        @overload
        def __get__(self, instance: None, owner: type) -> Column[T, T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> T: ...
        def __get__(self, instance: object, owner: type) -> object: ...
        def __set__(self, instance: object, value: T) -> None: ...

else:

    class Col:
        """A column: ``age: Col[int] = col(ge=0)``.

        On the class it is an expression for queries, on an instance it is the value. When the
        program runs, ``Col[int]`` is an annotated ``int``, which is what msgspec takes it for.
        """

        def __class_getitem__(cls, item: object) -> object:
            # A type variable is no type of a column: that is the signature of `col`.
            return item if isinstance(item, TypeVar) else Annotated[item, COLUMN]


@overload
def col(
    *,
    init: Literal[False],
    default: object = ...,
    default_factory: Callable[[], object] = ...,
    **rules: Unpack[ColumnRules],
) -> Any: ...  # what the annotation says
@overload
def col(*, default: T, init: Literal[True] = True, **rules: Unpack[ColumnRules]) -> Col[T]: ...
@overload
def col(
    *, default_factory: Callable[[], T], init: Literal[True] = True, **rules: Unpack[ColumnRules]
) -> Col[T]: ...
@overload
def col(*, init: Literal[True] = True, **rules: Unpack[ColumnRules]) -> Any: ...  # as above
def col(
    *,
    init: bool = True,
    default: object = UNSET,
    default_factory: Callable[[], object] | None = None,
    **rules: Unpack[ColumnRules],
) -> Any:
    """Say what is particular about a column.

    ``pk`` makes it the primary key, or a part of it; an integer one with ``init=False`` gets its
    values from the database. ``init=False`` keeps it out of the constructor. ``unique`` and
    ``index`` make indexes; ``references`` is the column of another model (or ``"table.column"``
    where that model comes later), and ``on_delete`` what becomes of this row when that one is
    deleted. ``ge gt le lt min_length max_length pattern`` are rules that hold whenever a row is
    saved, and with ``check=True`` in the database too. ``json`` stores any value that can be
    encoded as JSON; ``array`` is a PostgreSQL array (JSON elsewhere). ``precision`` and ``scale`` are
    those of a Decimal, ``bits`` the size of an integer. ``dimensions`` is how many numbers a ``Vector``
    has, ``metric`` (``cosine``, ``l2`` or ``inner_product``) what its distances are measured by.
    ``native`` makes a database's own enum type.
    ``ignore_case`` compares text in lower case, ``unique`` included. ``cast`` makes values of a type
    of your own. ``computed`` is SQL by which the database makes the value out of the row's other
    columns, and keeps it. A ``hidden`` column never leaves in a response, a log or a job, a
    ``readonly`` one is never taken from a client. ``encrypted`` keeps it unreadable to whoever has the
    database and not the keys; with ``searchable`` it can be compared for being equal. ``on_update``
    makes its value whenever the row is changed, ``on_key_update`` is ON UPDATE of a reference.
    ``name`` is what it is called in the database, ``renamed_from`` what it was called before, for the
    next migration.
    """
    return Declared(init=init, default=default, default_factory=default_factory, rules=rules)
