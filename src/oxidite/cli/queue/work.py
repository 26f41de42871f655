"""``oxidite queue work``: processes that run jobs."""

from __future__ import annotations

import asyncio

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say
from oxidite.cli.options import app_anyhow, target
from oxidite.cli.queue.messages import Task
from oxidite.cli.queue.supervisor import Supervisor
from oxidite.cli.serve_options import QueuesType, SizeType

__all__ = ["work"]

_COUNT = click.IntRange(1)
_SECONDS = click.FloatRange(0, min_open=True)


@click.command(cls=Command)
@app_anyhow
@click.option(
    "-q",
    "--queues",
    type=QueuesType(),
    default="default",
    show_default=True,
    metavar="NAME[=WEIGHT],…",
    help="Which queues; of weight 3 is asked first three times as often as of weight 1.",
)
@click.option(
    "-c",
    "--concurrency",
    type=_COUNT,
    default=10,
    show_default=True,
    metavar="N",
    help="How many jobs a process runs at once.",
)
@click.option(
    "-p",
    "--processes",
    type=_COUNT,
    default=1,
    show_default=True,
    metavar="N",
    help="How many processes run jobs.",
)
@click.option(
    "--prefetch",
    type=click.IntRange(0),
    metavar="N",
    help="How many jobs are claimed ahead.  [as many as are done in no time]",
)
@click.option(
    "--drain",
    type=click.FloatRange(0),
    default=25.0,
    show_default=True,
    metavar="SECONDS",
    help="How long jobs may take to end after SIGTERM; then they go back.",
)
@click.option(
    "--lease",
    type=_SECONDS,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="After which the jobs of a machine that is gone run elsewhere.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a job may go on beyond its time limit before it is given up.",
)
@click.option(
    "--poison",
    type=_COUNT,
    default=3,
    show_default=True,
    metavar="N",
    help="In how many workers that ended a job may be, until it is a dead letter.",
)
@click.option("--max-jobs", type=_COUNT, metavar="N", help="Renew a process after so many jobs.")
@click.option("--max-age", type=_SECONDS, metavar="SECONDS", help="Renew one after this time.")
@click.option(
    "--max-memory", type=SizeType(), metavar="SIZE", help="Renew one that holds more than this."
)
def work(
    app: str | None,
    queues: dict[str, int],
    concurrency: int,
    processes: int,
    prefetch: int | None,
    drain: float,
    lease: float,
    grace: float,
    poison: int,
    max_jobs: int | None,
    max_age: float | None,
    max_memory: int | None,
) -> int:
    """Run the jobs of the application.

    SIGTERM ends it: jobs that run may end first, and what has not ended in time goes back to the queue
    unharmed; a second SIGTERM gives them back at once. The exit code is 0 then, and 1 if the application
    cannot be loaded.

    Examples:
      oxidite queue work
      oxidite queue work blog.main:app --queues mail=3,default --concurrency 50
      oxidite queue work --processes 4 --max-memory 512M
    """
    where = target(app)
    task = Task(
        module=where.module,
        attribute=where.attribute,
        directory=str(where.directory),
        file=None if where.file is None else str(where.file),
        control=-1,
        queues=queues,
        concurrency=concurrency,
        prefetch=prefetch,
        lease=lease,
        grace=grace,
        drain=drain,
        poison=poison,
        max_jobs=max_jobs or 0,
        max_age=max_age or 0.0,
        max_memory=max_memory or 0,
    )
    named = ", ".join(
        name if weight == 1 else f"{name}={weight}" for name, weight in queues.items()
    )
    at_once = f"{concurrency} at once" + (
        f" in each of {processes} processes" if processes > 1 else ""
    )
    say(f"Running jobs of {bold(named)} for {where}, {at_once} {dim('(Ctrl-C stops it)')}")
    return asyncio.run(Supervisor(task, processes).run())
