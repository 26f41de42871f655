"""What the commands of ``oxidite db`` work with: the application's database, models and migrations."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from oxidite.app import Oxidite
from oxidite.cli.database.folder import migrations_folder
from oxidite.cli.locate import tool_table
from oxidite.cli.options import load_app
from oxidite.config import environment
from oxidite.config.environment import VARIABLE
from oxidite.db import Database, Table
from oxidite.db.migrations import History
from oxidite.db.migrations.migration import PHASES
from oxidite.db.migrations.models import tables_of
from oxidite.errors import ConfigError

__all__ = [
    "Project",
    "database_options",
    "databases_of",
    "find_project",
    "forbid_production",
    "phase_option",
    "run",
]

C = TypeVar("C", bound=Callable[..., object])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Project:
    """An application, one of its databases, and the folder of that one's migrations."""

    app: Oxidite
    database: Database
    folder: Path

    @property
    def tables(self) -> list[Table]:
        """The tables of the models that live there."""
        return tables_of(self.database.name)

    def history(self) -> History:
        """Read the migrations."""
        return History.load(self.folder)


def database_options(command: C) -> C:
    """Give a command the options --app and --database."""
    command = click.option(
        "--database", metavar="NAME", help="Which database.  [the one without a name]"
    )(command)
    return click.option("--app", metavar="APP", help="The application.  [that of the project]")(
        command
    )


def phase_option(command: C) -> C:
    """Give a command the option --phase."""
    return click.option(
        "--phase",
        type=click.Choice(PHASES),
        help="Only what comes before a deployment (expand), or only what comes after it (contract).",
    )(command)


def find_project(app: str | None, database: str | None) -> Project:
    """Import the application and return what a command is about.

    Raises:
        ConfigError: it has no such database.
    """
    found = load_app(app)
    if not isinstance(found, Oxidite):
        raise ConfigError(
            f"This is a {type(found).__name__}: only an Oxidite application has databases."
        )
    directory = Path.cwd()
    for each in _words(tool_table(directory).get("models", []), "models"):
        importlib.import_module(each)
    chosen = _chosen(databases_of(found), database)
    folder = migrations_folder(directory)
    return Project(found, chosen, folder / chosen.name if chosen.name else folder)


def _words(said: object, name: str) -> Sequence[str]:
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise ConfigError(
            f'pyproject.toml: [tool.oxidite] {name} is a list such as ["blog.models"].'
        )
    return said


def databases_of(app: Oxidite) -> list[Database]:
    """Return the databases of an application."""
    return [each for each in app.lifespan.resources if isinstance(each, Database)]


def _chosen(found: Sequence[Database], name: str | None) -> Database:
    for each in found:
        if each.name == name:
            return each
    if not found:
        raise ConfigError(
            "The application has no database: Oxidite(resources=[Database.from_url(…)])."
        )
    names = ", ".join(each.name or "(the one without a name)" for each in found)
    raise ConfigError(
        f"The application has no database named {name!r}. It has: {names}."
        if name
        else f"All databases of the application have names: --database with one of {names}."
    )


def forbid_production(what: str) -> None:
    """Refuse to do in production what is for development.

    Raises:
        ConfigError: this is production.
    """
    if environment() == "production":
        raise ConfigError(
            f"{what}, so it is refused in production, which this is unless {VARIABLE} says otherwise. "
            f"On your own machine: {VARIABLE}=development oxidite db …"
        )


def run(work: Coroutine[object, object, T]) -> T:
    """Run what a command does."""
    return asyncio.run(work)
