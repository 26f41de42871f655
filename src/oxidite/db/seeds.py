"""Seeds: the first rows of a database, from functions.

::

    @seed(order=10)
    async def roles() -> None:
        for name in ("admin", "author"):
            if not await Role.where(Role.name == name).exists():
                await Role.create(name=name)

A seed may be run again, so it should look before it makes a row, as this one does.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias, overload

from oxidite.clock import perf
from oxidite.db.database import Database
from oxidite.db.errors import QueryError

__all__ = ["Seed", "Seeded", "run_seeds", "seed", "seeds"]

SeedFunction: TypeAlias = Callable[[], Awaitable[None]] | Callable[[Database], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Seed:
    """A function that makes first rows; seeds run by ``order``, those of one order as they were defined."""

    name: str
    order: int
    function: Callable[..., Awaitable[None]] = field(repr=False)
    takes_database: bool
    number: int = field(repr=False)
    """Which one it was, of all that were defined."""

    async def __call__(self, db: Database) -> None:
        """Run it."""
        await (self.function(db) if self.takes_database else self.function())


@dataclass(frozen=True, slots=True)
class Seeded:
    """What became of one seed: its name, and the seconds that it took."""

    name: str
    seconds: float


_defined: dict[str, Seed] = {}
_numbers = count(1)


@overload
def seed(function: SeedFunction, /) -> Seed: ...
@overload
def seed(*, order: int = 0, name: str | None = None) -> Callable[[SeedFunction], Seed]: ...
def seed(
    function: SeedFunction | None = None, /, *, order: int = 0, name: str | None = None
) -> Seed | Callable[[SeedFunction], Seed]:
    """Make a seed of an async function that takes nothing, or the ``Database``.

    ``name`` is its module and name unless given; defined again under its name, as by a reload, it takes
    the place of the one before.

    Raises:
        QueryError: the function is not async, or wants something else.
    """

    def make(function: SeedFunction) -> Seed:
        if not inspect.iscoroutinefunction(function):
            raise QueryError(f"The seed {function!r} is not async: async def users() -> None.")
        wanted = len(inspect.signature(function).parameters)
        if wanted > 1:
            raise QueryError(f"The seed {function.__qualname__} takes nothing, or the database.")
        named = name or f"{function.__module__}.{function.__qualname__}"
        made = Seed(named, order, function, bool(wanted), next(_numbers))
        _defined[named] = made
        return made

    return make if function is None else make(function)


def seeds() -> list[Seed]:
    """Return the seeds of all modules that were imported, in the order in which they run."""
    return sorted(_defined.values(), key=lambda each: (each.order, each.number))


async def run_seeds(
    db: Database,
    *chosen: Seed,
    only: Iterable[str] = (),
    report: Callable[[Seeded], Any] | None = None,
) -> list[Seeded]:
    """Run seeds: all that are defined, or those that are given, or ``only`` those of these names.

    Each is a transaction, so that one that fails leaves nothing of its own behind; those before it
    stay. ``report`` is called after each.

    Raises:
        QueryError: ``only`` has a name that no seed has.
    """
    names = set(only)
    found = sorted(chosen, key=lambda each: (each.order, each.number)) if chosen else seeds()
    if unknown := sorted(names - {each.name for each in found}):
        known = ", ".join(each.name for each in found) or "none"
        raise QueryError(f"There is no seed {unknown[0]!r}. Known: {known}.")
    done: list[Seeded] = []
    for each in found:
        if names and each.name not in names:
            continue
        started = perf()
        with db.using():
            async with db.transaction():
                await each(db)
        done.append(Seeded(each.name, perf() - started))
        if report is not None:
            report(done[-1])
    return done
