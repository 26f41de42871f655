"""``oxidite queue retry``, ``edit``, ``cancel`` and ``clear``."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from uuid import UUID

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say, write
from oxidite.cli.options import json_option
from oxidite.cli.queue.filters import (
    DEAD,
    ENDED,
    JOB_ID,
    filter_of,
    filter_options,
    jobs,
    of_fingerprint,
    state_option,
)
from oxidite.cli.queue.project import queue_options, with_queue
from oxidite.encoding import json_text
from oxidite.queue import Filter, JobState, Queue, StoredJob

__all__ = ["cancel", "clear", "edit", "retry"]

_NOTHING = 1
_LIVE = frozenset((JobState.WAITING, JobState.RUNNING))
_fingerprint = click.option("--fingerprint", metavar="F", help="Only what died of this error.")
_all = click.option("--all", "every", is_flag=True, help="All of them, whatever they are.")
_ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=JOB_ID)


@click.command(cls=Command)
@_ids
@queue_options
@filter_options
@state_option
@_fingerprint
@_all
@click.option(
    "--from", "step", metavar="STEP", help="Forget this step of the job and those after it."
)
@json_option
def retry(
    ids: tuple[UUID, ...],
    app: str | None,
    which: str | None,
    name: str | None,
    task: str | None,
    states: tuple[str, ...],
    fingerprint: str | None,
    every: bool,
    step: str | None,
    as_json: bool,
) -> int:
    """Let dead letters run again, as if they had never failed.

    By id, or with --state, any job that has ended, and those that wait run now. Steps that are done are not
    done again, unless --from says from which on; `oxidite queue show` has them. Ends with 1 if there was none.

    Examples:
      oxidite queue retry 019ac0de-7b1e-7000-8000-000000000001
      oxidite queue retry 019ac0de-7b1e-7000-8000-000000000001 --from charge
      oxidite queue retry --task send_welcome
      oxidite queue retry --fingerprint 1f0e9d8c7b6a5948
      oxidite queue retry --all
    """
    _check_said(ids, name, task, states, fingerprint, every)
    if step is not None and (len(ids) != 1 or any((name, task, states, fingerprint, every))):
        raise click.UsageError("--from is a step of one job: name its id, and nothing else.")

    async def work(queue: Queue) -> int:
        if step is not None:
            await queue.handle(ids[0]).rerun(from_step=step)
            return 1
        filter = await filter_of(
            queue,
            ids=ids,
            name=name,
            task=task,
            states=states,
            otherwise=None if ids else DEAD,
        )
        return await _change(queue, filter, fingerprint, queue.retry)

    return _told(with_queue(app, which, work), "retried", as_json=as_json)


@click.command(cls=Command)
@click.argument("id", type=JOB_ID)
@click.option(
    "--args", "arguments", metavar="JSON", required=True, help="All arguments, as a JSON object."
)
@queue_options
def edit(id: UUID, arguments: str, app: str | None, which: str | None) -> None:
    """Let a job that has ended, or waits, run with other arguments.

    They are checked as those of a new job are, and what is left out has its default.

    Examples:
      oxidite queue edit 019ac0de-7b1e-7000-8000-000000000001 --args '{"user_id": 8}'
    """

    async def work(queue: Queue) -> StoredJob:
        job = await queue.get(id)
        task = queue.tasks.find(job.task)
        await queue.edit_job(id, task.job_of(arguments))
        return job

    job = with_queue(app, which, work)
    say(f"{harmless(job.task)} {id} waits with its new arguments.")


@click.command(cls=Command)
@_ids
@queue_options
@filter_options
@state_option
@_all
@json_option
def cancel(
    ids: tuple[UUID, ...],
    app: str | None,
    which: str | None,
    name: str | None,
    task: str | None,
    states: tuple[str, ...],
    every: bool,
    as_json: bool,
) -> int:
    """Cancel jobs: at once what waits, and what runs as soon as its worker hears of it.

    Ends with 1 if there was none.

    Examples:
      oxidite queue cancel 019ac0de-7b1e-7000-8000-000000000001
      oxidite queue cancel --queue mail --state waiting
      oxidite queue cancel --all
    """
    _check_said(ids, name, task, states, every)

    async def work(queue: Queue) -> int:
        filter = await filter_of(
            queue, ids=ids, name=name, task=task, states=states, otherwise=_LIVE
        )
        return await queue.cancel(filter)

    return _told(with_queue(app, which, work), "cancelled", as_json=as_json)


@click.command(cls=Command)
@_ids
@queue_options
@filter_options
@state_option
@_fingerprint
@_all
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def clear(
    ids: tuple[UUID, ...],
    app: str | None,
    which: str | None,
    name: str | None,
    task: str | None,
    states: tuple[str, ...],
    fingerprint: str | None,
    every: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Forget jobs that have ended; those that wait only by id or with --state waiting.

    What runs is left alone. Ends with 1 if there was none.

    Examples:
      oxidite queue clear --state completed
      oxidite queue clear --queue mail --state waiting
      oxidite queue clear --all --yes
    """
    _check_said(ids, name, task, states, fingerprint, every)
    if JobState.RUNNING.value in states:
        raise click.UsageError("What runs cannot be forgotten. Cancel it: oxidite queue cancel")

    async def work(queue: Queue) -> int:
        filter = await filter_of(
            queue,
            ids=ids,
            name=name,
            task=task,
            states=states,
            otherwise=None if ids else ENDED,
        )
        if not yes and not ids:
            await _confirm(queue, filter, fingerprint)
        return await _change(queue, filter, fingerprint, queue.delete)

    return _told(with_queue(app, which, work), "forgotten", as_json=as_json)


async def _confirm(queue: Queue, filter: Filter, fingerprint: str | None) -> None:
    if fingerprint is None:
        number = sum(each.count for each in await queue.counts(filter))
    else:
        parts = await of_fingerprint(queue, filter, fingerprint)
        number = sum(len(each.ids or ()) for each in parts)
    if not number:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"This forgets {jobs(number)}: say --yes where nobody can be asked.")
    click.confirm(f"Forget {jobs(number)}?", abort=True, err=True)


def _check_said(*said: object) -> None:
    """Refuse a command that would change everything because nothing was said."""
    if not any(said):
        raise click.UsageError("Which jobs? Name ids, --task, --queue or the like, or say --all.")


async def _change(
    queue: Queue,
    filter: Filter,
    fingerprint: str | None,
    change: Callable[[Filter], Awaitable[int]],
) -> int:
    if fingerprint is None:
        return await change(filter)
    parts = await of_fingerprint(queue, filter, fingerprint)
    return sum([await change(each) for each in parts])


def _told(count: int, what: str, *, as_json: bool) -> int:
    if as_json:
        write(json_text({what: count}))
    else:
        say(f"{jobs(count)} {what}." if count else f"There was no job to be {what}.")
    return 0 if count else _NOTHING
