"""Reads of a batch as one statement: one round trip for all of them, on PostgreSQL.

Each becomes an array of its rows, ``SELECT ARRAY(SELECT r FROM (…) r), ARRAY(…)``, and a row arrives as
the values it has, each in its own type. So what comes is what each of them alone would bring.

When the whole fails, each is asked for alone, so that only the wrong one hears of it. If none is wrong, as
when there is a column of a type that the driver reads at the top of a result only, they are remembered and
stay alone.
"""

from __future__ import annotations

import asyncio
import re
import types
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, NamedTuple, TypeAlias

from oxidite.db.errors import PoolTimeoutError
from oxidite.errors import BackendUnavailableError

__all__ = ["Together", "joined"]

Read: TypeAlias = Callable[[str, Sequence[object]], Coroutine[Any, Any, Sequence[Any]]]
"""Runs one statement on a connection taken for it."""

_MOST = 32
"""Statements of one."""
_MOST_VALUES = 10_000
"""Values of one; the protocol has room for 32,767."""
_MOST_ALONE = 1000
"""Statements that are remembered as those that have to be alone."""
_PARAMETERS = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|\$(\d+)""")
"""A text or a name, in which nothing is a parameter, or a parameter."""


class _Again:
    """The answer that says: ask for yourself."""

    def __init__(self, statements: list[str]) -> None:
        self.statements = statements
        self.left = len(statements)
        """How many have not done well alone."""


class _Asked(NamedTuple):
    sql: str
    values: Sequence[object]
    waiter: asyncio.Future[Sequence[Any] | _Again]


class Together:
    """The reads of one batch that wait for each other."""

    def __init__(self, read: Read, alone: set[str]) -> None:
        self._read = read
        self._alone = alone
        self._asked: list[_Asked] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_gathering = False
        self._is_over = False

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Any]:
        """Run a statement together with those that others ask for now, and return its rows."""
        if self._is_over or sql in self._alone:
            return await self._read(sql, values)
        loop = asyncio.get_running_loop()
        asked = _Asked(sql, values, loop.create_future())
        self._asked.append(asked)
        if not self._is_gathering:
            self._is_gathering = True
            # A task of its own: whoever asked first may be cancelled, and the others are not.
            task = loop.create_task(self._gather())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        rows = await asked.waiter
        if not isinstance(rows, _Again):
            return rows
        again, rows = rows, await self._read(sql, values)
        again.left -= 1
        if not again.left and len(self._alone) < _MOST_ALONE:
            # All of them do well, but not together.
            self._alone.update(again.statements)
        return rows

    async def close(self) -> None:
        """Let nobody wait any longer."""
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _gather(self) -> None:
        """Wait until nobody else asks, and send what was asked for."""
        count = 0
        while count < len(self._asked) < _MOST:
            count = len(self._asked)
            # Two: rows asked for by key wait for each other for one turn before they are asked for.
            await _turn()
            await _turn()
        asked, self._asked, self._is_gathering = self._asked, [], False
        try:
            for part in _parts(_unanswered(asked)):
                if len(part) > 1:
                    await self._send(part)
        finally:
            for each in _unanswered(asked):
                each.waiter.set_result(_Again([]))

    async def _send(self, part: list[_Asked]) -> None:
        try:
            found = await self._rows_of(part)
        except (BackendUnavailableError, PoolTimeoutError) as exc:
            for each in _unanswered(part):
                each.waiter.set_exception(type(exc)(exc.message))
        except Exception:  # noqa: BLE001 - whose it was hears of it when asking alone
            again = _Again([each.sql for each in part])
            for each in _unanswered(part):
                each.waiter.set_result(again)
        else:
            for each, rows in zip(part, found, strict=True):
                if not each.waiter.done():
                    each.waiter.set_result(rows)

    async def _rows_of(self, part: list[_Asked]) -> Sequence[Any]:
        sql, values = joined([(each.sql, each.values) for each in part])
        found: Sequence[Any] = (await self._read(sql, values))[0]
        return found


def joined(statements: Sequence[tuple[str, Sequence[object]]]) -> tuple[str, list[object]]:
    """Return statements as one, whose only row has an array of rows for each, and what is bound in it."""
    made: list[str] = []
    values: list[object] = []
    for sql, bound in statements:
        # No column has a blank in its name, so none is taken for the row.
        moved = _moved(sql, len(values))
        made.append(f'ARRAY(SELECT "the row" FROM ({moved}) "the row")')  # noqa: S608 - it is ours
        values += bound
    return f"SELECT {', '.join(made)}", values


def _moved(sql: str, places: int) -> str:
    """Return SQL whose parameters count from a later place."""
    if not places:
        return sql
    return _PARAMETERS.sub(lambda found: found[1] or f"${int(found[2]) + places}", sql)


def _parts(asked: list[_Asked]) -> list[list[_Asked]]:
    parts: list[list[_Asked]] = [[]]
    room = _MOST_VALUES
    for each in asked:
        room -= len(each.values)
        if parts[-1] and (room < 0 or len(parts[-1]) == _MOST):
            parts.append([])
            room = _MOST_VALUES - len(each.values)
        parts[-1].append(each)
    return parts


def _unanswered(part: list[_Asked]) -> list[_Asked]:
    return [each for each in part if not each.waiter.done()]


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Let everything run once that is ready to."""
    yield
