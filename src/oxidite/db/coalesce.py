"""Rows asked for by key at the same time are read with one statement.

Two hundred requests that each get a row make two hundred statements, and a pool of ten connections works
through them one round trip after the other. Those that come in the same turn of the event loop are one
``= ANY($1)`` instead, whose rows are handed out. Nobody waits for it: one that is alone goes at once.

Each caller gets an object of its own, also those that asked for the same key: what one of them changes
is not seen by the other. One that is cancelled takes nothing from the others, and when the statement
fails because of a key, each is asked for alone, so that only the wrong one hears of it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator, Hashable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from msgspec.structs import replace

from oxidite.db.errors import PoolTimeoutError
from oxidite.db.sql.plan import Plan, Plans
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.statements.watch import tell, watchers
from oxidite.db.tables.table import Table
from oxidite.errors import BackendUnavailableError

__all__ = ["Loads", "is_plain"]

_MOST = 1000
"""Keys of one statement."""
_ALONE: Any = object()
"""The answer that says: ask for yourself."""
_Load: TypeAlias = "list[tuple[Any, asyncio.Future[Any]]]"


class Fetch(Protocol):
    """Runs a plan and returns the rows as the driver has them."""

    async def __call__(self, plan: Plan, values: list[object], *, write: bool) -> Sequence[Any]:
        """Run it."""
        ...


def is_plain(statement: SelectStatement) -> bool:
    """Tell whether a statement asks for the rows of a table and nothing else."""
    return (
        not statement.where
        and not statement.joins
        and statement.columns is None
        and statement.deleted == "without"
        and statement.lock is None
    )


class _Made(NamedTuple):
    """How the rows of one table are read: one of them, and many."""

    plans: Plans
    for_one: SelectStatement
    one: Plan
    for_many: SelectStatement
    many: Plan


class Loads:
    """The rows of one database that are asked for just now."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._loads: dict[tuple[Hashable, Hashable], _Load] = {}
        self._made: dict[Table, _Made] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(
        self, plans: Plans, statement: SelectStatement, key: object, route: Hashable
    ) -> Any:
        """Return the object with this key, ``None`` if there is none."""
        loop = asyncio.get_running_loop()
        place = (statement.table, route)
        load = self._loads.get(place)
        if load is None:
            # PERF: nobody else is about to run, so nobody else will ask; benchmark `db get`.
            ready = getattr(loop, "_ready", None)  # not every loop shows it
            if ready is not None and not ready:
                return await self.alone(plans, statement, key)
            load = self._loads[place] = []
            try:
                await _turn()
            finally:
                # Cancelled or not: those who came meanwhile are served.
                del self._loads[place]
                if load:
                    self._start(plans, statement, load)
            if not load:
                return await self.alone(plans, statement, key)
        waiter: asyncio.Future[Any] = loop.create_future()
        load.append((key, waiter))
        row = await waiter
        if row is _ALONE:
            return await self.alone(plans, statement, key)
        return None if row is None else self._made_of(plans, statement).one.read([row])[0]

    async def alone(self, plans: Plans, statement: SelectStatement, key: object) -> Any:
        """Read one row."""
        made = self._made_of(plans, statement)
        if watchers:
            tell(made.for_one, made.one.sql)
        found = made.one.read(await self._fetch(made.one, [key], write=False))
        return found[0] if found else None

    def _made_of(self, plans: Plans, statement: SelectStatement) -> _Made:
        table = statement.table
        made = self._made.get(table)
        if made is None or made.plans is not plans:
            column = table.pk[0]
            key = _EXAMPLES[column.kind.name]
            for_one = replace(statement, where=(column == key,))
            for_many = replace(statement, where=(column.in_([key]),))
            made = self._made[table] = _Made(
                plans, for_one, plans.find(for_one), for_many, plans.find(for_many)
            )
        return made

    def _start(self, plans: Plans, statement: SelectStatement, load: _Load) -> None:
        # A task of its own: whoever asked first may be cancelled, and the others are not.
        task = asyncio.get_running_loop().create_task(self._run(plans, statement, load))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, plans: Plans, statement: SelectStatement, load: _Load) -> None:
        # Begins in the next turn: whoever asked first has joined those who came after by then.
        waiters = [waiter for _, waiter in load]
        try:
            for start in range(0, len(load), _MOST):
                await self._read(plans, statement, load[start : start + _MOST])
        except (BackendUnavailableError, PoolTimeoutError) as exc:
            for each in _unanswered(waiters):
                each.set_exception(type(exc)(exc.message))
        except Exception:  # noqa: BLE001 - whose key it was hears of it when asking alone
            for each in _unanswered(waiters):
                each.set_result(_ALONE)
        finally:
            for each in _unanswered(waiters):
                each.cancel()

    async def _read(self, plans: Plans, statement: SelectStatement, load: _Load) -> None:
        made = self._made_of(plans, statement)
        place = statement.table.places[statement.table.pk[0].name]
        keys = list({key for key, waiter in load if not waiter.done()})
        if watchers:
            tell(made.for_many, made.many.sql)
        rows = await self._fetch(made.many, [keys], write=False)
        by_key = {row[place]: row for row in rows}
        for key, waiter in load:
            if not waiter.done():
                waiter.set_result(by_key.get(made.one.bind([key])[0]))


def _unanswered(waiters: list[asyncio.Future[Any]]) -> list[asyncio.Future[Any]]:
    return [each for each in waiters if not each.done()]


_EXAMPLES: dict[str, Any] = {"integer": 0, "text": "", "uuid": UUID(int=0)}


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Let everything run once that is ready to."""
    yield
