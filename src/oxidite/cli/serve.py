"""``oxidite serve``: the application in production."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say
from oxidite.cli.options import (
    Environment,
    app_argument,
    host_option,
    port_option,
    target,
    with_hint,
)
from oxidite.servers import (
    SERVERS,
    TLS,
    Application,
    ImportFailedError,
    Interface,
    Server,
    Settings,
    Target,
    choose_interface,
    choose_server,
    examine,
)

__all__ = ["serve"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(cls=Command)
@app_argument
@host_option
@port_option
@click.option("--uds", type=click.Path(path_type=Path), help="Listen on this Unix socket instead.")
@click.option("--fd", type=click.IntRange(0), help="Listen on this inherited descriptor instead.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="How many processes.  [$WEB_CONCURRENCY, else 1]",
)
@click.option(
    "--server",
    type=click.Choice(list(SERVERS)),
    help="Which server.  [granian if it is installed, else uvicorn]",
)
@click.option(
    "--interface",
    type=click.Choice(["auto", "asgi", "rsgi"]),
    default="auto",
    help="How the server talks to the application.  [rsgi if every answer is known to be complete]",
)
@click.option(
    "--graceful-timeout",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long requests may take to finish at the end.",
)
@click.option("--access-log", is_flag=True, help="Write a line for each request.")
@click.option("--certificate", type=_FILE, help="A certificate with its chain, PEM: serve HTTPS.")
@click.option("--key", type=_FILE, help="The key of the certificate, PEM.")
def serve(
    app: str | None,
    host: str | None,
    port: int | None,
    uds: Path | None,
    fd: int | None,
    workers: int | None,
    server: str | None,
    interface: str,
    graceful_timeout: float,
    access_log: bool,
    certificate: Path | None,
    key: Path | None,
) -> int:
    """Serve the application in production.

    Without OXIDITE_ENV it is production. SIGTERM ends it: requests may finish first.

    Examples:
      oxidite serve
      oxidite serve blog.main:app --host 0.0.0.0 --workers 4
      oxidite serve --uds /run/blog.sock --server uvicorn
    """
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key belong together.")
    environment = Environment.load().settings
    settings = Settings(
        host=host or environment.host,
        port=environment.port if port is None else port,
        uds=uds,
        fd=fd,
        workers=workers or environment.web_concurrency,
        graceful_timeout=graceful_timeout,
        access_log=access_log,
        tls=TLS(certificate=certificate, key=key) if certificate and key else None,
    )
    wanted = None if interface == "auto" else cast("Interface", interface)
    return run(target(app), choose_server(server), settings, wanted)


def run(where: Target, server: Server, settings: Settings, wanted: Interface | None = None) -> int:
    """Look at the application, say what serves it and why so, and serve; return the exit code."""
    try:
        app, interface, reason = _prepare(where, server, settings, wanted)
    except ImportFailedError as exc:
        raise with_hint(exc) from None
    chosen = f"{server.name} {server.version}, {interface.upper()}"
    say(f"{bold(chosen)} {dim(f'(because {reason})')}")

    def announce(held: Settings) -> None:
        say(f"Serving {where} on {bold(held.url)}")

    return server.run(app, settings, interface=interface, announce=announce)


def _prepare(
    where: Target, server: Server, settings: Settings, wanted: Interface | None
) -> tuple[Application, Interface, str]:
    if server.runs_here(settings):
        app = where.load()
        return app, *choose_interface(app, rsgi=server.speaks_rsgi, wanted=wanted)
    return where, *examine(where, rsgi=server.speaks_rsgi, wanted=wanted)
