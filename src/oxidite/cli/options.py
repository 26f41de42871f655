"""What several commands take: the application, the address, and their settings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import click
from msgspec import Meta

from oxidite.cli.locate import locate
from oxidite.config import Loaded, Secret, environment, load_with_origins
from oxidite.config.environment import VARIABLE
from oxidite.servers import ImportFailedError, Target

__all__ = [
    "Environment",
    "app_anyhow",
    "app_argument",
    "app_option",
    "host_option",
    "json_option",
    "load_app",
    "port_option",
    "target",
    "with_hint",
]

C = TypeVar("C", bound=Callable[..., object])
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the commands read from the environment."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    web_concurrency: Annotated[int, Meta(ge=1)] = 1
    tls_key_password: Secret[str] | None = None

    @classmethod
    def load(cls) -> Loaded[Environment]:
        """Read it, with where each value comes from.

        Raises:
            SettingsError: a value does not fit.
        """
        return load_with_origins(cls)


def app_argument(command: C) -> C:
    """Give a command the argument APP."""
    return click.argument("app", required=False)(command)


def app_option(command: C) -> C:
    """Give a command the option --app."""
    return click.option("--app", metavar="APP", help="The application.  [that of the project]")(
        command
    )


def app_anyhow(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command the argument APP, and --app for who says it so, as others do."""

    @functools.wraps(command)
    def merged(*args: object, first: str | None, app: str | None, **rest: object) -> T:
        if first is not None and app is not None:
            raise click.UsageError(f"The application is said twice: {first}, and --app {app}.")
        return command(*args, app=app if first is None else first, **rest)

    return click.argument("first", metavar="[APP]", required=False)(app_option(merged))


def host_option(command: C) -> C:
    """Give a command the option --host."""
    return click.option("--host", metavar="HOST", help="Where to listen.  [$HOST, else 127.0.0.1]")(
        command
    )


def json_option(command: C) -> C:
    """Give a command the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(command)


def port_option(command: C) -> C:
    """Give a command the option --port."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="The port; 0 is any free one.  [$PORT, else 8000]",
    )(command)


def target(app: str | None) -> Target:
    """Return where the application is that a command is about."""
    return locate(app, Path.cwd())


def load_app(app: str | None) -> object:
    """Return the application that a command is about, imported into this process."""
    found = target(app)
    try:
        return found.load()
    except ImportFailedError as exc:
        raise with_hint(exc) from None


def with_hint(error: ImportFailedError) -> ImportFailedError:
    """Say that a ``.env`` was not read, if it might be that which is missing."""
    if Path(".env").is_file() and environment() != "development":
        error.args = (
            f"{error.message}\n\n.env is read in development only: {VARIABLE}=development",
        )
    return error
