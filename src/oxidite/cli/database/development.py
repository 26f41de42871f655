"""``oxidite db push``, ``fresh`` and ``seed``."""

from __future__ import annotations

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say, write
from oxidite.cli.database.project import (
    Project,
    database_options,
    find_project,
    forbid_production,
    run,
)
from oxidite.cli.database.running import migrator
from oxidite.db import Database
from oxidite.db.migrations.push import Pushed, push_tables, wipe
from oxidite.db.seeds import Seeded, run_seeds
from oxidite.errors import ConfigError

__all__ = ["fresh", "push", "say_pushed", "seed"]

_REFUSED = 1


@click.command(cls=Command)
@database_options
def push(app: str | None, database: str | None) -> int:
    """Create tables, columns and indexes that models have and the database has not.

    For development, before there are migrations. Nothing is dropped and nothing is changed.

    Examples:
      OXIDITE_ENV=development oxidite db push
    """
    forbid_production("push changes a schema without a migration")
    project = find_project(app, database)
    if len(project.history()):
        raise ConfigError(
            "There are migrations, so the schema comes from them: oxidite db diff, then oxidite db up."
        )

    async def work() -> Pushed:
        async with project.database:
            return await push_tables(project.database, project.tables)

    pushed = run(work())
    say_pushed(pushed)
    if not pushed.made and not pushed.left:
        say("Everything is there already.")
    return 0


def say_pushed(pushed: Pushed) -> None:
    """Tell what was made."""
    for each in pushed.made:
        write(each)
    if pushed.left:
        say("Other than the models say, and left as it is (oxidite db fresh makes it anew):")
        for each in pushed.left:
            say(f"  {each}")


@click.command(cls=Command)
@database_options
@click.option("--seed", "with_seeds", is_flag=True, help="Run the seeders afterwards.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def fresh(app: str | None, database: str | None, with_seeds: bool, yes: bool) -> int:
    """Drop all tables and make them anew, by the migrations, or from the models if there are none.

    Refused in production. Else it wants to be told the name of the database, or --yes.

    Examples:
      OXIDITE_ENV=development oxidite db fresh --seed
    """
    forbid_production("fresh drops all tables")
    project = find_project(app, database)
    name = project.database.name or "default"
    if not yes:
        say(
            f"This drops {bold('all tables')} of the database {bold(name)}, with all that is in them."
        )
        typed: str = click.prompt(f"Type {name} to go on", err=True, default="", show_default=False)
        if typed != name:
            say("Nothing was done.")
            return _REFUSED
    run(_fresh(project, with_seeds=with_seeds))
    return 0


async def _fresh(project: Project, *, with_seeds: bool) -> None:
    async with project.database as database:
        dropped = await wipe(database)
        say(f"Dropped: {', '.join(dropped) or 'nothing'}.")
        if len(project.history()):
            await migrator(project).up()
        else:
            say_pushed(await push_tables(database, project.tables))
        if with_seeds:
            await _seed(database)


@click.command(cls=Command)
@database_options
def seed(app: str | None, database: str | None) -> int:
    """Run the seeders of the application, in their order.

    Examples:
      oxidite db seed
    """
    project = find_project(app, database)

    async def work() -> None:
        async with project.database as opened:
            await _seed(opened)

    run(work())
    return 0


async def _seed(database: Database) -> None:
    def told(done: Seeded) -> None:
        took = dim(f"{round(done.seconds * 1000)} ms")
        say(f"{click.style('✓', fg='green')} {bold(done.name)} {took}")

    if not await run_seeds(database, report=told):
        say("There are no seeds: functions under @seed, in a module that the application imports.")
