"""The command ``oxidite dev``."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
from pathlib import Path

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say
from oxidite.cli.dev.supervisor import Supervisor
from oxidite.cli.dev.watch import watch
from oxidite.cli.options import Environment, app_argument, host_option, port_option, target
from oxidite.config.environment import VARIABLE
from oxidite.errors import MissingExtraError
from oxidite.servers import TLS, Settings, Target
from oxidite.servers.sockets import listening

__all__ = ["dev"]


@click.command(cls=Command)
@app_argument
@host_option
@port_option
@click.option("--poll", is_flag=True, help="Look at the files twice a second: for network folders.")
@click.option("--https", is_flag=True, help="Serve HTTPS with a certificate made for this machine.")
def dev(app: str | None, host: str | None, port: int | None, poll: bool, https: bool) -> int:
    """Serve the application while you write it.

    It reloads when a .py, .toml or .html file or .env changes. If the new code does not work, the
    last that did goes on serving, and shows why. OXIDITE_ENV is development.

    Examples:
      oxidite dev
      oxidite dev blog/main.py --port 8080
      oxidite dev blog.main:app --host 0.0.0.0
    """
    # For this process too: `.env` may say where to listen.
    os.environ[VARIABLE] = "development"
    environment = Environment.load().settings
    where = target(app)
    settings = Settings(
        host=host or environment.host,
        port=environment.port if port is None else port,
        tls=_certificate() if https else None,
    )
    with listening(settings) as (listener, held):
        say(f"Serving {where} on {bold(held.url)} {dim('(development, Ctrl-C stops it)')}")
        return asyncio.run(_supervise(where, listener, settings.tls, poll=poll))


async def _supervise(where: Target, listener: socket.socket, tls: TLS | None, *, poll: bool) -> int:
    async with watch(project_directory(where, Path.cwd()), poll=poll) as changes:
        return await Supervisor(where, listener, changes, tls).run()


def _certificate() -> TLS:
    if importlib.util.find_spec("cryptography") is None:
        raise MissingExtraError("https", needed_by="oxidite dev --https")
    from oxidite.cli.dev.certificate import AUTHORITY, cache_directory, development_tls

    directory = cache_directory()
    tls = development_tls(directory)
    say(
        dim(f"Browsers accept it once they trust {directory / AUTHORITY}, good for localhost only.")
    )
    return tls


def project_directory(where: Target, directory: Path) -> Path:
    """Return the directory whose files matter: the one with pyproject.toml, else the application's."""
    root = where.directory.resolve()
    directory = directory.resolve()
    is_project = (directory / "pyproject.toml").is_file() and root.is_relative_to(directory)
    return directory if is_project else root
