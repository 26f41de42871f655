"""Typed expressions of a query: columns, values, and what is made of them.

An expression knows two things at any time: its ``shape``, which is everything that decides the SQL
text, and its ``values``, which are bound. Two queries of one shape share a plan (see ``plan.py``), so
building an expression must be cheap: it is a tuple joined to tuples, and no SQL is written here.

The two type parameters are what the expression may be compared with, and what it yields: a nullable
integer column is an ``Expr[int, int | None]``, so ``==`` accepts ``None`` there and nowhere else.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import Field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeAlias, TypeVar, cast, overload

from msgspec import Struct

from oxidite.db.errors import QueryError
from oxidite.db.values.bounds import beyond
from oxidite.db.values.cuts import range_problem
from oxidite.db.values.kinds import BOOLEAN, FLOAT, INTEGER, JSON, RANGES, TEXT, Kind, is_text
from oxidite.db.values.ranges import Range, type_of
from oxidite.errors import FieldError, ValidationError

__all__ = [
    "AnyExpr",
    "Call",
    "Condition",
    "Expr",
    "IsDataclass",
    "IsJson",
    "Order",
    "Selectable",
    "Shape",
    "Subselect",
    "Value",
    "as_expr",
    "every",
    "exactly",
    "listed",
    "some",
]

O = TypeVar("O")  # noqa: E741 - the operand: what it may be compared with
R = TypeVar("R")
E = TypeVar("E")
T_co = TypeVar("T_co", covariant=True)
N = TypeVar("N", int, float, Decimal)
B = TypeVar("B", bound="int | Decimal | date")  # what is in a range


class IsDataclass(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


J = TypeVar("J", bound="Struct | Mapping[str, Any] | IsDataclass")
IsJson: TypeAlias = Struct | Mapping[str, Any] | list[Any] | tuple[Any, ...] | IsDataclass
"""What a column that is JSON may hold."""

Shape: TypeAlias = tuple[object, ...]
"""Everything that decides the SQL of an expression; hashable."""


class Subselect(Generic[T_co]):
    """A query that may stand inside of another one; ``T`` is what its rows are."""

    __slots__ = ()

    @abstractmethod
    def as_values(self) -> Expr[Any, Any]:
        """Return the values of its only column."""


class Selectable(Generic[R]):
    """Something that can be asked for; ``R`` is what it is in a row."""

    __slots__ = ()


class Expr(Selectable[R], Generic[O, R]):
    """Something that has a value in each row."""

    __slots__ = ("kind", "shape", "values")

    kind: Kind
    """What its values are, and how they are bound and read."""
    shape: Shape
    values: tuple[object, ...]
    """What is bound, in the order in which the expression is walked."""

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "An expression has no truth of its own: a row decides. Join conditions with & | ~ and "
            "parentheses, not with `and`, `or`, `not`, `in` or chained comparisons."
        )

    # Comparisons. None is compared with IS, as nothing equals NULL in SQL.

    def __eq__(self, other: O | R | Expr[O, Any]) -> Condition:  # type: ignore[override]  # a condition, not a truth
        if other is None:
            return Condition("is_null", (self,))
        return _compared("eq", self, other)

    def __ne__(self, other: O | R | Expr[O, Any]) -> Condition:  # type: ignore[override]  # as above
        if other is None:
            return Condition("not_null", (self,))
        return _compared("ne", self, other)

    def __lt__(self, other: O | Expr[O, Any]) -> Condition:
        return _compared("lt", self, other)

    def __le__(self, other: O | Expr[O, Any]) -> Condition:
        return _compared("le", self, other)

    def __gt__(self, other: O | Expr[O, Any]) -> Condition:
        return _compared("gt", self, other)

    def __ge__(self, other: O | Expr[O, Any]) -> Condition:
        return _compared("ge", self, other)

    def is_null(self) -> Condition:
        """Whether there is no value."""
        return Condition("is_null", (self,))

    def not_null(self) -> Condition:
        """Whether there is a value."""
        return Condition("not_null", (self,))

    def between(self, low: O | Expr[O, Any], high: O | Expr[O, Any]) -> Condition:
        """Whether it is from ``low`` to ``high``, both included."""
        return (self >= low) & (self <= high)

    def in_(
        self, values: Iterable[O] | Subselect[tuple[O]] | Subselect[tuple[O | None]]
    ) -> Condition:
        """Whether it is one of ``values``, or of the values of a query with one column.

        Values are bound as one list, so any number of them has one plan.
        """
        if isinstance(values, Subselect):
            return Condition("in_rows", (self, values.as_values()))
        return Condition("in", (self, Value(_storable(self, listed(values)), self.kind.list_of())))

    def not_in(
        self, values: Iterable[O] | Subselect[tuple[O]] | Subselect[tuple[O | None]]
    ) -> Condition:
        """Whether it is none of ``values``; where there is no value, it is not.

        As SQL has it, nothing is known to be none of the values of a query that has NULL among them.
        """
        if isinstance(values, Subselect):
            return Condition("not_in_rows", (self, values.as_values()))
        return Condition(
            "not_in", (self, Value(_storable(self, listed(values)), self.kind.list_of()))
        )

    def optional(self) -> Expr[O, R | None]:
        """It, for type checkers: it may be ``None``, as on the other side of an outer join."""
        return cast("Expr[O, R | None]", self)

    # Text. In a pattern % is any text and _ any character; `contains` and its like escape both.

    def like(self: Expr[str, Any], pattern: str) -> Condition:
        """Whether it matches a pattern, upper and lower case told apart."""
        return _matched("like", self, pattern)

    def ilike(self: Expr[str, Any], pattern: str) -> Condition:
        """Whether it matches a pattern, upper and lower case alike."""
        return _matched("ilike", self, pattern)

    @overload
    def contains(self: Expr[str, Any], part: str) -> Condition: ...
    @overload
    def contains(self: Expr[list[E], Any], part: Iterable[E]) -> Condition: ...
    @overload
    def contains(self: Expr[J, Any], part: Mapping[str, Any]) -> Condition: ...
    @overload
    def contains(
        self: Expr[Range[B], Any], part: B | Range[B] | Expr[B, Any] | Expr[Range[B], Any]
    ) -> Condition: ...
    def contains(self: Expr[Any, Any], part: Any) -> Condition:
        """Whether ``part`` is in it: a text in a text, all the elements of a list in a list.

        A JSON document contains another one if it has all its members, at any depth. A range contains a
        value, or all of another range.
        """
        if self.kind.name in RANGES:
            return _ranged("contains", self, part)
        if self.kind.name == "array":
            return Condition("array_contains", (self, Value(listed(part), self.kind)))
        if self.kind.name == "json":
            found = part if isinstance(part, Mapping | str) else listed(part)
            return Condition("json_contains", (self, Value(found, JSON)))
        return _matched("like", self, f"%{_escaped(part)}%")

    @overload
    def overlaps(self: Expr[list[E], Any], others: Iterable[E]) -> Condition: ...
    @overload
    def overlaps(
        self: Expr[Range[B], Any], others: Range[B] | Expr[Range[B], Any]
    ) -> Condition: ...
    def overlaps(self: Expr[Any, Any], others: Any) -> Condition:
        """Whether the array has one of ``others`` at least; whether something is in both ranges."""
        if self.kind.name in RANGES:
            return _ranged("overlaps", self, others)
        return Condition("array_overlaps", (self._array(), Value(listed(others), self.kind)))

    def has(self: Expr[list[E], Any], element: E) -> Condition:
        """Whether ``element`` is one of those of the array."""
        return Condition("array_contains", (self._array(), Value([element], self.kind)))

    def _array(self) -> Expr[O, R]:
        if self.kind.name != "array":
            raise QueryError(
                f"{self!r} is no array. Declare it with col(array=True), or use contains() for JSON."
            )
        return self

    def startswith(self: Expr[str, Any], text: str) -> Condition:
        """Whether it begins with ``text``."""
        return _matched("like", self, f"{_escaped(text)}%")

    def endswith(self: Expr[str, Any], text: str) -> Condition:
        """Whether it ends with ``text``."""
        return _matched("like", self, f"%{_escaped(text)}")

    @overload
    def lower(self: Expr[str, Any]) -> Expr[str, R]: ...
    @overload
    def lower(self: Expr[Range[B], Any]) -> Expr[B, B | None]: ...
    def lower(self: Expr[Any, Any]) -> Expr[Any, Any]:
        """It in lower case; where a range begins, which is NULL if it is empty or nothing is below it."""
        if self.kind.name in RANGES:
            return _bound_of(self, "lower")
        return Call("lower", (self,), TEXT)

    @overload
    def upper(self: Expr[str, Any]) -> Expr[str, R]: ...
    @overload
    def upper(self: Expr[Range[B], Any]) -> Expr[B, B | None]: ...
    def upper(self: Expr[Any, Any]) -> Expr[Any, Any]:
        """It in upper case; where a range ends, which is NULL if it is empty or nothing is above it."""
        if self.kind.name in RANGES:
            return _bound_of(self, "upper")
        return Call("upper", (self,), TEXT)

    def length(self: Expr[str, Any] | Expr[list[Any], Any]) -> Expr[int, R]:
        """The number of its characters, or of its elements."""
        name = {"array": "array_length", "json": "json_length"}.get(self.kind.name, "length")
        return Call(name, (self,), INTEGER)

    # Ranges. Those that begin where another one ends are adjacent to it, and have nothing in common.

    def contained_by(self: Expr[Range[B], Any], other: Range[B] | Expr[Range[B], Any]) -> Condition:
        """Whether all of the range is in another one."""
        return _ranged("contained_by", self, other)

    def adjacent_to(self: Expr[Range[B], Any], other: Range[B] | Expr[Range[B], Any]) -> Condition:
        """Whether one of two ranges begins just where the other one ends."""
        return _ranged("adjacent", self, other)

    def before(self: Expr[Range[B], Any], other: Range[B] | Expr[Range[B], Any]) -> Condition:
        """Whether the range ends before another one begins."""
        return _ranged("before", self, other)

    def after(self: Expr[Range[B], Any], other: Range[B] | Expr[Range[B], Any]) -> Condition:
        """Whether the range begins after another one ends."""
        return _ranged("after", self, other)

    def is_empty(self: Expr[Range[Any], Any]) -> Condition:
        """Whether nothing is in the range."""
        return Condition("range_empty", (self,), (_range_kind(self).name,))

    # Arithmetic. On text + joins.

    def __add__(self, other: O | Expr[O, Any]) -> Expr[O, R]:
        name = "concat" if self.kind is TEXT else "add"
        return Call(name, (self, as_expr(other, self.kind)), self.kind)

    def __radd__(self, other: O) -> Expr[O, R]:
        name = "concat" if self.kind is TEXT else "add"
        return Call(name, (Value(other, self.kind), self), self.kind)

    def __sub__(self, other: O | Expr[O, Any]) -> Expr[O, R]:
        return Call("sub", (self, as_expr(other, self.kind)), self.kind)

    def __rsub__(self, other: O) -> Expr[O, R]:
        return Call("sub", (Value(other, self.kind), self), self.kind)

    def __mul__(self, other: O | Expr[O, Any]) -> Expr[O, R]:
        return Call("mul", (self, as_expr(other, self.kind)), self.kind)

    def __rmul__(self, other: O) -> Expr[O, R]:
        return Call("mul", (Value(other, self.kind), self), self.kind)

    def __truediv__(self: Expr[N, Any], other: N | Expr[N, Any]) -> Expr[float, R]:
        return Call("div", (self, as_expr(other, self.kind)), FLOAT)

    def __mod__(self: Expr[int, Any], other: int | Expr[int, Any]) -> Expr[int, R]:
        return Call("mod", (self, as_expr(other, self.kind)), INTEGER)

    def __neg__(self) -> Expr[O, R]:
        return Call("neg", (self,), self.kind)

    # Order.

    def asc(self, *, nulls_first: bool | None = None) -> Order:
        """Smallest first."""
        return Order(self, descending=False, nulls_first=nulls_first)

    def desc(self, *, nulls_first: bool | None = None) -> Order:
        """Largest first."""
        return Order(self, descending=True, nulls_first=nulls_first)


AnyExpr: TypeAlias = Expr[Any, Any]


def _bits(expr: AnyExpr) -> int:
    """Return the size of the numbers that it holds: 64 bits, unless a column says less."""
    rules = getattr(expr, "rules", None)
    bits: int = 64 if rules is None else rules.get("bits", 64)
    return bits


def exactly(expr: AnyExpr, value: object) -> Condition:
    """Return that it is that very value, as it is ordered by: upper and lower case are always told apart."""
    if value is None:
        return expr.is_null()
    return Condition("eq", (expr, Value(value, expr.kind)))


def _compared(name: str, expr: AnyExpr, other: object) -> Condition:
    """Compare with a value; with one that no row can have, as mathematics has it."""
    found = beyond(expr.kind, _bits(expr) if type(other) is int else 64, other)
    if found is None:
        return Condition(name, (expr, as_expr(other, expr.kind)))
    if name in ("eq", "ne"):
        return _always(expr, holds=name == "ne")
    is_less = name in ("lt", "le")
    if found.side == "between":
        return Condition("le" if is_less else "gt", (expr, Value(found.floor, expr.kind)))
    return _always(expr, holds=found.side == ("above" if is_less else "below"))


def _always(expr: AnyExpr, *, holds: bool) -> Condition:
    """Return what holds, or does not hold, wherever there is a value, and is NULL elsewhere."""
    return Condition("eq" if holds else "ne", (expr, expr))


def _matched(name: str, expr: AnyExpr, pattern: str) -> Condition:
    """Compare with a pattern; one with what no text has matches none."""
    if not is_text(pattern):
        return _always(expr, holds=False)
    return Condition(name, (expr, Value(pattern, TEXT)))


def _range_kind(expr: AnyExpr) -> Kind:
    if expr.kind.name not in RANGES:
        raise QueryError(f"{expr!r} is no range: declare it as Col[Range[datetime]] or the like.")
    return expr.kind


def _ranged(name: str, expr: AnyExpr, other: Any) -> Condition:
    """Compare a range with another one, or with what may be in it.

    Raises:
        QueryError: it is of another type.
        ValidationError: no range of the database can have such a bound; it may have come from a client.
    """
    kind = _range_kind(expr)
    operand = _range_operand(expr, kind, other)
    if name == "contains" and operand.kind is kind.element:
        return Condition("range_has", (expr, operand), (kind.name,))
    if operand.kind is not kind:
        raise QueryError(f"{expr!r} is compared with {other!r:.100}, which is no such range.")
    if name in ("contained_by", "after"):
        expr, operand = operand, expr
        name = "contains" if name == "contained_by" else "before"
    return Condition(f"range_{name}", (expr, operand), (kind.name,))


def _range_operand(expr: AnyExpr, kind: Kind, other: Any) -> AnyExpr:
    element = kind.element
    assert element is not None  # noqa: S101 - a range has one
    if isinstance(other, Expr):
        is_element = other.kind.stored is element.element
        return Call("range_element", (other,), element, (kind.name,)) if is_element else other
    is_range = isinstance(other, Range)
    wanted = (None, element.type) if is_range else (element.type,)
    if type_of(other) not in wanted or isinstance(other, bool):
        raise QueryError(f"{expr!r} is compared with {other!r:.100}, which is no such range.")
    for each in (other.lower, other.upper) if is_range else (other,):
        problem = None if each is None else _element_problem(kind, each)
        if problem is not None:
            raise ValidationError(
                [FieldError("body", problem, pointer=f"/{getattr(expr, 'name', '')}", code="type")]
            )
    return Value(other, kind if is_range else element)


def _element_problem(kind: Kind, value: Any) -> str | None:
    if isinstance(value, datetime) and value.tzinfo is None:
        return "must have a time zone: oxidite.clock.now(), or value.replace(tzinfo=...)"
    return range_problem(kind.name, value)


def _bound_of(expr: AnyExpr, which: str) -> AnyExpr:
    kind = _range_kind(expr)
    element = None if kind.element is None else kind.element.element
    assert element is not None  # noqa: S101 - a range has one
    return Call(f"range_{which}", (expr,), element, (kind.name,))


def _storable(expr: AnyExpr, values: list[Any]) -> list[Any]:
    """Return values to look for, without those that no row can have."""
    kind, bits = expr.kind, _bits(expr)
    return [each for each in values if beyond(kind, bits, each) is None]


def listed(values: Iterable[Any]) -> list[Any]:
    """Return values that are looked for as a list.

    Raises:
        QueryError: they are one value, or ``None`` is among them.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise QueryError(f"A list of values is expected, and {values!r} is one value.")
    found = list(values)
    if any(each is None for each in found):
        raise QueryError(
            "None is no value that can be looked for in a list: nothing equals NULL. Leave it "
            "out and add the rows without a value: column.in_([...]) | column.is_null()."
        )
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


class Value(Expr[O, R]):
    """A value that is bound, never written into the SQL."""

    __slots__ = ("value",)

    def __init__(self, value: object, kind: Kind) -> None:
        self.value: object = value
        self.kind: Kind = kind
        self.shape: Shape = ("?", kind)
        self.values: tuple[object, ...] = (value,)


class Call(Expr[O, R]):
    """An operator or a function, by the name that ``calls.py`` knows it by.

    ``options`` are what it is told that is no value: they are part of the SQL, so each comes from an
    allow-list.
    """

    __slots__ = ("args", "name", "options")

    def __init__(
        self,
        name: str,
        args: tuple[Expr[Any, Any], ...],
        kind: Kind,
        options: tuple[object, ...] = (),
    ) -> None:
        self.name: str = name
        self.args: tuple[Expr[Any, Any], ...] = args
        self.kind: Kind = kind
        self.options: tuple[object, ...] = options
        shapes: list[object] = [name, options] if options else [name]
        values: tuple[object, ...] = ()
        for each in args:
            shapes.append(each.shape)
            values += each.values
        self.shape: Shape = tuple(shapes)
        self.values: tuple[object, ...] = values


class Condition(Call[bool, bool]):
    """What holds or does not hold of a row."""

    __slots__ = ()

    def __init__(
        self, name: str, args: tuple[Expr[Any, Any], ...], options: tuple[object, ...] = ()
    ) -> None:
        super().__init__(name, args, BOOLEAN, options)

    def __and__(self, other: Condition) -> Condition:
        return Condition("and", (self, _condition(other, "&")))

    def __or__(self, other: Condition) -> Condition:
        return Condition("or", (self, _condition(other, "|")))

    def __rand__(self, other: object) -> NoReturn:
        _condition(other, "&")
        raise AssertionError("a condition on the left would have been asked first")

    def __ror__(self, other: object) -> NoReturn:
        _condition(other, "|")
        raise AssertionError("a condition on the left would have been asked first")

    def __invert__(self) -> Condition:
        return Condition("not", (self,))


def _condition(other: object, sign: str) -> Condition:
    if isinstance(other, Condition):
        return other
    raise TypeError(
        f"{other!r} is no condition. {sign} binds tighter than comparisons: write "
        f"(User.age > 3) {sign} (User.name == 'x'), with parentheses."
    )


def every(conditions: Iterable[Condition]) -> Condition:
    """All of the conditions; without any, it holds."""
    return Condition("and", tuple(conditions))


def some(conditions: Iterable[Condition]) -> Condition:
    """At least one of the conditions; without any, it does not hold."""
    return Condition("or", tuple(conditions))


class Order:
    """An expression to order by, and in which direction."""

    __slots__ = ("descending", "expr", "nulls_first", "shape")

    def __init__(self, expr: Expr[Any, Any], *, descending: bool, nulls_first: bool | None) -> None:
        self.expr: Expr[Any, Any] = expr
        self.descending: bool = descending
        self.nulls_first: bool | None = nulls_first
        self.shape: Shape = (expr.shape, descending, nulls_first)

    @property
    def values(self) -> tuple[object, ...]:
        """What is bound in it."""
        return self.expr.values


def as_expr(value: object, kind: Kind) -> Expr[Any, Any]:
    """Return an expression as it is, anything else as a bound value of ``kind``."""
    return value if isinstance(value, Expr) else Value(value, kind)
