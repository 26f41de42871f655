"""The command ``oxidite db`` and what is below it."""

from __future__ import annotations

import click

from oxidite.cli.commands import Lazy, LazyGroup

__all__ = ["db"]

COMMANDS = {
    "diff": Lazy("oxidite.cli.database.diff:diff", "Write a migration of what changed in models."),
    "up": Lazy("oxidite.cli.database.running:up", "Apply what is pending."),
    "down": Lazy("oxidite.cli.database.running:down", "Undo migrations."),
    "status": Lazy("oxidite.cli.database.standing:status", "Show what is applied and pending."),
    "plan": Lazy("oxidite.cli.database.standing:plan", "Show the SQL that `up` would run."),
    "lint": Lazy("oxidite.cli.database.standing:lint", "Find what would lock or break things."),
    "show": Lazy("oxidite.cli.database.standing:show", "Show the schema that the migrations make."),
    "rebase": Lazy(
        "oxidite.cli.database.rebase:rebase", "Put a branch's migrations behind others."
    ),
    "inspect": Lazy("oxidite.cli.database.inspect:inspect", "Write models of tables there are."),
    "squash": Lazy("oxidite.cli.database.squash:squash", "Put one migration in the place of many."),
    "push": Lazy("oxidite.cli.database.development:push", "Create what is missing (development)."),
    "fresh": Lazy("oxidite.cli.database.development:fresh", "Make it anew (development)."),
    "seed": Lazy("oxidite.cli.database.development:seed", "Run the seeders."),
    "shell": Lazy("oxidite.cli.database.shell:shell", "A Python prompt with models and database."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def db() -> None:
    """Bring the database to what the models say, by migrations that are reviewed like any code.

    Examples:
      oxidite db diff "add user age"   write migrations/0007_add_user_age.py
      oxidite db up                    apply what is pending
      oxidite db down                  undo the last one
      oxidite db status                what is applied, what is pending
    """
