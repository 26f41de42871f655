"""Whether the database is where the application wants it, before that is served."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from oxidite.app import Oxidite
from oxidite.cli.console import say
from oxidite.cli.database.folder import migrations_folder
from oxidite.config import environment
from oxidite.errors import ConfigError, OxiditeError
from oxidite.servers import Target, TargetError

__all__ = ["check_schema"]


def check_schema(target: Target, *, allow_pending: bool) -> None:
    """Refuse to serve an application whose database is behind it; in development only say so.

    It is loaded in a process that is thrown away: this one must not have connections that workers
    would inherit.

    Raises:
        ConfigError: a migration is pending, or the database cannot be asked.
    """
    folder = migrations_folder(Path.cwd())
    if not any(folder.glob("**/[0-9]*.py")):
        return
    fork = sys.platform == "linux"
    context = multiprocessing.get_context("fork") if fork else multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(target, folder, theirs))
    process.start()
    theirs.close()
    try:
        found: str = ours.recv()
    except EOFError:
        return  # whoever loads the application to serve it says what is wrong with it
    finally:
        process.kill()
        process.join()
        ours.close()
    if not found:
        return
    if environment() == "production" and not allow_pending:
        raise ConfigError(f"{found}\nTo serve all the same: --allow-pending")
    say(f"Warning: {found}")


def _look(target: Target, folder: Path, pipe: Connection) -> None:
    try:
        app = target.load()
    except TargetError:
        return
    try:
        pipe.send("\n".join(_problems(app, folder)) if isinstance(app, Oxidite) else "")
    except OxiditeError as exc:
        pipe.send(exc.message)


def _problems(app: Oxidite, folder: Path) -> Iterator[str]:
    # Not at the top: an application without a database pays nothing for this.
    from oxidite.cli.database.project import databases_of
    from oxidite.db import Database
    from oxidite.db.migrations import History, MigrationError
    from oxidite.db.migrations.migrator import Migrator

    async def check(database: Database) -> None:
        history = History.load(folder / database.name if database.name else folder)
        if len(history):
            async with database:
                await Migrator(database, history).check()

    for each in databases_of(app):
        try:
            asyncio.run(check(each))
        except MigrationError as exc:
            yield exc.message
