"""``oxidite db inspect``: models of a database that is there already."""

from __future__ import annotations

from collections.abc import Sequence

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import write
from oxidite.cli.database.project import database_options, find_project, run
from oxidite.db import Database

__all__ = ["inspect"]


@click.command(cls=Command)
@click.argument("url", required=False)
@database_options
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this one.")
def inspect(url: str | None, app: str | None, database: str | None, tables: Sequence[str]) -> int:
    """Write models of the tables that a database has: that of the URL, else the application's.

    What no model says, such as a foreign key of several columns, stands there as a comment.

    Examples:
      oxidite db inspect postgresql://localhost/shop > models.py
      oxidite db inspect --table users --table orders
    """
    found = find_project(app, database).database if url is None else Database.from_url(url)
    write(run(_models(found, tables)).rstrip("\n"))
    return 0


async def _models(database: Database, tables: Sequence[str]) -> str:
    # Imported here: it imports SQLAlchemy.
    from oxidite.db.inspection.reading import read_tables
    from oxidite.db.inspection.writing import models_text

    async with database:
        return models_text(await read_tables(database, tables), database.dialect)
