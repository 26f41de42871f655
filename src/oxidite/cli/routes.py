"""``oxidite routes``: what the application answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
import msgspec

from oxidite.app import Oxidite
from oxidite.cli.commands import Command
from oxidite.cli.console import say, table, write
from oxidite.cli.options import app_argument, load_app
from oxidite.errors import ConfigError
from oxidite.http.middleware import middleware_name
from oxidite.routing.route import Route
from oxidite.routing.tree import ANY_METHOD
from oxidite.servers.interface import is_mount

__all__ = ["routes"]


class Line(msgspec.Struct, frozen=True):
    """One route, as it is listed."""

    methods: list[str]
    path: str
    name: str
    handler: str
    """``file:line name()``; empty for a mounted application."""
    middleware: list[str]
    """Outermost first, the application's own before the route's."""
    host: str | None
    tags: list[str]
    complete: bool
    """Whether every response is known to be complete bytes."""
    version: str | None = None
    """The version of the API that it belongs to."""
    deprecated: bool = False
    """Whether that version should not be used any more."""

    def has(self, text: str) -> bool:
        """Tell whether ``text`` is somewhere in what is shown, whatever its case."""
        return any(text.casefold() in cell.casefold() for cell in self.cells())

    def versions(self) -> tuple[str]:
        """Return the column of versions."""
        return (f"{self.version or ''}{' (deprecated)' if self.deprecated else ''}",)

    def cells(self) -> Iterator[str]:
        """Yield the columns."""
        yield " ".join(self.methods)
        yield f"{self.host or ''}{self.path}"
        yield self.name
        yield self.handler or "(mounted)"
        yield str(len(self.middleware) or "")


@click.command(cls=Command)
@app_argument
@click.option("--filter", "text", metavar="TEXT", help="Only routes that have TEXT somewhere.")
@click.option("--middleware", is_flag=True, help="Show what each request passes on its way.")
@click.option("--versions", is_flag=True, help="Show the version of the API each belongs to.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def routes(
    app: str | None, text: str | None, middleware: bool, versions: bool, as_json: bool
) -> None:
    """List the routes: methods, path, name, handler, and through how many middlewares.

    HEAD (where there is GET) and OPTIONS are answered by themselves.

    Examples:
      oxidite routes
      oxidite routes blog.main:app --filter users
      oxidite routes --json | jq '.[].path'
    """
    found = load_app(app)
    if not isinstance(found, Oxidite):
        raise ConfigError(
            f"This is a {type(found).__name__}: only an Oxidite application can list its routes."
        )
    lines = [_line(found, route) for route in found.routes]
    lines = [line for line in lines if text is None or line.has(text)]
    if as_json:
        write(msgspec.json.format(msgspec.json.encode(lines)).decode())
    elif not lines:
        say("No routes." if text is None else f"No route has {text!r} in it.")
    elif middleware:
        _write_chains(lines)
    else:
        headings = ("METHODS", "PATH", "NAME", "HANDLER", "MIDDLEWARE")
        table(
            (*(["VERSION"] if versions else []), *headings),
            [(*(line.versions() if versions else ()), *line.cells()) for line in lines],
        )


def _line(app: Oxidite, route: Route) -> Line:
    return Line(
        methods=["ANY" if each == ANY_METHOD else each for each in route.methods],
        path=route.path,
        name=route.name,
        handler="" if is_mount(route) else route.where,
        middleware=[middleware_name(each) for each in (*app.middleware, *route.middleware)],
        host=".".join(str(route.host).strip("/").split("/")) if route.host else None,
        tags=list(route.tags),
        complete=route.complete,
        version=None if route.version is None else route.version.name,
        deprecated=route.version is not None and route.version.is_deprecated,
    )


def _write_chains(lines: Sequence[Line]) -> None:
    for line in lines:
        methods, path, *_ = line.cells()
        write(f"{methods} {path}")
        for depth, name in enumerate([*line.middleware, line.handler or f"{line.name} (mounted)"]):
            write(f"{'  ' * (depth + 1)}→ {name}")
