"""A statement's shape, ready to run: its SQL, how to bind its values, how to read its rows.

Made once for each shape and dialect, and kept. To run a plan costs what the driver costs, and
microseconds: no SQL is written, and no type is looked up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import repeat, starmap
from typing import Any, TypeAlias

from msgspec import UNSET

from oxidite.db.expressions.expressions import AnyExpr
from oxidite.db.rules.concealing import has_hidden
from oxidite.db.rules.scopes import check_scopes
from oxidite.db.statements.selects import RowOf, SelectStatement
from oxidite.db.statements.statements import Statement
from oxidite.db.statements.walking import inner_tables
from oxidite.db.statements.watch import tell, watchers
from oxidite.db.tables.making import twin_of
from oxidite.db.tables.state import exhaust, keep_row, keep_rows, put_all
from oxidite.db.tables.table import Table
from oxidite.db.values.codecs import INLINED, Codec, binder, inlined, reader
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import BOOLEAN, Kind

__all__ = ["Plan", "Plans", "Rows"]

Rows: TypeAlias = Sequence[Any]  # tuples or the driver's records: both are read by position
"""What a driver returns."""


class Plan:
    """How to run the statements of one shape."""

    __slots__ = ("_binders", "_codecs", "_constants", "hides", "read", "sql")

    def __init__(
        self,
        sql: str,
        order: Sequence[int],
        kinds: Sequence[Kind],
        constants: Sequence[object],
        dialect: Dialect,
        read: Callable[[Rows], list[Any]],
        *,
        hides: bool = False,
    ) -> None:
        self.sql: str = sql
        self.read: Callable[[Rows], list[Any]] = read
        """Makes objects or tuples of rows."""
        self.hides: bool = hides
        """Whether values of hidden columns may be among what is bound."""
        codecs = [
            binder(kinds[place], dialect.name) if place < len(kinds) else None for place in order
        ]
        self._constants = constants
        # A value that decides nothing, as in `x OR 1 = 1`, is not in the SQL: there may be more values.
        self._codecs = bool(constants) or any(codecs) or list(order) != list(range(len(kinds)))
        self._binders = tuple(zip(order, codecs, strict=True))

    def bind(self, values: list[object]) -> list[object]:
        """Return the values as the driver takes them, in the order of the SQL."""
        if not self._codecs:
            return values
        if self._constants:
            values = [*values, *self._constants]
        return [
            values[place] if codec is None or values[place] is None else codec(values[place])
            for place, codec in self._binders
        ]


class Plans:
    """The plans of one database, the least recently used ones forgotten beyond ``size``."""

    def __init__(self, dialect: Dialect, *, size: int = 1000) -> None:
        self.dialect = dialect
        self.size = size
        self._plans: OrderedDict[Hashable, Plan] = OrderedDict()

    def get(self, statement: Statement) -> Plan:
        """Return the plan of a statement that is about to run, made now if its shape is new."""
        plan = self.find(statement)
        if watchers:
            tell(statement, plan.sql)
        return plan

    def find(self, statement: Statement) -> Plan:
        """Return the plan of a statement that may never run."""
        key = statement.key()
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self.make(statement)
            if len(self._plans) > self.size:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

    def __len__(self) -> int:
        return len(self._plans)

    def make(self, statement: Statement) -> Plan:
        """Write the SQL of a statement."""
        from oxidite.db.sql.compiler import compile_statement

        check_scopes(statement)
        made = compile_statement(statement, self.dialect)
        read = _reader(statement, self.dialect)
        return Plan(
            made.sql,
            made.order,
            made.kinds,
            made.constants,
            self.dialect,
            read,
            hides=any(map(has_hidden, inner_tables(statement))),
        )


def _reader(statement: Statement, dialect: Dialect) -> Callable[[Rows], list[Any]]:
    if isinstance(statement, SelectStatement):
        if statement.columns is None:
            if statement.pair is not None or statement.extra:
                return _joined_reader(statement, dialect)
            return object_reader(statement.table, dialect)
        if any(isinstance(each, RowOf) for each in statement.columns):
            return mixed_reader(statement.columns, dialect)
        return tuple_reader([each.kind for each in statement.columns], dialect)
    if getattr(statement, "as_objects", False):
        return object_reader(statement.table, dialect)
    returning: tuple[str, ...] = getattr(statement, "returning", ())
    kinds = [statement.table.by_name[name].kind for name in returning]
    if getattr(statement, "tells", False):
        kinds.append(BOOLEAN)
    return tuple_reader(kinds, dialect)


def _joined_reader(statement: SelectStatement, dialect: Dialect) -> Callable[[Rows], list[Any]]:
    """Return what makes tuples of rows: an object, another one, and values."""
    read = object_reader(statement.table, dialect)
    start = end = len(statement.table.columns)
    read_pair = None
    if statement.pair is not None:
        read_pair = object_reader(statement.pair[0], dialect)
        end += len(statement.pair[0].columns)
    read_extra = tuple_reader([each.kind for each in statement.extra], dialect)

    def read_all(rows: Rows) -> list[Any]:
        found: list[tuple[Any, ...]] = [(one,) for one in read([row[:start] for row in rows])]
        if read_pair is not None:
            others = read_pair([row[start:end] for row in rows])
            found = [(*one, other) for one, other in zip(found, others, strict=True)]
        extras = read_extra([row[end:] for row in rows])
        return [one + extra for one, extra in zip(found, extras, strict=True)]

    return read_all


def tuple_reader(kinds: Iterable[Kind], dialect: Dialect) -> Callable[[Rows], list[Any]]:
    """Return what makes tuples of values out of rows."""
    codecs = [reader(kind, dialect.name) for kind in kinds]
    if not any(codecs):
        return lambda rows: list(map(tuple, rows))
    values = ", ".join([_value(f"r[{place}]", place, codec) for place, codec in enumerate(codecs)])
    return _function(f"read = lambda rows: [({values},) for r in rows]", codecs)


def object_reader(table: Table, dialect: Dialect) -> Callable[[Rows], list[Any]]:
    """Return what makes objects of a table's model out of rows of all its columns.

    Each object keeps its row: what has changed is told by comparing with it.
    """
    codecs = [reader(column.kind, dialect.name) for column in table.columns]
    twin = twin_of(table)
    source = f"""
def read(rows):
    made = {_objects_made(table, codecs, is_twin=twin is not None)}
    {"" if twin is None else 'put_all(made, "__class__", repeat(model))'}
    {"keep_rows(made, rows)" if table.keep is keep_row else "exhaust(map(keep, made, rows))"}
    return made
"""
    names = {
        "make": table.make,
        "keep": table.keep,
        "keep_rows": keep_rows,
        "exhaust": exhaust,
        "twin": twin,
        "put_all": put_all,
        "repeat": repeat,
        "starmap": starmap,
        "model": table.model,
        "UNSET": UNSET,
    }
    return _function(source, codecs, names)


def _objects_made(table: Table, codecs: Sequence[Codec | None], *, is_twin: bool) -> str:
    """Return what makes a list of objects of ``rows``, as source."""
    names = [column.name for column in table.columns]
    values = {name: _value(f"v{place}", place, codecs[place]) for place, name in enumerate(names)}
    row = ", ".join([f"v{place}" for place in range(len(names))])
    if not is_twin:
        given = [f"{name}={value}" for name, value in values.items()]
        return f"[make({', '.join(given)}) for {row}, in rows]"
    fields = [*table.model.__struct_fields__]
    if fields[: len(names)] == names and not any(codecs):
        return "list(starmap(twin, rows))"
    return f"[twin({', '.join([values.get(name, 'UNSET') for name in fields])}) for {row}, in rows]"


def mixed_reader(columns: Sequence[AnyExpr], dialect: Dialect) -> Callable[[Rows], list[Any]]:
    """Return what makes tuples of objects and values; an object without a row is ``None``."""
    readers: list[Codec | None] = []
    values: list[str] = []
    place = 0
    for number, each in enumerate(columns):
        if isinstance(each, RowOf):
            width = len(each.table.columns)
            readers.append(_one_of(each.table, dialect))
            values.append(f"d{number}(r[{place}:{place + width}])")
            place += width
        else:
            readers.append(codec := reader(each.kind, dialect.name))
            values.append(
                f"r[{place}]"
                if codec is None
                else f"(None if r[{place}] is None else d{number}(r[{place}]))"
            )
            place += 1
    return _function(f"read = lambda rows: [({', '.join(values)},) for r in rows]", readers)


def _one_of(table: Table, dialect: Dialect) -> Codec:
    read = object_reader(table, dialect)
    known = [table.places[column.name] for column in table.pk] or list(range(len(table.columns)))

    def one(row: Sequence[Any]) -> Any:
        # No primary key is NULL: that is a row that a join did not find.
        if all(row[place] is None for place in known):
            return None
        return read((row,))[0]

    return one


def _value(raw: str, place: int, codec: Codec | None) -> str:
    """Return what reads the value at a place of a row, as source; ``raw`` is what the driver has there."""
    if codec is None:
        return raw
    # PERF: a call of Python's own function is spared where it is known what it does.
    read = inlined(codec, raw) or f"d{place}({raw})"
    return f"(None if {raw} is None else {read})"


def _function(
    source: str, codecs: Sequence[Codec | None], more: Mapping[str, Any] | None = None
) -> Callable[[Rows], list[Any]]:
    # PERF: written out for each table, a third of the time of a loop over columns; benchmark
    # `db rows`. Names come from class bodies, so they are identifiers; no value is in the source.
    names: dict[str, Any] = {f"d{place}": codec for place, codec in enumerate(codecs)} | INLINED
    names |= more or {}
    exec(source, names)  # noqa: S102 - see above
    made: Callable[[Rows], list[Any]] = names["read"]
    return made
