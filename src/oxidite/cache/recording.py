"""What a value that is being made depends on: rows that are read, and other values with their tags."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextvars import ContextVar

from oxidite.cache.l1 import Entry
from oxidite.cache.tags import stored_tags
from oxidite.concurrency import left_behind
from oxidite.errors import ConfigError

__all__ = [
    "Recorder",
    "current_recorder",
    "depend_on",
    "is_declared",
    "reads",
    "recording",
    "table_tags",
]

_MOST_ROWS = 20
"""Rows of a table that have tags of their own; who reads more depends on the table."""


class Recorder:
    """Notes what is read while a value of one store is made."""

    def __init__(self, core: object, prefix: str) -> None:
        self.core: object = core
        self.is_over: bool = False
        self._prefix = prefix
        self._rows: dict[str, set[Hashable] | None] = {}
        self._inner: dict[tuple[int, tuple[str, ...]], None] = {}

    def read(self, rows: Mapping[str, Collection[Hashable] | None]) -> None:
        """Note rows of tables."""
        for table, keys in rows.items():
            known = self._rows.setdefault(table, set())
            if known is not None:
                known.update(keys or ())
            if keys is None or known is None or len(known) > _MOST_ROWS:
                self._rows[table] = None

    def depend(self, core: object, entry: Entry) -> None:
        """Note a value that has tags.

        Raises:
            ConfigError: it is of another cache, whose invalidations are not told here.
        """
        if core is not self.core:
            raise ConfigError(
                "A tracked function asks another cache than its own for a value with tags, and would not "
                "hear when they are invalidated. Use one cache, or namespaces of one, or ask before."
            )
        self._inner[entry.as_of, entry.tags] = None

    def older_than(self, as_of: int) -> list[tuple[int, tuple[str, ...]]]:
        """Return the numbers and tags of the values it was made of that are older than itself."""
        return [each for each in self._inner if each[0] < as_of]

    def tags(self, own: Sequence[str]) -> tuple[str, ...]:
        """Return all that it depends on, as the store knows it, with its ``own`` tags."""
        names = table_tags(self._rows, is_read=True)
        found = dict.fromkeys((*own, *stored_tags(self._prefix, names, most=None)))
        for _, tags in self._inner:
            found.update(dict.fromkeys(tags))
        return tuple(found)


def table_tags(
    rows: Mapping[str, Collection[Hashable] | None], *, is_read: bool = False
) -> list[str]:
    """Return the tags of rows that were read, or changed.

    What depends on some rows has ``table:users`` and ``table:users:7`` for each; what depends on all of
    them ``table:users`` and ``table:users:rows``. A change of a row is one of ``rows`` and of its own; one
    of who knows which rows is one of ``table:users``.
    """
    found: list[str] = []
    for table, keys in rows.items():
        name = f"table:{table}"
        if is_read or keys is None:
            found.append(name)
        if keys is None and is_read:
            found.append(f"{name}:rows")
        if keys is not None:
            found += [f"{name}:{key}" for key in keys]
            if not is_read:
                found.append(f"{name}:rows")
    return found


_current: ContextVar[Recorder | None] = ContextVar("oxidite.cache.recorder", default=None)
_declared: ContextVar[Recorder | None] = ContextVar("oxidite.cache.declared", default=None)
left_behind.append(_current)  # what goes on behind makes nothing of the value


def current_recorder() -> Recorder | None:
    """Return what notes for the value that is made here."""
    found = _current.get()
    return None if found is None or found.is_over else found


def is_declared() -> bool:
    """Tell whether who calls is in a block that says itself what it reads."""
    return _declared.get() is _current.get() is not None


def depend_on(core: object, entry: Entry) -> None:
    """Note that a value with tags was read, if something is made of it."""
    recorder = current_recorder()
    if recorder is not None and entry.tags:
        recorder.depend(core, entry)


@contextlib.contextmanager
def recording(recorder: Recorder | None) -> Iterator[None]:
    """Note what is read in the block; ``None``: nothing, whatever is made around it."""
    before = _current.get()
    _current.set(recorder)
    try:
        yield
    finally:
        if recorder is not None:
            recorder.is_over = True  # for tasks that were left running, too
        _current.set(before)


@contextlib.contextmanager
def reads(*tables: type[object] | str) -> Iterator[None]:
    """Say in a tracked function what is read inside the block: models, or names of tables.

    For SQL of your own, which is refused there otherwise. Without any, it depends on nothing that the
    database changes.
    """
    recorder = current_recorder()
    if recorder is None:
        yield
        return
    named = [each if isinstance(each, str) else _name_of(each) for each in tables]
    recorder.read({each.lower(): None for each in named})
    before = _declared.get()
    _declared.set(recorder)
    try:
        yield
    finally:
        _declared.set(before)


def _name_of(model: type[object]) -> str:
    table = getattr(model, "__table__", None)
    if table is None:
        raise TypeError(f"{model!r} is no model with a table. Name one, or a table as a text.")
    return str(table.name)
