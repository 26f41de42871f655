"""What counts as applied where a squashed migration has taken the place of others.

A database that they were applied to keeps its notes of them, so that the version of the application
before the squash can still be started; they are read as one note of the squashed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oxidite.db.migrations.errors import HistoryError
from oxidite.db.migrations.history import Entry, History
from oxidite.db.migrations.tracking import Applied

__all__ = ["counted", "replaced_rows"]


def counted(
    rows: Sequence[Applied], history: History, *, accept_changes: bool = False
) -> dict[str, Applied]:
    """Return what is applied, by number, as the files of a history have it.

    Raises:
        HistoryError: some of what a squashed migration replaces is applied and some is not, or was
            changed after it was applied.
    """
    found = {each.id: each for each in rows}
    squash = history.squash
    old = replaced_rows(rows, squash) if squash else []
    if squash is None or not old:
        return found
    names = squash.migration.replaces
    last = found.get(squash.id)
    if last is None or not all(each.is_done and each.name in names for each in old):
        raise _in_the_middle(old, squash)
    changed = [each.name for each in old if not each.checksum.startswith(names[each.name])]
    if changed and not accept_changes:
        raise HistoryError(
            f"{squash.name} replaces {', '.join(changed)}, and this database has something else of that "
            "name than the files were. Compare it, oxidite db status --drift; if it is what the "
            "migrations make: oxidite db up --accept-changes."
        )
    for each in old:
        del found[each.id]
    took = sum(each.took_ms for each in old)
    made = replace(last, name=squash.name, checksum=squash.checksum, took_ms=took)
    return {squash.id: made, **found}


def replaced_rows(rows: Sequence[Applied], squash: Entry) -> list[Applied]:
    """Return the notes that a database has of what a squashed migration replaces."""
    old = [each for each in rows if int(each.id) <= int(squash.id)]
    return [] if any(each.name == squash.name for each in old) else old


def _in_the_middle(old: Sequence[Applied], squash: Entry) -> HistoryError:
    here = old[-1].name if old[-1].is_done else f"{old[-1].name}, which is not finished"
    end = list(squash.migration.replaces)[-1]
    return HistoryError(
        f"This database is at {here}, and {squash.name} replaces all up to {end}. Bring it there with the "
        "files as they were before: check out a version of the application that has them (git log "
        f"--diff-filter=D -- {squash.file.parent.name}/{end}.py tells where they went), run oxidite db up "
        f"--to {squash.id}, and come back to this version."
    )
