"""``oxidite queue pause``, ``resume`` and ``drain``."""

from __future__ import annotations

import re

import click

from oxidite import clock
from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say
from oxidite.cli.queue.filters import jobs
from oxidite.cli.queue.project import queue_options, with_queue
from oxidite.queue import Count, Filter, JobState, Queue

__all__ = ["drain", "pause", "resume"]

_STILL_RUNNING = 1
_LOOK = 0.5  # seconds between two looks at what still runs

_queues = click.argument("queues", metavar="[QUEUE]...", nargs=-1)


@click.command(cls=Command)
@_queues
@queue_options
def pause(queues: tuple[str, ...], app: str | None, which: str | None) -> None:
    """Let no job of a queue begin, on any worker; those that run go on. The queue `default`, if none is named.

    Examples:
      oxidite queue pause
      oxidite queue pause mail reports
    """
    _check_queues("pause", queues, app)
    with_queue(app, which, lambda queue: _pause(queue, queues))
    say(f"Paused: {_names(queues)}. `oxidite queue resume` lets jobs begin again.")


@click.command(cls=Command)
@_queues
@queue_options
def resume(queues: tuple[str, ...], app: str | None, which: str | None) -> None:
    """Let jobs of a queue begin again. The queue `default`, if none is named.

    Examples:
      oxidite queue resume mail
    """
    _check_queues("resume", queues, app)

    async def work(queue: Queue) -> None:
        for name in queues or _DEFAULT:
            await queue.resume(name)

    with_queue(app, which, work)
    say(f"Jobs begin again: {_names(queues)}.")


@click.command(cls=Command)
@_queues
@click.option(
    "--within", type=click.FloatRange(0), default=600.0, help="Seconds to wait at most.  [600]"
)
@queue_options
def drain(queues: tuple[str, ...], within: float, app: str | None, which: str | None) -> int:
    """Pause a queue, and wait until none of its jobs runs: before work on what they use.

    Ends with 1 if some still run when the time is over. The queue stays paused either
    way. It is `default`, if none is named.

    Examples:
      oxidite queue drain mail --within 120
    """
    _check_queues("drain", queues, app)

    async def work(queue: Queue) -> list[Count]:
        await _pause(queue, queues)
        ends = clock.monotonic() + within
        while True:
            running = await _running(queue, queues or _DEFAULT)
            left = ends - clock.monotonic()
            if not running or left <= 0:
                return running
            await clock.sleep(min(_LOOK, left))

    running = with_queue(app, which, work)
    for each in running:
        say(f"{harmless(each.task)} of {harmless(each.queue)} still runs: {jobs(each.count)}")
    if running:
        return _STILL_RUNNING
    say(f"Paused, and nothing runs: {_names(queues)}.")
    return 0


_DEFAULT = ("default",)
_IS_APP = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")
"""How an application is written: its module, and its name there."""


def _check_queues(command: str, names: tuple[str, ...], app: str | None) -> None:
    """Refuse an application in the place of a queue, as other commands take one there.

    A queue may have such a name: who says --app means it.
    """
    for name in names:
        if app is None and _IS_APP.fullmatch(name):
            left = " ".join(each for each in names if each != name)
            meant = f"oxidite queue {command} {left} --app {name}".replace("  ", " ")
            raise click.UsageError(
                f"{harmless(name)} is how an application is written, and here are the names of queues: "
                f"{harmless(meant)}. If it is a queue, say --app with its application, too."
            )


async def _pause(queue: Queue, names: tuple[str, ...]) -> None:
    for name in names or _DEFAULT:
        await queue.pause(name)


async def _running(queue: Queue, names: tuple[str, ...]) -> list[Count]:
    states = frozenset((JobState.RUNNING,))
    return [
        each for name in names for each in await queue.counts(Filter(queue=name, states=states))
    ]


def _names(queues: tuple[str, ...]) -> str:
    return ", ".join(map(harmless, queues or _DEFAULT))
