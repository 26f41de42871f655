"""Tables for the first run of ``oxidite dev``: an application without migrations has them at once."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from oxidite.app import Oxidite
from oxidite.cli.console import bold, say
from oxidite.cli.database.folder import migrations_folder

if TYPE_CHECKING:
    from oxidite.db import Database

__all__ = ["add_first_tables"]


def add_first_tables(app: Oxidite, directory: Path) -> None:
    """Have an application, once its databases are open, make the tables that are missing.

    With migrations it says what is pending instead. Nothing is ever dropped.
    """
    if "oxidite.db" not in sys.modules:
        return
    from oxidite.cli.database.project import databases_of

    folder = migrations_folder(directory)
    resources = app.lifespan.resources
    for each in databases_of(app):
        # Right behind it: what is opened later may want the tables.
        place = resources.index(each) + 1
        resources.insert(place, FirstTables(each, folder / each.name if each.name else folder))


class FirstTables(AbstractAsyncContextManager["FirstTables"]):
    """A resource that makes tables when it is opened."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    async def __aenter__(self) -> FirstTables:
        from oxidite.db.migrations import History
        from oxidite.db.migrations.migrator import Migrator
        from oxidite.db.migrations.models import tables_of

        history = History.load(self._folder)
        if len(history):
            pending = await Migrator(self._database, history).pending()
            if pending:
                names = ", ".join(each.name for each in pending)
                say(f"Pending migrations: {names}. {bold('oxidite db up')} applies them.")
            return self
        tables = tables_of(self._database.name)
        if tables:
            from oxidite.db.migrations.push import push_tables

            pushed = await push_tables(self._database, tables)
            if pushed.made:
                say("Made in the database, as there are no migrations yet:")
            for each in pushed.made:
                say(f"  {each}")
            for each in pushed.left:
                say(f"Not as the models say: {each}. {bold('oxidite db fresh')} makes it anew.")
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
