"""Relays: what hands the messages of an outbox to their handlers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_hex
from types import TracebackType
from typing import Self, TypeAlias

from oxidite.db.outbox.outbox import TABLES, Message, Outbox, messages
from oxidite.errors import ConfigError, OxiditeError
from oxidite.instrument import event, span

__all__ = ["MessageHandler", "Relay"]

_logger = logging.getLogger("oxidite.db")
_PRUNE = 1000
"""Rounds between two looks for messages that were kept long enough."""

MessageHandler: TypeAlias = Callable[[Message], Awaitable[object]]
"""Does what a message asks for. When it raises, it is called again later."""


class Relay:
    """Hands on the messages of the topics that it has handlers for; a resource.

    ``concurrency`` messages at most at a time. A handler that takes longer than ``timeout`` seconds is
    cancelled, which counts as a failure. After a failure there is another attempt, later each time:
    ``pause`` seconds after the first, twice as long after the next, ``longest_pause`` at most; after
    ``attempts`` of them the message is given up and kept. Any number of relays, in any number of processes, share the work. What another
    process has added is seen after ``poll`` seconds at the latest. Messages with a ``dedup`` are known for
    ``keep`` seconds after they were done.
    """

    def __init__(
        self,
        outbox: Outbox,
        handlers: Mapping[str, MessageHandler],
        *,
        concurrency: int = 10,
        timeout: float = 60.0,
        attempts: int = 10,
        pause: float = 1.0,
        longest_pause: float = 300.0,
        poll: float = 1.0,
        keep: float = 86_400.0,
        grace: float = 10.0,
    ) -> None:
        if not handlers:
            raise ConfigError(
                "A relay hands messages to handlers: Relay(outbox, {topic: handler})."
            )
        self.outbox: Outbox = outbox
        self.handlers: dict[str, MessageHandler] = dict(handlers)
        self._concurrency = concurrency
        self._timeout = timeout
        self._attempts = attempts
        self._pause = pause
        self._longest_pause = longest_pause
        self._poll = poll
        self._keep = keep
        self._grace = grace
        # Longer than the handler may take: nobody else may have the message before that has ended.
        self._lease = timeout * 1.5 + 1
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._rounds = 0

    async def __aenter__(self) -> Self:
        await TABLES.ensure(self.outbox.db)
        self._woken = asyncio.Event()
        self.outbox.relays.add(self)
        self._loop = asyncio.create_task(self._run(), name="oxidite.db.outbox.relay")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.outbox.relays.discard(self)
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait((self._loop,))
            self._loop = None
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def deliver(self) -> int:
        """Hand on what is due now, wait until it is done, and return how many messages that were.

        For tests and scripts; a relay that is open does so by itself.
        """
        await TABLES.ensure(self.outbox.db)
        total = 0
        while taken := await self._start(self._concurrency):
            total += taken
            await asyncio.wait(self._running)
        return total

    async def _run(self) -> None:
        is_down = False
        while True:
            self._woken.clear()
            taken = 0
            try:
                free = self._concurrency - len(self._running)
                taken = await self._start(free) if free else 0
                await self._prune()
                is_down = False
            except Exception as exc:
                if not is_down:
                    _logger.warning(
                        "the outbox cannot be read: %s",
                        exc,
                        exc_info=None if isinstance(exc, OxiditeError) else exc,
                    )
                is_down = True
            if not taken:
                # Real time: another process does not travel.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._woken.wait()

    async def _start(self, most: int) -> int:
        """Take messages that are due and begin to handle them; return how many."""
        claim = token_hex(16)
        taken = await self._claim(claim, most)
        for message in taken:
            task = asyncio.create_task(self._handle(message, claim))
            self._running.add(task)
            task.add_done_callback(self._ended)
        return len(taken)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            # It stays claimed, and is handed on again when that has lapsed.
            _logger.error("what became of a message could not be noted: %s", error)

    async def _claim(self, claim: str, most: int) -> list[Message]:
        db = self.outbox.db
        names = {
            f"topic_{chr(97 + n // 26)}{chr(97 + n % 26)}": topic
            for n, topic in enumerate(self.handlers)
        }
        topics = ", ".join(f":{name}" for name in names)
        # The order of a key: one that stands behind another is not taken, whoever has that one.
        sql = (
            "SELECT o.id, o.topic, o.message_key, o.payload, o.attempts + 1, o.created_at, o.error"  # noqa: S608 - names of ours
            f" FROM ox_outbox o WHERE o.state = 0 AND o.due_at <= {{now}} AND o.topic IN ({topics})"
            " AND (o.message_key IS NULL OR NOT EXISTS (SELECT 1 FROM ox_outbox e WHERE"
            " e.message_key = o.message_key AND e.state = 0 AND e.id < o.id))"
            f" ORDER BY o.id LIMIT :most{' FOR UPDATE SKIP LOCKED' if db.dialect.locks_rows else ''}"
        )
        async with db.transaction():
            found = messages(await TABLES.fetch(db, sql, most=most, **names))
            for message in found:
                await TABLES.run(
                    db,
                    "UPDATE ox_outbox SET claim = :claim, attempts = attempts + 1,"
                    " due_at = {now} + :lease WHERE id = :id",
                    claim=claim,
                    lease=self._lease,
                    id=message.id,
                )
        return found

    async def _handle(self, message: Message, claim: str) -> None:
        with span("db.outbox.message", topic=message.topic, attempt=message.attempt):
            try:
                async with asyncio.timeout(self._timeout):
                    await self.handlers[message.topic](message)
            except asyncio.CancelledError:
                await asyncio.shield(self._again(message, claim, "it was stopped", pause=0.0))
                raise
            except Exception as exc:
                _logger.exception("the message %d of %s failed", message.id, message.topic)
                await self._failed(message, claim, exc)
            else:
                await self._done(message, claim)

    async def _done(self, message: Message, claim: str) -> None:
        # One that may come again is kept, so that it is known.
        db = self.outbox.db
        gone = await TABLES.run(
            db,
            "DELETE FROM ox_outbox WHERE id = :id AND claim = :claim AND dedup IS NULL",
            id=message.id,
            claim=claim,
        )
        if not gone:
            gone = await TABLES.run(
                db,
                "UPDATE ox_outbox SET state = 2, due_at = {now} WHERE id = :id AND claim = :claim",
                id=message.id,
                claim=claim,
            )
        if not gone:
            _logger.warning(
                "the message %d of %s was done so late that another relay has it, too",
                message.id,
                message.topic,
            )

    async def _failed(self, message: Message, claim: str, exc: Exception) -> None:
        text = _text(exc)
        if message.attempt < self._attempts:
            # Not of any attempt: there may be thousands, and no such number.
            longest = min(self._longest_pause, self._pause * 2 ** min(message.attempt - 1, 30))
            await self._again(message, claim, text, pause=longest * random.uniform(0.5, 1.0))
            return
        _logger.error("the message %d of %s is given up", message.id, message.topic)
        event("db.outbox.dead", topic=message.topic, id=message.id)
        await TABLES.run(
            self.outbox.db,
            "UPDATE ox_outbox SET state = 1, error = :error WHERE id = :id AND claim = :claim",
            error=text,
            id=message.id,
            claim=claim,
        )

    async def _again(self, message: Message, claim: str, error: str, *, pause: float) -> None:
        await TABLES.run(
            self.outbox.db,
            "UPDATE ox_outbox SET claim = NULL, error = :error, due_at = {now} + :pause"
            " WHERE id = :id AND claim = :claim",
            error=error,
            pause=pause,
            id=message.id,
            claim=claim,
        )

    async def _prune(self) -> None:
        if self._rounds % _PRUNE == 0:
            await TABLES.run(
                self.outbox.db,
                "DELETE FROM ox_outbox WHERE state = 2 AND due_at < {now} - :keep",
                keep=self._keep,
            )
        self._rounds += 1


def _text(error: Exception) -> str:
    """Return what is kept of an error: without what no database takes, such as half a character."""
    try:
        message = str(error)
    except Exception as exc:  # noqa: BLE001 - an error of the application's, whose message is to come again all the same
        message = f"(its message cannot be made: {type(exc).__name__})"
    text = f"{type(error).__name__}: {message}"[:2000].replace("\0", "\\0")
    return text.encode("utf-8", "backslashreplace").decode()
