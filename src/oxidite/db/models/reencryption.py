"""Writing encrypted columns anew, after the keys have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oxidite.db.connections.noting import reason
from oxidite.db.database import Database, HasTable, database_of
from oxidite.db.expressions.expressions import Condition, Value, every, exactly, some
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.statements import Lock, SelectStatement, UpdateStatement
from oxidite.db.tables.columns import Column
from oxidite.db.tables.encrypted import EncryptedColumn
from oxidite.db.tables.history import ID
from oxidite.db.tables.state import row_of
from oxidite.db.tables.table import Table

__all__ = ["reencrypt"]


async def reencrypt(*models: HasTable, batch: int = 500) -> int:
    """Encrypt with the newest key what was encrypted with an older one; return how many rows there were.

    ``batch`` rows at a time, each in a transaction of its own, so it may be stopped and begun again.
    Afterwards the older keys can go. Rows that seem to be deleted are written too, and those of every
    tenant; nothing else of them changes, and hooks are not called. The versions in a history are written
    too, and not counted; a row that is written anew has one more.
    """
    count = 0
    for model in models:
        table = model.__table__
        database = database_of(table)
        last: Any = None
        while True:
            async with database.transaction():
                rows = await _rows(database, table, last, batch)
                with reason.of("encrypted anew"):
                    for one in rows:
                        count += await _write(database, table, one)
            if len(rows) < batch:
                break
            last = rows[-1]
        if table.history is not None:
            await _versions(database, table, table.history, batch)
    return count


async def _rows(database: Database, table: Table, last: Any, batch: int) -> list[Any]:
    after: tuple[Condition, ...] = () if last is None else (_after(table.pk, last),)
    return await database.fetch(
        SelectStatement(
            table=table,
            source=table.key,
            where=(*after, UNSCOPED),
            order=tuple(column.asc() for column in table.pk),
            limit=batch,
            deleted="with",
            lock=Lock(),
        )
    )


def _after(keys: Sequence[Column[Any, Any]], last: Any) -> Condition:
    """Return the condition of what comes after a row in the order of the key."""
    return some(
        every(
            [
                *(exactly(before, getattr(last, before.name)) for before in keys[:place]),
                column > getattr(last, column.name),
            ]
        )
        for place, column in enumerate(keys)
    )


async def _write(database: Database, table: Table, one: Any) -> int:
    row = row_of(one)
    names: list[str] = []
    for column in table.columns:
        if not isinstance(column, EncryptedColumn):
            continue
        sealed, keys = row[table.places[column.name]], column.rules.get("encrypted")
        if sealed is not None and keys is not None and not keys.is_newest(bytes(sealed)):
            names += [column.name] if column.index is None else [column.name, column.index.name]
    if not names:
        return 0
    await database.run(
        UpdateStatement(
            table=table,
            columns=tuple(names),
            exprs=tuple(Value(getattr(one, name), table.by_name[name].kind) for name in names),
            where=(*(column == getattr(one, column.name) for column in table.pk), UNSCOPED),
            deleted="with",
        )
    )
    return 1


async def _versions(database: Database, table: Table, history: Table, batch: int) -> None:
    """Encrypt the versions of rows anew; what is in the history are the bytes of the columns."""
    columns = [each for each in table.columns if isinstance(each, EncryptedColumn)]
    number = history.by_name[ID]
    last = 0
    while columns:
        async with database.transaction():
            rows = await database.fetch(
                SelectStatement(
                    table=history,
                    source=history.key,
                    columns=(number, *(history.by_name[each.name] for each in columns)),
                    where=(number > last,),
                    order=(number.asc(),),
                    limit=batch,
                    lock=Lock(),
                )
            )
            for key, *sealed in rows:
                await _write_version(
                    database, history, key, list(zip(columns, sealed, strict=True))
                )
        if len(rows) < batch:
            break
        last = rows[-1][0]


async def _write_version(
    database: Database,
    history: Table,
    key: int,
    sealed: Sequence[tuple[EncryptedColumn[Any, Any], bytes | None]],
) -> None:
    made: dict[str, Value[Any, Any]] = {}
    for column, old in sealed:
        keys = column.rules.get("encrypted")
        kind = column.kind
        if old is None or keys is None or keys.is_newest(bytes(old)):
            continue
        if kind.from_db is None or kind.to_db is None:
            raise TypeError(f"{column!r} is not encrypted")
        value = kind.from_db(old)
        made[column.name] = Value(kind.to_db(value), history.by_name[column.name].kind)
        index = column.index
        if index is not None and index.kind.to_db is not None:
            hashed = index.kind.to_db(value)
            made[index.name] = Value(hashed, history.by_name[index.name].kind)
    if made:
        await database.run(
            UpdateStatement(
                table=history,
                columns=tuple(made),
                exprs=tuple(made.values()),
                where=(history.by_name[ID] == key,),
            )
        )
