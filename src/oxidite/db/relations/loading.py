"""Loading what relations lead to: one statement for all the rows that it is loaded for."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import replace

from oxidite.db.connections.callers import caller
from oxidite.db.connections.transaction import current_transaction
from oxidite.db.database import database_of
from oxidite.db.errors import NotLoadedError, RelationError
from oxidite.db.expressions.expressions import Condition, Order, every
from oxidite.db.relations.definition import Definition, Link
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.correlated import Hop
from oxidite.db.statements.peers import Lazy, Load, peers_of
from oxidite.db.statements.statements import Deleted, Join, SelectStatement
from oxidite.db.tables.state import State

__all__ = ["Wanted", "key_of", "load", "load_lazily", "pairs_of", "statement"]

_TOGETHER = 1000
"""Of so many objects a relation is loaded at once, when one of them is asked for it."""

_keep_pairs = State.__dict__["_pairs"].__set__


class Wanted(Struct, frozen=True, eq=False, kw_only=True):
    """A relation, and which of its rows."""

    definition: Definition
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    deleted: Deleted = "without"
    unscoped: bool = False
    loads: tuple[Load[Any], ...] = ()


def pairs_of(one: object, name: str) -> list[tuple[Any, Any]] | None:
    """Return the rows of a many-to-many relation with their pivots, ``None`` if they are not loaded."""
    kept: dict[str, list[tuple[Any, Any]]] = getattr(one, "_pairs", None) or {}
    return kept.get(name)


def key_of(definition: Definition, one: Any) -> Any:
    """Return the key by which an object has others; ``None`` if it has none.

    Raises:
        RelationError: the object is not saved, and its key is made by the database.
    """
    parts = _parts(definition, one)
    if UNSET in parts:
        raise _unsaved(definition)
    return None if None in parts else definition.link.local_key(one)


def _unsaved(definition: Definition) -> RelationError:
    names = ", ".join(local.name for local, _ in definition.link.first.pairs)
    return RelationError(
        f"This {definition.owner.__name__} has no {names} yet, so nothing can belong to it: save it "
        f"before you use {definition.short}."
    )


def statement(wanted: Wanted, key_conditions: tuple[Condition, ...]) -> SelectStatement:
    """Return what asks for the rows of a relation; the conditions are those of the first hop."""
    hops = wanted.definition.link.hops
    joins = [
        Join(
            before.table,
            before.key,
            every([*(outer == own for outer, own in hop.pairs), *_scope(wanted, before)]),
        )
        for before, hop in reversed(list(pairwise(hops)))
    ]
    marks = [hop.mark for hop in hops[:-1] if hop.mark is not None]
    fixed = [each for hop in hops for each in hop.conditions]
    hidden = [each.is_null() for each in marks if wanted.deleted == "without"]
    return SelectStatement(
        table=hops[-1].table,
        source=hops[-1].key,
        joins=tuple(joins),
        where=(*key_conditions, *_scope(wanted, hops[-1]), *fixed, *hidden, *wanted.conditions),
        order=wanted.order,
        deleted=wanted.deleted,
        loads=wanted.loads,
    )


def _scope(wanted: Wanted, hop: Hop) -> tuple[Condition, ...]:
    return (UNSCOPED,) if wanted.unscoped else hop.table.scoped()


async def load(wanted: Wanted, rows: Sequence[Any], lazy: Lazy | None) -> None:
    """Load a relation into objects of its class, whatever is there of it."""
    await _fill(wanted, rows, lazy, lambda _: True)


async def _fill(
    wanted: Wanted, rows: Sequence[Any], lazy: Lazy | None, may_fill: Callable[[Any], bool]
) -> None:
    definition = wanted.definition
    link = definition.link
    keys = list(map(link.local_key, rows))
    asked = _present(definition, keys)
    found = await _fetch(wanted, asked, lazy) if asked else []
    groups: dict[Any, Any]
    if link.many:
        # PERF: once for each row that is loaded; benchmark `db eager`.
        groups = defaultdict(list)
        for key, value in found:
            groups[key].append(value)
    else:
        groups = {}
        for key, value in found:
            groups.setdefault(key, value)
    for one, key in zip(rows, keys, strict=True):
        # Somebody may have given it another key, or the relation another value, in the meantime.
        if link.local_key(one) == key and may_fill(one):
            _put(definition, one, groups.get(key))


def _present(definition: Definition, keys: Iterable[Any]) -> set[Any]:
    """Return the keys to ask for, each once; who has none has nothing."""
    asked = set(keys)
    if definition.link.is_composite:
        wrong = next((key for key in asked if UNSET in key), None)
        asked = {key for key in asked if None not in key}
    else:
        wrong = UNSET if UNSET in asked else None
        asked.discard(None)
    if wrong is not None:
        raise _unsaved(definition)
    return asked


def _put(definition: Definition, one: Any, found: Any) -> None:
    if definition.link.pivot is not None:
        pairs = found or []
        _keep_pairs(one, {**(getattr(one, "_pairs", None) or {}), definition.name: pairs})
        found = [target for target, _ in pairs]
    elif definition.many:
        found = found or []
    definition.write(one, found)


async def _fetch(wanted: Wanted, keys: set[Any], lazy: Lazy | None) -> Iterable[tuple[Any, Any]]:
    """Return the rows of a relation, each with the key of those that they belong to."""
    link = wanted.definition.link
    columns = [own for _, own in link.first.pairs]
    if link.is_composite:
        # Each part by itself, as one list: what is asked for too much is left out below.
        conditions = tuple(
            column.in_({key[place] for key in keys}) for place, column in enumerate(columns)
        )
    else:
        conditions = (columns[0].in_(keys),)
    asked = statement(wanted, conditions)
    changes: dict[str, Any] = {"lazy": lazy}
    if wanted.limit is not None or wanted.offset is not None:
        order = wanted.order or tuple(each.asc() for each in link.table.pk)
        changes |= {
            "per": tuple(columns),
            "limit": wanted.limit,
            "offset": wanted.offset,
            "order": order,
        }
    if link.pivot is not None:
        changes["pair"] = (link.first.table, link.first.key)
    elif not link.is_direct:
        changes["extra"] = tuple(columns)
    made: list[Any] = await database_of(link.table).fetch(replace(asked, **changes))
    found = _keyed(link, made)
    return [each for each in found if each[0] in keys] if link.is_composite else found


def _keyed(link: Link, rows: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    if link.pivot is not None:
        return zip(map(link.remote_key, map(itemgetter(1), rows)), rows, strict=True)
    if not link.is_direct:
        if link.is_composite:
            return [(row[1:], row[0]) for row in rows]
        return [(row[1], row[0]) for row in rows]
    return zip(map(link.remote_key, rows), rows, strict=True)


async def load_lazily(
    definition: Definition, one: Any, fits: Callable[[Any], bool] = lambda _: True
) -> None:
    """Load a relation that an object was asked for, as its query or the database says.

    ``fits`` tells for which other objects of the query it can be loaded, too.

    Raises:
        NotLoadedError: that is not to be.
        RelationError: the object is not saved.
    """
    database = database_of(definition.owner.__table__)
    peers = peers_of(one)
    lazy = peers.lazy if peers is not None else None
    lazy = lazy or ("raise" if database.strict else "peers")
    wanted = Wanted(definition=definition)
    if lazy == "raise":
        raise NotLoadedError(
            f"{definition.short} is not loaded, at {caller()}, and here relations are not loaded by "
            f"themselves (strict). Load it with the query: .with_({definition.short})."
        )
    if lazy == "single" or peers is None:
        await load(wanted, [one], None)
        return
    # Not across transactions: what one sees the other does not.
    token = (definition, id(database), id(current_transaction(database)))
    pending = peers.pending.get(token)
    if pending is not None:
        await pending.wait()
        return
    event = peers.pending[token] = asyncio.Event()
    try:
        rows = _those_without(definition, one, filter(fits, peers.alive()))
        await _fill(wanted, rows, peers.lazy, lambda each: definition.read(each) is UNSET)
    finally:
        del peers.pending[token]
        event.set()


def _those_without(definition: Definition, one: Any, peers: Iterable[Any]) -> list[Any]:
    """Return an object and those of its query that lack a relation too."""
    rows = [one]
    for other in peers:
        if len(rows) == _TOGETHER:
            break
        is_without = other is not one and definition.read(other) is UNSET
        if is_without and UNSET not in _parts(definition, other):
            rows.append(other)
    return rows


def _parts(definition: Definition, one: Any) -> tuple[Any, ...]:
    key = definition.link.local_key(one)
    return key if definition.link.is_composite else (key,)
