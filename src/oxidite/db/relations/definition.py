"""A relation as its class declares it, and the way it goes through the tables, found when it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from gc import is_tracked
from operator import attrgetter
from typing import Any, Literal, TypeAlias, get_args

from msgspec import UNSET

from oxidite.db.errors import ModelError
from oxidite.db.relations.naming import Later, find_model
from oxidite.db.statements.correlated import Hop
from oxidite.db.tables.columns import Column, TableKey
from oxidite.db.tables.table import AnyColumn, Table
from oxidite.db.values.kinds import nullable

__all__ = [
    "DeclaredRelation",
    "Definition",
    "ForeignKeys",
    "Found",
    "Link",
    "RelationKind",
    "RelationType",
    "foreign_names",
]

ForeignKeys: TypeAlias = str | tuple[str, ...]
"""A column by its name, or the columns of a key of several."""
RelationKind: TypeAlias = Literal["belongs_to", "has_one", "has_many", "many_to_many"]


@dataclass(frozen=True, slots=True)
class RelationType:
    """``HasMany["Post"]``, as it is in a class body when the program runs."""

    kind: RelationKind
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredRelation:
    """What ``rel`` was told."""

    fk: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    kind: str | None = None
    through: str | None = None
    source: str | None = None
    on_soft_delete: Literal["cascade"] | None = None
    touch: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Link:
    """The way from one model to another one."""

    target: Any  # a model
    hops: tuple[Hop, ...]
    many: bool
    pivot: Any = None  # a model
    local_key: Callable[[Any], Any] = field(init=False)
    """Reads the key of an object that has the relation; a tuple if it is of several columns."""
    remote_key: Callable[[Any], Any] = field(init=False)
    """Reads that key in the object at the end of the first hop."""

    def __post_init__(self) -> None:
        pairs = self.hops[0].pairs
        set_ = object.__setattr__
        set_(self, "local_key", attrgetter(*(local.name for local, _ in pairs)))
        set_(self, "remote_key", attrgetter(*(remote.name for _, remote in pairs)))

    @property
    def table(self) -> Table:
        """The table of the other model."""
        return self.hops[-1].table

    @property
    def first(self) -> Hop:
        """The step that begins with the object: its key is in it."""
        return self.hops[0]

    @property
    def is_direct(self) -> bool:
        """Whether it needs no other tables."""
        return len(self.hops) == 1

    @property
    def is_composite(self) -> bool:
        """Whether the key has several columns."""
        return len(self.first.pairs) > 1


class Found:
    """What is loaded, on its way into the field of an object."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value: Any = value


class Definition:
    """A relation of one class."""

    def __init__(
        self,
        owner: Any,
        name: str,
        type_: RelationType,
        declared: DeclaredRelation,
        read: Callable[[Any], Any],
        put: Callable[[Any, Any], None],
    ) -> None:
        self.owner: Any = owner
        self.name: str = name
        self.type: RelationType = type_
        self.kind: RelationKind = type_.kind
        self.declared: DeclaredRelation = declared
        self.read: Callable[[Any], Any] = read
        """Return what is loaded of it in an object, UNSET if nothing is."""
        self.put: Callable[[Any, Any], None] = put
        """Write it into the field, and nothing else."""
        self.parts: dict[str, Definition] = {}
        """Where a column says which model is meant: by the table, the relation to that model alone."""
        targets, may_be_none = _plain(type_.args[0])
        self.targets: tuple[Any, ...] = targets
        """Where it leads to: models, or names of those that come later."""
        self.may_be_none: bool = may_be_none
        self._link: Link | None = None

    def write(self, one: Any, value: Any) -> None:
        """Let ``value`` be what is loaded of it in an object; UNSET is nothing.

        An object of plain values alone is not known to the garbage collector, and what it leads to may
        lead back to it. msgspec makes it known when such a value is set as an attribute.
        """
        if value is None or value is UNSET or is_tracked(one):
            self.put(one, value)
        else:
            setattr(one, self.name, Found(value))

    @property
    def where(self) -> str:
        """The class and the name, for messages."""
        return f"{self.owner.__module__}.{self.owner.__qualname__}.{self.name}"

    @property
    def short(self) -> str:
        """The class and the name, as they are written in a query."""
        return f"{self.owner.__name__}.{self.name}"

    @property
    def many(self) -> bool:
        """Whether it leads to any number of rows."""
        return self.kind in ("has_many", "many_to_many")

    @property
    def target(self) -> Any:
        """The model that it leads to, or its name.

        Raises:
            ModelError: there are several, and nothing says which one a row refers to.
        """
        first, *others = self.targets
        if others and self.declared.kind is None:
            raise ModelError(
                f"{self.where}: it leads to several models, so a column has to say to which one: "
                "rel(fk='subject_id', kind='subject_type')."
            )
        return first

    @property
    def link(self) -> Link:
        """The way to the other model.

        Raises:
            ModelError: there is no such model, or no such column.
        """
        if self._link is None:
            self._link = _link(self)
        return self._link

    @property
    def is_either(self) -> bool:
        """Whether a column says to which of several models it leads."""
        return self.kind == "belongs_to" and self.declared.kind is not None

    def model(self, named: Any) -> Any:
        """Return a model that the declaration names."""
        if isinstance(named, str):
            named = find_model(named, self.owner, self.where)
        if not isinstance(getattr(named, "__table__", None), Table):
            raise ModelError(f"{self.where}: {named!r} is no model with a table.")
        return named

    def __repr__(self) -> str:
        return f"<relation {self.short}>"


def _plain(annotation: Any) -> tuple[tuple[Any, ...], bool]:
    if isinstance(annotation, Later):
        return annotation.options, annotation.may_be_none
    found, may_be_none = nullable(annotation)
    return get_args(found) or (found,), may_be_none


def _link(definition: Definition) -> Link:
    if not isinstance(getattr(definition.owner, "__table__", None), Table):
        raise ModelError(
            f"{definition.where}: an abstract model has no rows. Use the relation of one with a table."
        )
    if definition.declared.through is not None:
        return _through(definition)
    return _KINDS[definition.kind](definition)


def _belongs_to(definition: Definition) -> Link:
    target = definition.model(definition.target)
    columns = [definition.owner.__table__.by_name[name] for name in foreign_names(definition)]
    pairs = zip(columns, _referred(definition, columns, target.__table__), strict=True)
    return _made(definition, target, [(target.__table__, tuple(pairs), ())])


def foreign_names(definition: Definition) -> list[str]:
    """Return the names of the columns that a ``BelongsTo`` refers by.

    Raises:
        ModelError: there are none, or which ones they are is not clear.
    """
    mine: Table = definition.owner.__table__
    fk = definition.declared.fk or (f"{definition.name}_id",)
    if definition.declared.fk or fk[0] in mine.by_name:
        return [each.name for each in _columns(definition, mine, fk)]
    if isinstance(definition.targets[0], str):
        raise ModelError(
            f"{definition.where}: there is no column {fk[0]!r}. Say which: rel(fk='…')."
        )
    target = definition.model(definition.target)
    return [each.name for each in _referring(definition, mine, target)]


def _has(definition: Definition) -> Link:
    target = definition.model(definition.target)
    theirs: Table = target.__table__
    fk = definition.declared.fk
    columns = (
        _columns(definition, theirs, fk) if fk else _referring(definition, theirs, definition.owner)
    )
    mine = _referred(definition, columns, definition.owner.__table__)
    kind = definition.declared.kind
    fixed: tuple[tuple[AnyColumn, str], ...] = ()
    if kind is not None:
        (column,) = _columns(definition, theirs, (kind,))
        fixed = ((column, definition.owner.__table__.name),)
    return _made(definition, target, [(theirs, tuple(zip(mine, columns, strict=True)), fixed)])


def _many_to_many(definition: Definition) -> Link:
    target, pivot = (
        definition.model(definition.target),
        definition.model(_plain(definition.type.args[1])[0][0]),
    )
    between: Table = pivot.__table__
    declared = definition.declared
    is_loop = target is definition.owner
    if is_loop and not (declared.fk and declared.other):
        raise ModelError(
            f"{definition.where}: both ends are {target.__name__}. Say which column of "
            f"{pivot.__name__} refers to which end: rel(fk='follower_id', other='followed_id')."
        )
    near = (
        _columns(definition, between, declared.fk)
        if declared.fk
        else _referring(definition, between, definition.owner)
    )
    far = (
        _columns(definition, between, declared.other)
        if declared.other
        else _referring(definition, between, target)
    )
    mine = _referred(definition, near, definition.owner.__table__)
    theirs = _referred(definition, far, target.__table__)
    steps: _Steps = [
        (between, tuple(zip(mine, near, strict=True)), ()),
        (target.__table__, tuple(zip(far, theirs, strict=True)), ()),
    ]
    return _made(definition, target, steps, pivot=pivot)


def _through(definition: Definition) -> Link:
    declared = definition.declared
    first = _relation_of(definition, definition.owner, declared.through or "")
    middle = first.link.target
    second = _relation_of(definition, middle, declared.source or definition.name)
    target = definition.model(definition.target)
    if second.link.target is not target:
        raise ModelError(
            f"{definition.where}: {second.short} leads to {second.link.target.__name__}, not to "
            f"{target.__name__}. Say which relation of {middle.__name__} is meant: rel(source='…')."
        )
    hops = (*first.link.hops, *second.link.hops)
    steps = [(hop.table, hop.pairs, hop.fixed) for hop in hops]
    return _made(definition, target, steps)


def _relation_of(definition: Definition, model: Any, name: str) -> Definition:
    found: Definition | None = model.__table__.relations.get(name)
    if found is None or found.is_either:
        known = ", ".join(model.__table__.relations) or "none"
        raise ModelError(
            f"{definition.where}: {model.__name__} has no relation {name!r} to one model. It has: {known}. "
            "through= is a relation of this class, source= one of the class that it leads to."
        )
    return found


_Pairs: TypeAlias = tuple[tuple[AnyColumn, AnyColumn], ...]
_Steps: TypeAlias = list[tuple[Table, _Pairs, tuple[tuple[AnyColumn, str], ...]]]


def _made(definition: Definition, target: Any, steps: _Steps, *, pivot: Any = None) -> Link:
    """Make the hops; a table that comes again later on the way gets another name the first time."""
    hops: list[Hop] = []
    renamed: dict[str, AnyColumn] = {}
    for place, (table, pairs, fixed) in enumerate(steps):
        comes_again = any(later[0].key is table.key for later in steps[place + 1 :])
        before, renamed = renamed, {}
        here = table
        if comes_again:
            here = table.under(TableKey(table.name, f"{table.name}_{place + 1}"))
            renamed = {each.name: each for each in here.columns}
        hops.append(
            Hop(
                here,
                here.key,
                tuple(
                    (before.get(outer.name, outer), renamed.get(own.name, own))
                    for outer, own in pairs
                ),
                here.soft_deletes,
                tuple((renamed.get(each.name, each), value) for each, value in fixed),
            )
        )
    return Link(target=target, hops=tuple(hops), many=definition.many, pivot=pivot)


def _columns(definition: Definition, table: Table, names: tuple[str, ...]) -> list[AnyColumn]:
    missing = [name for name in names if name not in table.by_name]
    if missing:
        raise ModelError(
            f"{definition.where}: {table.name!r} has no column {missing[0]!r}. "
            f"It has: {', '.join(table.by_name)}."
        )
    return [table.by_name[name] for name in names]


def _referring(definition: Definition, table: Table, model: Any) -> list[AnyColumn]:
    """Return the column of a table that refers to a model, if there is one and no other."""
    found = [each for each in table.columns if _reference(each, model.__table__) is not None]
    if len(found) == 1:
        return found
    names = " and ".join(each.name for each in found) or "none"
    raise ModelError(
        f"{definition.where}: which column of {table.name!r} refers to {model.__name__} is not "
        f"clear ({names} do). Say it: rel(fk='author_id'), or other= for the far end of a ManyToMany."
    )


def _referred(definition: Definition, columns: list[AnyColumn], table: Table) -> list[AnyColumn]:
    """Return what columns refer to: what they say, else the primary key."""
    said = [_reference(each, table) for each in columns]
    known = [each for each in said if each is not None]
    if len(known) == len(columns):
        return known
    for each in columns:
        other = each.rules.get("references")
        if isinstance(other, Column) and other.table.name != table.name:
            raise ModelError(
                f"{definition.where}: {each!r} refers to {other.table.name!r}, not to {table.name!r}."
            )
    if len(columns) != len(table.pk):
        names = ", ".join(each.name for each in table.pk)
        raise ModelError(
            f"{definition.where}: the primary key of {table.name!r} is ({names}), so fk= has to name "
            f"{len(table.pk)} columns in that order."
        )
    return list(table.pk)


def _reference(column: AnyColumn, table: Table) -> AnyColumn | None:
    reference = column.rules.get("references")
    if isinstance(reference, Column):
        return table.by_name.get(reference.name) if reference.table.name == table.name else None
    if isinstance(reference, str):
        name, _, wanted = reference.rpartition(".")
        if name == table.name:
            return next((each for each in table.columns if each.column_name == wanted), None)
    return None


_KINDS: dict[RelationKind, Callable[[Definition], Link]] = {
    "belongs_to": _belongs_to,
    "has_one": _has,
    "has_many": _has,
    "many_to_many": _many_to_many,
}
