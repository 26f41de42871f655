"""Puts the migrations of one branch behind those of another: what comes after a merge in git."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oxidite.db.migrations.errors import HistoryError, MigrationError, QuestionError
from oxidite.db.migrations.history import HEAD, Entry, after, load_entries
from oxidite.db.migrations.operations import Schema

__all__ = ["Moved", "rebase"]


@dataclass(frozen=True, slots=True)
class Moved:
    """A migration that has another number, and the tables that both branches change."""

    old: str
    new: str
    shared: tuple[str, ...] = ()


def rebase(folder: Path, names: Sequence[str]) -> list[Moved]:
    """Put the migrations of these names behind all others, in this order.

    Without names it decides nothing: where two come after the same one, it asks. Files are changed
    only if the history works in its new order.

    Raises:
        QuestionError: two come after the same one, and which goes behind was not said.
        HistoryError: there is no such migration, or the history does not work in that order.
    """
    entries = load_entries(folder)
    fork = _fork(entries)
    if not names and fork is None:
        return _mend_head(folder, entries)
    if not names:
        listed = "\n".join(f"    {each.name}" for each in fork or ())
        raise QuestionError(
            f"These were made beside each other:\n\n{listed}\n\nSay which go behind, with those that "
            f"come after them: oxidite db rebase {(fork or entries)[-1].name}"
        )
    by_name = {each.name: each for each in entries}
    unknown = [each for each in names if each not in by_name]
    if unknown:
        raise HistoryError(f"There is no migration {unknown[0]!r}. There is: {', '.join(by_name)}.")
    moved = [by_name[each] for each in dict.fromkeys(names)]
    kept = [each for each in entries if each not in moved]
    squashes = [each.name for each in moved if each.migration.replaces]
    if squashes:
        raise HistoryError(
            f"{squashes[0]} replaces the migrations from the beginning on, so it stays the first one: put "
            "the others behind."
        )
    if not kept:
        raise HistoryError("That is all of them: there is nothing to put them behind.")
    _check(kept, moved)
    start = moved[0].migration.after
    beside = [each for each in kept if start is None or each.id > start]
    return _move(folder, kept, moved, tuple(sorted(_touched(beside) & _touched(moved))))


def _fork(entries: Sequence[Entry]) -> list[Entry] | None:
    """Return the migrations that come after the same one, if there are two."""
    follows: dict[str | None, list[Entry]] = {}
    for each in entries:
        follows.setdefault(each.migration.after, []).append(each)
    return next((each for each in follows.values() if len(each) > 1), None)


def _touched(chain: Sequence[Entry]) -> set[str]:
    return {
        table
        for each in chain
        for operation in each.migration.forth()
        for table in operation.tables
    }


def _check(kept: Sequence[Entry], moved: Sequence[Entry]) -> None:
    before: str | None = None
    for each in kept:
        if each.migration.after != before:
            raise HistoryError(
                f"Without them {each.name} would come after nothing: name those too that come after "
                "the ones to be put behind."
            )
        before = each.id
    schema: Schema = {}
    try:
        for each in (*kept, *moved):
            schema = after(each, schema)
    except MigrationError as exc:
        raise HistoryError(
            f"They do not work in this order, so nothing was changed: {exc.message}"
        ) from None


def _move(
    folder: Path, kept: Sequence[Entry], moved: Sequence[Entry], shared: tuple[str, ...]
) -> list[Moved]:
    last = kept[-1].id
    made: list[Moved] = []
    for entry in moved:
        number = f"{int(last) + 1:04}"
        text = entry.file.read_text(encoding="utf-8")
        text = re.sub(r'\bid="\d+"', f'id="{number}"', text, count=1)
        text = re.sub(r'\bafter=("\d+"|None)', f'after="{last}"', text, count=1)
        new = entry.file.with_name(f"{number}_{entry.name.partition('_')[2]}.py")
        if new.exists() and new != entry.file:
            raise HistoryError(f"{new} is there already.")
        entry.file.unlink()
        new.write_text(text, encoding="utf-8")
        made.append(Moved(entry.name, new.stem, shared))
        last = number
    (folder / HEAD).write_text(f"{made[-1].new}\n", encoding="utf-8")
    return made


def _mend_head(folder: Path, entries: Sequence[Entry]) -> list[Moved]:
    """Write the last migration into HEAD; git may have left a conflict there."""
    if entries:
        (folder / HEAD).write_text(f"{entries[-1].name}\n", encoding="utf-8")
    return []
