"""``oxidite db up`` and ``down``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import takewhile

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say
from oxidite.cli.database.project import (
    Project,
    database_options,
    find_project,
    phase_option,
    run,
)
from oxidite.cli.database.standing import write_plan
from oxidite.db.migrations import Entry, Phase
from oxidite.db.migrations.migrator import Migrator
from oxidite.db.migrations.runner import Progress
from oxidite.db.migrations.tracking import Applied

__all__ = ["down", "migrator", "up"]

_INTERRUPTED = 130


def migrator(project: Project, *, wait: float = 600.0, lock_timeout: float = 5.0) -> Migrator:
    """Return what migrates, telling how it goes."""

    def began(entry: Entry) -> None:
        say(f"{entry.name} {dim('…')}")

    def ended(entry: Entry, took: int) -> None:
        say(f"{click.style('✓', fg='green')} {bold(entry.name)} {dim(f'{took} ms')}")

    def told(progress: Progress) -> None:
        if progress.rows is not None:
            # On a terminal one line is written over, else a log would have thousands of them.
            end = "\r" if sys.stderr.isatty() else "\n"
            click.echo(f"  {progress.rows} rows filled", err=True, nl=False)
            click.echo(end, err=True, nl=False)
        else:
            say(f"  tried again: {progress.again}")

    return Migrator(
        project.database,
        project.history(),
        wait=wait,
        lock_timeout=lock_timeout,
        began=began,
        ended=ended,
        told=told,
        waiting=lambda: say("Another process is migrating this database; waiting for it …"),
    )


@click.command(cls=Command)
@database_options
@click.option("--to", metavar="ID", help="Up to and with this one.")
@phase_option
@click.option("--dry-run", is_flag=True, help="Show the SQL, run nothing.")
@click.option("--wait", type=click.FloatRange(0), default=600.0, help="Seconds to wait.  [600]")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(0.1),
    default=5.0,
    help="Seconds a statement waits for a table before it is tried again.  [5]",
)
@click.option(
    "--accept-changes", is_flag=True, help="Take changed files of applied ones as they are."
)
def up(
    app: str | None,
    database: str | None,
    to: str | None,
    phase: Phase | None,
    dry_run: bool,
    wait: float,
    lock_timeout: float,
    accept_changes: bool,
) -> int:
    """Apply the migrations that are pending.

    One process migrates, others wait. Where the database allows it, each migration happens as a whole
    or not at all; else the error says what stays, and the next `up` goes on there.

    With --phase expand it ends before the first migration of the phase contract: what waits there is
    for when no version runs any more that was started before.

    Examples:
      oxidite db up
      oxidite db up --phase expand          before the new version is started
      oxidite db up --to 0007
      oxidite db up --dry-run
    """
    project = find_project(app, database)
    made = migrator(project, wait=wait, lock_timeout=lock_timeout)

    left: list[Entry] = []

    async def work() -> Sequence[Applied]:
        async with project.database:
            if dry_run:
                write_plan(await made.plan(to=to, phase=phase))
                return []
            applied = await made.up(to=to, phase=phase, accept_changes=accept_changes)
            left.extend(await made.pending() if phase is not None and to is None else ())
            return applied

    try:
        done = run(work())
    except KeyboardInterrupt:
        say("Stopped. What is done stays done; `oxidite db up` goes on from there.")
        return _INTERRUPTED
    if not dry_run:
        nothing = "Nothing was to be done." if left else "Nothing is pending."
        say(f"{_counted(len(done))} applied." if done else nothing)
        _say_left(left)
    return 0


def _say_left(left: Sequence[Entry]) -> None:
    """Tell what waits, and what for."""
    if not left:
        return
    if left[0].migration.phase == "contract":
        say(
            f"Waiting (contract): {', '.join(_contract(left))}. When no version runs any more that was "
            "started before: oxidite db up --phase contract"
        )
        behind = left[len(_contract(left)) :]
        if behind:
            say(f"Behind that: {', '.join(each.name for each in behind)}.")
        return
    say(
        f"Waiting: {', '.join(each.name for each in left)}. They come before a version is started that needs "
        "them: oxidite db up --phase expand"
    )


def _contract(left: Sequence[Entry]) -> list[str]:
    return [each.name for each in takewhile(lambda one: one.migration.phase == "contract", left)]


@click.command(cls=Command)
@database_options
@click.option("--steps", type=click.IntRange(1), help="How many.  [1]")
@click.option("--batch", is_flag=True, help="All that the last `up` applied.")
@click.option("--to", metavar="ID", help="All after this one; 0 for all.")
def down(
    app: str | None, database: str | None, steps: int | None, batch: bool, to: str | None
) -> int:
    """Undo migrations: the last one, or as many as said.

    Examples:
      oxidite db down
      oxidite db down --batch
      oxidite db down --to 0004
    """
    if sum((steps is not None, batch, to is not None)) > 1:
        raise click.UsageError("--steps, --batch and --to: one of them.")
    project = find_project(app, database)

    async def work() -> Sequence[Applied]:
        async with project.database:
            return await migrator(project).down(steps=steps or 1, batch=batch, to=to)

    done = run(work())
    say(f"{_counted(len(done))} undone." if done else "Nothing is applied.")
    return 0


def _counted(count: int) -> str:
    return "1 migration" if count == 1 else f"{count} migrations"
