"""Which jobs a command is about: ids, --queue, --task, --state, and in what words they are told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

import click
from msgspec import structs

from oxidite.cli.console import harmless
from oxidite.config.problems import did_you_mean
from oxidite.errors import ConfigError
from oxidite.queue import Filter, JobState, Queue, StoredJob, last_failure

__all__ = [
    "DEAD",
    "ENDED",
    "JOB_ID",
    "filter_of",
    "filter_options",
    "first",
    "jobs",
    "of_fingerprint",
    "state_option",
]

C = TypeVar("C", bound=Callable[..., object])

_PART = 500  # ids in one question to a store

DEAD = frozenset((JobState.DEAD,))
ENDED = frozenset((JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD))


class _JobId(click.types.UUIDParameterType):
    """The id of a job; who names an application in its place is told how that is said here."""

    def convert(
        self,
        value: Any,  # Any: as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> UUID:
        """Return the id."""
        if isinstance(value, str) and (":" in value or value.endswith(".py")):
            self.fail(f"{value!r} is no id of a job. Is it the application? --app {value}")
        found: UUID = super().convert(value, param, ctx)
        return found


JOB_ID = _JobId()


def filter_options(command: C) -> C:
    """Give a command the options --queue and --task."""
    command = click.option(
        "--task", metavar="TASK", help="Only of this task; its last part will do."
    )(command)
    return click.option("--queue", "name", metavar="QUEUE", help="Only of this queue.")(command)


def state_option(command: C) -> C:
    """Give a command the option --state, which may be said several times."""
    return click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice([each.value for each in JobState]),
        help="Only in this state; may be said several times.",
    )(command)


async def filter_of(
    queue: Queue,
    *,
    ids: Iterable[UUID] = (),
    name: str | None = None,
    task: str | None = None,
    states: Iterable[str] = (),
    otherwise: frozenset[JobState] | None = None,
) -> Filter:
    """Return which jobs are meant; without ``states`` those ``otherwise``.

    Raises:
        ConfigError: no job is of such a task, or those of several are.
    """
    made = Filter(
        ids=tuple(ids) or None,
        queue=name,
        states=frozenset(map(JobState, states)) or otherwise,
    )
    return made if task is None else structs.replace(made, task=await _task(queue, task))


async def _task(queue: Queue, said: str) -> str:
    """Return the whole name of a task of which the last part was said."""
    tasks = {each.task for each in await queue.counts()}
    if said in tasks:
        return said
    fit = [each for each in sorted(tasks) if each.endswith((f":{said}", f".{said}"))]
    if len(fit) == 1:
        return fit[0]
    if fit:
        raise ConfigError(f"{said!r} may be any of {harmless(', '.join(fit))}. Say which.")
    known = [harmless(each) for each in sorted(tasks)]
    hint = did_you_mean(said, known) or f". There are jobs of: {', '.join(known) or 'none'}."
    raise ConfigError(f"There is no job of a task {said!r}{hint}")


async def first(queue: Queue, filter: Filter, limit: int) -> list[StoredJob]:
    """Return the newest jobs, up to ``limit`` of them."""
    found: list[StoredJob] = []
    jobs = queue.find(filter)
    try:
        async for job in jobs:
            if len(found) == limit:
                break
            found.append(job)
    finally:
        # Else it would be closed after the database is.
        if isinstance(jobs, AsyncGenerator):
            await jobs.aclose()
    return found


async def of_fingerprint(queue: Queue, filter: Filter, fingerprint: str) -> list[Filter]:
    """Return which dead letters of ``filter`` died of an error with this fingerprint, in parts."""
    dead = queue.find(structs.replace(filter, states=DEAD))
    ids = [job.id async for job in dead if last_failure(job).fingerprint == fingerprint]
    return [
        Filter(ids=tuple(ids[place : place + _PART]), states=DEAD)
        for place in range(0, len(ids), _PART)
    ]


def jobs(count: int) -> str:
    """Return a number of jobs in words."""
    return "1 job" if count == 1 else f"{count} jobs"
