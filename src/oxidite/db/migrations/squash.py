"""Puts one migration in the place of many: it makes the same schema, and says which it replaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oxidite.db.migrations.difference import Answers, Change, difference
from oxidite.db.migrations.errors import HistoryError, MigrationError, QuestionError
from oxidite.db.migrations.history import HEAD, Entry, History
from oxidite.db.migrations.operations import Backfill, Execute, Operation, Schema
from oxidite.db.migrations.writing import file_text, slug_of

__all__ = ["Squash", "squash", "write_squash"]

_DIGITS = 16
"""Of a checksum: enough to know a file again."""


@dataclass(frozen=True, slots=True)
class Squash:
    """What takes the place of migrations from the first one on."""

    replaced: tuple[Entry, ...]
    schema: Schema
    """What they make."""
    change: Change
    backfills: tuple[str, ...]
    """The names of those whose backfills are left out: a new database has no rows to fill."""

    @property
    def last(self) -> Entry:
        """The last of those that it replaces."""
        return self.replaced[-1]

    @property
    def replaces(self) -> dict[str, str]:
        """Their names, and how their checksums begin; also what they themselves replace."""
        found: dict[str, str] = {}
        for each in self.replaced:
            found |= each.migration.replaces
            found[each.name] = each.checksum[:_DIGITS]
        return found


def squash(
    history: History, last: Entry, *, keep: Sequence[str] = (), leave_out: Sequence[str] = ()
) -> Squash:
    """Return what makes the schema of the migrations up to ``last`` at once.

    The SQL that they run as it stands comes after that, of those in ``keep``, by number or name; that
    of those in ``leave_out`` does not.

    Raises:
        QuestionError: one runs SQL, and whether it is kept was not said.
        MigrationError: there is nothing to squash.
    """
    entries = history.entries[: history.entries.index(last) + 1]
    if len(entries) < 2:
        raise MigrationError(f"Up to {last.name} there is one migration: nothing to squash.")
    kept, left = ({history.find(each).id for each in names} for names in (keep, leave_out))
    _check_said(entries, kept, left)
    schema = History(history.folder, entries).schema()
    made = difference({}, schema, Answers(no_renames=True))
    forth, back = list(made.forth), list(made.back)
    for each in entries:
        if each.id in kept:
            forth += _sql(each.migration.forth())
            back[:0] = _sql(each.migration.back()) if each.migration.has_down else []
    return Squash(
        entries,
        schema,
        Change(tuple(forth), tuple(back)),
        tuple(each.name for each in _filling(entries)),
    )


def _check_said(entries: Sequence[Entry], kept: set[str], left: set[str]) -> None:
    """See to it that it was said what becomes of each migration that runs SQL."""
    running = [each for each in entries if list(_sql(each.migration.forth()))]
    strange = (kept | left) - {each.id for each in running}
    if strange:
        raise MigrationError(
            f"The migration {min(strange)} runs no SQL of its own up to {entries[-1].name}: there is "
            "nothing to keep of it or to leave out."
        )
    if kept & left:
        raise MigrationError(f"{min(kept & left)} is to be kept and left out: one of them.")
    unsaid = [each for each in running if each.id not in kept | left]
    if unsaid:
        listed = "\n".join(
            f"    {each.name}: {' '.join(one.sql.split())[:80]}"
            for each in unsaid
            for one in _sql(each.migration.forth())
        )
        raise QuestionError(
            f"These run SQL of which nothing is known here:\n\n{listed}\n\nSay of each whether a new "
            f"database needs it, such as a view or a trigger: --keep {unsaid[0].id}, or whether it was "
            f"for rows that were there: --leave-out {unsaid[0].id}. What is kept is run after the "
            "tables are made."
        )


def _sql(operations: Sequence[Operation]) -> Iterator[Execute]:
    return (each for each in operations if isinstance(each, Execute))


def _filling(entries: Sequence[Entry]) -> Iterator[Entry]:
    return (
        each for each in entries if any(isinstance(one, Backfill) for one in each.migration.forth())
    )


def write_squash(history: History, made: Squash, message: str) -> Path:
    """Write the file of a squash, and delete those that it replaces; return it.

    Raises:
        MigrationError: it cannot be written, or its name is that of one of them.
    """
    last = made.last
    file = history.folder / f"{last.id}_{slug_of(message)}.py"
    if file.exists():
        raise HistoryError(f"{file} is there already: give the squash another name.")
    text = file_text(made.change, message, last.id, None, replaces=made.replaces)
    written = file.with_suffix(".py.new")
    try:
        # None of the folder's until the others are gone: two would be the first.
        written.write_text(text, encoding="utf-8")
        for each in made.replaced:
            each.file.unlink()
        written.rename(file)
        if last is history.last:
            (history.folder / HEAD).write_text(f"{file.stem}\n", encoding="utf-8")
    except OSError as exc:
        raise MigrationError(f"{file} cannot be written: {exc.strerror}.") from None
    return file
