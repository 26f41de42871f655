"""Transactions: one connection, kept until all is done or undone."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar, get_args

from oxidite.clock import sleep
from oxidite.concurrency import left_behind, seeing_alone
from oxidite.db.connections.base import Connection, Driver, Isolation
from oxidite.db.connections.callers import caller
from oxidite.db.connections.notices import Changes, tell_changes
from oxidite.db.connections.watching import Watch
from oxidite.db.errors import ConflictingTransactionsError, OverlapError, TransactionError

__all__ = [
    "Owner",
    "Told",
    "Transaction",
    "TransactionBlock",
    "Turns",
    "current_transaction",
    "has_changed_something",
    "innermost_transaction",
]

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger("oxidite.db")
_current: ContextVar[Transaction | None] = ContextVar(
    "oxidite.db.connections.transaction", default=None
)
left_behind.append(_current)  # whose connection background work would use at the same time
_names = count(1)
_PATIENCE = 5.0
"""Seconds that a statement has to end before its connection is closed under it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the triggers of the history were told in a transaction."""

    moment: datetime
    """When its changes are said to have been made, all of them."""
    who: tuple[str | None, str | None] | None
    """By whom and why; ``None`` if that has to be told again."""
    end: str | None
    """SQL that takes it back before the commit."""
    outlives: bool
    """Whether a rollback leaves it there, so that it has to be taken back after that, too."""


class Owner(Protocol):
    """What a transaction needs of a database."""

    @property
    def driver(self) -> Driver:
        """The way to it."""
        ...

    _watch: Watch


class Turns:
    """Sees to it that a connection has one statement at a time."""

    def __init__(self) -> None:
        self._busy: str | None = None
        self._rested: asyncio.Event | None = None

    def begin(self) -> None:
        """Begin a statement.

        Raises:
            OverlapError: another one runs just now.
        """
        if self._busy is not None:
            raise OverlapError(
                "Two statements run at once in one transaction, which has one connection: the other "
                f"one is at {self._busy}. Await them one after the other, or give each task a "
                "transaction of its own."
            )
        self._busy = caller()

    def end(self) -> None:
        """End it."""
        self._busy = None
        if self._rested is not None:
            self._rested.set()

    async def rest(self) -> None:
        """Wait for a statement that somebody else has begun.

        Raises:
            TimeoutError: it does not end.
        """
        if self._busy is not None:
            self._rested = asyncio.Event()
            async with asyncio.timeout(_PATIENCE):
                await self._rested.wait()


class Transaction:
    """What happens in it happens as a whole, or not at all."""

    def __init__(self, owner: Owner, connection: Connection, outer: Transaction | None) -> None:
        self.owner: Owner = owner
        self.connection: Connection = connection
        self.outer: Transaction | None = outer
        self.has_ended: bool = False
        self.is_committed: bool = False
        self.savepoint: str | None = None if outer is None else f"sp_{next(_names)}"
        self.turns: Turns = Turns() if outer is None else outer.turns
        self.after: list[Callable[[], Awaitable[object] | object]] = []
        """What waits for the commit."""
        self.undone: list[Callable[[], object]] = []
        """What is to be done if it is undone."""
        self._changes: Changes | None = None
        """What was changed in it, if somebody is to be told."""
        self.may_be_committed: bool = False
        """Whether a commit was sent, whatever the answer was."""
        self._told: Told | None = None
        """What the triggers of the history were told, in the outermost one."""

    def on_rollback(self, function: Callable[[], object]) -> None:
        """Call ``function`` if this, or a transaction around it, is undone; the last one first."""
        self.undone.append(function)

    def on_commit(self, function: Callable[[], Awaitable[object] | object]) -> None:
        """Call ``function`` once everything is committed, the transactions around this included.

        It is called in the order of registration, after the commit and outside of the transaction; one
        that fails is logged and keeps no other from being called.
        """
        self.after.append(function)

    def _note(self, changes: Changes) -> None:
        """Note what was changed, to be told after the commit."""
        if self._changes is None:
            self._changes = Changes()
        self._changes.merge(changes)

    def statement(self) -> AbstractAsyncContextManager[Connection]:
        """Use the connection for one statement.

        Raises:
            OverlapError: another statement of this transaction runs just now.
        """
        return _Turn(self)

    async def begin(self, isolation: Isolation | None, *, read_only: bool) -> None:
        """Begin it, or set the savepoint."""
        async with self.statement() as connection:
            if self.savepoint is None:
                await connection.begin(isolation=isolation, read_only=read_only)
            else:
                await connection.run(f"SAVEPOINT {self.savepoint}", ())

    async def commit(self) -> None:
        """Keep what was done; what waits for the commit moves to the transaction around it."""
        async with self.statement() as connection:
            if self.savepoint is None:
                if self._told is not None and self._told.end is not None:
                    await connection.run(self._told.end, ())
                self.may_be_committed = True
                await connection.commit()
            else:
                await connection.run(f"RELEASE SAVEPOINT {self.savepoint}", ())
        self.is_committed = True
        if self.outer is not None:
            self.outer.after += self.after
            self.outer.undone += self.undone
            if self._changes is not None:
                self.outer._note(self._changes)  # noqa: SLF001 - of its own kind
            self.after = []
        self.undone = []

    async def rollback(self) -> None:
        """Undo what was done, whatever state the connection is in."""
        connection = self.connection
        try:
            await self.turns.rest()
            # A server that does not answer must not hold whoever undoes what he did.
            async with asyncio.timeout(_PATIENCE):
                if self.savepoint is None:
                    await connection.rollback()
                    if self._told is not None and self._told.outlives and not connection.is_broken:
                        await connection.run(str(self._told.end), ())
                elif not connection.is_broken:
                    await connection.run(f"ROLLBACK TO SAVEPOINT {self.savepoint}", ())
                    await connection.run(f"RELEASE SAVEPOINT {self.savepoint}", ())
                    self._forget_told()
        except Exception:
            # The database ends the transaction of a connection that is closed.
            connection.is_broken = True
            _logger.exception("a transaction could not be rolled back; its connection is closed")
        finally:
            while self.undone:
                self.undone.pop()()

    @property
    def outermost(self) -> Transaction:
        """The one whose commit counts: itself, or one around it."""
        return self if self.outer is None else self.outer.outermost

    def _forget_told(self) -> None:
        """What was told inside of a savepoint may be undone with it, so it is told again."""
        outermost = self.outermost
        if outermost._told is not None:  # noqa: SLF001 - of its own kind
            outermost._told = replace(outermost._told, who=None)  # noqa: SLF001 - as above

    async def tell(self) -> None:
        """Tell who listens what was changed, if it may have been committed."""
        if self.may_be_committed and self._changes is not None:
            await tell_changes(self._changes)

    async def run_after(self) -> None:
        """Call what waited for the commit."""
        for function in self.after:
            try:
                result = function()
                if inspect.isawaitable(result):
                    await result
            except Exception:
                _logger.exception("what was to follow a commit failed")


class TransactionBlock:
    """A transaction to be, as a context or around a function."""

    def __init__(
        self, owner: Owner, isolation: Isolation | None, *, read_only: bool, retry: int
    ) -> None:
        known = get_args(Isolation)
        if isolation is not None and isolation not in known:
            # It is written into SQL, and SQLite has no word for it that could be wrong.
            raise TransactionError(
                f"isolation={isolation!r} is none that all databases have: "
                f"{', '.join(map(repr, known))}."
            )
        self._owner = owner
        self._isolation: Isolation | None = isolation
        self._read_only = read_only
        self._retry = retry
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Transaction:
        if self._retry:
            raise TransactionError(
                "A block cannot be run again. Put what is to be repeated into a function: "
                "@db.transaction(retry=3)."
            )
        return await self._stack.enter_async_context(self._run())

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, exc, tb)

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Run ``function`` in a transaction, again if it stood in the way of another one."""

        @functools.wraps(function)
        async def transactional(*args: P.args, **kwargs: P.kwargs) -> R:
            for left in range(self._retry, -1, -1):
                try:
                    async with self._run():
                        return await function(*args, **kwargs)
                except ConflictingTransactionsError:
                    # Inside another transaction nothing can be repeated: that one is undone too.
                    if not left or current_transaction(self._owner) is not None:
                        raise
                await sleep(random.uniform(0, 0.05 * (self._retry - left + 1)))
            raise AssertionError("unreachable")

        return transactional

    @contextlib.asynccontextmanager
    async def _run(self) -> AsyncIterator[Transaction]:
        outer = current_transaction(self._owner)
        if outer is not None:
            self._check_inside()
            async with _entered(Transaction(self._owner, outer.connection, outer), None) as inner:
                yield inner
            return
        # A replica has no serialisable transactions, so those are for where is written.
        write = not self._read_only or self._isolation == "serializable"
        made: Transaction | None = None
        try:
            async with self._owner.driver.connection(write=write) as connection:
                made = Transaction(self._owner, connection, None)
                async with _entered(made, self._isolation, read_only=self._read_only):
                    yield made
        finally:
            # After a cancellation, too, when that came while the commit was on its way, or comes now. When the
            # answer to a commit was lost, what was changed may be there.
            if made is not None:
                try:
                    await made.tell()
                finally:
                    if made.is_committed and made.after:
                        await _whole(made.run_after())

    def _check_inside(self) -> None:
        if self._isolation is not None or self._read_only:
            raise TransactionError(
                "isolation= and read_only= are of a whole transaction, and this one is inside of "
                "another. Say it there."
            )


@contextlib.asynccontextmanager
async def _entered(
    made: Transaction, isolation: Isolation | None, *, read_only: bool = False
) -> AsyncIterator[Transaction]:
    before = _current.get()
    try:
        # A beginning that is cancelled may have been heard, so that is undone, too.
        await made.begin(isolation, read_only=read_only)
        _current.set(made)
        yield made
        # Nobody could tell what became of half a commit.
        await _whole(made.commit())
    except BaseException:
        if not made.is_committed:
            await _whole(made.rollback())
        raise
    finally:
        made.has_ended = True
        # Not by a token: a generator may be closed in another context than it began in.
        _current.set(before)


class _Turn(AbstractAsyncContextManager[Connection]):
    """The use of a transaction's connection for one statement."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def __aenter__(self) -> Connection:
        self._transaction.turns.begin()
        return self._transaction.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._transaction.turns.end()


async def _whole(work: Coroutine[object, object, None]) -> None:
    """Do something to its end, also when cancelled on the way, and be cancelled then.

    Who was cancelled waits for ``_PATIENCE`` seconds at most; a connection whose statement did not end
    by then is closed, and the database undoes what was open.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,), timeout=None if cancelled is None else _PATIENCE)
        except asyncio.CancelledError as exc:
            cancelled = exc
        else:
            if not task.done():
                task.cancel()
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody reports it
        raise cancelled
    task.result()


def current_transaction(owner: object) -> Transaction | None:
    """Return the transaction that is open here in the database ``owner``."""
    found = _current.get()
    while found is not None and (found.has_ended or found.owner is not owner):
        found = found.outer
    return found


def has_changed_something() -> bool:
    """Tell whether the transactions that are open here changed something that somebody is to be told of."""
    found = _current.get()
    while found is not None:
        if not found.has_ended and found._changes is not None:  # noqa: SLF001 - of its own kind
            return True
        found = found.outer
    return False


def innermost_transaction() -> Transaction | None:
    """Return the transaction that is open here, in whichever database."""
    found = _current.get()
    while found is not None and found.has_ended:
        found = found.outer
    return found


seeing_alone.append(lambda: innermost_transaction() is not None)
