"""What the commands say: data on standard output, talk on standard error, in colour where wanted."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import TextIO

import click

__all__ = ["bold", "dim", "fail", "harmless", "say", "table", "write"]


def write(text: str) -> None:
    """Write data."""
    click.echo(text, color=in_colour(sys.stdout))


def say(text: str) -> None:
    """Tell the person in front of the terminal."""
    click.echo(text, err=True, color=in_colour(sys.stderr))


def fail(text: str) -> None:
    """Tell what went wrong."""
    first, _, rest = text.partition("\n")
    say(click.style("Error: ", fg="red", bold=True) + first + (f"\n{rest}" if rest else ""))


def bold(text: str) -> str:
    """Make ``text`` stand out."""
    return click.style(text, bold=True)


def dim(text: str) -> str:
    """Make ``text`` stand back."""
    return click.style(text, dim=True)


def harmless(text: str) -> str:
    """Return text from outside as it may be printed: what would move the cursor is written out.

    Line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    kept = (each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)
    return "".join(kept)


def in_colour(stream: TextIO) -> bool:
    """Tell whether escape codes are wanted: on a terminal, unless ``NO_COLOR`` says otherwise."""
    # PERF: not at the top, because `oxidite --help` needs nothing of it; benchmark `start`.
    from oxidite.config.environment import process_environment

    environ = process_environment()
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or stream.isatty()


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table: with rich on a terminal, if it is there, else in plain columns."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        _rich_table(headings, rows)
        return
    every = [headings, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(headings))]
    for row in every:
        write("  ".join(map(str.ljust, row, widths)).rstrip())


def _rich_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    for row in rows:
        # As text: a path such as /[a]/b is no markup.
        grid.add_row(*map(Text, row))
    Console(color_system="auto" if in_colour(sys.stdout) else None).print(grid)
