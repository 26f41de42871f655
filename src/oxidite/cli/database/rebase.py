"""``oxidite db rebase``: two branches, one history."""

from __future__ import annotations

from collections.abc import Sequence

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, say
from oxidite.cli.database.project import database_options, find_project
from oxidite.db.migrations import QuestionError
from oxidite.db.migrations.rebase import rebase as put_behind

__all__ = ["rebase"]


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@database_options
def rebase(names: Sequence[str], app: str | None, database: str | None) -> int:
    """Put migrations of a branch behind those of another, after a merge.

    Name those that no other database has yet. They get new numbers, and HEAD is written anew. Files
    are changed only if the history works in that order.

    Examples:
      oxidite db rebase                        which are beside each other?
      oxidite db rebase 0007_add_user_age
    """
    project = find_project(app, database)
    try:
        moved = put_behind(project.folder, names)
    except QuestionError as exc:
        raise click.UsageError(exc.message) from None
    for each in moved:
        say(f"{each.old} is {bold(each.new)} now.")
    shared = sorted({name for each in moved for name in each.shared})
    if shared:
        say(f"Both branches change {', '.join(shared)}: read them once more together.")
    if moved:
        say("Was it applied to your own database? Then `oxidite db fresh`, or undo it there first.")
    else:
        say("The migrations are one after the other; HEAD says so.")
    return 0
