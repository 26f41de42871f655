"""Many-to-many on an object: what is linked to it, by rows of a pivot model that have data of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import UNSET

from oxidite.clock import now
from oxidite.db.database import database_of
from oxidite.db.errors import RelationError
from oxidite.db.expressions.expressions import Condition, Value
from oxidite.db.queries.query import Select
from oxidite.db.relations.handles import Many
from oxidite.db.relations.loading import key_of, pairs_of
from oxidite.db.relations.whole import whole
from oxidite.db.statements.statements import DeleteStatement, SelectStatement, UpdateStatement
from oxidite.db.tables.table import AnyColumn
from oxidite.db.writes import saving
from oxidite.db.writes.assignments import noted

__all__ = ["Linked", "Synced"]

T = TypeVar("T")
P = TypeVar("P")


class Synced(NamedTuple):
    """How many links were made, taken away, and given other data."""

    attached: int = 0
    detached: int = 0
    updated: int = 0


class Linked(Many[T], Generic[T, P]):
    """What is linked to an object: ``await user.groups``, ``await user.groups.attach(group)``."""

    __slots__ = ()

    async def pairs(self) -> list[tuple[T, P]]:
        """Return what is linked, each with its row of the pivot model."""
        await self
        found: list[tuple[T, P]] | None = pairs_of(self.owner, self.definition.name)
        if found is None:  # somebody has put the list there without the pivots
            await self.reload()
            found = pairs_of(self.owner, self.definition.name)
        return list(found or ())

    def pivots(self) -> Select[P]:
        """The rows of the pivot model that link to this object, as a query."""
        table = self.definition.link.first.table
        where = (*self._key_conditions(), *table.scoped())
        return Select(SelectStatement(table=table, source=table.key, where=where))

    async def create(self, **values: Any) -> T:
        """Make one, its row and a link to it; the link has no data of its own."""
        async with database_of(self.definition.link.table).transaction():
            made: T = await self.definition.link.target.create(**values)
            await self.attach(made)
        return made

    async def add(self, *objects: T) -> None:
        """Save objects that are not saved yet, and link to all of them."""
        async with whole(objects, self.definition.link.table):
            for each in objects:
                await each.save()  # type: ignore[attr-defined]  # a model
            await self.attach(*objects)

    async def remove(self, *objects: T) -> None:
        """Take away the links to objects; their rows stay."""
        await self.detach(*objects)

    async def attach(self, *objects: T, **data: Any) -> list[P]:
        """Link to objects; ``data`` is what the pivot model has beside the two keys.

        Raises:
            RelationError: this object is not saved, or one of them is not.
            UniqueError: one is linked already, and the pivot model wants it to be so once.
        """
        near = self._near()
        made = [self.definition.link.pivot(**near, **self._far(each), **data) for each in objects]
        await self._insert(made, list(map(self._far_key, objects)))
        self.forget()
        return made

    async def detach(self, *objects: T) -> int:
        """Take away the links to objects, and return how many there were."""
        return await self._detach([self._far_key(each) for each in objects])

    async def detach_all(self) -> int:
        """Take away all the links, and return how many there were."""
        return await self._unlink(())

    async def sync(
        self, objects: Iterable[T] | Mapping[T, Mapping[str, object]], **data: Any
    ) -> Synced:
        """Let there be links to these objects and to no others.

        A mapping says the data of each link; ``data`` is for all of them. Data that is said is
        written to links that are there already, too.

        Raises:
            RelationError: this object is not saved, or one of them is not.
        """
        wanted: dict[Any, tuple[T, dict[str, Any]]] = {}
        for each in objects:
            own = objects[each] if isinstance(objects, Mapping) else {}
            wanted[self._far_key(each)] = (each, {**data, **own})
        async with database_of(self.definition.link.table).transaction():
            there = await self._there()
            gone = [key for key in there if key not in wanted]
            detached = await self._detach(gone)
            updated = 0
            for key, (_, values) in wanted.items():
                if key in there:
                    updated += await self._update(there[key], values)
            missing = {key: pair for key, pair in wanted.items() if key not in there}
            near, pivot = self._near(), self.definition.link.pivot
            made = [pivot(**near, **self._far(each), **values) for each, values in missing.values()]
            await self._insert(made, list(missing))
        self.forget()
        return Synced(len(made), detached, updated)

    async def toggle(self, *objects: T, **data: Any) -> Synced:
        """Take away the links that are there, make those that are not."""
        wanted = {self._far_key(each): each for each in objects}
        async with database_of(self.definition.link.table).transaction():
            there = await self._there()
            detached = await self._detach([key for key in wanted if key in there])
            missing = [each for key, each in wanted.items() if key not in there]
            await self.attach(*missing, **data)
        self.forget()
        return Synced(len(missing), detached)

    # The pivot.

    def _near(self) -> dict[str, Any]:
        key = key_of(self.definition, self.owner)
        if key is None:
            raise RelationError(f"This {type(self.owner).__name__} has no key to link to it by.")
        columns = [own for _, own in self.definition.link.first.pairs]
        return _named(columns, key, is_composite=self.definition.link.is_composite)

    def _far(self, one: T) -> dict[str, Any]:
        pairs = self.definition.link.hops[-1].pairs
        return _named(
            [outer for outer, _ in pairs], self._far_key(one), is_composite=len(pairs) > 1
        )

    def _far_key(self, one: T) -> Any:
        link = self.definition.link
        if not isinstance(one, link.target):
            raise RelationError(
                f"{self.definition.short} links to {link.target.__name__}, and {one!r} is none."
            )
        names = [own.name for _, own in link.hops[-1].pairs]
        values = [getattr(one, name) for name in names]
        if UNSET in values or None in values:
            raise RelationError(
                f"This {link.target.__name__} is not saved yet, so nothing can be linked to it: save "
                "it first, or use add()."
            )
        return attrgetter(*names)(one)

    async def _there(self) -> dict[Any, P]:
        names = [outer.name for outer, _ in self.definition.link.hops[-1].pairs]
        key = attrgetter(*names)
        return {key(each): each for each in await self.pivots().all()}

    async def _update(self, pivot: Any, values: Mapping[str, Any]) -> bool:
        for name, value in values.items():
            if name not in type(pivot).__table__.by_name:
                raise RelationError(f"{type(pivot).__name__} has no column {name!r}.")
            setattr(pivot, name, value)
        is_changed = bool(pivot.changed())
        if is_changed:
            await pivot.save()
        return is_changed

    async def _insert(self, made: list[P], keys: list[Any]) -> None:
        """Make rows of the pivot model that link to ``keys``.

        Where the two ends are its primary key, a row that only seems to be deleted makes room.
        """
        link = self.definition.link
        table = link.first.table
        ends = {own.name for _, own in link.first.pairs}
        ends |= {outer.name for outer, _ in link.hops[-1].pairs}
        if table.soft_deletes is None or not {each.name for each in table.pk} <= ends:
            await saving.insert_many(made)
            return
        database = database_of(table)
        async with database.transaction():
            for conditions in self._far_conditions(keys):
                where = (*self._key_conditions(), *table.scoped(), *conditions)
                await database.run(DeleteStatement(table=table, where=where, deleted="only"))
            await saving.insert_many(made)

    async def _detach(self, keys: list[Any]) -> int:
        return sum([await self._unlink(each) for each in self._far_conditions(keys)])

    def _far_conditions(self, keys: list[Any]) -> list[tuple[Condition, ...]]:
        """Return what holds of the links to ``keys``; of keys of one column all at once."""
        columns = [outer for outer, _ in self.definition.link.hops[-1].pairs]
        if len(columns) == 1:
            return [(columns[0].in_(keys),)] if keys else []
        return [
            tuple(column == value for column, value in zip(columns, key, strict=True))
            for key in keys
        ]

    async def _unlink(self, conditions: tuple[Condition, ...]) -> int:
        table = self.definition.link.first.table
        where = (*self._key_conditions(), *table.scoped(), *conditions)
        mark = table.soft_deletes
        database = database_of(table)
        if mark is None:
            done = await database.run(DeleteStatement(table=table, where=where))
        else:
            found = noted(table, {mark.name: Value(now(), mark.kind)})
            done = await database.run(
                UpdateStatement(
                    table=table, columns=tuple(found), exprs=tuple(found.values()), where=where
                )
            )
        self.forget()
        return done.rowcount


def _named(columns: list[AnyColumn], key: Any, *, is_composite: bool) -> dict[str, Any]:
    values = key if is_composite else (key,)
    return {column.name: value for column, value in zip(columns, values, strict=True)}
