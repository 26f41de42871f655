"""The ``oxidite`` command itself: what there is, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from oxidite import __version__
from oxidite.cli.commands import Lazy, LazyGroup
from oxidite.cli.console import fail, say
from oxidite.errors import OxiditeError

__all__ = ["cli", "main"]

COMMANDS = {
    "dev": Lazy("oxidite.cli.dev.command:dev", "Serve while you write: reloads on every change."),
    "serve": Lazy("oxidite.cli.serve:serve", "Serve in production."),
    "routes": Lazy("oxidite.cli.routes:routes", "List the routes of the application."),
    "openapi": Lazy("oxidite.cli.openapi:openapi", "Write the OpenAPI document; compare two."),
    "db": Lazy("oxidite.cli.database.group:db", "Migrations: diff, up, down, status and more."),
    "queue": Lazy("oxidite.cli.queue.group:queue", "Jobs: work, list, show, retry and more."),
    "cron": Lazy("oxidite.cli.queue.group:cron", "Schedules: list, next, run, enable, disable."),
    "cache": Lazy("oxidite.cli.cache.group:cache", "The cache: stats, inspect, clear and more."),
    "config": Lazy("oxidite.cli.config:config", "Show settings and where they come from."),
    "version": Lazy("oxidite.cli.version:version", "Show the versions of everything involved."),
}

_FAILED, _INTERRUPTED = 1, 130


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The application is named as app.py, blog/main.py, blog.main or blog.main:app; else it is "
    'the [tool.oxidite] app = "blog.main:app" of pyproject.toml, else app.py, else main.py.',
)
@click.version_option(__version__, prog_name="oxidite", message="%(prog)s %(version)s")
def cli() -> None:
    """Oxidite, a web framework with batteries.

    Examples:
      oxidite dev                     serve app.py, reload on every change
      oxidite serve blog.main:app     serve in production
      oxidite routes --filter users   list the routes that have "users" in them
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 for a failure, 2 for usage, 130 for Ctrl-C."""
    prog_name = "oxidite" if not sys.argv[0].endswith("__main__.py") else "python -m oxidite"
    try:
        code: object = cli.main(args, prog_name=prog_name, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except OxiditeError as exc:
        fail(exc.message)
        return _FAILED
    except (click.Abort, KeyboardInterrupt):
        say("Stopped.")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0
