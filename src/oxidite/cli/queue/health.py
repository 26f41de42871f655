"""``oxidite queue health``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click
from msgspec import Struct

from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say, write
from oxidite.cli.moments import length
from oxidite.cli.options import json_option
from oxidite.cli.queue.project import queue_options, with_queue
from oxidite.encoding import json_text
from oxidite.queue import Queue, QueueState, TaskMinute

__all__ = ["health"]

_UNWELL = 1


class _Problem(Struct):
    """What is above its limit."""

    queue: str
    kind: str
    value: float
    limit: float
    text: str


@click.command(cls=Command)
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@click.option(
    "--max-wait", type=click.FloatRange(0), help="Seconds that a job may have been due for."
)
@click.option(
    "--max-failures", type=click.FloatRange(0, 1), help="Share of attempts that may fail, 0 to 1."
)
@click.option(
    "--seconds", type=click.FloatRange(1), default=300.0, help="How far to look back.  [300]"
)
@click.option(
    "--least",
    type=click.IntRange(1),
    default=1,
    help="With fewer attempts no share is told.  [1]",
)
@queue_options
@json_option
def health(
    queues: tuple[str, ...],
    max_wait: float | None,
    max_failures: float | None,
    seconds: float,
    least: int,
    app: str | None,
    which: str | None,
    as_json: bool,
) -> int:
    """Tell whether jobs wait too long or fail too often, of the queues that are named or of all.

    Ends with 1 if so. Those that are paused are not looked at.

    Examples:
      oxidite queue health --max-wait 60
      oxidite queue health mail --max-failures 0.1 --seconds 600 --least 20
    """
    if max_wait is None and max_failures is None:
        raise click.UsageError("What is too much? Say --max-wait, --max-failures or both.")

    async def work(queue: Queue) -> list[_Problem]:
        states = [
            each
            for each in await queue.queues()
            if not each.paused and (not queues or each.name in queues)
        ]
        found: list[_Problem] = []
        if max_wait is not None:
            found += _waits(states, max_wait)
        if max_failures is not None:
            minutes = await queue.statistics(seconds)
            for each in states:
                of = [minute for minute in minutes if minute.queue == each.name]
                found += _failures(each.name, of, max_failures, seconds, least)
        return found

    problems = with_queue(app, which, work)
    if as_json:
        write(json_text(problems))
    else:
        for each in problems:
            say(f"{harmless(each.queue)}: {each.text}")
        if not problems:
            say("Jobs are well.")
    return _UNWELL if problems else 0


def _waits(states: Iterable[QueueState], most: float) -> Iterator[_Problem]:
    for each in states:
        if each.oldest > most:
            text = f"a job has waited for {each.oldest:.0f} s, more than {most:g} s"
            yield _Problem(each.name, "wait", each.oldest, most, text)


def _failures(
    name: str, minutes: Iterable[TaskMinute], most: float, seconds: float, least: int
) -> Iterator[_Problem]:
    done = failed = 0
    for each in minutes:
        done += each.completed
        failed += each.retried + each.dead
    attempts = done + failed
    if attempts >= least and failed > most * attempts:
        share = f"more than {most * 100:g} %"
        text = f"{failed} of {attempts} attempts failed in the last {length(seconds)}, {share}"
        yield _Problem(name, "failures", failed / attempts, most, text)
