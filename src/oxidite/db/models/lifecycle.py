"""What happens to one object: it is made, saved and deleted, with its hooks around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from msgspec import UNSET

from oxidite.db.database import database_of
from oxidite.db.errors import ConstraintError
from oxidite.db.expressions.expressions import Expr
from oxidite.db.models.hooks import Change, Hooks
from oxidite.db.rules.scopes import check_scope
from oxidite.db.rules.violations import in_words_of
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.state import keep_row, row_of
from oxidite.db.tables.table import Table
from oxidite.db.writes import saving

__all__ = ["create", "delete", "save"]


async def create(one: Any) -> None:
    """Make the row of an object."""
    hooks: Hooks = type(one).__hooks__
    if not hooks:
        await _insert(one)
        return
    await hooks.call("before_save", one)
    await hooks.call("before_create", one)
    await _with_after(one, _insert, ("after_create", "after_save"), "create")


async def save(one: Any) -> None:
    """Write what has changed of an object, or make its row if it has none."""
    if row_of(one) is None:
        await create(one)
        return
    hooks: Hooks = type(one).__hooks__
    if not hooks:
        await _update(one)
        return
    await hooks.call("before_save", one)
    if not saving.changed(one):
        return
    await hooks.call("before_update", one)
    await _with_after(one, _update, ("after_update", "after_save"), "update")


async def delete(one: Any, *, force: bool = False) -> None:
    """Delete the row of an object."""
    hooks: Hooks = type(one).__hooks__
    write = partial(_delete, force=force)
    if not hooks:
        await write(one)
        return
    await hooks.call("before_delete", one)
    await _with_after(one, write, ("after_delete",), "delete")


async def _with_after(
    one: Any, write: Callable[[Any], Awaitable[None]], events: Sequence[str], change: Change
) -> None:
    """Write, and call what comes after it in the same transaction."""
    hooks: Hooks = type(one).__hooks__
    if not hooks.has_after:
        await write(one)
        return
    table: Table = type(one).__table__
    row = row_of(one)
    try:
        async with database_of(table).transaction() as transaction:
            await write(one)
            for event in events:
                await hooks.call(event, one)
            transaction.on_commit(partial(hooks.call, "after_commit", one, change))
    except BaseException:
        # The row is as it was, so the object must not take itself for saved.
        keep_row(one, row)
        for column in table.pk:
            if row is None and column.is_generated:
                setattr(one, column.name, UNSET)
        raise


async def _insert(one: Any) -> None:
    table: Table = type(one).__table__
    try:
        await saving.insert(one)
    except ConstraintError as exc:
        raise in_words_of(table, exc) from _cause(one, exc)
    await _read_computed(one, table)


async def _update(one: Any) -> None:
    table: Table = type(one).__table__
    try:
        await saving.save(one)
    except ConstraintError as exc:
        raise in_words_of(table, exc) from _cause(one, exc)
    await _read_computed(one, table)


def _cause(one: Any, exc: ConstraintError) -> BaseException | None:
    """Return the driver's own error, but for a row with hidden columns: it may quote all of them."""
    return None if type(one).__hidden__ else exc.__cause__


async def _delete(one: Any, *, force: bool) -> None:
    table: Table = type(one).__table__
    check_scope(one, table)
    try:
        await saving.delete(one, force=force)
    except ConstraintError as exc:
        raise in_words_of(table, exc, deleting=True) from _cause(one, exc)


async def _read_computed(one: Any, table: Table) -> None:
    """Read what the database has computed."""
    if not table.computed:
        return
    columns: tuple[Expr[Any, Any], ...] = table.computed
    keys = [column == getattr(one, column.name) for column in table.pk]
    found = await database_of(table).fetch(
        SelectStatement(
            table=table,
            source=table.key,
            columns=columns,
            where=(*keys, *table.scoped()),
            deleted="with",
        )
    )
    for column, value in zip(table.computed, found[0] if found else (), strict=False):
        setattr(one, column.name, value)
