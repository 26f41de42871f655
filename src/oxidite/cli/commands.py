"""Commands whose help ends in examples, and a group that imports its commands when they run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import cleandoc
from typing import Any, NamedTuple, cast

import click

__all__ = ["Command", "Lazy", "LazyGroup"]

_EXAMPLES = "\n\nExamples:\n"


class Command(click.Command):
    """A command; what follows ``Examples:`` in its docstring is shown line by line."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring."""
        _write_help(self.help, formatter)


class Lazy(NamedTuple):
    """A command that is not imported yet: ``module:attribute``, and what help says of it."""

    target: str
    help: str


class LazyGroup(click.Group):
    """A group that knows its commands by name; ``lazy`` is in the order of the help."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # whatever click.group passes on
        self.lazy: dict[str, Lazy] = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in order."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; ``None`` if there is none of this name."""
        found = self.lazy.get(cmd_name)
        if found is None:
            return None
        module, _, attribute = found.target.partition(":")
        return cast("click.Command", getattr(import_module(module), attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a wrong name is told the nearest right one."""
        # What completes words in a shell asks for names that are not finished.
        if ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if not args[0].startswith("-") and args[0] not in self.lazy:
            raise click.NoSuchCommand(args[0], possibilities=self.lazy, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring."""
        _write_help(self.help, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.help) for name, each in self.lazy.items()])


def _write_help(text: str | None, formatter: click.HelpFormatter) -> None:
    prose, _, examples = cleandoc(text or "").partition(_EXAMPLES)
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(prose)
    if examples:
        with formatter.section("Examples"):
            for line in examples.splitlines():
                formatter.write(f"  {line.strip()}\n")
