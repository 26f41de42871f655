"""``oxidite serve``: the application in production."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack, cast

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say
from oxidite.cli.database.behind import check_schema
from oxidite.cli.options import (
    Environment,
    app_argument,
    host_option,
    port_option,
    target,
    with_hint,
)
from oxidite.cli.serve_options import (
    Others,
    QueuesType,
    limit_options,
    limits_of,
    tls_of,
    tls_options,
)
from oxidite.servers import (
    SERVERS,
    AccessLog,
    Application,
    HTTPVersions,
    ImportFailedError,
    Interface,
    Server,
    Settings,
    Target,
    WorkerPlan,
    choose_interface,
    choose_server,
    examine,
)
from oxidite.servers.tls import check_tls

__all__ = ["serve"]


@click.command(cls=Command)
@app_argument
@host_option
@port_option
@click.option("--uds", type=click.Path(path_type=Path), help="Listen on this Unix socket instead.")
@click.option("--fd", type=click.IntRange(0), help="Listen on this inherited descriptor instead.")
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
    "--access-log",
    type=click.Choice(["text", "json"]),
    help="Write a line for each request to standard output, for people or for programs.",
)
@click.option("--with-worker", is_flag=True, help="Run jobs too: of all processes one does.")
@click.option(
    "--worker-queues",
    type=QueuesType(),
    default="default",
    show_default=True,
    metavar="NAME[=WEIGHT],…",
    help="Of which queues, asked first as often as their weights say.",
)
@click.option(
    "--worker-concurrency",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many jobs run at once.",
)
@click.option("--allow-pending", is_flag=True, help="Serve although migrations are pending.")
@limit_options
@tls_options
def serve(
    app: str | None,
    host: str | None,
    port: int | None,
    uds: Path | None,
    fd: int | None,
    server: str | None,
    interface: str,
    access_log: str | None,
    allow_pending: bool,
    with_worker: bool,
    worker_queues: dict[str, int],
    worker_concurrency: int,
    **others: Unpack[Others],
) -> int:
    """Serve the application in production.

    Without OXIDITE_ENV it is production. SIGTERM ends it: requests may finish first. It does not start
    while migrations of its database are pending.

    Examples:
      oxidite serve
      oxidite serve blog.main:app --host 0.0.0.0 --workers auto
      oxidite serve --port 443 --tls-cert chain.pem --tls-key key.pem
      oxidite serve --workers 4 --with-worker
      oxidite serve --uds /run/blog.sock --server uvicorn
    """
    environment = Environment.load().settings
    settings = Settings(
        host=host or environment.host,
        port=environment.port if port is None else port,
        uds=uds,
        fd=fd,
        access_log=cast("AccessLog | None", access_log),
        tls=tls_of(others, environment.tls_key_password),
        http=cast("HTTPVersions", others["http"]),
        http3=others["http3"],
        **limits_of(others, environment.web_concurrency),
    )
    wanted = None if interface == "auto" else cast("Interface", interface)
    where = target(app)
    if with_worker:
        queues = tuple(worker_queues.items())
        plan = WorkerPlan(queues, worker_concurrency, processes=settings.workers)
        where = replace(where, worker=plan)
    check_schema(where, allow_pending=allow_pending)
    return run(where, choose_server(server), settings, wanted)


def run(where: Target, server: Server, settings: Settings, wanted: Interface | None = None) -> int:
    """Look at the application, say what serves it and why so, and serve; return the exit code."""
    if settings.tls is not None:
        check_tls(settings.tls)
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
