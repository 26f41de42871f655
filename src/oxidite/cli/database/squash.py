"""``oxidite db squash``: one migration in the place of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say, write
from oxidite.cli.database.project import Project, database_options, find_project, run
from oxidite.db.migrations import History, MigrationError, Migrator, QuestionError
from oxidite.db.migrations.squash import Squash, write_squash
from oxidite.db.migrations.squash import squash as squashed
from oxidite.db.migrations.writing import file_text

__all__ = ["squash"]


@click.command(cls=Command)
@click.argument("message", default="squashed")
@database_options
@click.option("--to", metavar="ID", help="Up to and with this one.  [the last one]")
@click.option(
    "--keep", multiple=True, metavar="ID", help="Its SQL is run in the squashed one, too."
)
@click.option("--leave-out", multiple=True, metavar="ID", help="Its SQL was for rows there were.")
@click.option("--dry-run", is_flag=True, help="Show the file instead of writing it.")
def squash(
    message: str,
    app: str | None,
    database: str | None,
    to: str | None,
    keep: Sequence[str],
    leave_out: Sequence[str],
    dry_run: bool,
) -> int:
    """Replace the migrations from the first one on by one that makes the same schema.

    A new database runs that one only; where all of those are applied it counts as applied. So every
    database that is to be kept is brought there first. It is tried in a database that is thrown away,
    and the files that it replaces are deleted.

    Examples:
      oxidite db squash
      oxidite db squash "first year" --to 0120
      oxidite db squash --keep 0007 --leave-out 0012
    """
    project = find_project(app, database)
    history = project.history()
    last = history.last if to is None else history.find(to)
    if last is None:
        raise MigrationError("There are no migrations to squash.")
    try:
        made = squashed(history, last, keep=keep, leave_out=leave_out)
    except QuestionError as exc:
        raise click.UsageError(exc.message) from None
    run(_try(project, history, made))
    if dry_run:
        write(file_text(made.change, message, last.id, None, replaces=made.replaces))
        return 0
    _tell(made, write_squash(history, made, message))
    return 0


async def _try(project: Project, history: History, made: Squash) -> None:
    """See to it that all of it is applied here, and that the squash makes what it made."""
    # Imported here: it imports SQLAlchemy and Alembic, which the rest does without.
    from oxidite.db.migrations.shadow import verify_squash

    async with project.database as database:
        states = {each.id: each.state for each in await Migrator(database, history).status()}
        open_ = [each for each in made.replaced if states.get(each.id) != "applied"]
        if open_:
            raise MigrationError(
                f"{open_[0].name} is {states.get(open_[0].id)} in this database: only what is applied is "
                "squashed. See oxidite db status, or squash less: --to."
            )
        await verify_squash(
            database, History(history.folder, made.replaced), made.change, made.schema
        )


def _tell(made: Squash, file: Path) -> None:
    for each in made.backfills:
        say(f"Left out: the backfill of {each}; a new database has no rows to fill.")
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    say(f"Written: {bold(str(shown))} {dim(f'(in the place of {len(made.replaced)} files)')}")
    say(
        f"Where {made.last.name} is applied it counts as applied; any other database is brought "
        "there first, with the files as they were."
    )
