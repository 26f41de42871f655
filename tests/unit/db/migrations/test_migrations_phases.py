"""Phases: what comes before a new version is started, and what comes when no old one runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from oxidite.db import Database
from oxidite.db.migrations import (
    History,
    Migration,
    MigrationError,
    Migrator,
    PendingMigrationsError,
    Phase,
)

from .support import USERS, add_migration, write_history

NICK = 'op.add_column("users", column("nick", "text", nullable=True))'


def _history(folder: Path, *phases: Phase | None) -> History:
    """Write a first migration, and after it one of each of these phases."""
    write_history(folder, USERS)
    for number, phase in enumerate(phases, 2):
        options = "" if phase is None else f', phase="{phase}"'
        body = f'op.add_column("users", column("c{number}", "text", nullable=True))'
        back = f'op.drop_column("users", "c{number}")'
        add_migration(folder, number, phase or "plain", body, back, options=options)
    return History.load(folder)


async def test_expand_ends_before_what_only_the_new_version_can_live_with(
    db: Database, tmp_path: Path
) -> None:
    history = _history(tmp_path / "m", "expand", None, "contract", "expand", "contract")
    migrator = Migrator(db, history)

    planned = await migrator.plan(phase="expand")
    done = await migrator.up(phase="expand")

    assert [each.id for each in done] == ["0001", "0002", "0003"]
    assert [each.name for each in planned] == ["0001_users", "0002_expand", "0003_plain"]
    assert [each.phase for each in planned] == [None, "expand", None]
    assert [(each.state, each.phase) for each in await migrator.status()][1:] == [
        ("applied", "expand"),
        ("applied", None),
        ("pending", "contract"),
        ("pending", "expand"),
        ("pending", "contract"),
    ]
    assert await migrator.up(phase="expand") == []
    # The order is kept: what is of expand waits for the contract before it.
    assert [each.id for each in await migrator.up(phase="contract")] == ["0004"]
    assert await migrator.plan(phase="contract") == []
    assert await migrator.up(phase="contract") == []
    assert [each.id for each in await migrator.up()] == ["0005", "0006"]


async def test_a_version_starts_before_what_is_for_when_it_runs(
    db: Database, tmp_path: Path
) -> None:
    migrator = Migrator(db, _history(tmp_path / "m", "expand", "contract"))
    with pytest.raises(
        PendingMigrationsError, match=r"2 pending:[^3]*0002_expand \(expand\)"
    ) as no:
        await migrator.check()
    assert no.value.message.endswith("Apply them first: oxidite db up --phase expand")

    await migrator.up(phase="expand")

    await migrator.check()
    assert [each.id for each in await migrator.pending()] == ["0003"]
    # And the one that runs can be started again, which knows nothing of what came since.
    await Migrator(db, _history(tmp_path / "older")).check()


async def test_a_version_does_not_start_before_what_it_needs_behind_a_contract(
    db: Database, tmp_path: Path
) -> None:
    migrator = Migrator(db, _history(tmp_path / "m", "contract", "expand", "contract"))
    await migrator.up(phase="expand")
    with pytest.raises(PendingMigrationsError) as no:
        await migrator.check()
    assert "0002_contract (contract)\n    0003_expand (expand)\n\n" in no.value.message
    assert "is no version running any more that needs what they take away?" in no.value.message
    await migrator.up(to="0003")
    await migrator.check()


def test_a_phase_is_one_of_two() -> None:
    with pytest.raises(MigrationError, match=r"'later'\. There is: expand, contract"):
        Migration(id="0001", after=None, phase="later")  # type: ignore[arg-type]  # that is the point


async def test_a_rebased_migration_keeps_its_phase(tmp_path: Path) -> None:
    from oxidite.db.migrations.rebase import rebase

    folder = tmp_path / "m"
    _history(folder, "expand", "contract")
    file = add_migration(folder, 3, "mine", NICK, "pass", options=', phase="expand"')
    file.write_text(file.read_text().replace('after="0002"', 'after="0001"'))
    moved = rebase(folder, ["0003_mine"])
    assert [each.new for each in moved] == ["0004_mine"]
    assert [each.migration.phase for each in History.load(folder).entries] == [
        None,
        "expand",
        "contract",
        "expand",
    ]
