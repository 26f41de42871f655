"""``oxidite version``: the versions of everything involved."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import click
import msgspec

from oxidite import __version__
from oxidite.cli.commands import Command
from oxidite.cli.console import write

__all__ = ["version"]

_PACKAGES = ("msgspec", "granian", "uvicorn", "hypercorn", "uvloop", "httptools", "watchfiles")


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def version(as_json: bool) -> None:
    """Show the versions of Oxidite, of Python and of what serves.

    Examples:
      oxidite version
      oxidite version --json
    """
    versions = {
        "oxidite": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
    }
    versions |= {name: _installed(name) for name in _PACKAGES}
    if as_json:
        known = {name: found or None for name, found in versions.items()}
        write(msgspec.json.format(msgspec.json.encode(known)).decode())
        return
    for name, found in versions.items():
        write(f"{name:<11} {found or 'not installed'}")


def _installed(name: str) -> str:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return ""
