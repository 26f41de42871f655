"""``oxidite queue stats``."""

from __future__ import annotations

from collections.abc import Iterable

import click
from msgspec import Struct

from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say, table, write
from oxidite.cli.moments import ago, iso, length
from oxidite.cli.options import json_option
from oxidite.cli.queue.project import queue_argument, with_queue
from oxidite.encoding import json_text
from oxidite.queue import JobState, Limits, Queue, QueueState, Rate, TaskMinute, WorkerState

__all__ = ["stats"]

_STATES = tuple(JobState)


class _Line(Struct):
    """What happened to the jobs of a task in the whole time."""

    queue: str
    task: str
    completed: int = 0
    retried: int = 0
    dead: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    waited: float = 0.0

    @property
    def attempts(self) -> int:
        return self.completed + self.retried + self.dead


class _Seen(Struct):
    queues: list[QueueState]
    tasks: list[_Line]
    workers: list[WorkerState]
    now: float


@click.command(cls=Command)
@queue_argument
@click.option(
    "--seconds", type=click.FloatRange(0), default=3600.0, help="How far to look back.  [3600]"
)
@json_option
def stats(app: str | None, which: str | None, seconds: float, as_json: bool) -> None:
    """Show the queues and what is in them, what happened lately to each task, and the workers.

    Examples:
      oxidite queue stats
      oxidite queue stats --seconds 86400
      oxidite queue stats --json | jq '.queues[] | select(.oldest > 60)'
    """

    async def work(queue: Queue) -> _Seen:
        return _Seen(
            await queue.queues(),
            _summed(await queue.statistics(seconds)),
            await queue.workers(),
            await queue.store.now(),
        )

    seen = with_queue(app, which, work)
    if as_json:
        write(json_text(_plain(seen)))
    else:
        _write(seen, seconds)


def _summed(minutes: Iterable[TaskMinute]) -> list[_Line]:
    lines: dict[tuple[str, str], _Line] = {}
    for each in minutes:
        line = lines.setdefault((each.queue, each.task), _Line(each.queue, each.task))
        line.completed += each.completed
        line.retried += each.retried
        line.dead += each.dead
        line.seconds += each.seconds
        line.waited += each.waited
        line.slowest = max(line.slowest, each.slowest)
    return [lines[key] for key in sorted(lines)]


def _write(seen: _Seen, seconds: float) -> None:
    if not seen.queues:
        say("There are no jobs.")
    else:
        table(
            ("QUEUE", *(each.value.upper() for each in _STATES), "OLDEST", "LIMITS", ""),
            [
                (
                    harmless(each.name),
                    *(str(each.counts.get(state, 0)) for state in _STATES),
                    length(each.oldest) if each.oldest > 0 else "",
                    _limits(each.limits),
                    "paused" if each.paused else "",
                )
                for each in seen.queues
            ],
        )
    if seen.tasks:
        say(f"\nIn the last {length(seconds)}:")
        table(
            ("TASK", "QUEUE", "COMPLETED", "RETRIED", "DEAD", "AVERAGE", "SLOWEST", "WAITED"),
            [
                (
                    harmless(each.task),
                    harmless(each.queue),
                    str(each.completed),
                    str(each.retried),
                    str(each.dead),
                    length(each.seconds / each.attempts),
                    length(each.slowest),
                    length(each.waited / each.attempts),
                )
                for each in seen.tasks
                if each.attempts
            ],
        )
    if not seen.workers:
        say("\nNo worker runs.")
        return
    say("")
    table(
        ("WORKER", "RUNNING", "LEASE"),
        [(harmless(each.name), str(each.running), _lease(each, seen.now)) for each in seen.workers],
    )


def _lease(worker: WorkerState, now: float) -> str:
    ends = ago(worker.lease_until, now)
    return f"ends {ends}" if worker.lease_until > now else f"ended {ends}: it is gone"


def _limits(limits: Limits) -> str:
    parts = [
        ("running", limits.running),
        ("", limits.rate),
        ("each", limits.each),
        ("each", limits.each_rate),
    ]
    said = [
        f"{name} {_rate(value) if isinstance(value, Rate) else value}".strip()
        for name, value in parts
        if value is not None
    ]
    return ", ".join([*said, "fair"] if limits.fair else said)


def _rate(rate: Rate) -> str:
    return f"{rate.count} in {length(rate.per)}"


def _plain(seen: _Seen) -> dict[str, object]:
    return {
        "queues": [
            {
                "name": each.name,
                "paused": each.paused,
                "limits": each.limits,
                "oldest": each.oldest,
                **{state.value: each.counts.get(state, 0) for state in _STATES},
            }
            for each in seen.queues
        ],
        "tasks": seen.tasks,
        "workers": [
            {
                "name": each.name,
                "running": each.running,
                "lease_until": iso(each.lease_until),
                "is_gone": each.lease_until <= seen.now,
            }
            for each in seen.workers
        ],
    }
