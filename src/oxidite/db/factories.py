"""Factories: rows for tests and first data, of which a test says only what it is about.

::

    class UserFactory(Factory[User]):
        email = sequence(lambda n: f"user{n}@example.com")
        name = faked(lambda fake: fake.name())

        def admin(self) -> Self:
            return self.variant(role="admin")

    ann = await UserFactory().admin().create(name="Ann")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import count
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar, get_args, get_origin

from msgspec import UNSET

from oxidite.db.errors import ModelError, QueryError
from oxidite.db.fake import Fake
from oxidite.db.invent import invent
from oxidite.db.models.model import Model
from oxidite.db.tables.columns import Column
from oxidite.db.tables.references import referred_name
from oxidite.db.tables.table import Table

__all__ = ["Factory", "Fake", "faked", "reset_factories", "sequence"]

T = TypeVar("T", bound=Model)
AnyColumn: TypeAlias = Column[Any, Any]


@dataclass(frozen=True, slots=True)
class _Sequence:
    make: Callable[[int], object]


@dataclass(frozen=True, slots=True)
class _Faked:
    make: Callable[[Fake], object]


def sequence(make: Callable[[int], object]) -> Any:
    """Make a value of the number of the row, which is 1 for the first one of a factory."""
    return _Sequence(make)


def faked(make: Callable[[Fake], object]) -> Any:
    """Make a value up: ``faked(lambda fake: fake.name())``."""
    return _Faked(make)


class Factory(Generic[T]):
    """Makes rows of one model: ``class UserFactory(Factory[User])``.

    An attribute is what a column has: a value, ``sequence``, ``faked``, or another factory, whose row
    the column then refers to. What a model needs and nobody gives is made up by its type and rules.
    A method that returns ``self.variant(…)`` gives a name to what some rows have in common.
    """

    model: ClassVar[type[Model]]
    """The model, out of ``Factory[User]``."""
    defaults: ClassVar[Mapping[str, object]] = {}
    """What the attributes of the class say, by column."""
    _numbers: ClassVar[count[int]]
    _fake: ClassVar[Fake]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        model = _model_of(cls) or getattr(cls, "model", None)
        if model is None:
            raise ModelError(
                f"{cls.__qualname__} does not say what it makes: class {cls.__name__}(Factory[User])."
            )
        cls.model = model
        given = _given(cls)
        _check(cls, given, cls.model.__table__)
        cls.defaults = {**cls.defaults, **given}
        cls._reset(0)

    def __init__(self, **values: object) -> None:
        _check(type(self), values, self.model.__table__)
        self._values = values

    def variant(self, **values: object) -> Self:
        """Return a factory whose rows have these values instead."""
        return type(self)(**{**self._values, **values})

    def make(self, **values: object) -> T:
        """Return an object that is not saved.

        Raises:
            QueryError: a value comes from another factory, whose row would have to be saved.
        """
        found = self._merged(values)
        for name, value in found.items():
            if _factory_of(value) is not None:
                raise QueryError(
                    f"{name} comes from {_factory_of(value)!r}, whose row has to be saved first: give "
                    f"{name}=, or use create()."
                )
        return self._made(found)

    async def create(self, **values: object) -> T:
        """Return a row that is saved, with those that it refers to.

        Raises:
            ValidationError: some of its values are wrong.
            ConstraintError: the database refused it.
        """
        (made,) = await self.create_many(1, **values)
        return made

    async def create_many(self, number: int, **values: object) -> list[T]:
        """Return so many rows that are saved; each refers to rows of its own, unless they are given."""
        made = []
        for _ in range(number):
            found = self._merged(values)
            for name, value in found.items():
                factory = _factory_of(value)
                if factory is not None:
                    found[name] = await factory.create()
            one = self._made(found)
            await one.save()
            await self.after_create(one)
            made.append(one)
        return made

    async def after_create(self, one: T) -> None:
        """Do what follows each row, such as making those that refer to it; for subclasses."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"

    def _merged(self, values: Mapping[str, object]) -> dict[str, object]:
        _check(type(self), values, self.model.__table__)
        return {**self.defaults, **self._values, **values}

    def _made(self, found: Mapping[str, object]) -> T:
        number = next(self._numbers)
        table = self.model.__table__
        values = {
            name: self._value(table.by_name[name], value, number) for name, value in found.items()
        }
        for column in table.columns:
            if column.name not in values and _is_needed(column):
                values[column.name] = invent(column, self._fake, number)
        inside = {name: v for name, v in values.items() if table.by_name[name].declared.init}
        make: Any = self.model
        one: T = make(**inside)
        for name in values.keys() - inside.keys():
            setattr(one, name, values[name])
        return one

    def _value(self, column: AnyColumn, value: object, number: int) -> object:
        if isinstance(value, _Sequence):
            return value.make(number)
        if isinstance(value, _Faked):
            return value.make(self._fake)
        return _key_of(value, column) if isinstance(value, Model) else value

    @classmethod
    def _reset(cls, seed: int) -> None:
        cls._numbers = count(1)
        cls._fake = Fake(f"{cls.__qualname__}:{seed}")


def reset_factories(seed: int = 0) -> None:
    """Have all factories begin anew: with the first number, and the same made-up values."""
    waiting: list[type[Factory[Any]]] = Factory.__subclasses__()
    while waiting:
        each = waiting.pop()
        each._reset(seed)  # noqa: SLF001 - of this file
        waiting += each.__subclasses__()


def _model_of(cls: type) -> type[Model] | None:
    for base in getattr(cls, "__orig_bases__", ()):
        if isinstance(get_origin(base), type) and issubclass(get_origin(base), Factory):
            (model,) = get_args(base)
            if isinstance(model, type) and hasattr(model, "__table__"):
                return model
    return None


def _given(cls: type) -> dict[str, object]:
    """Return what the body of a factory says of columns: whatever is no method."""
    return {
        name: value
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and name not in ("model", "defaults")
        and not callable(getattr(value, "__get__", None))
    }


def _check(cls: type, names: Mapping[str, object], table: Table) -> None:
    for name in names:
        if name not in table.by_name:
            close = get_close_matches(name, table.by_name, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ModelError(f"{cls.__qualname__}: {table!r} has no column {name!r}.{hint}")
    if taken := sorted(names.keys() & vars(cls).keys() & vars(Factory).keys()):
        raise ModelError(
            f"{cls.__qualname__}: {taken[0]!r} is a method of factories. Give the column when a row is "
            f"made: create({taken[0]}=…), or a state that does: self.variant({taken[0]}=…)."
        )


def _factory_of(value: object) -> Factory[Any] | None:
    if isinstance(value, Factory):
        return value
    if isinstance(value, type) and issubclass(value, Factory):
        return value()
    return None


def _key_of(row: Model, column: AnyColumn) -> object:
    name = referred_name(column, type(row).__table__)
    if name is None:
        raise QueryError(
            f"{column!r} does not refer to a {type(row).__name__}: references= says to what."
        )
    key = getattr(row, name)
    if key is UNSET:
        raise QueryError(
            f"This {type(row).__name__} is not saved yet, so {column!r} cannot refer to it."
        )
    return key


def _is_needed(column: AnyColumn) -> bool:
    declared = column.declared
    has_default = declared.default is not UNSET or declared.default_factory is not None
    return not (has_default or column.is_generated or not declared.init)
