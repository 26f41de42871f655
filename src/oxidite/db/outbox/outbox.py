"""The outbox: messages that leave if, and only if, the transaction that wrote them is committed.

::

    outbox = Outbox(db)
    relay = Relay(outbox, {"user.created": send_welcome})
    app = Oxidite(resources=[db, outbox, relay])

    async with db.transaction():
        user = await User.create(email=email)
        await outbox.add("user.created", {"id": user.id}, key=f"user:{user.id}")

A message is a row in ``ox_outbox``, so it is there with what was written beside it, or not at all. A relay
takes the rows and calls the handler of their topic, until that has returned once: at least once, then,
and twice when a process ends between the handler's return and the note of it. Messages with the same
``key`` are handed on one after the other, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

import msgspec
from msgspec import Struct

from oxidite.db.connections.transaction import current_transaction
from oxidite.db.database import Database
from oxidite.db.errors import QueryError, RowNotFoundError
from oxidite.db.outbox.own_tables import OwnTables
from oxidite.encoding import encode_json

__all__ = ["Message", "Outbox", "OutboxStats"]

T = TypeVar("T")

_LONGEST = 255

_INDEXES = (
    "CREATE INDEX ox_outbox_due ON ox_outbox (state, due_at)",
    "CREATE INDEX ox_outbox_key ON ox_outbox (message_key, state, id)",
)


def _create(id_: str, text: str, long: str, time: str) -> str:
    return (
        f"CREATE TABLE ox_outbox (id {id_}, topic {text} NOT NULL, message_key {text}, "
        f"dedup {text} UNIQUE, payload {long} NOT NULL, state INTEGER NOT NULL, "
        f"attempts INTEGER NOT NULL, due_at {time} NOT NULL, claim {text}, error {long}, "
        f"created_at {time} NOT NULL)"
    )


_SQLITE = _create("INTEGER PRIMARY KEY AUTOINCREMENT", "TEXT", "TEXT", "REAL")
_POSTGRESQL = _create(
    "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "VARCHAR(255)", "TEXT", "DOUBLE PRECISION"
)
_MYSQL = _create("BIGINT AUTO_INCREMENT PRIMARY KEY", "VARCHAR(255)", "LONGTEXT", "DOUBLE")
TABLES = OwnTables(
    "outbox",
    [
        {
            "sqlite": (_SQLITE, *_INDEXES),
            "postgresql": (_POSTGRESQL, *_INDEXES),
            # What one has left that did not come to its end: no making of a table is undone there.
            "mysql": ("DROP TABLE IF EXISTS ox_outbox", _MYSQL, *_INDEXES),
        }
    ],
)
_ADD = (
    "INSERT INTO ox_outbox (topic, message_key, dedup, payload, state, attempts, due_at, created_at) "
    "VALUES (:topic, :key, :dedup, :payload, 0, 0, {now} + :delay, {now})"
)
_COLUMNS_OF = "id, topic, message_key, payload, attempts, created_at, error"


# `state` is 0 for a message that waits or is being handled, 1 for one given up, 2 for one that is done.


class Message(Struct, frozen=True, kw_only=True):
    """What a handler is given."""

    id: int
    """Its number: the same each time it is handed on, so a handler can tell that it was done already."""
    topic: str
    key: str | None
    body: str
    """What was added, as JSON."""
    attempt: int
    """Which attempt this is; the first is 1."""
    created_at: datetime
    error: str | None = None
    """What went wrong the last time."""

    @property
    def payload(self) -> Any:
        """What was added, as JSON has it: a dict, a list, a text, a number, a truth or nothing."""
        return msgspec.json.decode(self.body)

    def read(self, kind: type[T]) -> T:
        """Return what was added as a Struct, a dataclass or any other type that fits.

        Raises:
            msgspec.ValidationError: it does not fit.
        """
        return msgspec.json.decode(self.body, type=kind)


class OutboxStats(Struct, frozen=True, kw_only=True):
    """How many messages there are."""

    waiting: int
    """Those to be handed on, or about to be again."""
    dead: int
    """Those that are given up."""
    oldest: float
    """The age of the oldest that waits, in seconds; 0 if none does."""


class Outbox:
    """Where messages are written, in a database; a resource, which makes its table when it is opened."""

    def __init__(self, db: Database) -> None:
        self.db: Database = db
        self.relays: WeakSet[Any] = WeakSet()
        """Those of this process, which are woken after a commit."""

    async def __aenter__(self) -> Self:
        await TABLES.ensure(self.db)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        return None

    async def add(
        self,
        topic: str,
        payload: object,
        *,
        key: str | None = None,
        dedup: str | None = None,
        delay: float = 0.0,
    ) -> bool:
        """Write a message, in the transaction that is open here; return whether it is a new one.

        Those with the same ``key`` are handed on in order. One with a ``dedup`` that is there already is
        not written: waiting, given up, or done within the relay's ``keep``. It is handed on after
        ``delay`` seconds at the earliest.

        Raises:
            QueryError: the topic, the key or ``dedup`` is empty or longer than 255 letters.
        """
        for name, text in (("topic", topic), ("key", key), ("dedup", dedup)):
            if text is not None and not 0 < len(text) <= _LONGEST:
                raise QueryError(
                    f"The {name} of a message has 1 to {_LONGEST} letters; {text!r:.50}"
                )
        await TABLES.ensure(self.db)
        body = encode_json(payload).decode()
        values = {
            "topic": topic,
            "key": key,
            "dedup": dedup,
            "payload": body,
            "delay": float(delay),
        }
        added = await TABLES.run(self.db, self._adding(dedup), **values)
        transaction = current_transaction(self.db)
        if added and not delay:
            if transaction is None:
                self.wake()
            else:
                transaction.on_commit(self.wake)
        return added > 0

    def wake(self) -> None:
        """Have the relays of this process look now, not only at their next turn."""
        for each in self.relays:
            each.wake()

    async def dead(self, *, limit: int = 100) -> list[Message]:
        """Return messages that were given up, the oldest first."""
        await TABLES.ensure(self.db)
        rows = await TABLES.fetch(
            self.db,
            f"SELECT {_COLUMNS_OF} FROM ox_outbox WHERE state = 1 ORDER BY id LIMIT :limit",  # noqa: S608 - names of ours
            limit=limit,
        )
        return messages(rows)

    async def retry(self, id: int) -> None:
        """Hand a message that was given up on again, with all its attempts before it.

        Raises:
            RowNotFoundError: there is no such message, or it is not given up.
        """
        await TABLES.ensure(self.db)
        changed = await TABLES.run(
            self.db,
            "UPDATE ox_outbox SET state = 0, attempts = 0, due_at = {now} WHERE id = :id AND state = 1",
            id=id,
        )
        if not changed:
            raise RowNotFoundError(f"No message {id} was given up.")
        self.wake()

    async def stats(self) -> OutboxStats:
        """Count the messages."""
        await TABLES.ensure(self.db)
        ((waiting, dead, oldest),) = await TABLES.fetch(
            self.db,
            "SELECT sum(CASE WHEN state = 0 THEN 1 ELSE 0 END), sum(CASE WHEN state = 1 THEN 1 ELSE 0 END),"
            " {now} - min(CASE WHEN state = 0 THEN created_at END) FROM ox_outbox",
        )
        return OutboxStats(
            waiting=int(waiting or 0), dead=int(dead or 0), oldest=max(0.0, float(oldest or 0))
        )

    def _adding(self, dedup: str | None) -> str:
        if dedup is None:
            return _ADD
        if self.db.dialect.name in ("sqlite", "postgresql"):
            return f"{_ADD} ON CONFLICT (dedup) DO NOTHING"
        return _ADD.replace("INSERT INTO", "INSERT IGNORE INTO", 1)


def messages(rows: Sequence[Any]) -> list[Message]:
    """Return messages of rows."""
    return [
        Message(
            id=row[0],
            topic=row[1],
            key=row[2],
            body=row[3],
            attempt=row[4],
            created_at=datetime.fromtimestamp(row[5], UTC),
            error=row[6],
        )
        for row in rows
    ]
