"""The command ``oxidite queue`` and what is below it."""

from __future__ import annotations

import click

from oxidite.cli.commands import Lazy, LazyGroup

__all__ = ["queue"]

COMMANDS = {
    "work": Lazy("oxidite.cli.queue.work:work", "Run jobs."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def queue() -> None:
    """Run the jobs of an application.

    Examples:
      oxidite queue work               run the jobs of the queue "default"
      oxidite queue work -q mail=3 -q default   of two queues, the first one more often
    """
