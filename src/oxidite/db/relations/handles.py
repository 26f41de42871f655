"""Relations on an object: awaited, read where they are loaded, and changed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Generic, TypeVar, cast

from msgspec import UNSET

from oxidite.db.errors import NotLoadedError, RelationError, RowNotFoundError
from oxidite.db.expressions.expressions import Condition, Expr, Order
from oxidite.db.queries.query import Select
from oxidite.db.relations.definition import Definition
from oxidite.db.relations.loading import Wanted, key_of, load, load_lazily, statement
from oxidite.db.relations.whole import whole
from oxidite.db.tables.table import AnyColumn

__all__ = ["Handle", "Many", "One", "OwnedOne", "assign"]

T = TypeVar("T")


class Handle(Generic[T]):
    """A relation of one object."""

    __slots__ = ("definition", "owner")

    def __init__(self, definition: Definition, owner: Any) -> None:
        self.definition: Definition = definition
        self.owner: Any = owner

    @property
    def is_loaded(self) -> bool:
        """Whether it can be read without asking the database."""
        return self.definition.read(self.owner) is not UNSET

    def forget(self) -> None:
        """Forget what is loaded, so that the next one who awaits it gets what is there then."""
        self.definition.write(self.owner, UNSET)

    def query(self) -> Select[T]:
        """The rows as a query, to be cut down and run."""
        return Select(statement(Wanted(definition=self.definition), self._key_conditions()))

    def _key_conditions(self) -> tuple[Condition, ...]:
        link = self.definition.link
        key = key_of(self.definition, self.owner)
        own = [column for _, column in link.first.pairs]
        if key is None:
            return (Condition("or", ()),)  # without a key nothing belongs to it
        values = key if link.is_composite else (key,)
        return tuple(column == value for column, value in zip(own, values, strict=True))

    async def _load(self) -> Any:
        definition, owner = self.definition, self.owner
        while (found := definition.read(owner)) is UNSET:
            await load_lazily(definition, owner)
        return found

    def _loaded(self) -> Any:
        found = self.definition.read(self.owner)
        if found is UNSET:
            short = self.definition.short
            raise NotLoadedError(
                f"{short} is not loaded. Load it with the query, .with_({short}), or await it."
            )
        return found

    def __repr__(self) -> str:
        return f"<{self.definition.short} of {self.owner!r}>"


class One(Handle[T]):
    """The one object that a relation of an object leads to: ``await post.author``."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, T]:
        found = self.definition.read(self.owner)
        if found is UNSET:
            found = yield from self._load().__await__()
        return self._present(found)

    @property
    def value(self) -> T:
        """It, where it is loaded.

        Raises:
            NotLoadedError: it is not.
            RowNotFoundError: it is, and there is no such row, though the type says there is.
        """
        return self._present(self._loaded())

    async def reload(self) -> T:
        """Load it again, for this object alone."""
        await load(Wanted(definition=self.definition), [self.owner], None)
        return self._present(self._loaded())

    def _present(self, found: Any) -> T:
        if found is None and not self.definition.may_be_none:
            raise RowNotFoundError(
                f"There is no {self.definition.name} of this {type(self.owner).__name__}: it is "
                "deleted, or was never there. Where that may be, let the annotation say so: "
                f"{self.definition.name}: …[{self.definition.link.target.__name__} | None]."
            )
        return cast("T", found)


class OwnedOne(One[T]):
    """The one object that belongs to an object: ``await user.profile``."""

    __slots__ = ()

    async def create(self, **values: Any) -> T:
        """Make it and its row.

        Raises:
            RelationError: the object it is to belong to is not saved.
        """
        made = await self.definition.link.target.create(**foreign_values(self), **values)
        self.definition.write(self.owner, made)
        found: T = made
        return found


class Many(Handle[T]):
    """The objects that a relation of an object leads to: ``await user.posts``."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, list[T]]:
        found = self.definition.read(self.owner)
        if found is UNSET:
            found = yield from self._load().__await__()
        made: list[T] = found
        return made

    @property
    def value(self) -> list[T]:
        """They, where they are loaded.

        Raises:
            NotLoadedError: they are not.
        """
        found: list[T] = self._loaded()
        return found

    async def reload(self) -> list[T]:
        """Load them again, for this object alone."""
        await load(Wanted(definition=self.definition), [self.owner], None)
        return self.value

    def where(self, *conditions: Condition) -> Select[T]:
        """Those for which all the conditions hold, as a query."""
        return self.query().where(*conditions)

    def order_by(self, *orders: Order | Expr[Any, Any]) -> Select[T]:
        """They in an order, as a query."""
        return self.query().order_by(*orders)

    async def count(self) -> int:
        """Return how many there are in the database."""
        return await self.query().count()

    async def create(self, **values: Any) -> T:
        """Make one that belongs to this object, and its row.

        Raises:
            RelationError: this object is not saved.
        """
        made: T = await self.definition.link.target.create(**foreign_values(self), **values)
        self._note(made)
        return made

    async def add(self, *objects: T) -> None:
        """Let objects belong to this one, and save them; all of them or none.

        Raises:
            RelationError: this object is not saved.
        """
        for each in objects:
            _check(self.definition, each)
        values = foreign_values(self)
        async with whole(objects, self.definition.link.table):
            for each in objects:
                for name, value in values.items():
                    setattr(each, name, value)
                await each.save()  # type: ignore[attr-defined]  # a model
        for each in objects:
            self._note(each)

    async def remove(self, *objects: T) -> None:
        """Let objects belong to this one no longer, and save them; their rows stay.

        Raises:
            RelationError: one does not belong to it, or has to belong to something.
        """
        columns = foreign_columns(self)
        values = foreign_values(self)
        fixed = next((each for each in columns if not each.nullable), None)
        if fixed is not None:
            raise RelationError(
                f"{fixed.name} cannot be None, so what {self.definition.short} leads to has to belong "
                "to something: delete it, or give it to another one with add()."
            )
        for each in objects:
            _check(self.definition, each)
            if any(getattr(each, name) != value for name, value in values.items()):
                raise RelationError(
                    f"This {type(each).__name__} is none of {self.definition.short}."
                )
        async with whole(objects, self.definition.link.table):
            for each in objects:
                for column in columns:
                    setattr(each, column.name, None)
                await each.save()  # type: ignore[attr-defined]  # a model
        loaded = self.definition.read(self.owner)
        if loaded is not UNSET:
            gone = set(map(id, objects))
            loaded[:] = [each for each in loaded if id(each) not in gone and each not in objects]

    def _note(self, one: T) -> None:
        """Put one to those that are loaded, if they are."""
        loaded = self.definition.read(self.owner)
        if loaded is not UNSET and one not in loaded:
            loaded.append(one)


def foreign_columns(handle: Handle[Any]) -> list[AnyColumn]:
    """Return the columns by which objects belong to the one of the handle.

    Raises:
        RelationError: they belong to it by way of others.
    """
    link = handle.definition.link
    if not link.is_direct:
        raise RelationError(
            f"{handle.definition.short} goes through other rows. Make or change those instead."
        )
    return [own for _, own in link.first.pairs]


def foreign_values(handle: Handle[Any]) -> dict[str, Any]:
    """Return the values of those columns: the key of the object."""
    columns = foreign_columns(handle)
    key = key_of(handle.definition, handle.owner)
    if key is None:
        raise RelationError(
            f"This {type(handle.owner).__name__} has no key by which {handle.definition.short} could "
            "belong to it."
        )
    link = handle.definition.link
    values = key if link.is_composite else (key,)
    found = {column.name: value for column, value in zip(columns, values, strict=True)}
    return found | {column.name: value for column, value in link.first.fixed}


def _check(definition: Definition, one: Any) -> None:
    target = definition.link.target
    if not isinstance(one, target):
        raise RelationError(f"{definition.short} leads to {target.__name__}, and {one!r} is none.")


def assign(definition: Definition, one: Any, value: Any) -> None:
    """Let an object refer to another one, or to none."""
    link = definition.link
    pairs = link.hops[0].pairs
    if value is None and definition.may_be_none:
        keys: list[Any] = [None] * len(pairs)
    elif isinstance(value, link.target):
        keys = [getattr(value, remote.name) for _, remote in pairs]
    else:
        raise RelationError(f"{definition.short} is a {link.target.__name__}, not {value!r}.")
    if UNSET in keys:
        raise RelationError(
            f"This {link.target.__name__} is not saved yet, so {definition.short} cannot refer to it: "
            "save it first."
        )
    for (local, _), key in zip(pairs, keys, strict=True):
        setattr(one, local.name, key)
    definition.write(one, value)
