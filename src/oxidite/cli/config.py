"""``oxidite config``: settings, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import cast

import click
import msgspec

from oxidite.cli.commands import Command
from oxidite.cli.console import table, write
from oxidite.cli.options import Environment, app_argument, target
from oxidite.config import Loaded, Origin, Row, environment, load_with_origins
from oxidite.config.environment import VARIABLE, process_environment
from oxidite.errors import ConfigError
from oxidite.servers import Target

__all__ = ["config"]

_CLASS = "Settings"


@click.group()
def config() -> None:
    """Show settings and where they come from."""


@config.command(cls=Command)
@app_argument
@click.option(
    "--settings",
    metavar="MODULE:NAME",
    help="A settings class, or what load_with_origins returned.  [Settings beside the application]",
)
@click.option("--prefix", default="", help="The prefix of the variables, as given to load.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The TOML file, as given to load.",
)
@click.option("--table", "part", metavar="NAME", help="The part of the file that is meant.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show(
    app: str | None,
    settings: str | None,
    prefix: str,
    file: Path | None,
    part: str | None,
    as_json: bool,
) -> None:
    """Show every setting with its value and its origin; secrets are masked.

    What `oxidite` itself reads comes first, then the settings of the application.

    Examples:
      oxidite config show
      oxidite config show --settings blog.settings:Settings --prefix BLOG_ --file blog.toml
      oxidite config show --json
    """
    found = _named(settings) if settings else _beside(app)
    rows = [*_own()]
    if isinstance(found, Loaded):
        rows += found.rows()
    elif found is not None:
        rows += load_with_origins(found, prefix=prefix, file=file, table=part).rows()
    _print(rows, as_json=as_json)


def _own() -> Iterator[Row]:
    variable = Origin("environment", f"environment variable {VARIABLE}")
    origin = variable if process_environment().get(VARIABLE) else Origin("default")
    yield Row("environment", repr(environment()), origin)
    yield from Environment.load().rows()


def _named(said: str) -> Loaded[object] | type[object]:
    module, _, attribute = said.partition(":")
    where = target(module)
    found: object = where.load_module()
    try:
        found = attrgetter(attribute or _CLASS)(found)
    except AttributeError:
        raise ConfigError(f"{where.module} has no {attribute or _CLASS!r}.") from None
    if not isinstance(found, Loaded) and not _is_settings(found):
        raise ConfigError(
            f"{said} is neither a dataclass nor a Struct nor what load_with_origins returns."
        )
    return cast("Loaded[object] | type[object]", found)


def _beside(app: str | None) -> Loaded[object] | type[object] | None:
    """Return what the module of the application has for settings, if anything."""
    module = _module_of(target(app))
    for value in vars(module).values():
        if isinstance(value, Loaded):
            return value
    found = getattr(module, _CLASS, None)
    return cast("type[object]", found) if _is_settings(found) else None


def _module_of(where: Target) -> ModuleType:
    return where.load_module()


def _is_settings(value: object) -> bool:
    return isinstance(value, type) and (is_dataclass(value) or issubclass(value, msgspec.Struct))


def _print(rows: Iterable[Row], *, as_json: bool) -> None:
    if as_json:
        found = [
            {
                "name": row.name,
                "value": row.value,
                "origin": row.origin.kind,
                "place": row.origin.place,
            }
            for row in rows
        ]
        write(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    table(("SETTING", "VALUE", "FROM"), [(row.name, row.value, str(row.origin)) for row in rows])
