"""A reference to a row of one of several tables: ``subject: BelongsTo[Post | Film]``.

A column beside the key holds the name of the table. For each table the relation has a part, which is a
relation to that model alone, so what is loaded is one statement for each table that is referred to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from oxidite.db.errors import ModelError, QueryError, RelationError
from oxidite.db.expressions.expressions import Condition
from oxidite.db.queries.query import Select
from oxidite.db.relations.definition import Definition, RelationType
from oxidite.db.relations.handles import Handle, One, assign
from oxidite.db.relations.loading import load, load_lazily
from oxidite.db.relations.relation import ToOne
from oxidite.db.statements.peers import Lazy, Load

__all__ = ["Either", "EitherOne", "assign_either", "either_names", "parts_of"]

M = TypeVar("M")
T = TypeVar("T")


def parts_of(definition: Definition) -> dict[str, Definition]:
    """Return, by the name of the table, the relation to that model alone."""
    if not definition.parts:
        for target in definition.targets:
            model = definition.model(target)
            type_ = RelationType("belongs_to", (model,))
            definition.parts[model.__table__.name] = Definition(
                definition.owner,
                definition.name,
                type_,
                definition.declared,
                definition.read,
                definition.put,
            )
    return definition.parts


def either_names(definition: Definition) -> list[str]:
    """Return the names of the columns that the reference is made of: the table and the key."""
    by_name = definition.owner.__table__.by_name
    names = [definition.declared.kind or "", *definition.declared.fk]
    missing = next((name for name in names if name not in by_name), None)
    if missing is not None or len(names) != 2 or definition.declared.touch:
        raise ModelError(
            f"{definition.where}: fk= and kind= are two columns of {definition.owner.__name__}, the "
            "key and the name of the table: rel(fk='subject_id', kind='subject_type'); no touch=."
        )
    return names


def _part(definition: Definition, one: Any) -> Definition | None:
    """Return the part that is meant by an object; ``None`` if it refers to nothing."""
    tag = getattr(one, definition.declared.kind or "")
    if tag is None or tag is UNSET:
        return None
    found = parts_of(definition).get(tag)
    if found is None:
        known = ", ".join(map(repr, parts_of(definition)))
        raise RelationError(
            f"{definition.declared.kind} of this {type(one).__name__} is {tag!r}, and "
            f"{definition.short} leads to {known}."
        )
    return found


def _refers_alike(kind: str, one: Any, other: Any) -> bool:
    found: bool = getattr(one, kind) == getattr(other, kind)
    return found


class Either(ToOne[M, T]):
    """A relation that leads to a row of one of several models."""

    __slots__ = ()

    async def load(self, rows: Sequence[M], lazy: Lazy | None = None) -> None:
        """Load it into objects, with one statement for each table that they refer to."""
        of: dict[Definition, list[M]] = {}
        for one in rows:
            part = _part(self.definition, one)
            if part is None:
                self.definition.write(one, None)
            else:
                of.setdefault(part, []).append(one)
        for part, those in of.items():
            await load(replace(self.wanted, definition=part), those, lazy)

    def with_(self, *loads: Load[T]) -> Either[M, T]:
        """Refuse: the relations would be those of one model."""
        raise self._many()

    def where(self, *conditions: Condition) -> Either[M, T]:
        """Refuse: the columns would be those of one model."""
        raise self._many()

    def has(self, *conditions: Condition) -> Condition:
        """Refuse: the columns would be those of one model."""
        raise self._many()

    def _many(self) -> QueryError:
        return QueryError(
            f"{self.definition.short} leads to several models, so nothing can be asked of all of them. Ask "
            f"from the other end, or by the columns {' and '.join(either_names(self.definition))}."
        )


class EitherOne(One[T]):
    """The one object, of one of several models, that an object refers to."""

    __slots__ = ()

    def query(self) -> Select[T]:
        """The row as a query."""
        part = _part(self.definition, self.owner)
        if part is None:
            raise RelationError(f"This {type(self.owner).__name__} refers to nothing.")
        return Handle[T](part, self.owner).query()

    async def reload(self) -> T:
        """Load it again, for this object alone."""
        self.forget()
        return await self

    async def _load(self) -> Any:
        definition, owner = self.definition, self.owner
        while (found := definition.read(owner)) is UNSET:
            part = _part(definition, owner)
            if part is None:
                definition.write(owner, None)
            else:
                is_alike = partial(_refers_alike, definition.declared.kind or "", owner)
                await load_lazily(part, owner, is_alike)
        return found


def assign_either(definition: Definition, one: Any, value: Any) -> None:
    """Let an object refer to another one, or to none."""
    kind = definition.declared.kind or ""
    if value is None and definition.may_be_none:
        for name in either_names(definition):
            setattr(one, name, None)
        definition.write(one, None)
        return
    for tag, part in parts_of(definition).items():
        if isinstance(value, part.link.target):
            assign(part, one, value)
            setattr(one, kind, tag)
            definition.write(one, value)
            return
    known = " or ".join(part.link.target.__name__ for part in parts_of(definition).values())
    raise RelationError(f"{definition.short} is a {known}, not {value!r}.")
